"""The audit trail of a ledger: what is read back of it, and the anchors that leave it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select, update

from rotator.audit.chain import OWN
from rotator.ledger.chaining import Chained, head_of
from rotator.ledger.documents import documents, owners
from rotator.ledger.instants import EPOCH, MICROSECOND
from rotator.ledger.rules import heads
from rotator.ledger.schema import EVENTS, META
from rotator.model import Anchor, Chain, Head, Record


class Trail(Chained):
    """The methods of Ledger under "the audit trail"."""

    def chains(self) -> Iterator[str]:
        """Every secret of which there is anything, by id; the ledger's own chain, "", first.

        What is no text, and so no secret's id, is told as such, and is a chain without head or records.
        """
        with self._database.reading() as connection:
            found = {str(one) for one in connection.execute(owners()).scalars()}
        yield OWN
        yield from sorted(found - {OWN})

    def chain(self, secret: str) -> Chain:
        """Everything about one secret, as it is at one moment."""
        with self._database.snapshot() as connection:
            head = connection.execute(*head_of(secret)).one_or_none()
            rows = connection.execute(RECORDS, {"its_secret": secret}).all()
            docs = documents(connection, secret)
        records = [record_of(row) for row in rows]
        return Chain(secret, Head(_count(head.number), _text(head.mac)) if head else None, records, docs)

    def anchor(self) -> Anchor | None:
        """Write the heads that moved since the last anchor into the ledger's own chain, and tell its end.

        None where nothing moved.
        """
        with self._database.writing() as connection:
            connection.execute(*head_of(OWN))  # first, as whoever adds to it has it before it writes a record
            self._database.still(connection)
            last = connection.execute(select(META.c.anchored)).scalar_one()
            moved = {row.secret: [row.number, row.mac] for row in connection.execute(_MOVED, {"last": last})}
            if not moved:
                return None
            return self._anchored(connection, {one: moved[one] for one in sorted(moved) if one != OWN})

    def _anchored(self, connection: Connection, moved: dict[str, Any]) -> Anchor:
        """Record these heads; the last record also says up to where the records are covered by now."""
        now, seq = self._now(connection), connection.execute(_HIGHEST).scalar_one()
        self._record(connection, OWN, now, heads(moved, self._by, seq))
        connection.execute(update(META).values(anchored=seq))
        return Anchor(self._id, self._heads[OWN], EPOCH + now * MICROSECOND, seq)

    def holds(self, anchor: Anchor) -> bool:
        """Whether the record that an anchor names is there; if not, the ledger was set back or rewritten."""
        values = {"its_secret": OWN, "its_number": anchor.head.number}
        with self._database.reading() as connection:
            macs = connection.execute(_MAC, values).scalars().all()
        return anchor.ledger == self._id and anchor.head.mac in macs


RECORDS = select(EVENTS).where(EVENTS.c.secret == bindparam("its_secret"))
RECORDS = RECORDS.order_by(EVENTS.c.number, EVENTS.c.seq)
_MAC = select(EVENTS.c.mac).where(
    EVENTS.c.secret == bindparam("its_secret"), EVENTS.c.number == bindparam("its_number")
)
_MOVED = select(EVENTS.c.secret, EVENTS.c.number, EVENTS.c.mac).where(EVENTS.c.seq > bindparam("last"))
_HEADS = '{"what":"heads"%'  # what anchors wrote themselves moves nothing
_MOVED = _MOVED.where(or_(EVENTS.c.secret != OWN, EVENTS.c.trail.not_like(_HEADS))).order_by(EVENTS.c.seq)
_HIGHEST = select(func.coalesce(func.max(EVENTS.c.seq), 0))


_NO_TEXT = "\N{REPLACEMENT CHARACTER}"  # no column was ever written with it, so no MAC is of it
_NO_TIME = datetime.max.replace(tzinfo=UTC)


def record_of(row: Row[Any]) -> Record:
    """A record out of its table. What is no text, number or time there is none that was ever written."""
    doc, trail, key, mac = (_text(value) for value in (row.doc, row.trail, row.key, row.mac))
    return Record(row.secret, _count(row.number), _time(row.at), doc, trail, key, mac, row.seq)


def _text(value: object) -> str:
    return value if isinstance(value, str) else _NO_TEXT


def _count(value: object) -> int:
    return value if isinstance(value, int) else -1


def _time(value: int) -> datetime:
    try:
        return EPOCH + value * MICROSECOND
    except (TypeError, ValueError, OverflowError):  # SQLite keeps whatever it is given
        return _NO_TIME
