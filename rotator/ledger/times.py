"""By whose clock a ledger measures claims, grace and what is due."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from rotator.interfaces import Clock
from rotator.ledger.instants import instant


class Time(Protocol):
    """A ledger's clock, which all of its workers share."""

    def now(self) -> datetime:
        """The time, without asking the database. Never raises."""
        ...

    def read(self, connection: Connection) -> int:
        """The time within a transaction, in microseconds: by it claims are taken, kept and lost."""
        ...


class HostTime:
    """The host's clock, where all workers are on one host; in tests, one that stands still."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """The host's time."""
        return self._clock.now()

    def read(self, connection: Connection) -> int:
        """The same, whatever the transaction."""
        del connection
        return instant(self._clock.now())
