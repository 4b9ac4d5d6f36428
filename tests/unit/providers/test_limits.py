import threading
from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import NotSent, Refused, Unknown
from rotator.providers.answers import Answer, reset_seconds, retry_seconds, unwelcome
from rotator.providers.limiter import Limiter
from rotator.testing.clock import BEGINNING, ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("2.5", 2.5),
        ("0", 1),
        ("-7", 1),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("Mon, 05 Jan 2026 09:00:30 GMT", 30),
        ("Mon, 05 Jan 2026 08:00:00 GMT", 1),
        ("Fri, 01 Jan 2038 00:00:00 GMT", 3600),
        ("soon", 7),
        ("", 7),
        ("\u0662", 7),
        ("nan", 7),
        ("Mon, 99 Foo 99999 99:99:99 GMT", 7),
    ],
)
def test_retry_after_is_read_and_capped(text: str, seconds: float) -> None:
    """Seconds or a date, at least one second and at most an hour; anything else is the plain wait."""
    assert retry_seconds({"retry-after": text}, NOW, 7) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), (str(int(NOW.timestamp()) + 40), 40), ("0", 1), ("x", 1), ("9" * 14, 3600)],
)
def test_reset_is_a_time_or_a_number_of_seconds(text: str, seconds: float) -> None:
    """X-RateLimit-Reset is understood in both of the ways in which it is used."""
    assert reset_seconds({"x-ratelimit-reset": text}, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "reads", "kind", "permanent"),
    [
        (400, False, Refused, True),
        (404, True, Refused, True),
        (409, False, Refused, False),
        (429, False, Refused, False),
        (408, False, Unknown, None),
        (302, True, Refused, True),
        (302, False, Unknown, None),
        (500, False, Unknown, None),
        (503, True, Unknown, None),
        (199, False, Unknown, None),
    ],
)
def test_statuses_are_sorted(status: int, reads: bool, kind: type, permanent: bool | None) -> None:
    """A 4xx says that nothing happened; a 5xx, a redirected write and 408 do not."""
    error = unwelcome(Answer(status), "make a key", NOW, reads=reads)
    assert type(error) is kind
    assert getattr(error, "permanent", None) is permanent


def test_burst_then_even_pace() -> None:
    """A full bucket lets a burst through; after that requests are spaced at the rate."""
    clock = ManualClock()
    limiter = Limiter(2.0, 3, clock)
    for _ in range(5):
        limiter.take()
    assert clock.slept == [pytest.approx(0.5), pytest.approx(0.5)]


def test_far_turn_is_told_not_waited_for() -> None:
    """Where the turn is further off than patience, nothing is taken and the caller learns when to come."""
    clock = ManualClock()
    limiter = Limiter(0.2, 1, clock)
    limiter.take()
    for _ in range(2):
        with pytest.raises(NotSent) as caught:
            limiter.take()
        assert caught.value.retry_at == BEGINNING + timedelta(seconds=5)
    clock.advance(timedelta(seconds=5))
    limiter.take()
    assert clock.slept == []


def test_spent_quota_holds_everybody() -> None:
    """When the server says that nothing is left, nothing is sent until it says that there is."""
    clock = ManualClock()
    limiter = Limiter(10, 10, clock)
    limiter.learn(200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "50"})
    with pytest.raises(NotSent):
        limiter.take()
    clock.advance(timedelta(seconds=48))
    limiter.take()
    assert clock.slept == [pytest.approx(2)]


def test_longest_hold_stays() -> None:
    """A later, shorter hold does not end a longer one."""
    clock = ManualClock()
    limiter = Limiter(10, 1, clock)
    limiter.hold(60)
    limiter.learn(429, {"retry-after": "1"})
    with pytest.raises(NotSent):
        limiter.take()


def test_threads_share_one_pace() -> None:
    """However many threads ask at once, no more than the burst is let through unspaced."""
    clock = ManualClock()
    limiter = Limiter(0.1, 4, clock)
    refused: list[NotSent] = []

    def ask() -> None:
        try:
            limiter.take()
        except NotSent as error:
            refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 8
