"""A database and its transactions: one at a time writes, everybody reads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table

from rotator.errors import LedgerUnusable
from rotator.ledger.failures import translated


class Database:
    """An engine, and the turn of this process's writers.

    Threads of one process wait for their turn here, in order, and not in SQLite's polling, which is unfair
    and slow under load. ``shared`` means that all threads use one connection (a ledger in memory).
    """

    def __init__(self, engine: Engine, name: str, patience: float, *, shared: bool = False) -> None:
        self.name = name
        self.engine = engine
        self.insert = _insert(engine)
        self._upserts: dict[str, Insert] = {}
        self._patience = patience
        self._turn = threading.Lock()
        self._shared = shared
        self._open = True

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from; it waits for no writer. Raises LedgerUnusable."""
        turn: AbstractContextManager[None] = self._my_turn() if self._shared else nullcontext()
        with turn, translated(self.name):
            self._must_be_open()
            with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer interrupts; committed at the end, or undone on any exception.

        SQLite takes its write lock when it begins, not at its first write: otherwise two that read before
        they write could both go on from the same reading. It is said here and not by an event of the
        engine, since an engine with events looks for listeners at each statement.
        """
        with self._my_turn(), translated(self.name):
            self._must_be_open()
            with self.engine.begin() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection

    def upsert(self, table: Table, key: str, *changes: str) -> Insert:
        """The statement that adds a row, or changes these columns of the row that has its key.

        Built once for a table: building costs more than running.
        """
        if table.name not in self._upserts:
            statement = self.insert(table)
            values = {column: statement.excluded[column] for column in changes}
            self._upserts[table.name] = statement.on_conflict_do_update(index_elements=[key], set_=values)
        return self._upserts[table.name]

    def close(self) -> bool:
        """Let go of all connections; False if that was done before."""
        with self._my_turn():
            was_open, self._open = self._open, False
        if was_open:
            self.engine.dispose()
        return was_open

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._open

    def _must_be_open(self) -> None:
        if not self._open:
            raise LedgerUnusable(f"The ledger {self.name} is closed already. Open it again. [closed]")

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._patience):
            raise LedgerUnusable(
                f"The ledger {self.name} is kept busy by this process's own threads for too long. See "
                "whether its disk still answers. [busy]"
            )
        try:
            yield
        finally:
            self._turn.release()


def _insert(engine: Engine) -> Callable[[Table], Any]:
    """The INSERT of the database's own dialect; the other's is not imported, since that takes long."""
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgresql  # noqa: PLC0415

        return of_postgresql
    from sqlalchemy.dialects.sqlite import insert as of_sqlite  # noqa: PLC0415

    return of_sqlite
