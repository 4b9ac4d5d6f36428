"""What people ask for, small facts, and named locks."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from rotator.audit.chain import Entry, digest
from rotator.ledger.codec import ORDER
from rotator.ledger.dynamodb import places
from rotator.ledger.dynamodb.chaining import End, Step
from rotator.ledger.dynamodb.errors import Beaten
from rotator.ledger.dynamodb.items import NEW, THERE, Write, gone, put
from rotator.ledger.dynamodb.secrets import Secrets, nudged
from rotator.ledger.instants import MICROSECOND
from rotator.ledger.rows import FACT
from rotator.ledger.rules import AHEAD, chain_of, given, order_row, unknown, withdrawn
from rotator.model import EVERYBODY, Order

_OURS = "attribute_not_exists(#pk) OR #until <= :now OR #until > :far OR #holder = :by"


class Notes(Secrets):
    """The methods of Ledger under "what people ask for" and "small facts, and locks for principals"."""

    def give(self, secret_id: str, order: Order) -> None:
        """Write an order (at most one of a kind) and make the secret due."""
        row = order_row(secret_id, order)
        write = put(places.order(secret_id, order.kind), row)

        def plan(end: End, seq: int) -> Step:
            del seq
            return Step([given(row, order)], self._made_due(secret_id, end), [write])

        if self._record(chain_of(secret_id), plan, afresh=True) is None:
            raise unknown(secret_id)

    def withdraw(self, secret_id: str, kind: str) -> bool:
        """Take an order back; whether there was one. Makes the secret due."""
        key = places.order(secret_id, kind)

        def plan(end: End, seq: int) -> Step | None:
            del seq
            if self._table.get(key) is None:
                return None
            return Step([withdrawn(kind, self._by)], self._made_due(secret_id, end), [gone(key)])

        found = self._record(chain_of(secret_id), plan, afresh=True) is not None
        if not found:
            self.nudge([secret_id])
        return found

    def _made_due(self, secret_id: str, end: End) -> Write:
        """What becomes of the item where an order's chain ends: a secret is due, the ledger's own stays."""
        key = places.state(chain_of(secret_id))
        assert end.item is not None, "it was read afresh"
        return Write(key) if secret_id == EVERYBODY else nudged(key, end.item, self._now())

    def orders(self, secret_id: str) -> Mapping[str, Order]:
        """Orders by kind, those to EVERYBODY among them. Read before every effect."""
        found: dict[str, Order] = {}
        for one in (EVERYBODY, secret_id):
            for item in self._table.within(places.ORDERS, places.orders_of(one)):
                if item["secret"] == one:
                    found[item["kind"]] = ORDER.decode(item["doc"])
        return found

    def all_orders(self) -> Mapping[str, Mapping[str, Order]]:
        """Every order: by secret, then by kind."""
        found: dict[str, dict[str, Order]] = defaultdict(dict)
        rows = self._table.within(places.ORDERS)
        for item in sorted(rows, key=lambda row: (row["secret"], row["kind"])):
            found[item["secret"]][item["kind"]] = ORDER.decode(item["doc"])
        return dict(found)

    def fact(self, key: str) -> str | None:
        """A fact, as text."""
        return self._value(key)

    def facts(self, prefix: str) -> Mapping[str, str]:
        """Every fact whose key begins with ``prefix``."""
        rows = list(self._table.within(places.FACTS, places.facts_with(prefix)))
        return {row["key"]: row["value"] for row in rows}

    def _value(self, key: str) -> str | None:
        item = self._table.get(places.fact(key))
        return None if item is None else str(item["value"])

    def remember(self, key: str, value: str) -> bool:
        """Write a fact if its key has none; whether it was new."""
        return self._changed(key, None, value, "remembered")

    def swap(self, key: str, before: str | None, after: str) -> bool:
        """Write a fact in one step if it still is as it was read; whether it was."""
        return self._changed(key, before, after, "remembered" if before is None else "swapped")

    def _changed(self, key: str, before: str | None, after: str, what: str) -> bool:
        def entry() -> Entry | None:
            same = self._value(key) == before
            return Entry(what, self._by, docs={FACT + key: digest(after)}) if same else None

        same, values = (NEW, {}) if before is None else ("#value = :known", {"known": before})
        return self._record_own(entry, put(places.fact(key), {"key": key, "value": after}, same, values))

    def forget(self, key: str) -> bool:
        """Remove a fact; whether it was there."""

        def entry() -> Entry | None:
            there = self._value(key) is not None
            return Entry("forgotten", self._by, docs={FACT + key: None}) if there else None

        return self._record_own(entry, gone(places.fact(key), THERE))

    def lock(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or prolong a named lock until now + ttl; False if another holds it."""
        long = ttl // MICROSECOND
        for _ in self._table.tries():
            now = self._now()
            sets = {"holder": holder, "until": now + long}
            values = {"now": now, "far": now + AHEAD * long, "by": holder}
            try:
                self._table.write(put(places.lock(name), sets, when=_OURS, values=values))
            except Beaten:
                return False
            if not self._was_frozen(now):
                return True
        raise AssertionError("tries end with an error")

    def unlock(self, name: str, holder: str) -> None:
        """Give a lock back; silent if it is not ours."""
        ours = gone(places.lock(name), "#holder = :by", {"by": holder})
        with suppress(Beaten):
            self._table.write(ours)
