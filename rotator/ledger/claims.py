"""Claims, and the one transaction that a step of a story writes."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, case, delete, select, update

from rotator.ledger.chaining import FOLLOWS, NEW_HEAD, Chained, head_of
from rotator.ledger.codec import ORDER
from rotator.ledger.instants import EPOCH, MICROSECOND, instant
from rotator.ledger.part import HELD, PROLONG, due_by, held, prolong, unclaimed
from rotator.ledger.rules import committed, fenced, has_room, must_hold
from rotator.ledger.schema import ATTEMPTS, DEBTS, ORDERS, ROTATIONS, SECRETS, SLOTS
from rotator.model import Change, Claim, Head


class Claims(Chained):
    """The methods of Ledger under "claims and commits", and the slots, which only a claim's holder takes."""

    def claim(self, secret_id: str, holder: str, ttl: timedelta) -> Claim | None:
        """The right to act on one secret until now + ttl; None if it is held, by whomever, or unknown.

        The secret is due from now on, however far ahead its next action was.
        """
        with self._database.writing() as connection:
            now = self._now(connection)
            values = {"claim_secret": secret_id, "this_moment": now, "by": holder}
            row = connection.execute(_CLAIM, values | {"time_to_live": ttl // MICROSECOND}).one_or_none()
        if row is None:
            return None
        self._saw(secret_id, Head(row.number, row.mac))
        return Claim(secret_id, row.epoch, EPOCH + now * MICROSECOND + ttl, row.nudges, holder)

    def commit(self, claim: Claim, change: Change) -> None:
        """Write a change in one transaction, and renew the claim. Raises Fenced, with nothing written."""
        must_hold(claim, change)
        rows = self._written.rows(change)
        written = {f"new_{name}": value for name, value in rows[SECRETS.name][0].items()}
        with self._database.writing() as connection:
            now = self._now(connection)
            done = _ended_orders(connection, change)
            entries = committed(claim, change, rows, done)
            if not self._record(
                connection, claim.secret, now, entries, _WRITE, **held(claim, now), **written
            ):
                raise fenced(claim)
            for table, (key, *columns) in _UPSERTS.items():
                if rows[table.name]:
                    connection.execute(self._database.upsert(table, key, *columns), rows[table.name])
            learned = self._written.learned(change)
            if learned:
                keys = [{"its_token": token, "its_key": key_id} for token, key_id in learned]
                connection.execute(_LEARN, keys)
            if change.frees:
                connection.execute(delete(SLOTS).where(SLOTS.c.token.in_(change.frees)))
        self._written.remember(change)

    def renew(self, claim: Claim) -> None:
        """Prolong a claim by its first time to live, before an effect. Raises Fenced."""
        with self._database.writing() as connection:
            prolong(connection, claim, self._now(connection))

    def release(self, claim: Claim, next_at: datetime | None) -> None:
        """Give a claim back and set the next action's time. Silent if fenced."""
        with self._database.writing() as connection:
            now = self._now(connection)
            planned = None if next_at is None else instant(next_at)
            connection.execute(_RELEASE, held(claim, now) | {"planned": planned, "seen": claim.nudges})

    def reserve(self, claim: Claim, principal: str, token: str, listed: frozenset[str], limit: int) -> bool:
        """Take a slot for the key about to be issued; False if the principal has none left. Raises Fenced."""
        with self._database.writing() as connection:
            prolong(connection, claim, self._now(connection))
            self._database.alone(connection, f"slots of {principal}")
            reserved = dict(_slots(connection, principal))
            if not has_room(token, reserved, listed, limit):
                return False
            if token not in reserved:
                connection.execute(SLOTS.insert(), {"token": token, "principal": principal})
            return True

    def slots(self, principal: str) -> Mapping[str, str | None]:
        """Every slot that is taken: its token, and the id of its key once a commit told it."""
        with self._database.reading() as connection:
            return _slots(connection, principal)


_CLAIM = (
    update(SECRETS)
    .where(SECRETS.c.id == bindparam("claim_secret"), unclaimed(bindparam("this_moment")))
    .values(
        epoch=SECRETS.c.epoch + 1,
        holder=bindparam("by"),
        claimed_until=bindparam("this_moment") + bindparam("time_to_live"),
        ttl=bindparam("time_to_live"),
        next_at=due_by(bindparam("this_moment")),  # only a release puts it off: its holder may be killed
    )
    .returning(SECRETS.c.epoch, SECRETS.c.nudges, SECRETS.c.number, SECRETS.c.mac)
)
_WRITE = PROLONG.where(FOLLOWS).values(
    policy=bindparam("new_policy"),
    principal=bindparam("new_principal"),
    parent=bindparam("new_parent"),
    key_id=bindparam("new_key_id"),
    doc=bindparam("new_doc"),
    **NEW_HEAD,
)
_UPSERTS = {ROTATIONS: ("id", "live", "doc"), DEBTS: ("id", "open", "doc"), ATTEMPTS: ("token", "key_id")}
_NEXT = case((SECRETS.c.nudges > bindparam("seen"), bindparam("this_moment")), else_=bindparam("planned"))
_RELEASE = update(SECRETS).where(HELD).values(holder=None, claimed_until=None, next_at=_NEXT)
_LEARN = update(SLOTS).where(SLOTS.c.token == bindparam("its_token")).values(key_id=bindparam("its_key"))


def _slots(connection: Connection, principal: str) -> dict[str, str | None]:
    statement = select(SLOTS.c.token, SLOTS.c.key_id).where(SLOTS.c.principal == principal)
    return {row.token: row.key_id for row in connection.execute(statement)}


def _ended_orders(connection: Connection, change: Change) -> list[str]:
    """Take away the orders that are carried out; their kinds. One given meanwhile stays."""
    if not change.orders_done:
        return []
    connection.execute(*head_of(change.secret.id))  # the secret's row first, as everybody who writes about it
    docs = [ORDER.encode(order) for order in change.orders_done]
    done = delete(ORDERS).where(ORDERS.c.secret == change.secret.id, ORDERS.c.doc.in_(docs))
    return list(connection.execute(done.returning(ORDERS.c.kind)).scalars())
