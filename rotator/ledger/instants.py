"""Times as ledgers hold them: whole microseconds since 1970 in UTC, which every database sorts alike."""

from datetime import UTC, datetime, timedelta

from rotator.errors import LedgerUnusable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def instant(at: datetime) -> int:
    """A time as a ledger holds it. Raises TypeError for a time without a zone."""
    return (at - EPOCH) // MICROSECOND


def moment(value: int | None) -> datetime | None:
    """A time out of a ledger. Raises LedgerUnusable for what is none."""
    try:
        return None if value is None else EPOCH + value * MICROSECOND
    except (TypeError, ValueError, OverflowError):
        raise LedgerUnusable(
            "A time in the ledger cannot be read. It was changed by hand, or by another program: see which "
            "one with `rotator audit verify`, and restore the ledger from its backup. [record]"
        ) from None
