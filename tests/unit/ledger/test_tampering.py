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

COVERED = ("secret", "number", "at", "doc", "trail", "key", "mac")


class Victim:
    """A ledger in a file, edited by who knows its tables but not its key, and put back after each edit."""

    def __init__(self, path: Path) -> None:
        self.ledger = opened_at(path)
        self.anchor: Anchor = lived(self.ledger)
        self.ring = audit_keys(f"sqlite:///{path}")
        self.file = sqlite3.connect(path, isolation_level=None)  # a program that is not ours
        self.file.execute("PRAGMA synchronous=OFF")
        self._whole = {table: self.run(f"SELECT * FROM {table}") for table in ("events", "secrets", "meta")}
        self.rows = self.run("SELECT seq, secret, number FROM events ORDER BY seq")

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement."""
        return self.file.execute(statement, values).fetchall()

    def restore(self) -> None:
        """As it was."""
        for table, rows in self._whole.items():
            self.run(f"DELETE FROM {table}")
            self.file.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)

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
    """Whatever record is changed, deleted, doubled, swapped or cut off, also with the heads set to match."""
    victim.restore()
    assert not victim.found()
    seq, secret, number = data.draw(st.sampled_from(victim.rows))
    match data.draw(st.sampled_from(["change", "delete", "double", "swap", "cut"])):
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
        case "cut":
            victim.run("DELETE FROM events WHERE secret = ? AND number >= ?", secret, number)
    if data.draw(st.booleans()):
        victim.set_heads()
    assert victim.found()
