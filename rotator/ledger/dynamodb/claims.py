"""Claims, and the one transaction that a step of a story writes."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from rotator.ledger.codec import ORDER
from rotator.ledger.dynamodb import places
from rotator.ledger.dynamodb.chaining import Chained, End, Step
from rotator.ledger.dynamodb.errors import Beaten, unusable
from rotator.ledger.dynamodb.items import NEW, Item, Key, Write, gone, put
from rotator.ledger.dynamodb.secrets import lead, queued
from rotator.ledger.instants import EPOCH, MICROSECOND, instant
from rotator.ledger.rows import Row
from rotator.ledger.rules import AHEAD, committed, fenced, has_room, must_hold
from rotator.model import Change, Claim

# Whether a claim is the newest of its secret, and its time is not over; `_held` gives it its values.
_HELD = "#epoch = :epoch AND #claimed_until > :now"
_FREE = (
    "#epoch = :seen AND (attribute_not_exists(#claimed_until) OR #claimed_until <= :now "
    "OR #claimed_until > :far)"  # written by a clock that was ahead
)
_FREED: Mapping[str, Any] = {"holder": None, "claimed_until": None, "ticket": None}


class Claims(Chained):
    """The methods of Ledger under "claims and commits", and the slots, which only a claim's holder takes."""

    def claim(self, secret_id: str, holder: str, ttl: timedelta) -> Claim | None:
        """The right to act on one secret until now + ttl; None if it is held, by whomever, or unknown.

        The secret is due from now on, however far ahead its next action was.
        """
        item, now = self._table.get(places.state(secret_id)), self._now()
        if item is None:
            return None
        far = now + AHEAD * item["ttl"]
        if now < item.get("claimed_until", 0) <= far:
            return None
        left = "claimed_until" in item  # by whoever held it last: not given back
        ticket, time_to_live = secrets.token_hex(8), ttl // MICROSECOND
        claimed = {"epoch": item["epoch"] + 1, "holder": holder, "ticket": ticket, "ttl": time_to_live}
        sets = claimed | queued(min(item.get("next_at", now), now)) | {"claimed_until": now + time_to_live}
        values = {"seen": item["epoch"], "now": now, "far": far}
        try:
            item = self._table.write(Write(places.state(secret_id), sets, when=_FREE, values=values))
        except Beaten:
            item = self._table.get(places.state(secret_id)) or {}
            if item.get("ticket") != ticket:  # else it was done, and its answer lost
                return None
        end = End.of(secret_id, item)
        self._saw(secret_id, end)
        if left:
            self._table.settled([*_documents_of(secret_id, end)])
        return Claim(secret_id, item["epoch"], EPOCH + now * MICROSECOND + ttl, item["nudges"], holder)

    def commit(self, claim: Claim, change: Change) -> None:
        """Write a change in one transaction, and renew the claim. Raises Fenced, with nothing written."""
        must_hold(claim, change)
        rows = self._written.rows(change)

        def plan(end: End, seq: int) -> Step:
            now = self._now()
            if end.item is not None and not _is_held(claim, end.item, now):
                raise fenced(claim)
            done = self._ended_orders(change)
            entries = committed(claim, change, rows, [row["kind"] for row in done])
            state = self._prolonged(claim, now, self._becomes(end, rows))
            orders = [gone((row["pk"], row["sk"]), "#doc = :doc", {"doc": row["doc"]}) for row in done]
            others = [
                *_documents(rows, seq),
                *_leads(end, claim.secret, rows),
                *orders,
                *self._slots_of(change),
            ]
            return Step(entries, state, others)

        began = self._now()
        if self._record(claim.secret, plan) is None:
            raise fenced(claim)
        self._written.remember(change)
        if self._was_frozen(began):
            self.renew(claim)

    def renew(self, claim: Claim) -> None:
        """Prolong a claim by its first time to live, before an effect. Raises Fenced."""
        for _ in self._table.tries():
            now = self._now()
            try:
                self._table.write(self._prolonged(claim, now, {}))
            except Beaten:
                raise fenced(claim) from None
            if not self._was_frozen(now):
                return

    def release(self, claim: Claim, next_at: datetime | None) -> None:
        """Give a claim back and set the next action's time. Silent if fenced."""
        now = self._now()
        planned = None if next_at is None else instant(next_at)
        key, values = places.state(claim.secret), _held(claim, now)
        unseen = f"{_HELD} AND #nudges = :nudges"
        sets = {**_FREED, **queued(planned)}
        try:
            self._table.write(Write(key, sets, when=unseen, values={**values, "nudges": claim.nudges}))
        except Beaten:  # nudged meanwhile, or fenced
            with suppress(Beaten):
                self._table.write(Write(key, {**_FREED, **queued(now)}, when=_HELD, values=values))

    @staticmethod
    def _prolonged(claim: Claim, now: int, sets: Mapping[str, object]) -> Write:
        """A secret's item with a claim that goes on, if it is still held."""
        until = {"claimed_until": ("ttl", now)}
        return Write(places.state(claim.secret), sets, sums=until, when=_HELD, values=_held(claim, now))

    def _becomes(self, end: End, rows: Mapping[str, list[Row]]) -> dict[str, object]:
        """What a commit writes to the secret's own item, besides the claim. Raises Beaten, LedgerUnusable."""
        (state,), live, owed = rows["secrets"], end.live, dict(end.owed)
        for row in rows["rotations"]:
            _, place = places.rotation(row["secret"], row["began_at"], row["id"])
            if row["live"] and live not in (None, place):
                raise Beaten if end.item is None else unusable(self._table.where, "rule")
            live = place if row["live"] else (None if live == place else live)
        for row in rows["debts"]:
            owed.pop(row["id"], None)
            owed |= {row["id"]: row["since"]} if row["open"] else {}
        return {**state, "live": live, "owed": owed}

    def _ended_orders(self, change: Change) -> list[Item]:
        """The orders that are carried out. One given meanwhile stays."""
        secret, done = change.secret.id, [ORDER.encode(order) for order in change.orders_done]
        kinds = [places.order(secret, order.kind) for order in change.orders_done]
        return [item for item in self._table.several(kinds).values() if item["doc"] in done]

    # slots

    def reserve(self, claim: Claim, principal: str, token: str, listed: frozenset[str], limit: int) -> bool:
        """Take a slot for the key about to be issued; False if the principal has none left. Raises Fenced."""
        with self._turn(principal):
            for _ in self._table.tries():
                kept = self._table.get(places.slots(principal)) or {}
                taken = dict(kept.get("taken", {}))
                room = has_room(token, taken, listed, limit)
                if not room or token in taken:
                    self.renew(claim)
                    return room
                now, taking = self._now(), _slots(principal, kept, {**taken, token: None})
                slot = put(places.slot(token), {"principal": principal})
                try:
                    self._table.together([self._prolonged(claim, now, {}), taking, slot])
                except Beaten:
                    self.renew(claim)  # where it was not the claim that is lost, another took a slot
                else:
                    if self._was_frozen(now):
                        self.renew(claim)
                    return True
        raise AssertionError("tries end with an error")

    def slots(self, principal: str) -> Mapping[str, str | None]:
        """Every slot that is taken: its token, and the id of its key once a commit told it."""
        kept = self._table.get(places.slots(principal)) or {}
        return dict(kept.get("taken", {}))

    def _slots_of(self, change: Change) -> Iterator[Write]:
        """What becomes of slots: their keys are known, or dead. A token may have none: few have a limit."""
        learned = dict(self._written.learned(change))
        tokens = [*learned, *change.frees]
        whose = self._table.several([places.slot(token) for token in tokens])
        by_principal: dict[str, list[str]] = {}
        for token in dict.fromkeys(tokens):
            if places.slot(token) in whose:
                by_principal.setdefault(whose[places.slot(token)]["principal"], []).append(token)
        kept = self._table.several([places.slots(principal) for principal in by_principal])
        for principal, its in by_principal.items():
            before = kept.get(places.slots(principal), {})
            taken = dict(before.get("taken", {}))
            taken |= {token: learned[token] for token in its if token in taken and token in learned}
            freed = [token for token in its if token in change.frees]
            yield _slots(principal, before, {one: key for one, key in taken.items() if one not in freed})
            yield from (gone(places.slot(token)) for token in freed)


def _documents_of(secret: str, end: End) -> Iterator[Key]:
    """What the last step of the one who held a secret before may still be writing."""
    if end.live is not None:
        yield places.home(secret), end.live
    yield from (places.debt(secret, debt_id) for debt_id in end.owed)


def _held(claim: Claim, now: int) -> dict[str, object]:
    """The values of a condition that asks for _HELD."""
    return {"epoch": claim.epoch, "now": now}


def _is_held(claim: Claim, item: Item, now: int) -> bool:
    return bool(item["epoch"] == claim.epoch and item.get("claimed_until", 0) > now)


def _slots(principal: str, before: Item, taken: Mapping[str, object]) -> Write:
    """All slots of a principal, if nobody changed any since they were read."""
    known = before.get("version", 0)
    same = "#version = :known" if known else NEW
    values = {"known": known} if known else {}
    return put(
        places.slots(principal), {"taken": dict(taken), "version": known + 1}, when=same, values=values
    )


def _documents(rows: Mapping[str, list[Row]], seq: int) -> Iterator[Write]:
    """What a commit writes besides the secret; each keeps the place that it had when it was new."""
    for row in rows["rotations"]:
        key = places.rotation(row["secret"], row["began_at"], row["id"])
        yield put(key, {name: row[name] for name in ("id", "secret", "live", "began_at", "doc")})
    for place, row in enumerate(rows["debts"], seq * 100):
        yield Write(places.debt(row["secret"], row["id"]), row, once={"place": place})
    for row in rows["attempts"]:
        yield put(places.attempt(row["secret"], row["token"]), row)


def _leads(end: End, secret: str, rows: Mapping[str, list[Row]]) -> Iterator[Write]:
    """What leads to the documents that a commit writes, and leads to them no more."""
    (state,) = rows["secrets"]
    found_by = places.found_by(secret, state)
    yield from (lead(key, secret) for key in sorted(found_by - end.leads))
    yield from (gone(key) for key in sorted(end.leads - found_by))
    yield from (lead(places.by_token(row["token"]), secret) for row in rows["attempts"])
    for row in rows["debts"]:
        if row["id"] not in end.owed:
            yield lead(places.by_debt(row["id"]), secret)
        if row["open"] != (row["id"] in end.owed):
            key = places.owed(row["since"], row["id"])
            yield put(key, {"of": secret, "debt": row["id"]}) if row["open"] else gone(key)
