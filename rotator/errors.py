"""Errors, sorted by what to do next.

    RotatorError
    ├── EffectError          a call to a provider, a store or a consumer went wrong
    │   ├── NotSent          nothing left this machine, or nothing can have happened: try again
    │   ├── Refused          the other side said no, and nothing happened: try again later, or give up
    │   ├── Unknown          it may have happened: look before doing anything else
    │   └── Conflict         somebody else moved first
    ├── NeedsPerson          blocked until a person acts; says what to do
    ├── Fenced               another worker holds the claim: do nothing more
    ├── LedgerUnusable       the ledger cannot be opened or written; says what to do
    └── PolicyError          the policy files are wrong; every problem with file, line and remedy

Adapters translate what their library raises at their edge, ``from None``: a library's exception carries
bodies, headers and values. No message here may hold a secret.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RotatorError(Exception):
    """Whatever rotator raises on purpose."""


class EffectError(RotatorError):
    """A call to a provider, a store or a consumer went wrong.

    ``kind`` is a short word for grouping (``timeout``, ``http-429``, ``garbage``), ``message`` a sentence
    for people, ``retry_at`` the earliest useful next try where the other side named one.
    """

    def __init__(self, kind: str, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(f"{message} [{kind}]")
        self.kind = kind
        self.message = message
        self.retry_at = retry_at


class NotSent(EffectError):
    """Nothing happened: it was never sent (connect failure, name look-up, our own rate limit)."""


class Refused(EffectError):
    """Nothing happened: the other side refused. ``permanent`` if the same request can never succeed."""

    def __init__(
        self, kind: str, message: str, *, retry_at: datetime | None = None, permanent: bool = False
    ) -> None:
        super().__init__(kind, message, retry_at=retry_at)
        self.permanent = permanent


class Unknown(EffectError):
    """It may have happened: a timeout, a 5xx, an answer that is not what was promised."""


class Conflict(EffectError):
    """Somebody else moved first; nothing of ours happened."""


class Scope(StrEnum):
    """Whom a block concerns."""

    SECRET = "secret"
    PROVIDER = "provider"


class NeedsPerson(RotatorError):
    """Blocked until a person acts.

    ``kind`` groups, ``message`` says what is wrong, ``todo`` what the person should do. A block of the
    whole provider (its admin credential is refused) is told once, not once for each policy.
    """

    def __init__(self, kind: str, message: str, *, todo: str, scope: Scope = Scope.SECRET) -> None:
        super().__init__(f"{message} To do: {todo} [{kind}]")
        self.kind = kind
        self.message = message
        self.todo = todo
        self.scope = scope
        self.call = ""  # that met it, where it was one with an admin credential


def clause(sentence: str) -> str:
    """A sentence as a part of another one: without its full stop."""
    return sentence.removesuffix(".")


class Fenced(RotatorError):
    """The claim was lost: another worker goes on from here."""


class LedgerUnusable(RotatorError):
    """The ledger cannot be opened, read or written; the message says what to do.

    ``passing``: it may be over without anybody changing how rotator is set up (a server that is away).
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy file. ``line`` counts from 1; 0 where the whole file is meant."""

    file: str
    line: int
    message: str
    remedy: str
    policy: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        whose = f" policy {self.policy!r}:" if self.policy else ""
        return f"{where}:{whose} {self.message} {self.remedy}"


class PolicyError(RotatorError):
    """The policy files are wrong; ``problems`` holds every reason, in file and line order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
