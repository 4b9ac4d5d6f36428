"""What a clock needs of the others: the worker that it wakes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable


class Worker(Protocol):
    """Advances what is due, in threads of its own."""

    def run_pass(self) -> int:
        """Begin what is due, and return at once: how many. May be called while others still run."""
        ...

    def stop(self) -> None:
        """No new effect begins; those in flight end. May be called twice, from any thread."""
        ...

    def drain(self, timeout: timedelta) -> bool:
        """Wait until everything that was begun is over; False if something still runs."""
        ...

    def tell_alarms(self) -> None:
        """Hand alarms that were not told yet to people. May be called twice."""
        ...

    @property
    def trouble(self) -> bool:
        """Whether anything failed or is blocked."""
        ...


@runtime_checkable
class Held(Protocol):
    """A worker that can say what keeps it from doing anything."""

    @property
    def holds(self) -> str:
        """Who stopped everything and why, as a sentence; mostly nothing."""
        ...


@runtime_checkable
class Busy(Protocol):
    """A worker that can say what it is doing."""

    def busy(self) -> Sequence[str]:
        """The secrets that are being worked on."""
        ...


def still_running(worker: Worker) -> str:
    """The secrets that a worker is busy with, as a list for people."""
    names = worker.busy() if isinstance(worker, Busy) else ()
    return ", ".join(sorted(names)) or "not known"
