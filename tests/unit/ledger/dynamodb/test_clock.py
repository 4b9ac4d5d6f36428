from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.errors import LedgerUnusable
from rotator.ledger.dynamodb.clock import ServerTime

BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)  # by the servers' clock, when our steady clock shows 0


class Host:
    """A host's steady clock, and what a server's answers say at a time of it."""

    def __init__(self) -> None:
        self.shows = 0.0
        self.time = ServerTime(lambda: self.shows)

    def asks(self, at: float, takes: float = 0.0, way: float = 0.5, off: float = 0.0) -> None:
        """A request whose answer is written after a share of its time, by a server whose clock is off."""
        written = BEGAN + timedelta(seconds=at + takes * way + off)
        self.shows = at + takes
        self.time.answered(format_datetime(written.replace(microsecond=0), usegmt=True), at, self.shows)

    def late(self) -> float:
        """By how much the time that it tells is late, in seconds."""
        return (BEGAN + timedelta(seconds=self.shows) - self.time.now()).total_seconds()


def test_no_answer_no_time() -> None:
    """Until an answer says what time it is there is none; one that says nothing understandable is none."""
    time = ServerTime(lambda: 0.0)
    for date in ("", "yesterday", "Mon, 99 Foo 2026 09:00:00 GMT"):
        time.answered(date, 0.0, 0.0)
    with pytest.raises(LedgerUnusable, match=r"\[clock\]"):
        time.now()


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 2), st.floats(0, 1)), min_size=1, max_size=30))
def test_it_is_never_early_and_little_late(answers: list[tuple[float, float, float]]) -> None:
    """Whatever the answers' times and ways, it is late rather than early, by a second and one way at most."""
    host, at = Host(), 0.0
    for pause, takes, way in answers:
        at += pause
        host.asks(at, takes, way)
        at += takes
        assert -0.001 <= host.late() <= 1.001 + takes


def test_answers_narrow_it_down() -> None:
    """Answers that come at other parts of a second tell more than each alone."""
    host = Host()
    for at in (0.9, 10.3, 20.05, 31.6):
        host.asks(at, takes=0.02)
    assert host.late() < 0.1


def test_it_goes_on_between_answers() -> None:
    """Without asking it goes on by the host's steady clock."""
    host = Host()
    host.asks(0.0)
    before = host.time.now()
    host.shows += 60
    assert host.time.now() == before + timedelta(minutes=1)


def test_a_steady_clock_that_stood_still() -> None:
    """After a freeze, and after a server's clock was set back, the next answer sets it right."""
    host = Host()
    host.asks(5.0)
    host.asks(6.0, off=600)
    assert abs(host.late() + 600) <= 1
    host.asks(7.0)
    assert 0 <= host.late() <= 1
