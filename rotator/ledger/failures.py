"""What the database says when it cannot, as LedgerUnusable with what to do. No parameter gets into it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rotator.errors import LedgerUnusable
from rotator.ledger import sqlstates

# The beginning of SQLite's own name for the error, our short word, what happened and what to do.
_SQLITE = (
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"),
        "busy",
        "is kept busy by another process for too long.",
        "See which processes have it open (fuser or lsof), and end the one that hangs.",
    ),
    (
        ("SQLITE_FULL",),
        "full",
        "cannot grow: the disk or the quota is full. Nothing of this step was written.",
        "Free some space; rotator goes on from where it was.",
    ),
    (
        ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"),
        "read-only",
        "cannot be written.",
        (
            "Give this user the right to write the file and its directory, and see that its volume is not "
            "mounted read-only."
        ),
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"),
        "corrupt",
        "is damaged, or is no SQLite file.",
        (
            "Stop rotator, keep the damaged file aside, and restore the last backup; then let rotator "
            "reconcile before it revokes anything."
        ),
    ),
    (
        ("SQLITE_CANTOPEN",),
        "open",
        "cannot be opened.",
        "See that the file and its directory exist and that this user may read and write both.",
    ),
    (
        ("SQLITE_CONSTRAINT",),
        "rule",
        (
            "refuses what would break one of its rules, such as a second live rotation of one secret. "
            "Nothing of this step was written."
        ),
        (
            "Have the file checked (sqlite3 FILE 'PRAGMA integrity_check'): where that does not say ok, it "
            "is damaged, and the last backup is to be restored; else this is a defect in rotator: please "
            "report it."
        ),
    ),
    (
        ("SQLITE_IOERR", "SQLITE_NOLFS"),
        "io",
        "cannot be read or written: the file system reports an error.",
        "See the system's log, and see that the file lies on a local disk and not on a network share.",
    ),
)
_PASSING = frozenset({"busy", "full"})


def unusable(name: str, error: BaseException, *, committing: bool = False) -> LedgerUnusable:
    """The error for people, from a driver's or SQLAlchemy's. ``name`` is the ledger's, without secrets."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, DBAPIError) and hasattr(cause, "sqlstate"):
        what, kind = _postgresql(error, committing=committing)
        return LedgerUnusable(f"The ledger {name} {what} [{kind}]", passing=kind in sqlstates.PASSING)
    if isinstance(error, PoolTimeout):
        return LedgerUnusable(
            f"The ledger {name} is waited for too long by this process's own threads. See whether its server "
            "still answers. [busy]",
            passing=True,
        )
    code = getattr(cause, "sqlite_errorname", "") or ""
    if code == "SQLITE_ERROR" or (not code and isinstance(cause, sqlite3.OperationalError)):
        code = "SQLITE_CORRUPT"  # tables are not as we made them, or a text cannot be read as text
    for beginnings, kind, what, todo in _SQLITE:
        if code.startswith(beginnings):
            return LedgerUnusable(f"The ledger {name} {what} {todo} [{kind}]", passing=kind in _PASSING)
    return LedgerUnusable(
        f"The ledger {name} cannot be used ({type(cause).__name__} {code}). "
        "See that its file and volume are whole; then start again. [database]"
    )


def _postgresql(error: DBAPIError, *, committing: bool) -> tuple[str, str]:
    """What a driver of PostgreSQL says; its errors have a code, which is None without an answer."""
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate is None and error.statement is None and not committing:
        return sqlstates.not_connected(str(error.orig))
    return sqlstates.refused(sqlstate, committing=committing)


@contextmanager
def translated(name: str, *, committing: bool = False) -> Iterator[None]:
    """Raise LedgerUnusable for whatever the database raises inside, which is a COMMIT if ``committing``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise unusable(name, error, committing=committing) from None
