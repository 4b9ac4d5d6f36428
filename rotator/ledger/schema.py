"""The ledger's tables: what is looked up by stands in columns, the record itself in one JSON document.

Times are as :mod:`rotator.ledger.instants` has them. No query joins two tables; what must be unique is a
primary key or a plain unique column.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, text, types

# Compared and sorted by code points in every database, whatever language it is set to.
Text = types.Text().with_variant(types.Text(collation="C"), "postgresql")


def _counter(name: str) -> Column[int]:
    """A number that grows with every row; SQLite numbers rows only in a column of its own type INTEGER."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def _chain_head() -> tuple[Column[Any], Column[Any]]:
    """Where a chain ends: its last record's number, 0 where there is none, and MAC. Since version 3."""
    return (
        Column("number", BigInteger, nullable=False, server_default=text("0")),
        Column("mac", Text, nullable=False, server_default=text("''")),
    )


METADATA = MetaData()

META = Table(
    "meta",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),  # there is one row, and its key is 1
    Column("schema_version", Integer, nullable=False),
    Column("ledger_id", String(8), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    *_chain_head(),  # the ledger's own
    Column("anchored", BigInteger, nullable=False, server_default=text("0")),  # the last seq an anchor covers
)

SECRETS = Table(
    "secrets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("policy", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("next_at", BigInteger),  # NULL: nothing to do
    Column("epoch", BigInteger, nullable=False),  # grows with each claim, and fences the ones before
    Column("holder", Text),
    Column("claimed_until", BigInteger),
    Column("ttl", BigInteger, nullable=False),  # of the claim: by it a commit prolongs
    Column("nudges", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Column("parent", Text),  # since version 2
    Column("key_id", Text),  # since version 2: of the current key
    *_chain_head(),
    Index("secrets_due", "next_at", "id"),
    Index("secrets_of_parent", "parent", "id"),
    Index("secrets_of_key", "key_id", "id"),
)

ROTATIONS = Table(
    "rotations",
    METADATA,
    _counter("seq"),
    Column("id", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("live", Text, unique=True),  # the secret's id while it lives, then NULL: one live at a time
    Column("began_at", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Index("rotations_of_secret", "secret", "began_at", "seq"),
    sqlite_autoincrement=True,
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("token", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("rotation", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("key_id", Text),
    Index("attempts_of_secret", "secret"),  # since version 3
)

DEBTS = Table(
    "debts",
    METADATA,
    _counter("seq"),
    Column("id", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Index("debts_open", "open", "since", "seq"),
    Index("debts_of_secret", "secret", "since", "seq"),
    sqlite_autoincrement=True,
)

EVENTS = Table(
    "events",
    METADATA,
    _counter("seq"),
    Column("secret", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("untold", Boolean, nullable=False),  # an alarm that nobody heard yet
    Column("doc", Text, nullable=False),  # "" where a step has nothing to tell
    *_chain_head(),  # of the secret's chain, as this record left it
    Column("key", Text, nullable=False, server_default=text("''")),  # id of the MAC's key
    Column("trail", Text, nullable=False, server_default=text("'{}'")),  # JSON: who, and what was written
    Index("events_of_chain", "secret", "number", unique=True),  # since version 3
    Index("events_untold", "untold", "seq"),
    sqlite_autoincrement=True,
)

SLOTS = Table(
    "slots",
    METADATA,
    Column("token", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("key_id", Text),  # NULL until a commit tells it
    Index("slots_of_principal", "principal"),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("secret", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("doc", Text, nullable=False),
)

FACTS = Table(
    "facts",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

LOCKS = Table(
    "locks",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)
