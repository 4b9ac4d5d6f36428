"""A clock that moves when it is told to."""

from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday morning


class ManualClock:
    """The Clock of tests: ``sleep`` moves it on and returns at once."""

    def __init__(self, start: datetime = BEGINNING) -> None:
        self._now = start
        self._monotonic = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The time that it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Seconds, moving with the clock."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move on at once, and remember for how long."""
        self.slept.append(seconds)
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Move on."""
        self._now += by
        self._monotonic += by.total_seconds()

    def advance_to(self, at: datetime) -> None:
        """Move on to a time, never back."""
        if at > self._now:
            self.advance(at - self._now)
