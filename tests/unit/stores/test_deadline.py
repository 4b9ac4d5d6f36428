import gc
import threading
import time
import weakref

import pytest

from rotator.errors import Unknown
from rotator.interfaces import EFFECT_SECONDS
from rotator.model import Credential
from rotator.stores.deadline import CONNECT_SECONDS, READ_SECONDS, Deadline
from rotator.testing.clock import ManualClock


def test_the_arithmetic_holds() -> None:
    """The last request may begin while there is time for it, at its slowest, to end."""
    clock = ManualClock()
    deadline = Deadline(clock)
    begun: list[float] = []

    def effect() -> None:
        started = clock.monotonic()
        while True:
            deadline.check()
            begun.append(clock.monotonic() - started)
            clock.sleep(0.5)

    with pytest.raises(Unknown, match="deadline"):
        deadline.run(effect)
    assert max(begun) + CONNECT_SECONDS + READ_SECONDS <= EFFECT_SECONDS
    assert max(begun) >= 9.5


def test_an_effect_that_hangs_is_left_behind() -> None:
    """A caller goes on when the time is over, and what it left behind sends nothing more."""
    clock = ManualClock()
    deadline = Deadline(clock, effect=0.05, request=0.0)
    go, later = threading.Event(), threading.Event()
    said: list[str] = []

    def hang() -> None:
        go.wait(10)
        clock.sleep(1)
        try:
            deadline.check()
        except Unknown:
            said.append("too late")
        later.set()

    begun = time.monotonic()
    with pytest.raises(Unknown, match="deadline"):
        deadline.run(hang)
    assert time.monotonic() - begun < 5
    go.set()
    assert later.wait(10)
    assert said == ["too late"]


def test_results_and_errors_pass_through() -> None:
    """An effect returns and raises as if it ran in its caller's thread."""
    deadline = Deadline(ManualClock())
    assert deadline.run(lambda: deadline.run(lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        deadline.run(lambda: 1 // 0)


def test_outside_an_effect_there_is_no_deadline() -> None:
    """A check outside an effect says nothing."""
    Deadline(ManualClock()).check()


def test_threads_are_used_again_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects one after the other run in one thread, which ends when none has come for a while."""
    deadline = Deadline(ManualClock())
    first = deadline.run(threading.current_thread)
    assert deadline.run(threading.current_thread) is first is not threading.current_thread()
    monkeypatch.setattr("rotator.stores.deadline._IDLE_SECONDS", 0.01)
    last = deadline.run(threading.current_thread)
    last.join(10)
    assert not last.is_alive()
    assert deadline.run(threading.current_thread) is not last


def test_a_waiting_thread_holds_no_credential() -> None:
    """What an effect was given and returned is gone when its caller let go of it."""
    deadline = Deadline(ManualClock())
    seen = weakref.ref(deadline.run(lambda: Credential({"api_key": "x"})))
    gc.collect()
    assert seen() is None
