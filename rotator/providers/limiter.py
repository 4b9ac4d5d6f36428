"""How fast one worker may speak to one principal: a bucket of requests that fills at an even rate."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from rotator.errors import NotSent
from rotator.interfaces import Clock
from rotator.providers.answers import reset_seconds, retry_seconds

PATIENCE = 3.0  # seconds that a caller waits for its turn; beyond that it is told when to come back


class Limiter:
    """Spaces requests evenly, with a small burst. Threads share it; each waits outside the lock.

    ``rate`` is in requests per second. It also obeys the server: a spent quota (``X-RateLimit-Remaining:
    0`` until ``X-RateLimit-Reset``) and ``Retry-After`` hold everybody until then.
    """

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock.monotonic()  # when the next request falls due at an even pace
        self._held = self._due

    def take(self, patience: float = PATIENCE) -> None:
        """Wait for a turn. Raises NotSent (``rate-limited``, with retry_at) if it is further off."""
        wait = self._reserve(patience)
        if wait > 0:
            self._clock.sleep(wait)

    def _reserve(self, patience: float) -> float:
        with self._lock:
            now = self._clock.monotonic()
            due = max(self._due, now)
            wait = max(due - self._slack, self._held) - now
            if wait > patience:
                raise self._not_yet(wait)
            self._due = max(due, self._held) + self._interval
            return wait

    def _not_yet(self, wait: float) -> NotSent:
        at: datetime = self._clock.now() + timedelta(seconds=wait)
        return NotSent("rate-limited", f"The rate limit leaves no room for {wait:.0f} s.", retry_at=at)

    def hold(self, seconds: float) -> None:
        """Send nothing for so long; a longer hold stays."""
        with self._lock:
            self._held = max(self._held, self._clock.monotonic() + seconds)

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Take what an answer tells about the limit; header names in lower case."""
        now = self._clock.now()
        if status == 429:  # noqa: PLR2004 - the number is the name
            self.hold(retry_seconds(headers, now))
        elif headers.get("x-ratelimit-remaining", "").strip() == "0":
            self.hold(reset_seconds(headers, now))
