"""What the ledger's parts share: the database and the clock."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, and_, bindparam, case, or_, update
from sqlalchemy.sql.elements import BindParameter, ColumnElement

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
        # What of attempts and slots is committed and stays as it is: it is neither read nor written again.
        self._attempts: dict[str, tuple[str, str, str | None]] = {}
        self._learned: dict[str, str] = {}

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


def unclaimed(now: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether nobody holds a secret."""
    return or_(SECRETS.c.claimed_until.is_(None), SECRETS.c.claimed_until <= now)


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


def change_held(
    connection: Connection, claim: Claim, now: int, statement: Update = PROLONG, **values: Any
) -> None:
    """Prolong a claim, and write to its secret what the statement writes. Raises Fenced if it is lost."""
    if connection.execute(statement, held(claim, now) | values).rowcount != 1:
        raise Fenced(
            f"The claim on {claim.secret} (epoch {claim.epoch}) is over: another worker goes on from here, "
            "and nothing was written."
        )
