"""PostgreSQL as a ledger: for several workers, on one host or many, who share one database.

The address is libpq's (PostgreSQL's manual, "Connection URIs"): a password file, a service, a Unix socket
with peer authentication or a client certificate say who we are, and no address holds a password. Claims
are rows that are changed on a condition, by the database's clock: nothing depends on a connection that
lives on, so that a worker whose connection is lost has lost time and nothing else.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.pool import QueuePool

from rotator.errors import LedgerUnusable
from rotator.ledger import migrations
from rotator.ledger.database import Database, Kind
from rotator.ledger.instants import EPOCH, MICROSECOND
from rotator.ledger.login import Login
from rotator.ledger.times import Time

OLDEST = 13  # the oldest release that its project still mended when this was written
POOL = 20  # connections of one process at most: its threads, and a few for what runs beside them
# Whoever does not answer is given up in time for a claim's holder to be heard of: a silent network, too.
_BOUNDS = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_KIND = Kind(
    insert,
    # Held until the transaction ends, however it ends. It guards what no row stands for: the making of the
    # tables, and the slots of an account. No claim is ever a lock of this kind.
    alone="SELECT pg_advisory_xact_lock(hashtextextended('rotator ' || :what, 0))",
    snapshot="SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    # Numbers are given to rows when they are written, and rows are seen when they are committed.
    still="LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE",
    reading={"isolation_level": "AUTOCOMMIT"},
)
# A commit is on the disk (and the standby's, where there is one) before it is said to be. Nobody is waited
# for too long, and a worker that was frozen within a transaction lets its rows go before others give up.
_SESSION = """SELECT set_config('synchronous_commit', 'on', false),
    set_config('statement_timeout', %(patience)s, false), set_config('lock_timeout', %(patience)s, false),
    set_config('idle_in_transaction_session_timeout', %(idle)s, false)"""
_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class DatabaseTime:
    """The database's clock: a worker whose own is wrong measures by the same time as all others.

    Between two transactions it goes on by ``monotonic``, in seconds, from where it was read last. The
    answer's way is not added, so that it is late rather than early.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._read: tuple[datetime, float] = (EPOCH, monotonic())

    def now(self) -> datetime:
        """The database's time, as far as is known without asking."""
        at, since = self._read
        return at + timedelta(seconds=self._monotonic() - since)

    def read(self, connection: Connection) -> int:
        """The database's time, asked for."""
        now = int(connection.exec_driver_sql(_CLOCK).scalar_one())
        self._read = (EPOCH + now * MICROSECOND, self._monotonic())
        return now


def at(url: str, time: Time, patience: float, *, create: bool) -> tuple[Database, str]:
    """The ledger in the database that an address names, and its id. Raises LedgerUnusable."""
    login = Login(url)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect(login, patience),
        poolclass=QueuePool,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=True,  # connections that a restart ended are not met in the middle of a step
        pool_use_lifo=True,
        isolation_level="READ COMMITTED",  # what waited for a row sees it as it is now
        use_native_hstore=False,
        execution_options={"preserve_rowcount": True},  # of an INSERT too, whose cursor is closed at once
        hide_parameters=True,
    )
    database = Database(engine, _KIND, login.name, patience)
    try:
        with database.reading() as connection:
            _must_fit(connection, login.name)
            time.read(connection)
        return database, migrations.ready(database, time.now(), create=create)
    except BaseException:
        engine.dispose()
        raise


def _connect(login: Login, patience: float) -> psycopg.Connection[Any]:
    """A connection whose settings are ours, whatever the server, the database or the user have for theirs."""
    milliseconds = int(patience * 1000)
    bounds = {**_BOUNDS, "tcp_user_timeout": milliseconds, "client_encoding": "utf8"}
    connection = psycopg.connect(**{**bounds, **login.settings()})
    connection.execute(_SESSION, {"patience": str(milliseconds), "idle": str(milliseconds // 2)})
    connection.commit()
    return connection


def _must_fit(connection: Connection, name: str) -> None:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, psycopg.Connection)
    if raw.info.server_version < OLDEST * 10_000:
        raise LedgerUnusable(f"The ledger {name} needs PostgreSQL {OLDEST} or later. [version]")
    if raw.info.parameter_status("server_encoding") != "UTF8":
        raise LedgerUnusable(
            f"The ledger {name} is in a database that cannot hold every text. Create one for it with "
            "ENCODING 'UTF8'. [encoding]"
        )
