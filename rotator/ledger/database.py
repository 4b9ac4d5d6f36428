"""A database and its transactions."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, text
from sqlalchemy.exc import SQLAlchemyError

from rotator.errors import LedgerUnusable
from rotator.ledger.failures import translated
from rotator.ledger.rules import closed


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of database does in its own way; ``sqlite.py`` and ``postgres.py`` say why.

    ``begin`` opens a transaction that writes, ``snapshot`` one whose reads all see the same moment; ``end``
    is said before the last connection is let go; within a transaction ``alone`` waits until no other has
    ``:what``, and ``still`` until no other writes records. Empty where nothing need be said.
    """

    insert: Callable[[Table], Any]  # the INSERT that knows ON CONFLICT
    begin: str = ""
    end: str = ""
    alone: str = ""
    snapshot: str = "BEGIN"
    still: str = ""
    in_turn: bool = False  # the writers of one process wait for each other here
    reading: Mapping[str, Any] = field(
        default_factory=dict
    )  # SQLAlchemy's options of a connection that reads


class Database:
    """An engine, and the turn of this process's writers where its kind asks for one.

    ``patience`` is in seconds: how long to wait for other writers. ``shared`` means that all threads use
    one connection (a ledger in memory).
    """

    def __init__(
        self, engine: Engine, kind: Kind, name: str, patience: float, *, shared: bool = False
    ) -> None:
        self.name = name
        self.engine = engine
        self.insert = kind.insert
        self._kind = kind
        self._reader = engine.execution_options(**kind.reading) if kind.reading else engine
        self._alone = text(kind.alone) if kind.alone else None
        self._upserts: dict[str, Insert] = {}
        self._patience = patience
        self._turn = threading.Lock()
        self._shared = shared
        self._open = True

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from; it waits for no writer. Raises LedgerUnusable."""
        with self._my_turn() if self._shared else nullcontext(), translated(self.name):
            self._must_be_open()
            with self._reader.connect() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose reads all see the same moment. Raises LedgerUnusable."""
        with self._my_turn() if self._shared else nullcontext(), translated(self.name):
            self._must_be_open()
            with self.engine.connect() as connection:
                connection.exec_driver_sql(self._kind.snapshot)
                try:
                    yield connection
                finally:
                    connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, committed at the end, or undone on any exception. Raises LedgerUnusable.

        What two of them write to one secret, they write one after the other, if each begins by changing
        the secret's row; what else must not be interrupted asks for :meth:`alone`.
        """
        with self._my_turn() if self._kind.in_turn else nullcontext(), translated(self.name):
            self._must_be_open()
            with self.engine.connect() as connection:
                if self._kind.begin:
                    connection.exec_driver_sql(self._kind.begin)
                yield connection
                with translated(self.name, committing=True):
                    connection.commit()

    def alone(self, connection: Connection, what: str) -> None:
        """Wait until no other transaction is alone with ``what``, and be so until this one ends."""
        if self._alone is not None:
            connection.execute(self._alone, {"what": what})

    def still(self, connection: Connection) -> None:
        """Wait until every record that another transaction wrote is seen, and let none be written."""
        if self._kind.still:
            connection.exec_driver_sql(self._kind.still)

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
            if was_open and self._kind.end:
                with suppress(SQLAlchemyError), self.engine.connect() as connection:
                    connection.exec_driver_sql(self._kind.end).close()
        if was_open:
            self.engine.dispose()
        return was_open

    def _must_be_open(self) -> None:
        if not self._open:
            raise closed(self.name)

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
