"""Each change's record, written in the change's own transaction, at the end of its secret's chain.

The head of a chain stands in the secret's row, and moves in the UPDATE that writes the secret: only from
where this record follows. What a claim or a commit saw of it is remembered, so that the next commit needs no
read; where somebody else wrote meanwhile (an order was given), the UPDATE finds no row, and the head is read.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Update, bindparam, select, update

from rotator.audit.chain import OWN, Entry, Pen
from rotator.audit.keys import AuditKey, KeyRing
from rotator.ledger.database import Database
from rotator.ledger.instants import EPOCH, MICROSECOND, instant
from rotator.ledger.part import Part
from rotator.ledger.rules import must_account_for
from rotator.ledger.schema import EVENTS, META, SECRETS
from rotator.ledger.times import Time
from rotator.model import Head, Record

_MOST = 10_000  # heads that are remembered


class Chained(Part):
    """A part of the ledger that records what it changes. ``by`` names the process, where no claim does."""

    def __init__(
        self, database: Database, time: Time, ledger_id: str, ring: KeyRing | None = None, by: str = ""
    ) -> None:
        super().__init__(database, time)
        self._id = ledger_id
        self._ring = ring or KeyRing(None)
        self._by = by
        self._heads: dict[str, Head] = {}
        self._vouched = False  # our keys are those of the records that are there

    def _signing(self, connection: Connection) -> AuditKey:
        """The key of new records. Raises LedgerUnusable where others of this ledger write with another one:
        nobody could verify them together.
        """
        key = self._ring.signing()
        newest = None if self._vouched else connection.execute(_NEWEST_KEY).scalar()
        if newest:
            must_account_for(self._ring, newest)
        self._vouched = True
        return key

    def _record(
        self,
        connection: Connection,
        secret: str,
        now: int,
        entries: Sequence[Entry],
        write: Update | None = None,
        **values: Any,
    ) -> bool:
        """Put entries at the end of a chain, and write to its secret's row what ``write`` does.

        False, with nothing written, where there is no such row, or it is not as ``write`` demands.
        """
        move, pen = MOVE_OWN if secret == OWN else MOVE_HEAD, Pen(self._id, self._signing(connection))
        for head in self._heads_of(connection, secret):
            records = list(pen.linked(secret, head, EPOCH + now * MICROSECOND, entries))
            after = Head(records[-1].number, records[-1].mac)
            moved = values | _head_values(secret, head, after)
            if connection.execute(move if write is None else write, moved).rowcount == 1:
                rows = [row_of(*one) for one in zip(records, entries, strict=True)]
                connection.execute(APPEND, rows)
                self._saw(secret, after)
                return True
        return False

    def _record_own(self, connection: Connection, what: str, **docs: str | None) -> None:
        """One entry in the ledger's own chain."""
        self._record(connection, OWN, self._now(connection), [Entry(what, self._by, docs=docs)])

    def _saw(self, secret: str, head: Head) -> None:
        """Remember where a chain ends. It may be wrong: a write only goes through where it is right."""
        if len(self._heads) > _MOST:
            self._heads.clear()
        self._heads[secret] = head

    def _heads_of(self, connection: Connection, secret: str) -> Iterator[Head]:
        """Where a chain ends: as it is remembered, then as it is. None where there is no such row."""
        known = self._heads.get(secret)
        if known is not None:
            yield known
        row = connection.execute(*head_of(secret)).one_or_none()
        if row is not None:
            yield Head(row.number, row.mac)


# Where a chain's head stands, and how it moves. Statements of the hot path are built once.
_HEAD = select(SECRETS.c.number, SECRETS.c.mac).where(SECRETS.c.id == bindparam("its_secret"))
_HEAD = _HEAD.with_for_update()  # for databases where several write at once
_NEWEST_KEY = select(EVENTS.c.key).where(EVENTS.c.secret == OWN).order_by(EVENTS.c.seq.desc()).limit(1)
_OWN_HEAD = select(META.c.number, META.c.mac).with_for_update()
APPEND = EVENTS.insert()
FOLLOWS = SECRETS.c.mac == bindparam("head_mac")
NEW_HEAD: dict[str, Any] = {"number": bindparam("new_number"), "mac": bindparam("new_mac")}
MOVE_HEAD = update(SECRETS).where(SECRETS.c.id == bindparam("claim_secret"), FOLLOWS).values(NEW_HEAD)
MOVE_OWN = update(META).where(META.c.mac == bindparam("head_mac")).values(NEW_HEAD)


def head_of(secret: str) -> tuple[Select[tuple[int, str]], dict[str, Any]]:
    """The statement that reads a chain's head, and its values."""
    return (_OWN_HEAD, {}) if secret == OWN else (_HEAD, {"its_secret": secret})


def _head_values(secret: str, before: Head, after: Head) -> dict[str, Any]:
    """The values that a statement with FOLLOWS and NEW_HEAD takes."""
    values = {"head_mac": before.mac, "new_number": after.number, "new_mac": after.mac}
    return values if secret == OWN else values | {"claim_secret": secret}


def row_of(record: Record, entry: Entry) -> dict[str, Any]:
    """A record as its table's row."""
    return {
        "secret": record.secret,
        "at": instant(record.at),
        "untold": entry.alarm,
        "doc": record.event,
        "number": record.number,
        "key": record.key,
        "mac": record.mac,
        "trail": record.trail,
    }
