"""What people ask for, small facts, and named locks."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, or_, select, update

from rotator.audit.chain import digest
from rotator.ledger.chaining import Chained
from rotator.ledger.codec import ORDER
from rotator.ledger.instants import MICROSECOND
from rotator.ledger.part import make_due
from rotator.ledger.rows import FACT
from rotator.ledger.rules import AHEAD, chain_of, given, order_row, unknown, withdrawn
from rotator.ledger.schema import FACTS, LOCKS, ORDERS
from rotator.model import EVERYBODY, Order


class Notes(Chained):
    """The methods of Ledger under "what people ask for" and "small facts, and locks for principals"."""

    def give(self, secret_id: str, order: Order) -> None:
        """Write an order (at most one of a kind) and make the secret due."""
        statement = self._database.insert(ORDERS)
        statement = statement.on_conflict_do_update(
            index_elements=["secret", "kind"], set_={"doc": statement.excluded.doc}
        )
        row = order_row(secret_id, order)
        with self._database.writing() as connection:
            now = self._now(connection)
            if not self._record(connection, chain_of(secret_id), now, [given(row, order)]):
                raise unknown(secret_id)
            make_due(connection, [secret_id], now)
            connection.execute(statement, row)

    def withdraw(self, secret_id: str, kind: str) -> bool:
        """Take an order back; whether there was one. Makes the secret due."""
        statement = delete(ORDERS).where(ORDERS.c.secret == secret_id, ORDERS.c.kind == kind)
        with self._database.writing() as connection:
            now = self._now(connection)
            make_due(connection, [secret_id], now)
            found = connection.execute(statement).rowcount == 1
            if found:
                self._record(connection, chain_of(secret_id), now, [withdrawn(kind, self._by)])
        return found

    def orders(self, secret_id: str) -> Mapping[str, Order]:
        """Orders by kind, those to EVERYBODY among them. Read before every effect."""
        with self._database.reading() as connection:
            rows = connection.execute(_ORDERS, {"its_secret": secret_id}).all()
        return {row.kind: ORDER.decode(row.doc) for row in rows}

    def all_orders(self) -> Mapping[str, Mapping[str, Order]]:
        """Every order: by secret, then by kind."""
        found: dict[str, dict[str, Order]] = defaultdict(dict)
        statement = select(ORDERS.c.secret, ORDERS.c.kind, ORDERS.c.doc)
        with self._database.reading() as connection:
            for row in connection.execute(statement.order_by(ORDERS.c.secret, ORDERS.c.kind)):
                found[row.secret][row.kind] = ORDER.decode(row.doc)
        return dict(found)

    def fact(self, key: str) -> str | None:
        """A fact, as text."""
        with self._database.reading() as connection:
            value: str | None = connection.execute(_FACT, {"its_key": key}).scalar()
        return value

    def facts(self, prefix: str) -> Mapping[str, str]:
        """Every fact whose key begins with ``prefix``."""
        # Not LIKE: in SQLite that does not tell "a" from "A".
        begins = func.substr(FACTS.c.key, 1, len(prefix)) == prefix
        statement = select(FACTS.c.key, FACTS.c.value).where(FACTS.c.key >= prefix, begins)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(FACTS.c.key)).all()
        return {row.key: row.value for row in rows}

    def remember(self, key: str, value: str) -> bool:
        """Write a fact if its key has none; whether it was new."""
        statement = self._database.insert(FACTS).on_conflict_do_nothing(index_elements=["key"])
        with self._database.writing() as connection:
            new = connection.execute(statement, {"key": key, "value": value}).rowcount == 1
            if new:
                self._record_own(connection, "remembered", **{FACT + key: digest(value)})
        return new

    def forget(self, key: str) -> bool:
        """Remove a fact; whether it was there."""
        with self._database.writing() as connection:
            found = connection.execute(delete(FACTS).where(FACTS.c.key == key)).rowcount == 1
            if found:
                self._record_own(connection, "forgotten", **{FACT + key: None})
        return found

    def swap(self, key: str, before: str | None, after: str) -> bool:
        """Write a fact in one step if it still is as it was read; whether it was."""
        if before is None:
            return self.remember(key, after)
        statement = update(FACTS).where(FACTS.c.key == key, FACTS.c.value == before)
        with self._database.writing() as connection:
            swapped = connection.execute(statement.values(value=after)).rowcount == 1
            if swapped:
                self._record_own(connection, "swapped", **{FACT + key: digest(after)})
        return swapped

    def lock(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or prolong a named lock until now + ttl; False if another holds it."""
        statement = self._database.insert(LOCKS)
        long = ttl // MICROSECOND
        with self._database.writing() as connection:
            now = self._now(connection)
            over = or_(LOCKS.c.until <= now, LOCKS.c.until > now + AHEAD * long)  # or a clock was wrong
            statement = statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
                where=or_(over, LOCKS.c.holder == holder),
            )
            row = {"name": name, "holder": holder, "until": now + long}
            return connection.execute(statement, row).rowcount == 1

    def unlock(self, name: str, holder: str) -> None:
        """Give a lock back; silent if it is not ours."""
        with self._database.writing() as connection:
            connection.execute(delete(LOCKS).where(LOCKS.c.name == name, LOCKS.c.holder == holder))


# Statements of the hot path are built once: building one costs more than running it.
_ORDERS = select(ORDERS.c.kind, ORDERS.c.doc).where(ORDERS.c.secret.in_((bindparam("its_secret"), EVERYBODY)))
_FACT = select(FACTS.c.value).where(FACTS.c.key == bindparam("its_key"))
