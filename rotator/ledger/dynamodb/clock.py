"""The clock of a ledger in DynamoDB: its servers', as far as their answers tell.

DynamoDB has no function that tells the time, and the hosts of many workers may each be wrong. But every
answer says in its ``Date`` header which second its server was in (RFC 9110, section 6.6.1), AWS keeps its
servers' clocks together, and TLS proves who answers. So all workers measure by one clock.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from rotator.errors import LedgerUnusable
from rotator.ledger.instants import EPOCH

_SECOND = timedelta(seconds=1)  # as exact as the header is


class ServerTime:
    """The servers' clock. Between two answers it goes on by ``monotonic``, in seconds.

    An answer that says 09:00:07 was written somewhere between 09:00:07 and 09:00:08, and between its request
    and its arrival. Each one narrows that down; of what remains the earliest is taken, so that it is late
    rather than early, by less than a second and the shortest way of an answer.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known = threading.Lock()
        self._offset: timedelta | None = None  # of the servers' clock since 1970, at 0 of ours

    def now(self) -> datetime:
        """The time, without asking. Raises LedgerUnusable where no answer has told it yet."""
        if self._offset is None:
            raise LedgerUnusable(
                "What answers in DynamoDB's place does not say what time it is (no Date header), and by "
                "DynamoDB's clock claims are measured. See what stands between: a proxy, mostly. [clock]"
            )
        return EPOCH + self._offset + timedelta(seconds=self._monotonic())

    def answered(self, date: str, sent: float, received: float) -> None:
        """Learn from an answer's ``Date``, and from when, by ``monotonic``, it was asked for and came."""
        said = _parsed(date)
        if said is None:
            return
        earliest = said - EPOCH - timedelta(seconds=received)
        latest = said + _SECOND - EPOCH - timedelta(seconds=sent)
        with self._known:
            known = self._offset
            # Beyond the latest: one of the clocks was set back since. Then what was known is worth nothing.
            if known is None or not earliest <= known <= latest:
                self._offset = earliest


def _parsed(date: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError):
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
