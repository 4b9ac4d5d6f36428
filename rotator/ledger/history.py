"""Rotations, attempts, debts and events, read back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Select, bindparam, select, update

from rotator.ledger.codec import DEBT, EVENT, ROTATION
from rotator.ledger.instants import moment
from rotator.ledger.part import Part
from rotator.ledger.schema import ATTEMPTS, DEBTS, EVENTS, ROTATIONS
from rotator.model import Debt, Event, Rotation


class History(Part):
    """The methods of Ledger under "rotations, attempts, debts" and "events and alarms"."""

    def rotation(self, secret_id: str) -> Rotation | None:
        """The live rotation of a secret; there is at most one."""
        docs = self._docs(_LIVE, {"its_secret": secret_id})
        return ROTATION.decode(docs[0]) if docs else None

    def rotations(self, secret_id: str, limit: int = 20) -> Sequence[Rotation]:
        """Rotations of a secret, newest first."""
        statement = select(ROTATIONS.c.doc).where(ROTATIONS.c.secret == secret_id)
        newest = statement.order_by(ROTATIONS.c.began_at.desc(), ROTATIONS.c.seq.desc()).limit(limit)
        return [ROTATION.decode(doc) for doc in self._docs(newest)]

    def attempts(self, tokens: Collection[str]) -> Mapping[str, tuple[str, str]]:
        """Those of these tokens that the ledger drew, with the secret's and the rotation's id. Read anew."""
        wanted = list(tokens)
        found: dict[str, tuple[str, str]] = {}
        with self._database.reading() as connection:
            for start in range(0, len(wanted), 500):  # databases limit how many values a statement may have
                rows = connection.execute(_ATTEMPTS, {"its_tokens": wanted[start : start + 500]})
                found |= {row.token: (row.secret, row.rotation) for row in rows}
        return found

    def debts(self, secret_id: str | None = None, *, ended: bool = False) -> Sequence[Debt]:
        """Debts that are open, of one secret or of all, oldest first; with ``ended`` the paid ones too."""
        if secret_id is not None and not ended:
            return [DEBT.decode(doc) for doc in self._docs(_OWED, {"its_secret": secret_id})]
        statement = _DEBTS
        if secret_id is not None:
            statement = statement.where(DEBTS.c.secret == secret_id)
        if not ended:
            statement = statement.where(DEBTS.c.open.is_(True))
        return [DEBT.decode(doc) for doc in self._docs(statement)]

    def debt(self, debt_id: str) -> Debt | None:
        """One debt."""
        docs = self._docs(_DEBT, {"its_id": debt_id})
        return DEBT.decode(docs[0]) if docs else None

    def events(self, secret_id: str | None = None, limit: int = 200) -> Sequence[Event]:
        """Newest first."""
        statement = _EVENT.order_by(EVENTS.c.seq.desc())
        if secret_id is not None:
            statement = _EVENT.where(EVENTS.c.secret == secret_id).order_by(EVENTS.c.number.desc())
        return self._events(statement.limit(limit))

    def untold(self, limit: int = 100) -> Sequence[Event]:
        """Alarms that have not been told, oldest first."""
        return self._events(_EVENT.where(EVENTS.c.untold.is_(True)).order_by(EVENTS.c.seq).limit(limit))

    def told(self, seqs: Iterable[int]) -> None:
        """Mark alarms as told. May be called twice."""
        rows = [{"its_seq": seq} for seq in sorted(seqs)]
        if rows:
            with self._database.writing() as connection:
                connection.execute(_TELL, rows)

    def _docs(self, statement: Select[Any], values: Mapping[str, Any] | None = None) -> list[str]:
        with self._database.reading() as connection:
            return [str(doc) for doc in connection.execute(statement, values).scalars()]

    def _events(self, statement: Select[tuple[int, int, str]]) -> Sequence[Event]:
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(statement)]


# Statements of the hot path are built once: building one costs more than running it.
_LIVE = select(ROTATIONS.c.doc).where(ROTATIONS.c.live == bindparam("its_secret"))
_ATTEMPTS = select(ATTEMPTS.c.token, ATTEMPTS.c.secret, ATTEMPTS.c.rotation).where(
    ATTEMPTS.c.token.in_(bindparam("its_tokens", expanding=True))
)
_DEBTS = select(DEBTS.c.doc).order_by(DEBTS.c.since, DEBTS.c.seq)
_OWED = _DEBTS.where(DEBTS.c.secret == bindparam("its_secret"), DEBTS.c.open.is_(True))
_DEBT = select(DEBTS.c.doc).where(DEBTS.c.id == bindparam("its_id"))
_TELL = update(EVENTS).where(EVENTS.c.seq == bindparam("its_seq")).values(untold=False)
_EVENT = select(EVENTS.c.seq, EVENTS.c.at, EVENTS.c.doc).where(EVENTS.c.doc != "")


def _event(row: Row[tuple[int, int, str]]) -> Event:
    return replace(EVENT.decode(row.doc), at=moment(row.at), seq=row.seq)
