"""The audit trail as JSON Lines. The names in it are promises to whoever reads them."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rotator.audit.certificates import certificates
from rotator.audit.chain import trail_of
from rotator.cli import output
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.model import Record

_ALL = 1_000_000_000  # events


def lines(ledger: Ledger, secrets: Iterable[str], since: datetime | None) -> Iterator[str]:
    """A line for each record of these chains, and after each chain one for each of its certificates.

    Raises LedgerUnusable where a record cannot be read at all.
    """
    for secret in secrets:
        for record in ledger.chain(secret).records:
            if since is None or record.at >= since:
                yield _line(_record(record))
        if secret:
            for one in certificates(reversed(ledger.events(secret, _ALL))):
                if since is None or (one.died_at is not None and one.died_at >= since):
                    yield _line({"type": "certificate", **output.jsonable(one)})


def _record(record: Record) -> dict[str, Any]:
    """``event`` is what the history shows, or null; ``trail`` who did it, and digests of what was written."""
    try:
        event, trail = (json.loads(record.event) if record.event else None), trail_of(record)
    except ValueError:
        raise LedgerUnusable(
            f"Record {record.number} of {record.secret or 'the ledger itself'} cannot be read. See what else "
            "is wrong: rotator audit verify [record]"
        ) from None
    for name in ("secret", "at", "seq"):  # those of the record count
        if event is not None:
            event.pop(name, None)
    at = output.jsonable(record.at)
    known = {"type": "record", "secret": record.secret, "number": record.number, "at": at}
    return {**known, "event": event, "trail": dict(trail), "key": record.key, "mac": record.mac}


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
