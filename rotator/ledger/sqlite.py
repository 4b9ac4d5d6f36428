"""SQLite as a ledger: durable at every commit, for several threads and processes of one host.

The settings are those of SQLite's documentation (pragma.html, wal.html): write-ahead log, fsync at each
commit, deleted content overwritten. All processes must be on one host, and the file on a local disk.
"""

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import QueuePool, StaticPool

from rotator.errors import LedgerUnusable
from rotator.ledger import files, migrations
from rotator.ledger.database import Database, Kind
from rotator.ledger.failures import translated

APPLICATION_ID = 0x726F7461  # "rota", in the file's header (SQLite docs, PRAGMA application_id)
# A file up to this size is checked whole whenever it is opened (50 MiB: a tenth of a second), a larger one by
# who opens it first in a day.
SMALL = 64 * 1024 * 1024  # bytes
OLDEST = (3, 35, 0)  # knows RETURNING (SQLite release notes, 2021-03-12)
POOL = 32  # connections kept open; more threads get more, for as long as they need them
_KIND = Kind(
    insert,
    # Its write lock is taken when a transaction begins, not at its first write: otherwise two that read
    # before they write could both go on from the same reading. An event of the engine could say it, but
    # an engine with events looks for listeners at each statement.
    begin="BEGIN IMMEDIATE",
    # Brings the write-ahead log into the file; if that cannot be, the log is as durable as the file.
    end="PRAGMA wal_checkpoint(TRUNCATE)",
    # SQLite's own waiting polls, which is unfair and slow under load.
    in_turn=True,
)


def in_memory(now: datetime, patience: float) -> tuple[Database, str]:
    """A ledger that ends with the process, for tests: one connection, used in turn. Its id, too."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(":memory:", patience),
        poolclass=StaticPool,
        pool_reset_on_return=None,  # every transaction ends before its connection is given back
        hide_parameters=True,
    )
    database = Database(engine, _KIND, "in memory", patience, shared=True)
    return database, migrations.ready(database, now, create=True)


def in_file(path: Path, now: datetime, patience: float, *, create: bool) -> tuple[Database, str]:
    """The ledger in a file, and its id. Raises LedgerUnusable for whatever is wrong with the file."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise LedgerUnusable(
            f"This Python comes with SQLite {sqlite3.sqlite_version}; a ledger needs 3.35 or later. Use a "
            "newer Python, or one built with a newer SQLite. [version]"
        )
    files.prepare(path, create=create)
    name = str(path)
    # mode=rw: SQLite itself must never make the file, since it would be open to others.
    address = f"file:{quote(name)}?mode=rw"
    with translated(name):
        small = path.stat().st_size <= SMALL
        if _prepare(address, name, patience, whole=small or files.unchecked(path)) and not small:
            files.checked(path)
    files.close_to_others(path)
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(address, patience),
        poolclass=QueuePool,
        pool_size=POOL,
        max_overflow=-1,
        pool_reset_on_return=None,  # every transaction ends before its connection is given back
        hide_parameters=True,
    )
    database = Database(engine, _KIND, name, patience)
    try:
        return database, migrations.ready(database, now, create=create)
    except BaseException:
        engine.dispose()
        raise


def _connect(address: str, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=patience
    )
    for setting in ("foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {setting}")
    return connection


def _prepare(address: str, name: str, patience: float, *, whole: bool) -> bool:
    """Mark an empty file as ours, refuse one that is not, and switch the write-ahead log on; whether it was
    checked ``whole``: rows, and that each index leads to all of them (quick_check does not look at that).
    """
    connection = _connect(address, patience)
    try:
        if not _is_ours(connection):
            _adopt(connection, name)
        _wait_for(lambda: _switch_log_on(connection, name), patience)
        if whole and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise LedgerUnusable(
                f"The ledger {name} is damaged. Stop rotator, keep the damaged file aside, and restore the "
                "last backup; then let rotator reconcile before it revokes anything. [corrupt]"
            )
        return whole
    finally:
        connection.close()


def _switch_log_on(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        raise LedgerUnusable(
            f"The file system of {name} cannot share memory between processes, which SQLite's write-ahead "
            "log needs. Put the ledger on a local disk. [io]"
        )


def _is_ours(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,))


def _adopt(connection: sqlite3.Connection, name: str) -> None:
    """Write our mark into a file that holds nothing; refuse any other."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _must_be_empty(connection, name)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _must_be_empty(connection: sqlite3.Connection, name: str) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID and (tables or mark):
        raise LedgerUnusable(
            f"{name} is a database of another program, and is left as it is. Name another file for the "
            "ledger. [foreign]"
        )


def _wait_for(act: Callable[[], object], patience: float) -> None:
    """Repeat while another process is in the way: SQLite does not wait by itself for this."""
    deadline = time.monotonic() + patience
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
