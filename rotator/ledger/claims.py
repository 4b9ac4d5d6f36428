"""Claims, and the one transaction that a step of a story writes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, select, update

from rotator.audit.chain import Entry
from rotator.ledger.chaining import FOLLOWS, NEW_HEAD, Chained, event_entries, head_of
from rotator.ledger.codec import DEBT, ORDER, ROTATION
from rotator.ledger.documents import digest_of, named
from rotator.ledger.part import HELD, PROLONG, due_by, fenced, held, prolong, unclaimed
from rotator.ledger.schema import (
    ATTEMPTS,
    DEBTS,
    EPOCH,
    MICROSECOND,
    ORDERS,
    ROTATIONS,
    SECRETS,
    SLOTS,
    instant,
)
from rotator.ledger.secrets import secret_row
from rotator.model import Change, Claim, Debt, Head, Rotation

_MOST = 10_000  # attempts of which it is remembered that they are written


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
        state, rotation = change.secret, change.rotation
        own = {state.id, *(debt.secret for debt in change.debts), *([rotation.secret] if rotation else [])}
        assert own == {claim.secret}, "a change concerns the secret that is claimed, and no other"
        rows = self._rows(change)
        written = {f"new_{name}": value for name, value in rows[SECRETS.name][0].items()}
        with self._database.writing() as connection:
            now = self._now(connection)
            done = _ended_orders(connection, change)
            entries = event_entries(change.events, _entry(claim, change, rows, done))
            if not self._record(
                connection, claim.secret, now, entries, _WRITE, **held(claim, now), **written
            ):
                raise fenced(claim)
            for table, (key, *columns) in _UPSERTS.items():
                if rows[table.name]:
                    connection.execute(self._database.upsert(table, key, *columns), rows[table.name])
            learned = _key_ids(change).items() - self._learned.items()
            if learned:
                keys = [{"its_token": token, "its_key": key_id} for token, key_id in learned]
                connection.execute(_LEARN, keys)
            if change.frees:
                connection.execute(delete(SLOTS).where(SLOTS.c.token.in_(change.frees)))
        self._remember(change)

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
            held = token in reserved
            reserved.pop(token, None)  # held already, but the list may have grown since
            unlisted = [key_id for key_id in reserved.values() if key_id not in listed]
            if len(listed) + len(unlisted) >= limit:
                return False
            if not held:
                connection.execute(SLOTS.insert(), {"token": token, "principal": principal})
            return True

    def slots(self, principal: str) -> Mapping[str, str | None]:
        """Every slot that is taken: its token, and the id of its key once a commit told it."""
        with self._database.reading() as connection:
            return _slots(connection, principal)

    def _rows(self, change: Change) -> dict[str, list[dict[str, Any]]]:
        """What a change writes, by table; an attempt that is written already is left out."""
        rotations = [change.rotation] if change.rotation else []
        return {
            SECRETS.name: [secret_row(change.secret)],
            ROTATIONS.name: [_rotation_row(one) for one in rotations],
            DEBTS.name: [_debt_row(debt) for debt in change.debts],
            ATTEMPTS.name: [_attempt_row(one, token) for one in rotations for token in self._unwritten(one)],
        }

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


def _key_ids(change: Change) -> dict[str, str]:
    """By the tokens of slots the keys that they turned out to be for, so that a listed key counts once."""
    told = {debt.token: debt.key_id for debt in change.debts if debt.token and debt.key_id}
    if change.rotation and change.rotation.attempt.key_id:
        told[change.rotation.attempt.token] = change.rotation.attempt.key_id
    return told


def _ended_orders(connection: Connection, change: Change) -> list[str]:
    """Take away the orders that are carried out; their kinds. One given meanwhile stays."""
    if not change.orders_done:
        return []
    connection.execute(*head_of(change.secret.id))  # the secret's row first, as everybody who writes about it
    docs = [ORDER.encode(order) for order in change.orders_done]
    done = delete(ORDERS).where(ORDERS.c.secret == change.secret.id, ORDERS.c.doc.in_(docs))
    return list(connection.execute(done.returning(ORDERS.c.kind)).scalars())


def _entry(claim: Claim, change: Change, rows: dict[str, list[dict[str, Any]]], done: list[str]) -> Entry:
    """What a commit's record says of it besides its events."""
    kinds = ((SECRETS, "secret"), (ROTATIONS, "rotation"), (DEBTS, "debt"), (ATTEMPTS, "attempt"))
    docs: dict[str, str | None] = {
        named(kind, row): digest_of(table.name, row) for table, kind in kinds for row in rows[table.name]
    }
    docs |= {named("order", {"kind": kind}): None for kind in done}
    phases = {named("debt", {"id": debt.id}): str(debt.phase) for debt in change.debts}
    if change.rotation:
        phases[named("rotation", {"id": change.rotation.id})] = str(change.rotation.phase)
    more = {"epoch": claim.epoch, "policy": change.secret.digest}
    return Entry("commit", claim.holder, docs=docs, more=more | ({"phases": phases} if phases else {}))


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
