"""What the contract of providers needs to know of an adapter and the server that it speaks to."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import pytest

from rotator.errors import RotatorError
from rotator.interfaces import Provider
from rotator.testing.clock import ManualClock

ErrorT = TypeVar("ErrorT", bound=RotatorError)

HOLD_SECONDS = 120  # what a BUSY server asks to wait


class Step(StrEnum):
    """A request of the adapter."""

    ISSUE = "issue"
    LIST = "list"
    REVOKE = "revoke"
    PROBE = "probe"


class Mishap(StrEnum):
    """What the server does with a request instead of what it should."""

    LOSE = "lose"  # done, but the answer is lost
    DROP = "drop"  # not done, and no answer
    DOWN = "down"  # not done, 500
    BUSY = "busy"  # not done, 429 with Retry-After: HOLD_SECONDS
    ELSEWHERE = "elsewhere"  # not done, redirected to Subject.elsewhere
    HTML = "html"  # done, and answered with a page
    EMPTY = "empty"
    TRUNCATED = "truncated"
    HUGE = "huge"
    WRONG_JSON = "wrong-json"
    WRONG_TYPES = "wrong-types"
    MISSING_SECRET = "missing-secret"
    WIDER = "wider"  # a key is made that may do more than was asked
    QUIETLY_WIDER = "quietly-wider"  # likewise, though the answer repeats what was asked


class Subject(ABC):
    """An adapter with the server that it speaks to, and what only a test may ask that server."""

    clock: ManualClock
    provider: Provider
    key: Mapping[str, Any]  # settings of a policy's ``key``, everything that the adapter needs said

    @abstractmethod
    def live(self) -> Mapping[str, str]:
        """The ids of all keys that work now, each with its label, without a request."""

    @abstractmethod
    def add_foreign(self, label: str) -> str:
        """A key of somebody else; its id."""

    @abstractmethod
    def secrets(self) -> frozenset[str]:
        """Every secret value that the server ever handed out, admin credentials too."""

    @abstractmethod
    def requests(self) -> int:
        """How many requests the server has seen."""

    @abstractmethod
    def elsewhere(self) -> int:
        """How many requests a second server has seen: the one that ELSEWHERE redirects to."""

    @abstractmethod
    def next(self, step: Step, mishap: Mishap, times: int = 1) -> None:
        """Let the next requests of a step go wrong."""

    @abstractmethod
    def renew_admin(self) -> None:
        """The server refuses the admin credential from now on, and takes another one."""

    @abstractmethod
    def submit_admin(self) -> None:
        """The store holds the admin credential that the server takes now."""


def raised(subject: Subject, kind: type[ErrorT], act: Callable[[], object]) -> ErrorT:
    """The error that ``act`` raises, which is of this kind and holds no secret anywhere."""
    with pytest.raises(kind) as caught:
        act()
    error = caught.value
    for text in _texts(error):
        assert not any(secret in text for secret in subject.secrets())
    return error


def _texts(error: BaseException) -> Iterator[str]:
    """All that an error and those behind it can tell, suppressed ones too."""
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), repr(seen.args), repr(vars(seen)))
        yield from (str(getattr(seen, name, "")) for name in ("doc", "object", "text", "request"))
        seen = seen.__cause__ or seen.__context__
    yield "".join(traceback.format_exception(error))
