"""An effect ends in time: whatever a library does below, its caller goes on."""

import threading
from collections.abc import Callable
from functools import wraps
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from rotator.errors import Unknown
from rotator.interfaces import EFFECT_SECONDS, Clock

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
# One request at its slowest. With 25 seconds for an effect, no request begins after its tenth second.
REQUEST_SECONDS = CONNECT_SECONDS + READ_SECONDS
_IDLE_SECONDS = 10.0  # that a thread waits for its next effect

_T = TypeVar("_T")
_P = ParamSpec("_P")


class _Task(Generic[_T]):
    """An effect, and where its result is left."""

    __slots__ = ("_effect", "_failed", "_over", "_result")

    def __init__(self, effect: Callable[[], _T]) -> None:
        self._effect = effect
        self._over = threading.Lock()
        self._over.acquire()

    def run(self) -> None:
        """Have the effect, and keep what comes of it."""
        self._failed: BaseException | None = None
        try:
            self._result = self._effect()
        except BaseException as raised:  # noqa: BLE001  it is raised again in the caller's thread
            self._failed = raised

    def end(self) -> None:
        """Let whoever waits go on."""
        self._over.release()

    def result(self, seconds: float) -> _T:
        """What the effect returned or raised, within so many seconds; Unknown when they are over."""
        if not self._over.acquire(timeout=seconds):
            raise _over()
        failed, self._failed = self._failed, None
        if failed is None:
            return self._result
        try:
            raise failed
        finally:
            del failed  # else the exception holds this frame, and this frame it


class Deadline:
    """Runs effects, each within ``effect`` seconds, requests and retries and name look-ups included.

    No request begins that might outlast the effect (``check``). Time-outs of a socket count from byte to
    byte and a name look-up has none, so an effect also runs in another thread than its caller's, which is
    left behind when the time is over: it can then send nothing more. A thread that is done waits a while
    for the next effect, since starting one costs half as much as a request.
    """

    def __init__(
        self, clock: Clock, *, effect: float = EFFECT_SECONDS, request: float = REQUEST_SECONDS
    ) -> None:
        self._clock = clock
        self._effect = effect
        self._request = request
        self._local = threading.local()
        self._idle: list[SimpleQueue[_Task[Any]]] = []  # the inboxes of threads that wait, the last one first

    def run(self, effect: Callable[[], _T]) -> _T:
        """What ``effect`` returns or raises; Unknown when its time is over. May be nested."""
        if getattr(self._local, "last_start", None) is not None:
            return effect()
        task = _Task(effect)
        self._inbox().put(task)
        return task.result(self._effect)

    def _inbox(self) -> "SimpleQueue[_Task[Any]]":
        """Where a thread waits for an effect: one that is there, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            inbox: SimpleQueue[_Task[Any]] = SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), daemon=True, name="store-effect").start()
            return inbox

    def _work(self, inbox: "SimpleQueue[_Task[Any]]") -> None:
        """One effect after the other, until none has come for a while."""
        while (task := self._next(inbox)) is not None:
            self._local.last_start = self._clock.monotonic() + self._effect - self._request
            task.run()
            self._idle.append(inbox)
            task.end()
            del task  # it may hold a credential, which must not wait here

    def _next(self, inbox: "SimpleQueue[_Task[Any]]") -> _Task[Any] | None:
        try:
            return inbox.get(timeout=_IDLE_SECONDS)
        except Empty:
            pass
        try:
            self._idle.remove(inbox)
        except ValueError:  # just taken: its task is on the way
            return inbox.get()
        return None

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
