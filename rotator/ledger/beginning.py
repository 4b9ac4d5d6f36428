"""How the chains of a ledger begin: with a record that says so, after what was there before."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from rotator.audit.chain import OWN, START, Entry, Pen
from rotator.ledger.chaining import MOVE_HEAD
from rotator.ledger.documents import documents
from rotator.ledger.schema import EVENTS, META, SECRETS
from rotator.ledger.trail import RECORDS, Trail, record_of
from rotator.model import Head, Record


class Beginning(Trail):
    """What is done once for each ledger, when it is first opened by a rotator that keeps chains."""

    def begin(self) -> None:
        """Begin the chains of a ledger that has none: of a new one its own, of an older one every secret's.

        The key is made here and at no other time. May be called twice. Raises LedgerUnusable.
        """
        with self._database.reading() as connection:
            if connection.execute(_OWN_NUMBER).scalar_one():
                return
        self._ring.make()
        with self._database.writing() as connection:
            self._database.alone(connection, "trail")
            if not connection.execute(_OWN_NUMBER).scalar_one():  # another process may have been first
                for secret in connection.execute(select(SECRETS.c.id).order_by(SECRETS.c.id)).scalars().all():
                    self._take_on(connection, secret)
                self._take_on(connection, OWN)

    def _take_on(self, connection: Connection, secret: str) -> None:
        """Make the MACs of older records, and write down what the tables hold now."""
        rows = connection.execute(RECORDS, {"its_secret": secret}).all()
        head = START
        pen = Pen(self._id, self._signing(connection))
        sealed = list(_sealed(pen, (record_of(row) for row in rows)))
        if sealed:
            head = Head(sealed[-1].number, sealed[-1].mac)
            connection.execute(_SEAL, [_values(record) for record in sealed])
            move = {"claim_secret": secret, "head_mac": "", "new_number": head.number, "new_mac": head.mac}
            connection.execute(MOVE_HEAD, move)
        self._saw(secret, head)
        docs = dict(documents(connection, secret))
        more = {"before": len(sealed)}  # records from before there was a chain: vouched for from here on
        self._record(
            connection, secret, self._now(connection), [Entry("began", self._by, docs=docs, more=more)]
        )


_OWN_NUMBER = select(META.c.number)
_SEAL = (
    update(EVENTS)
    .where(EVENTS.c.seq == bindparam("its_seq"))
    .values(key=bindparam("its_key"), mac=bindparam("its_mac"))
)


def _sealed(pen: Pen, records: Iterable[Record]) -> Iterator[Record]:
    """Records that were written without a MAC, with one."""
    head = START
    for record in records:
        signed = pen.signed(record, head)
        head = Head(signed.number, signed.mac)
        yield signed


def _values(record: Record) -> dict[str, Any]:
    return {"its_seq": record.seq, "its_key": record.key, "its_mac": record.mac}
