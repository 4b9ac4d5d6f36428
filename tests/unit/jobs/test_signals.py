import os
import signal
import threading
from collections.abc import Iterator

import pytest

from jobs import signals


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals.NUMBERS}
    wakes = signal.set_wakeup_fd(-1)
    yield
    os.close(signal.set_wakeup_fd(wakes))
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", signals.NUMBERS)
def test_a_signal_sets_the_event(number: int) -> None:
    """The first signal is noted, more of them change nothing, and the process goes on."""
    stop = signals.catch()
    assert not stop.is_set()
    for _ in range(3):
        os.kill(os.getpid(), number)
        assert stop.wait(10)


def test_a_signal_is_noted_while_the_main_thread_sleeps() -> None:
    """A signal that another thread was given wakes no sleep of the main one, and is noted all the same."""
    stop, over, asleep = signals.catch(), threading.Event(), threading.Event()
    noted: list[bool] = []

    def other() -> None:
        asleep.wait(0.1)  # nothing tells that the main thread sleeps
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        noted.append(stop.wait(10))
        over.set()

    thread = threading.Thread(target=other)
    thread.start()
    over.wait(20)
    thread.join()
    assert noted == [True]


def test_another_signal_is_not_ours() -> None:
    """What somebody else has a handler for, and wakes the interpreter too, stops nothing."""
    stop, heard = signals.catch(), threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert heard.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not stop.wait(0.05)
