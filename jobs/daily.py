"""The work of every day: providers, stores and ledger are compared.

Whoever is woken asks the ledger whether a day has passed since the last comparison, whichever worker made
that; so the clock wakes this more often, and a worker that is restarted every night still makes it.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from jobs.passes import Once
from rotator.telemetry.sentry import Alarms

log = logging.getLogger(__name__)

WAKE = timedelta(hours=1)
JITTER = timedelta(minutes=10)  # several workers do not ask in the same second

Daily = Callable[[], int | None]
"""Makes the comparison if it is due; how many findings need somebody, None where it was not due."""


class Reconcile:
    """What the clock wakes. Whatever goes wrong, the worker goes on, and people are told once."""

    def __init__(self, daily: Daily, notifier: Alarms) -> None:
        self._daily = daily
        self._told = Once(notifier, "reconcile")

    def wake(self) -> bool:
        """Make it if it is due; whether nothing went wrong. What it finds is told by alarms. Never raises."""
        try:
            self._daily()
        except Exception as error:  # noqa: BLE001 - the boundary: the next hour tries again
            self._told.wrong("Providers, stores and ledger could not be compared; it is tried again.", error)
            return False
        self._told.right()
        return True
