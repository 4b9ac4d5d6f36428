"""Secrets and when each is due."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter

from sqlalchemy import bindparam, select

from rotator.audit.chain import START, Entry, Pen
from rotator.ledger.chaining import APPEND, Chained, row_of
from rotator.ledger.codec import SECRET
from rotator.ledger.instants import EPOCH, MICROSECOND, moment
from rotator.ledger.part import make_due, unclaimed
from rotator.ledger.rows import Row, digest_of, secret_row
from rotator.ledger.schema import SECRETS
from rotator.model import SecretState

_PORTION = 5_000  # secrets written in one transaction: others may write in between
_PAGE = 1_000  # secrets read at once
_ASKED = 500  # ids in one question, for databases that limit how many values a statement may have


class Secrets(Chained):
    """The methods of Ledger under "secrets"."""

    def enroll(self, states: Iterable[SecretState]) -> int:
        """Add secrets that the ledger does not know, due at once; how many were new."""
        statement = self._database.insert(SECRETS).on_conflict_do_nothing(index_elements=["id"])
        statement = statement.returning(SECRETS.c.id)
        pen, count, coming = Pen(self._id, self._ring.signing()), 0, iter(states)
        while portion := list(islice(coming, _PORTION)):
            new = self._unknown(portion)
            new.sort(key=attrgetter("id"))  # two that enroll the same at once do not wait for each other
            if new:
                with self._database.writing() as connection:
                    rows, records = self._enrolled(pen, new, self._now(connection))
                    added = connection.execute(statement, rows).scalars().all()
                    if added:  # another process may have been first
                        connection.execute(APPEND, [records[secret] for secret in added])
                count += len(added)
        return count

    def _unknown(self, states: Sequence[SecretState]) -> list[SecretState]:
        """Those that are not in the ledger: a start with policies that it knows is to cost little."""
        known: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(states), _ASKED):
                ids = [state.id for state in states[start : start + _ASKED]]
                known |= set(connection.execute(_KNOWN, {"these": ids}).scalars())
        return [state for state in states if state.id not in known]

    def _enrolled(
        self, pen: Pen, states: Sequence[SecretState], now: int
    ) -> tuple[list[Row], dict[str, Row]]:
        """The rows of new secrets, and by secret the first record of each one's chain."""
        rows, records = list[Row](), dict[str, Row]()
        for state in states:
            row = secret_row(state)
            entry = Entry("enrolled", self._by, docs={"secret": digest_of(SECRETS.name, row)})
            (record,) = pen.linked(state.id, START, EPOCH + now * MICROSECOND, [entry])
            records[state.id] = row_of(record, entry)
            unclaimed_row = {"id": state.id, "next_at": now, "epoch": 0, "ttl": 0, "nudges": 0}
            rows.append(row | unclaimed_row | {"number": record.number, "mac": record.mac})
        return rows, records

    def secret(self, secret_id: str) -> SecretState | None:
        """What is known of one secret."""
        with self._database.reading() as connection:
            doc = connection.execute(_ONE, {"its_id": secret_id}).scalar()
        return None if doc is None else SECRET.decode(doc)

    def secrets(self) -> Iterator[tuple[SecretState, datetime | None]]:
        """Every secret with its next action's time, by id; read page by page, holding nothing up."""
        columns = select(SECRETS.c.id, SECRETS.c.doc, SECRETS.c.next_at).order_by(SECRETS.c.id).limit(_PAGE)
        page = columns
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(page).all()
            for row in rows:
                yield SECRET.decode(row.doc), moment(row.next_at)
            if len(rows) < _PAGE:
                return
            page = columns.where(SECRETS.c.id > rows[-1].id)

    def children(self, secret_id: str) -> Sequence[SecretState]:
        """The secrets whose parent is this one."""
        statement = select(SECRETS.c.doc).where(SECRETS.c.parent == secret_id).order_by(SECRETS.c.id)
        with self._database.reading() as connection:
            return [SECRET.decode(doc) for doc in connection.execute(statement).scalars()]

    def keepers(self, principal: str, key_id: str) -> Sequence[SecretState]:
        """The secrets that hold the key with this id at this principal, as far as is known."""
        with self._database.reading() as connection:
            docs = connection.execute(_KEEPERS, {"of": principal, "its_key": key_id}).scalars()
            return [SECRET.decode(doc) for doc in docs]

    def due(self, limit: int) -> Sequence[str]:
        """Ids whose next action is due and that nobody holds, oldest first."""
        with self._database.reading() as connection:
            values = {"now": self._now(connection), "most": limit}
            return list(connection.execute(DUE, values).scalars())

    def next_due(self) -> datetime | None:
        """The earliest next action of all."""
        statement = (
            select(SECRETS.c.next_at)
            .where(SECRETS.c.next_at.is_not(None))
            .order_by(SECRETS.c.next_at)
            .limit(1)
        )
        with self._database.reading() as connection:
            return moment(connection.execute(statement).scalar())

    def nudge(self, secret_ids: Iterable[str]) -> None:
        """Make these due now; a claim that is held now will not put them off when it is released."""
        ids = list(secret_ids)
        with self._database.writing() as connection:
            make_due(connection, ids, self._now(connection))


_KNOWN = select(SECRETS.c.id).where(SECRETS.c.id.in_(bindparam("these", expanding=True)))
_ONE = select(SECRETS.c.doc).where(SECRETS.c.id == bindparam("its_id"))
_KEEPERS = (
    select(SECRETS.c.doc)
    .where(SECRETS.c.key_id == bindparam("its_key"), SECRETS.c.principal == bindparam("of"))
    .order_by(SECRETS.c.id)
)
DUE = (
    select(SECRETS.c.id)
    .where(SECRETS.c.next_at <= bindparam("now"), unclaimed(bindparam("now")))
    .order_by(SECRETS.c.next_at, SECRETS.c.id)
    .limit(bindparam("most"))
)
