"""Ends the process when it hangs: a platform can start it anew, and the ledger knows where to go on."""

import logging
import os
import threading
from collections.abc import Callable
from datetime import timedelta

from jobs.parts import Worker, still_running
from rotator.interfaces import Clock

log = logging.getLogger(__name__)

STUCK = 1  # exit code
_LOOKS = 20  # in one limit
_LOG_SECONDS = 2.0


class Watchdog:
    """A thread that gives the process up when no beat came for ``limit``, or the end takes too long.

    Only time in which this thread itself ran counts: a suspended machine or a frozen container is not a
    hang. ``give_up`` is called once, with a sentence, and is not expected to return.
    """

    def __init__(self, limit: timedelta, clock: Clock, give_up: Callable[[str], None]) -> None:
        self._limit = limit.total_seconds()
        self._why = f"no tick began or ended for {self._limit:.0f} s"
        self._clock = clock
        self._give_up = give_up
        self._changed = threading.Condition()
        self._quiet = 0.0  # seconds without a beat
        self._looked = clock.monotonic()
        self._ended = False
        self._ending = False

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """A sign of life; means nothing once the end was announced."""
        with self._changed:
            if not self._ending:
                self._quiet = 0.0

    def expect_end(self, within: timedelta, why: str) -> None:
        """The process shall end ``within`` this time; ``why`` is said if it does not."""
        with self._changed:
            self._ending = True
            self._quiet = 0.0
            self._limit = within.total_seconds()
            self._why = why
            self._changed.notify_all()

    def dismiss(self) -> None:
        """Watch no longer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def look(self) -> bool:
        """Count the time since the last look; whether it is time to give up."""
        now = self._clock.monotonic()
        self._quiet += min(now - self._looked, 2 * self._pause)
        self._looked = now
        return self._quiet >= self._limit

    @property
    def _pause(self) -> float:
        """Seconds between two looks."""
        return max(self._limit / _LOOKS, 0.01)

    def _watch(self) -> None:
        with self._changed:
            while not self.look():
                self._changed.wait(self._pause)
                if self._ended:
                    return
            why = self._why
        self._give_up(why)


def give_up(worker: Worker, why: str) -> None:
    """Log why and what was still running, and end the process at once, without waiting for threads.

    Nothing is lost: what was about to happen stands in the ledger as an intent. The log is written in a
    thread of its own, since a log that nobody reads may be what hangs.
    """

    def tell() -> None:
        log.critical(
            "The process is ended: %s. Still running: %s. The ledger knows where to go on.",
            why,
            still_running(worker),
        )

    telling = threading.Thread(target=tell, name="last words", daemon=True)
    telling.start()
    telling.join(_LOG_SECONDS)
    os._exit(STUCK)
