"""What the ledger's parts share: the database and its time."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update
from sqlalchemy.sql.elements import BindParameter, ColumnElement

from rotator.ledger.database import Database
from rotator.ledger.rows import Written
from rotator.ledger.rules import AHEAD, fenced
from rotator.ledger.schema import SECRETS
from rotator.ledger.times import Time
from rotator.model import Claim


class Part:
    """A part of the ledger."""

    def __init__(self, database: Database, time: Time) -> None:
        self._database = database
        self._time = time
        self._written = Written()

    def now(self) -> datetime:
        """The ledger's clock: one that all of its workers share."""
        return self._time.now()

    def _now(self, connection: Connection) -> int:
        return self._time.read(connection)


def make_due(connection: Connection, secret_ids: list[str], now: int) -> None:
    """Let these be due now, and let a claim that is held now know of it when it is released.

    A transaction that changes other rows as well begins with this one, as a commit does: two that took
    each other's rows in another order would wait for each other. For the same reason several are locked
    in the order of their ids (where a database locks rows).
    """
    statement = update(SECRETS).values(next_at=due_by(now), nudges=SECRETS.c.nudges + 1)
    ids = sorted(secret_ids)
    # In portions, for databases that limit how many values one statement may have.
    for start in range(0, len(ids), 500):
        these = SECRETS.c.id.in_(ids[start : start + 500])
        if len(ids) > 1:
            connection.execute(select(SECRETS.c.id).where(these).order_by(SECRETS.c.id).with_for_update())
        connection.execute(statement.where(these))


def due_by(now: int | BindParameter[int]) -> ColumnElement[int]:
    """The time of the next action, now at the latest: what was due before keeps its place."""
    return case((SECRETS.c.next_at < now, SECRETS.c.next_at), else_=now)


def unclaimed(now: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether nobody holds a secret. A claim that lasts far longer than it was taken for was written by a
    clock that was ahead, and put right since: it is none.
    """
    until = SECRETS.c.claimed_until
    return or_(until.is_(None), until <= now, until > now + AHEAD * SECRETS.c.ttl)


# Whether a claim is the newest of its secret, and its time is not over; `held` gives it its values.
HELD = and_(
    SECRETS.c.id == bindparam("claim_secret"),
    SECRETS.c.epoch == bindparam("claim_epoch"),
    SECRETS.c.claimed_until > bindparam("this_moment"),
)
# Statements of the hot path are built once: building one costs more than running it.
PROLONG = update(SECRETS).where(HELD).values(claimed_until=bindparam("this_moment") + SECRETS.c.ttl)


def held(claim: Claim, now: int) -> dict[str, Any]:
    """The values of a statement that asks for HELD."""
    return {"claim_secret": claim.secret, "claim_epoch": claim.epoch, "this_moment": now}


def prolong(connection: Connection, claim: Claim, now: int) -> None:
    """Prolong a claim. Raises Fenced if it is lost."""
    if connection.execute(PROLONG, held(claim, now)).rowcount != 1:
        raise fenced(claim)
