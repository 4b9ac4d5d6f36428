"""The audit trail as JSON Lines. The names in it are promises to whoever reads them."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rotator.audit.certificates import Certificate, certificates
from rotator.audit.chain import OWN, trail_of
from rotator.cli import output
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.model import Chain, Record

_ALL = 1_000_000_000  # events


def lines(ledger: Ledger, chain: Chain, since: datetime | None, *, certified: bool) -> Iterator[str]:
    """A line for each record of a chain, and after it, if it is whole, one for each of its certificates.

    Raises LedgerUnusable where a record cannot be read at all.
    """
    for record in chain.records:
        if since is None or record.at >= since:
            yield _line(_record(record))
    for one in made_of(ledger, chain.secret) if certified else ():
        if since is None or (one.died_at is not None and one.died_at >= since):
            yield _line({"type": "certificate", **output.jsonable(one)})


def made_of(ledger: Ledger, secret: str) -> list[Certificate]:
    """The certificates of a secret's keys, made of its records; of the ledger's own there are none."""
    return certificates(reversed(ledger.events(secret, _ALL))) if secret != OWN else []


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
