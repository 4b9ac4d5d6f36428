import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.audit.verify import verify
from rotator.ledger import audit_keys
from rotator.model import Anchor
from tests.unit.ledger.lives import lived, opened_at

TABLES = ("events", "meta", "secrets", "rotations", "debts", "attempts", "orders", "facts")
OWNED = (*(table for table in TABLES if table not in ("meta", "facts")),)
COVERED = ("secret", "number", "at", "doc", "trail", "key", "mac")


class Victim:
    """A ledger in a file, edited by who knows its tables but not its key, and put back after each edit."""

    def __init__(self, path: Path) -> None:
        self.ledger = opened_at(path)
        self.anchor: Anchor = lived(self.ledger)
        self.ring = audit_keys(f"sqlite:///{path}")
        self.file = sqlite3.connect(path, isolation_level=None)  # a program that is not ours
        self.file.execute("PRAGMA synchronous=OFF")
        self._whole = {table: self.run(f"SELECT * FROM {table}") for table in TABLES}
        self.rows = self.run("SELECT seq, secret, number FROM events ORDER BY seq")

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement."""
        return self.file.execute(statement, values).fetchall()

    def restore(self) -> None:
        """As it was."""
        for table, rows in self._whole.items():
            self.run(f"DELETE FROM {table}")
            for row in rows:
                self.run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)

    def give(self, table: str, owner: str | bytes) -> None:
        """Add a copy of a row of a table, under an owner and keys of its own."""
        columns = [str(row[1]) for row in self.run(f"PRAGMA table_info({table})")]
        row = dict(zip(columns, self._whole[table][0], strict=True))
        row |= {name: new for name, new in (("seq", None), ("live", None), ("token", "new")) if name in row}
        row |= {"secret": owner} if "secret" in row else {"id": owner}
        row |= {"id": "new"} if "id" in row and "secret" in row else {}
        names, places = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        self.run(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())

    def found(self) -> bool:
        """Whether a verification with the anchor finds anything."""
        return bool(verify(self.ledger, self.ring, [self.anchor]).findings)

    def set_heads(self) -> None:
        """Let every row that counts a chain's records agree with the records that are left."""
        for table, secret in (("secrets", "secrets.id"), ("meta", "''")):
            last = f"SELECT {{}} FROM events WHERE secret = {secret} ORDER BY number DESC LIMIT 1"
            number, mac = last.format("number"), last.format("mac")
            self.run(f"UPDATE {table} SET number = coalesce(({number}), 0), mac = coalesce(({mac}), '')")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """The one that all edits are tried on."""
    made = Victim(tmp_path_factory.mktemp("victim") / "ledger.sqlite")
    made.run("DROP INDEX events_of_chain")  # it would refuse some of the edits by itself
    yield made
    made.file.close()
    made.ledger.close()


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_single_edit_of_a_record_is_found(victim: Victim, data: st.DataObject) -> None:
    """Whatever record is changed, deleted, doubled, swapped or cut off, also with the heads set to match,
    and whatever row is inserted, whoever it is said to belong to.
    """
    victim.restore()
    assert not victim.found()
    seq, secret, number = data.draw(st.sampled_from(victim.rows))
    match data.draw(st.sampled_from(["change", "delete", "double", "swap", "cut", "insert"])):
        case "change":
            column = data.draw(st.sampled_from(COVERED))
            (old,) = victim.run(f'SELECT "{column}" FROM events WHERE seq = ?', seq)[0]
            new = st.integers(-1, 2**40) if column in ("number", "at") else st.text(max_size=9)
            other = data.draw(new.filter(lambda value: value != old))
            victim.run(f'UPDATE events SET "{column}" = ? WHERE seq = ?', other, seq)
        case "delete":
            victim.run("DELETE FROM events WHERE seq = ?", seq)
        case "double":
            columns = ", ".join(f'"{column}"' for column in COVERED)
            victim.run(
                f"INSERT INTO events (untold, {columns}) SELECT 0, {columns} FROM events WHERE seq = ?", seq
            )
        case "swap":
            others = [row for row in victim.rows if row[0] != seq]
            other_seq, other_secret, other_number = data.draw(st.sampled_from(others))
            place = "UPDATE events SET secret = ?, number = ? WHERE seq = ?"
            victim.run(place, secret, number, other_seq)
            victim.run(place, other_secret, other_number, seq)
        case "insert":
            owner = st.sampled_from(["*", "", "nobody"]) | st.text(max_size=3) | st.binary(max_size=3)
            victim.give(data.draw(st.sampled_from(OWNED)), data.draw(owner))
        case "cut":
            victim.run("DELETE FROM events WHERE secret = ? AND number >= ?", secret, number)
    if data.draw(st.booleans()):
        victim.set_heads()
    assert victim.found()
