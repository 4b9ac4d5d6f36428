"""Claims, and the one transaction that a step of a story writes."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, select, update

from rotator.ledger.codec import DEBT, EVENT, ORDER, ROTATION, SECRET
from rotator.ledger.part import HELD, PROLONG, Part, change_held, held, unclaimed
from rotator.ledger.schema import (
    ATTEMPTS,
    DEBTS,
    EPOCH,
    EVENTS,
    MICROSECOND,
    ORDERS,
    ROTATIONS,
    SECRETS,
    SLOTS,
    instant,
)
from rotator.model import Change, Claim, Debt, Event, Level, Rotation

_MOST = 10_000  # attempts of which it is remembered that they are written


class Claims(Part):
    """The methods of Ledger under "claims and commits", and the slots, which only a claim's holder takes."""

    def claim(self, secret_id: str, holder: str, ttl: timedelta) -> Claim | None:
        """The right to act on one secret until now + ttl; None if it is held, by whomever, or unknown."""
        with self._database.writing() as connection:
            now = self._now(connection)
            values = {"claim_secret": secret_id, "this_moment": now, "by": holder}
            row = connection.execute(_CLAIM, values | {"time_to_live": ttl // MICROSECOND}).one_or_none()
        return Claim(secret_id, row.epoch, EPOCH + now * MICROSECOND + ttl, row.nudges) if row else None

    def commit(self, claim: Claim, change: Change) -> None:
        """Write a change in one transaction, and renew the claim. Raises Fenced, with nothing written."""
        state, rotation = change.secret, change.rotation
        own = {state.id, *(debt.secret for debt in change.debts), *([rotation.secret] if rotation else [])}
        assert own == {claim.secret}, "a change concerns the secret that is claimed, and no other"
        doc = SECRET.encode(state)
        with self._database.writing() as connection:
            now = self._now(connection)
            written = {
                "new_policy": state.policy,
                "new_principal": state.principal,
                "new_parent": state.parent,
                "new_key_id": state.current.key_id if state.current else None,
                "new_doc": doc,
            }
            change_held(connection, claim, now, _WRITE, **written)
            if rotation:
                self._write_rotation(connection, rotation)
            if change.debts:
                upsert = self._database.upsert(DEBTS, "id", "open", "doc")
                connection.execute(upsert, [_debt_row(debt) for debt in change.debts])
            learned = _key_ids(change).items() - self._learned.items()
            if learned:
                rows = [{"its_token": token, "its_key": key_id} for token, key_id in learned]
                connection.execute(_LEARN, rows)
            if change.events:
                connection.execute(EVENTS.insert(), [_event_row(event, now) for event in change.events])
            if change.frees:
                connection.execute(delete(SLOTS).where(SLOTS.c.token.in_(change.frees)))
            if change.orders_done:
                docs = [ORDER.encode(order) for order in change.orders_done]
                done = delete(ORDERS).where(ORDERS.c.secret == claim.secret)
                connection.execute(done.where(ORDERS.c.doc.in_(docs)))
        self._remember(change)

    def renew(self, claim: Claim) -> None:
        """Prolong a claim by its first time to live, before an effect. Raises Fenced."""
        with self._database.writing() as connection:
            change_held(connection, claim, self._now(connection))

    def release(self, claim: Claim, next_at: datetime | None) -> None:
        """Give a claim back and set the next action's time. Silent if fenced."""
        with self._database.writing() as connection:
            now = self._now(connection)
            planned = None if next_at is None else instant(next_at)
            connection.execute(_RELEASE, held(claim, now) | {"planned": planned, "seen": claim.nudges})

    def reserve(self, claim: Claim, principal: str, token: str, listed: frozenset[str], limit: int) -> bool:
        """Take a slot for the key about to be issued; False if the principal has none left. Raises Fenced."""
        with self._database.writing() as connection:
            change_held(connection, claim, self._now(connection))
            self._database.alone(connection, f"slots of {principal}")
            statement = select(SLOTS.c.token, SLOTS.c.key_id).where(SLOTS.c.principal == principal)
            reserved = {row.token: row.key_id for row in connection.execute(statement)}
            if token in reserved:
                return True
            unlisted = [key_id for key_id in reserved.values() if key_id not in listed]
            if len(listed) + len(unlisted) >= limit:
                return False
            connection.execute(SLOTS.insert(), {"token": token, "principal": principal})
            return True

    def _write_rotation(self, connection: Connection, rotation: Rotation) -> None:
        upsert = self._database.upsert
        connection.execute(upsert(ROTATIONS, "id", "live", "doc"), _rotation_row(rotation))
        rows = [_attempt_row(rotation, token) for token in self._unwritten(rotation)]
        if rows:
            connection.execute(upsert(ATTEMPTS, "token", "key_id"), rows)

    def _unwritten(self, rotation: Rotation) -> list[str]:
        """The tokens of an attempt that the ledger does not hold as they are: its label's, and that of the
        version, which is another where the secret was staged anew.
        """
        drawn = dict.fromkeys((rotation.attempt.token, rotation.attempt.push))
        return [token for token in drawn if self._attempts.get(token) != _attempt(rotation)]

    def _remember(self, change: Change) -> None:
        """Note what was committed of attempts and slots; tokens are random, and never used again."""
        for kept in (self._attempts, self._learned):
            if len(kept) > _MOST:
                kept.clear()
        if change.rotation:
            for token in self._unwritten(change.rotation):
                self._attempts[token] = _attempt(change.rotation)
        self._learned.update(_key_ids(change))


_CLAIM = (
    update(SECRETS)
    .where(SECRETS.c.id == bindparam("claim_secret"), unclaimed(bindparam("this_moment")))
    .values(
        epoch=SECRETS.c.epoch + 1,
        holder=bindparam("by"),
        claimed_until=bindparam("this_moment") + bindparam("time_to_live"),
        ttl=bindparam("time_to_live"),
    )
    .returning(SECRETS.c.epoch, SECRETS.c.nudges)
)
_WRITE = PROLONG.values(
    policy=bindparam("new_policy"),
    principal=bindparam("new_principal"),
    parent=bindparam("new_parent"),
    key_id=bindparam("new_key_id"),
    doc=bindparam("new_doc"),
)
_NEXT = case((SECRETS.c.nudges > bindparam("seen"), bindparam("this_moment")), else_=bindparam("planned"))
_RELEASE = update(SECRETS).where(HELD).values(holder=None, claimed_until=None, next_at=_NEXT)
_LEARN = update(SLOTS).where(SLOTS.c.token == bindparam("its_token")).values(key_id=bindparam("its_key"))


def _key_ids(change: Change) -> dict[str, str]:
    """By the tokens of slots the keys that they turned out to be for, so that a listed key counts once."""
    told = {debt.token: debt.key_id for debt in change.debts if debt.token and debt.key_id}
    if change.rotation and change.rotation.attempt.key_id:
        told[change.rotation.attempt.token] = change.rotation.attempt.key_id
    return told


def _rotation_row(rotation: Rotation) -> dict[str, Any]:
    return {
        "id": rotation.id,
        "secret": rotation.secret,
        "live": None if rotation.phase.ended else rotation.secret,
        "began_at": instant(rotation.began_at),
        "doc": ROTATION.encode(rotation),
    }


def _attempt(rotation: Rotation) -> tuple[str, str, str | None]:
    return rotation.secret, rotation.id, rotation.attempt.key_id


def _attempt_row(rotation: Rotation, token: str) -> dict[str, Any]:
    return {
        "token": token,
        "secret": rotation.secret,
        "rotation": rotation.id,
        "number": rotation.attempt.number,
        "key_id": rotation.attempt.key_id,
    }


def _debt_row(debt: Debt) -> dict[str, Any]:
    return {
        "id": debt.id,
        "secret": debt.secret,
        "open": not debt.phase.ended,
        "since": instant(debt.since),
        "doc": DEBT.encode(debt),
    }


def _event_row(event: Event, now: int) -> dict[str, Any]:
    return {
        "secret": event.secret,
        "at": now,
        "untold": event.level is Level.ALARM,
        "doc": EVENT.encode(event),
    }
