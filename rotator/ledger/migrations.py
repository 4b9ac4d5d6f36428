"""The schema's versions: a new ledger is made at the newest, an older one is brought there step by step."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, inspect, select, update

from rotator.ledger.database import Database
from rotator.ledger.instants import instant
from rotator.ledger.rules import missing, newer
from rotator.ledger.schema import META, METADATA

# UPGRADES[0] brings version 1 to version 2, and so on. A released one is never edited.
Upgrade = Callable[[Connection], None]


def _parents(connection: Connection) -> None:
    """2: secrets are found by their parent, and by the key that they hold."""
    connection.exec_driver_sql("ALTER TABLE secrets ADD COLUMN parent TEXT")
    connection.exec_driver_sql("ALTER TABLE secrets ADD COLUMN key_id TEXT")
    connection.exec_driver_sql("UPDATE secrets SET key_id = json_extract(doc, '$.current.key_id')")
    connection.exec_driver_sql("CREATE INDEX secrets_of_parent ON secrets (parent, id)")
    connection.exec_driver_sql("CREATE INDEX secrets_of_key ON secrets (key_id, id)")


def _chains(connection: Connection) -> None:
    """3: every event is a record in its secret's chain; who opens the ledger makes the MACs."""
    for table in ("meta", "secrets", "events"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN number BIGINT DEFAULT 0 NOT NULL")
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN mac TEXT DEFAULT '' NOT NULL")
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN anchored BIGINT DEFAULT 0 NOT NULL")
    connection.exec_driver_sql("ALTER TABLE events ADD COLUMN \"key\" TEXT DEFAULT '' NOT NULL")
    connection.exec_driver_sql("ALTER TABLE events ADD COLUMN trail TEXT DEFAULT '{}' NOT NULL")
    connection.exec_driver_sql(
        "UPDATE events SET number = counted.number FROM (SELECT seq, row_number() OVER "
        "(PARTITION BY secret ORDER BY seq) AS number FROM events) AS counted WHERE counted.seq = events.seq"
    )
    connection.exec_driver_sql("DROP INDEX events_of_secret")
    connection.exec_driver_sql("CREATE UNIQUE INDEX events_of_chain ON events (secret, number)")
    connection.exec_driver_sql("CREATE INDEX attempts_of_secret ON attempts (secret)")


UPGRADES: tuple[Upgrade, ...] = (_parents, _chains)


def ready(database: Database, now: datetime, *, create: bool, upgrades: Sequence[Upgrade] = UPGRADES) -> str:
    """The ledger's id, after its schema was made or brought up to date, in one transaction.

    Raises LedgerUnusable for a ledger that a newer rotator wrote, and for none where ``create`` is False.
    """
    newest = 1 + len(upgrades)
    with database.reading() as connection:
        found = _found(connection)
    if found and found[0] == newest:
        return found[1]
    with database.writing() as connection:
        database.alone(connection, "schema")
        # Looked at again: another process may have been first.
        version, ledger_id = _found(connection) or _make(connection, database, now, newest, create=create)
        if version > newest:
            raise newer(database.name, version, newest)
        for upgrade in upgrades[version - 1 :]:
            upgrade(connection)
        connection.execute(update(META).values(schema_version=newest))
    return ledger_id


def _found(connection: Connection) -> tuple[int, str] | None:
    """(schema version, ledger id), or None where there is no ledger yet."""
    if not inspect(connection).has_table(META.name):
        return None
    row = connection.execute(select(META.c.schema_version, META.c.ledger_id)).one_or_none()
    return (row.schema_version, row.ledger_id) if row else None


def _make(
    connection: Connection, database: Database, now: datetime, version: int, *, create: bool
) -> tuple[int, str]:
    if not create:
        raise missing(database.name)
    METADATA.create_all(connection, checkfirst=False)  # another program's tables are refused
    ledger_id = secrets.token_hex(4)
    row = {"one": 1, "schema_version": version, "ledger_id": ledger_id, "made_at": instant(now)}
    connection.execute(META.insert(), row)
    return version, ledger_id
