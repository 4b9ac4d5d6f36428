"""Links of a chain: what a record's MAC covers, and the digests of documents that it names.

A chain belongs to one secret, so that workers on different secrets never wait for each other; the ledger's
own chain, of the secret "", holds what belongs to none, and now and then the heads of all others.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.audit.keys import AuditKey
from rotator.model import Head, Record

OWN = ""  # the ledger's own chain
START = Head(0, "")  # of a chain without a record
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps would make one each time
_lax = json.JSONEncoder(separators=(",", ":"), default=lambda found: {"not text": repr(found)}).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded. ``docs`` are digests of documents by name, None for one that is gone."""

    what: str  # commit, enrolled, order-given, order-withdrawn, remembered, swapped, forgotten, heads, began
    by: str
    event: str = ""  # JSON, as the history shows it; "" where there is nothing to show
    alarm: bool = False  # the event is told to people
    docs: Mapping[str, str | None] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)  # epoch, policy, phases, heads

    def trail(self) -> str:
        """The entry without its event, as JSON."""
        docs = {"docs": dict(self.docs)} if self.docs else {}
        return _json({"what": self.what, "by": self.by, **docs, **self.more})


@dataclass(frozen=True, slots=True)
class Pen:
    """What writes a ledger's records: its id, and a key."""

    ledger_id: str
    key: AuditKey

    def linked(self, secret: str, head: Head, at: datetime, entries: Iterable[Entry]) -> Iterator[Record]:
        """The records that put these entries at the end of a chain."""
        for entry in entries:
            bare = Record(secret, head.number + 1, at, entry.event, entry.trail(), self.key.id, "")
            head = Head(bare.number, self.key.mac(covered(self.ledger_id, bare, head.mac)))
            yield Record(secret, head.number, at, bare.event, bare.trail, bare.key, head.mac)

    def signed(self, record: Record, before: Head) -> Record:
        """A record with its MAC, after the one with this head."""
        bare = replace(record, key=self.key.id)
        return replace(bare, mac=self.key.mac(covered(self.ledger_id, bare, before.mac)))


def covered(ledger_id: str, record: Record, previous: str) -> bytes:
    """What a record's MAC is of: the MAC before it, and everything of the record but its own."""
    at = (record.at - _EPOCH) // timedelta(microseconds=1)
    fields = (ledger_id, record.secret, record.number, previous, at, record.key, record.event, record.trail)
    return _json(fields).encode()


def digest(*values: object) -> str:
    """The digest of a document, and of the columns that it is found by: SHA-256, 64 hexadecimal digits.

    Bytes, which rotator never writes but others may, have one too: not that of any text.
    """
    return hashlib.sha256(_lax(values).encode()).hexdigest()


def trail_of(record: Record) -> Mapping[str, Any]:
    """What a record says besides its event. Raises ValueError for what was never one."""
    found = json.loads(record.trail)
    if not isinstance(found, dict):
        raise ValueError("a trail is a JSON object")  # noqa: TRY004 - as json says it
    return found
