import os
import signal
import threading
from collections.abc import Iterator

import pytest

from jobs import signals

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_sets_the_event(number: int) -> None:
    """The first signal is noted, and nothing else happens."""
    stop = signals.catch()
    assert not stop.is_set()
    os.kill(os.getpid(), number)
    assert stop.wait(10)


def test_a_signal_that_interrupts_the_first_ones_handler_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event's lock cannot be taken twice by one thread: a nested handler must not touch the event."""
    stop = signals.catch()
    original, lock = stop.set, threading.Lock()

    def interrupted() -> None:
        assert lock.acquire(blocking=False), "a handler inside of the other sets the event"
        signal.raise_signal(signal.SIGTERM)
        original()
        lock.release()

    monkeypatch.setattr(stop, "set", interrupted)
    signal.raise_signal(signal.SIGTERM)
    assert stop.is_set()
