"""An effect ends in time: whatever a library does below, its caller goes on."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from rotator.errors import Unknown
from rotator.interfaces import EFFECT_SECONDS, Clock

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
# One request at its slowest. With 25 seconds for an effect, no request begins after its tenth second.
REQUEST_SECONDS = CONNECT_SECONDS + READ_SECONDS

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Deadline:
    """Runs effects, each within ``effect`` seconds, requests and retries and name look-ups included.

    No request begins that might outlast the effect (``check``). Time-outs of a socket count from byte to
    byte and a name look-up has none, so an effect also runs in a thread of its own, which is left behind
    when the time is over: it can then send nothing more.
    """

    def __init__(
        self, clock: Clock, *, effect: float = EFFECT_SECONDS, request: float = REQUEST_SECONDS
    ) -> None:
        self._clock = clock
        self._effect = effect
        self._request = request
        self._local = threading.local()

    def run(self, effect: Callable[[], _T]) -> _T:
        """What ``effect`` returns or raises; Unknown when its time is over. May be nested."""
        if getattr(self._local, "last_start", None) is not None:
            return effect()
        future: Future[_T] = Future()
        thread = threading.Thread(target=self._work, args=(effect, future), daemon=True, name="store-effect")
        thread.start()
        thread.join(self._effect)
        if not future.done():
            raise _over()
        return future.result()

    def _work(self, effect: Callable[[], _T], future: "Future[_T]") -> None:
        self._local.last_start = self._clock.monotonic() + self._effect - self._request
        try:
            future.set_result(effect())
        except BaseException as raised:  # noqa: BLE001  it is raised again in the caller's thread
            future.set_exception(raised)

    def check(self) -> None:
        """Raise Unknown if a request that begins now might outlast the effect."""
        last_start = getattr(self._local, "last_start", None)
        if last_start is not None and self._clock.monotonic() > last_start:
            raise _over()


def _over() -> Unknown:
    return Unknown("deadline", "The store did not answer in time; it may have done what was asked.")


class Bounded(Protocol):
    """Whatever has a deadline for its effects."""

    deadline: Deadline


_B = TypeVar("_B", bound=Bounded)


def effect(method: Callable[Concatenate[_B, _P], _T]) -> Callable[Concatenate[_B, _P], _T]:
    """Make a method one effect: all that it does ends within the deadline of its object."""

    @wraps(method)
    def within(self: _B, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self.deadline.run(lambda: method(self, *args, **kwargs))

    return within
