"""The durable memory: ``open_ledger`` gives the Ledger that an address names."""

import os
import socket
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rotator.audit.keys import KeyRing
from rotator.errors import LedgerUnusable
from rotator.interfaces import Clock, Ledger
from rotator.ledger import files, lasting, passwords
from rotator.ledger.lasting import need_not_last

if TYPE_CHECKING:
    from rotator.ledger.database import Database
    from rotator.ledger.times import Time

_POSTGRES = ("postgresql://", "postgres://")
_DYNAMODB = ("dynamodb://",)
PATIENCE = 10.0  # seconds to wait for another writer; an effect ends within 25, a claim lasts longer
_POSSIBLE = (
    "A ledger is a SQLite file on a local disk, sqlite:///relative/path or sqlite:////absolute/path, a "
    "PostgreSQL database, postgresql://user@host/database, or a table in DynamoDB, dynamodb://table."
)


def default_url() -> str:
    """The ledger in the user's state folder, as an address."""
    return f"sqlite:///{files.default_path()}"


def open_ledger(url: str, clock: Clock, *, create: bool = True, patience: float = PATIENCE) -> Ledger:
    """The ledger at ``url``; it is made there if there is none, unless ``create`` is False.

    ``sqlite:///PATH`` is a file, ``sqlite://`` a ledger in memory that ends with the process; their clock is
    ``clock``. ``postgresql://…`` is a database and ``dynamodb://…`` a table that many hosts share, by the
    database's clock. ``patience`` is in seconds: how long to wait for another process that writes. The key of
    the audit trail is where ROTATOR_AUDIT_KEY_FILE or ROTATOR_AUDIT_KEY_SECRET says, else in PATH.audit-key;
    for a shared ledger in the user's state folder. A file is refused where its disk does not last, unless
    ``create`` is False: who makes none does not work with it. Raises LedgerUnusable.
    """
    passwords.must_not_be_in(url)
    if url.startswith(_POSTGRES):
        postgres = _postgres()
        time = postgres.DatabaseTime(clock.monotonic)
        database, ledger_id = postgres.at(url, time, patience, create=create)
        return _begun(database, time, ledger_id, _shared_keys(url, create=create))
    if url.startswith(_DYNAMODB):
        from rotator.ledger.dynamodb import ledger as dynamodb  # noqa: PLC0415 - botocore takes long to load

        return dynamodb.at(url, clock, patience, _shared_keys(url, create=create), _process(), create=create)
    return _in_sqlite(_path(url), clock, patience, create=create)


def _in_sqlite(where: Path | None, clock: Clock, patience: float, *, create: bool) -> Ledger:
    from rotator.ledger import sqlite  # noqa: PLC0415 - SQLAlchemy takes long to load
    from rotator.ledger.times import HostTime  # noqa: PLC0415

    if where is None:
        database, ledger_id = sqlite.in_memory(clock.now(), patience)
    else:
        if create:
            lasting.must_last(where)
        database, ledger_id = sqlite.in_file(where, clock.now(), patience, create=create)
    return _begun(database, HostTime(clock), ledger_id, _ring(where))


def _begun(database: "Database", time: "Time", ledger_id: str, ring: KeyRing) -> Ledger:
    """A ledger whose audit trail has begun."""
    from rotator.ledger.sql import SqlLedger  # noqa: PLC0415

    ledger = SqlLedger(database, time, ledger_id, ring, _process())
    try:
        ledger.begin()
    except BaseException:
        ledger.close()
        raise
    return ledger


def _process() -> str:
    """Who acts, in the record of what no claim's holder does."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}"


def audit_keys(url: str) -> KeyRing:
    """The keys of the audit trail of the ledger at ``url``. Raises LedgerUnusable."""
    for schemes, name in ((_POSTGRES, "postgres"), (_DYNAMODB, "dynamodb")):
        if url.startswith(schemes):
            return _ring(files.default_path().with_name(name))
    return _ring(_path(url))


def _shared_keys(url: str, *, create: bool) -> KeyRing:
    """The same, for a ledger that may begin its trail now: a key that would be made must last."""
    ring = audit_keys(url)
    if create and ring.path is not None and not ring.path.exists():
        lasting.must_last(ring.path, lasting.KEY)
    return ring


def _ring(ledger: Path | None) -> KeyRing:
    """From the file or the secret that the environment names, else from beside the ledger; in memory a random
    key.
    """
    file, secret = os.environ.get("ROTATOR_AUDIT_KEY_FILE"), os.environ.get("ROTATOR_AUDIT_KEY_SECRET")
    if ledger is None:
        return KeyRing(None)
    if secret and not file:
        from rotator.ledger.kept_key import KeptKeyRing  # noqa: PLC0415 - botocore takes long to load

        return KeptKeyRing(secret)
    return KeyRing(Path(file).expanduser() if file else ledger.with_name(f"{ledger.name}.audit-key"))


def _postgres() -> ModuleType:
    """The part for PostgreSQL, whose driver is an extra and takes long to load."""
    try:
        from rotator.ledger import postgres  # noqa: PLC0415
    except ImportError:
        raise LedgerUnusable(
            "The driver for PostgreSQL is not installed. Install rotator with its extra: rotator[postgres]. "
            "[driver]"
        ) from None
    return postgres


def _path(url: str) -> Path | None:
    """The file that an address names, or None for a ledger in memory. Never repeats the address."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if scheme != "sqlite" or host or (slash and not path):
        raise LedgerUnusable(f"The ledger's address is not understood. {_POSSIBLE} [address]")
    return None if path in ("", ":memory:") else Path(path).expanduser().absolute()


__all__ = ["PATIENCE", "audit_keys", "default_url", "need_not_last", "open_ledger"]
