"""What a provider's or a store's adapter may know besides: optional, asked by ``isinstance``, never needed.

Rotations do without; what people ask before (``doctor``, ``adopt --suggest``) is answered better with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from rotator.model import Credential, KeyRecord


class Grade(StrEnum):
    """How grave a finding is. An error keeps rotations from being done, or endangers them."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: about what, a sentence, and what to do about it. Never holds a secret."""

    level: Grade
    subject: str
    text: str
    todo: str = ""


@runtime_checkable
class Identifies(Protocol):
    """What a provider may know besides: which listed key a value is."""

    def identifies(self, record: KeyRecord, credential: Credential) -> bool:
        """Whether the credential's own values show that it is this key. Pure; False where they do not tell.

        Naming an id beside the value is no sign of it.
        """
        ...


@runtime_checkable
class TellsTime(Protocol):
    """What a provider over HTTP may know besides: the server's clock."""

    @property
    def clock_tolerance(self) -> timedelta | None:
        """How far the clocks may be apart before the server refuses what we sign; None: any."""
        ...

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far its clock was ahead of ours, to the second, at its last answer; None before any."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """What a provider may offer that has no list to read: a request that carries no credential."""

    def reach(self) -> None:
        """Be answered, whatever the answer says. May be called twice. Raises NotSent and Unknown."""
        ...


@runtime_checkable
class JudgesAdmin(Protocol):
    """What a provider may know of its own admin credential. Both may read the admin secret, and raise as
    ``find`` does.
    """

    def admin_excess(self, listed: Sequence[KeyRecord]) -> str | None:
        """What the admin credential may do beyond managing keys, as a sentence; None if nothing is known.

        ``listed`` is what :meth:`Provider.find` has just told.
        """
        ...

    def admin_ends(self) -> datetime | None:
        """When the admin credential ends by its own word; None where it has none."""
        ...


@runtime_checkable
class ChecksRights(Protocol):
    """What a store may know of the worker's own rights."""

    def check_rights(self, secrets: Sequence[str]) -> Sequence[Finding]:
        """Which rights on these secrets are missing, or more than needed; changes nothing.

        May be called twice. Raises NotSent, Refused, Unknown, NeedsPerson.
        """
        ...
