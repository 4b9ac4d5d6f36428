"""Statements as SQLite runs them: written with SQLAlchemy, rendered once, and run by the driver itself.

SQLAlchemy's own way from a rendered statement to its rows takes several times as long as SQLite does.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Delete, Insert, Select, Update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

Statement: TypeAlias = Select[Any] | Insert | Update | Delete
Values: TypeAlias = Mapping[str, Any]
Given: TypeAlias = Values | Sequence[Values] | None

_DIALECT = SQLiteDialect_pysqlite(paramstyle="named")


class Found:
    """What a statement found: its rows, or how many rows it changed."""

    __slots__ = ("_names", "_rows", "rowcount")

    def __init__(self, cursor: sqlite3.Cursor, names: Callable[[Any], Any]) -> None:
        self._names = names
        self._rows: list[tuple[Any, ...]] = [] if cursor.description is None else cursor.fetchall()
        self.rowcount = cursor.rowcount

    def scalar(self) -> Any:
        """The first column of the first row; None where there is no row."""
        return self._rows[0][0] if self._rows else None

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._rows]

    def all(self) -> list[Any]:
        """Every row, its columns by name."""
        return [self._names(row) for row in self._rows]

    def one_or_none(self) -> Any:
        """The one row; None where there is none."""
        assert len(self._rows) <= 1, "what is looked up by its key is there once"
        return self._names(self._rows[0]) if self._rows else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A statement's text, the values that stand in it, and what makes a row with names of a tuple."""

    text: str
    constants: Values
    names: Callable[[Any], Any]

    def given(self, values: Values) -> Values:
        """All values of the statement."""
        return {**self.constants, **values} if self.constants else values


_known: WeakKeyDictionary[Statement, dict[tuple[str, ...], _Rendered]] = WeakKeyDictionary()


def _rendered(statement: Statement, values: Values) -> _Rendered:
    """The statement as SQLite takes it, rendered at its first use; an INSERT for each choice of columns."""
    columns = tuple(values) if isinstance(statement, Insert) else ()
    forms = _known.get(statement)
    if forms is None:
        forms = _known[statement] = {}
    if columns not in forms:
        forms[columns] = _render(statement, columns)
    return forms[columns]


def _render(statement: Statement, columns: tuple[str, ...]) -> _Rendered:
    plain = statement.inline() if isinstance(statement, Insert) else statement
    compiled = plain.compile(
        dialect=_DIALECT, column_keys=columns or None, compile_kwargs={"render_postcompile": True}
    )
    required = {name for name, bind in compiled.binds.items() if bind.required}
    constants = {name: value for name, value in compiled.params.items() if name not in required | {*columns}}
    returned = [column.name for column in compiled.statement.exported_columns]  # type: ignore[union-attr]
    return _Rendered(compiled.string, constants, _row_of(returned) if returned else tuple)


def _row_of(columns: list[str]) -> Callable[[Any], Any]:
    """What makes a row whose columns have names; its type is known when it runs, not before."""
    named: Any = namedtuple("Row", columns)  # type: ignore[misc]  # noqa: PYI024
    make: Callable[[Any], Any] = named._make
    return make


class Session:
    """A connection while a caller has it."""

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def execute(self, statement: Statement, values: Given = None) -> Found:
        """Run a statement, with values for its parameters; once for each where there is a list of them."""
        if isinstance(values, Mapping) or values is None:
            rendered = _rendered(statement, values or {})
            cursor = self.connection.execute(rendered.text, rendered.given(values or {}))
        else:
            rendered = _rendered(statement, values[0])
            cursor = self.connection.executemany(rendered.text, [rendered.given(row) for row in values])
        return Found(cursor, rendered.names)

    def exec_driver_sql(self, text: str, values: Sequence[Any] | Values = ()) -> Found:
        """Run SQL that is SQLite's alone."""
        return Found(self.connection.execute(text, values), tuple)


class Connections:
    """Connections that are kept open: taken by one caller at a time, made where none is left.

    ``shared`` is the one connection of a ledger in memory.
    """

    def __init__(
        self, make: Callable[[], sqlite3.Connection], most: int, shared: sqlite3.Connection | None = None
    ) -> None:
        self._make = make
        self._most = most
        self._shared = shared
        self._free: list[sqlite3.Connection] = []
        self._open = True

    def take(self) -> sqlite3.Connection:
        """A connection that nobody else uses; the one given back last, whose cache is warm."""
        if self._shared is not None:
            return self._shared
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def give(self, connection: sqlite3.Connection) -> None:
        """Give a connection back, outside any transaction."""
        if self._shared is not None:
            return
        self._free.append(connection)
        if not self._open or len(self._free) > self._most:
            self._close_free()

    def close(self) -> None:
        """Close what is not taken now; what is taken is closed when it is given back."""
        self._open = False
        self._close_free()
        if self._shared is not None:
            self._shared.close()

    def _close_free(self) -> None:
        keep = self._most if self._open else 0
        while len(self._free) > keep:
            try:
                self._free.pop(0).close()
            except IndexError:  # another thread took the last
                return
