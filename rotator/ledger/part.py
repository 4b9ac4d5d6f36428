"""What the ledger's parts share: the database and the clock."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, or_, update
from sqlalchemy.sql.elements import ColumnElement

from rotator.errors import Fenced
from rotator.interfaces import Clock
from rotator.ledger.database import Database
from rotator.ledger.schema import SECRETS, instant
from rotator.model import Claim


class Part:
    """A part of the ledger."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> datetime:
        """The ledger's clock: here that of the host, which all of its processes share."""
        return self._clock.now()

    def _now(self) -> int:
        return instant(self._clock.now())


def make_due(connection: Connection, secret_ids: list[str], now: int) -> None:
    """Let these be due now, and let a claim that is held now know of it when it is released."""
    earliest = case((SECRETS.c.next_at < now, SECRETS.c.next_at), else_=now)
    statement = update(SECRETS).values(next_at=earliest, nudges=SECRETS.c.nudges + 1)
    # In portions, for databases that limit how many values one statement may have.
    for start in range(0, len(secret_ids), 500):
        connection.execute(statement.where(SECRETS.c.id.in_(secret_ids[start : start + 500])))


def unclaimed(now: int) -> ColumnElement[bool]:
    """Whether nobody holds a secret."""
    return or_(SECRETS.c.claimed_until.is_(None), SECRETS.c.claimed_until <= now)


def held_by(claim: Claim, now: int) -> ColumnElement[bool]:
    """Whether this claim is the newest of its secret, and its time is not over."""
    return and_(SECRETS.c.id == claim.secret, SECRETS.c.epoch == claim.epoch, SECRETS.c.claimed_until > now)


def change_held(connection: Connection, claim: Claim, now: int, **values: Any) -> None:
    """Write to the claim's secret and prolong the claim. Raises Fenced if the claim is lost."""
    statement = update(SECRETS).where(held_by(claim, now)).values(claimed_until=now + SECRETS.c.ttl, **values)
    if connection.execute(statement).rowcount != 1:
        raise Fenced(
            f"The claim on {claim.secret} (epoch {claim.epoch}) is over: another worker goes on from here, "
            "and nothing was written."
        )
