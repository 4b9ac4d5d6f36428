import threading
from datetime import timedelta

from jobs.watchdog import Watchdog
from rotator.testing.clock import ManualClock

LIMIT = timedelta(seconds=100)  # it looks every 5 seconds
LOOK = timedelta(seconds=5)


def looks(watchdog: Watchdog, clock: ManualClock, count: int) -> list[bool]:
    """What so many looks say, at their times."""
    answers = []
    for _ in range(count):
        clock.advance(LOOK)
        answers.append(watchdog.look())
    return answers


def watchdog_for(clock: ManualClock) -> Watchdog:
    """One that nobody waits for."""
    return Watchdog(LIMIT, clock, lambda _: None)


def test_silence_for_the_limit_is_too_long() -> None:
    """It is time to give up when no beat came for the limit, not earlier."""
    clock = ManualClock()
    assert looks(watchdog_for(clock), clock, 20) == [False] * 19 + [True]


def test_a_beat_begins_the_time_anew() -> None:
    """Each beat gives the next one the whole limit."""
    clock = ManualClock()
    watchdog = watchdog_for(clock)
    for _ in range(5):
        assert not any(looks(watchdog, clock, 19))
        watchdog.beat()
    assert looks(watchdog, clock, 20)[-1]


def test_time_in_which_nothing_ran_does_not_count() -> None:
    """After a suspended machine wakes up the tick has its time to beat again."""
    clock = ManualClock()
    watchdog = watchdog_for(clock)
    looks(watchdog, clock, 15)
    clock.advance(timedelta(hours=8))
    assert not watchdog.look()


def test_once_the_end_was_announced_beats_do_not_put_it_off() -> None:
    """An announced end has its own limit, which no tick prolongs."""
    clock = ManualClock()
    watchdog = watchdog_for(clock)
    watchdog.expect_end(timedelta(seconds=200), "slow")
    for _ in range(3):
        assert not any(looks(watchdog, clock, 13))
        watchdog.beat()
    assert looks(watchdog, clock, 1) == [True]


def test_the_thread_gives_up_once_with_the_reason() -> None:
    """The sentence that says why reaches whoever ends the process."""
    heard: list[str] = []
    given_up = threading.Event()
    clock = ManualClock()

    def give_up(why: str) -> None:
        heard.append(why)
        given_up.set()

    watchdog = Watchdog(LIMIT, clock, give_up)
    watchdog.expect_end(timedelta(0), "it took too long")
    watchdog.start()
    assert given_up.wait(10)
    assert heard == ["it took too long"]


def test_a_dismissed_watchdog_gives_nothing_up() -> None:
    """After an orderly end the thread ends too."""
    before = {thread.ident for thread in threading.enumerate()}
    watchdog = Watchdog(LIMIT, ManualClock(), lambda _: None)
    watchdog.start()
    (thread,) = [t for t in threading.enumerate() if t.ident not in before and t.name == "watchdog"]
    watchdog.dismiss()
    thread.join(10)
    assert not thread.is_alive()
