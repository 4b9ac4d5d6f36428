import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger, sqlite
from rotator.ledger.sql import SqlLedger
from rotator.model import Change, Event
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import a_policy, a_rotation, a_state

MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    """A ledger in a file."""
    opened = reopen(path)
    yield opened
    opened.close()


def reopen(path: Path, patience: float = 0.05) -> SqlLedger:
    """The ledger in a file, opened once more."""
    opened = open_ledger(f"sqlite:///{path}", ManualClock(), patience=patience)
    assert isinstance(opened, SqlLedger)
    return opened


def test_foreign_database(path: Path) -> None:
    """A database of another program is refused, and not one byte of it changes."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="another program"):
        reopen(path)
    assert path.read_bytes() == before


def test_not_a_database(path: Path) -> None:
    """A file that is no database is refused, and not one byte of it changes."""
    path.write_text("policies:\n" * 100)
    with pytest.raises(LedgerUnusable, match="no SQLite file"):
        reopen(path)
    assert path.read_text() == "policies:\n" * 100


def test_old_sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite too old for the statements is refused before a file is made."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(LedgerUnusable, match=r"3\.35 or later"):
        reopen(path)
    assert not path.exists()


def test_durable_settings(path: Path, ledger: SqlLedger) -> None:
    """Every connection writes through to the disk at each commit, and overwrites what is deleted."""
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "application_id": sqlite.APPLICATION_ID,
        "busy_timeout": 50,
    }
    engine = ledger._database.engine
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in expected}
            assert found == expected
    assert engine.hide_parameters


def damage(path: Path) -> None:
    """Overwrite everything but the first page, which holds the header."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def test_damage_is_seen_when_opened(path: Path, ledger: SqlLedger) -> None:
    """A damaged ledger is refused when it is opened, with what to do."""
    ledger.enroll([a_state()])
    ledger.close()
    damage(path)
    with pytest.raises(LedgerUnusable, match="restore the last backup"):
        reopen(path)


def test_damage_of_a_large_ledger(path: Path, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger too large to be checked whole each time is refused where the damage is met."""
    ledger.enroll([a_state()])
    ledger.close()
    monkeypatch.setattr(sqlite, "SMALL", 0)
    reopen(path).close()
    damage(path)
    with pytest.raises(LedgerUnusable, match="restore the last backup"):
        reopen(path)


def test_a_large_ledger_is_checked_whole_once_a_day(
    path: Path, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens it first in a day hears of damage that nothing else would meet; others do not wait."""
    monkeypatch.setattr(sqlite, "SMALL", 0)
    ledger.close()
    reopen(path).close()
    hide_rows(path)
    reopen(path).close()
    mark = path.with_name(f"{path.name}.checked")
    os.utime(mark, (0, 0))
    for _ in "12":  # that it was looked at is noted only where it is whole
        with pytest.raises(LedgerUnusable, match="restore the last backup"):
            reopen(path)


def test_an_index_that_leads_to_nothing_is_damage(path: Path, ledger: SqlLedger) -> None:
    """Debts that a query would not find are no debts for who asks: such a ledger is refused."""
    ledger.close()
    hide_rows(path)
    with pytest.raises(LedgerUnusable, match="restore the last backup"):
        reopen(path)


def hide_rows(path: Path) -> None:
    """Add a debt of which no index of its time and state knows: every page is in order by itself."""
    index = "name = 'debts_open'"
    with closing(sqlite3.connect(path)) as file:
        kept = file.execute(f"SELECT * FROM sqlite_master WHERE {index}").fetchone()
        file.execute("PRAGMA writable_schema=ON")
        file.execute(f"DELETE FROM sqlite_master WHERE {index}")
        file.commit()
    with closing(sqlite3.connect(path)) as file:
        file.execute("INSERT INTO debts (id, secret, open, since, doc) VALUES ('d', 'one', 1, 0, '{}')")
        file.execute("PRAGMA writable_schema=ON")
        file.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", kept)
        file.commit()


def test_busy(path: Path, ledger: SqlLedger) -> None:
    """Another process that keeps writing is waited for, but not for ever; readers do not wait at all."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnusable, match="busy"):
            ledger.enroll([a_state()])
        assert ledger.due(1) == []
        other.execute("ROLLBACK")
    assert ledger.enroll([a_state()]) == 1


def test_a_writer_is_alone_from_its_beginning(path: Path, ledger: SqlLedger) -> None:
    """A writing transaction keeps other processes' writers out before it reads, not from its first write."""
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other,
        ledger._database.writing(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_full_disk(ledger: SqlLedger) -> None:
    """When the disk is full a commit writes nothing, says so, and goes through once there is space again."""
    ledger.enroll([a_state()])
    claim = ledger.claim("one", "worker", MINUTE)
    assert claim
    with ledger._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").close()
    big = Change(a_state(failures=1), events=(Event("one", "x", "x" * 100_000),))
    with pytest.raises(LedgerUnusable, match="full"):
        ledger.commit(claim, big)
    assert ledger.secret("one") == a_state()
    with ledger._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000").close()
    ledger.commit(claim, big)
    assert ledger.secret("one") == a_state(failures=1)


def test_lost_volume(path: Path, ledger: SqlLedger) -> None:
    """A ledger that becomes read-only while it is used says so."""
    with ledger._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON").close()
    with pytest.raises(LedgerUnusable, match="read-only"):
        ledger.remember("a", "fact")
    assert ledger.fact("a") is None


def test_no_value_in_an_error(ledger: SqlLedger) -> None:
    """What the database refuses is told without any value of the statement."""
    ledger.enroll([a_state()])
    claim = ledger.claim("one", "worker", MINUTE)
    assert claim
    ledger.commit(claim, Change(a_state(), a_rotation(1)))
    marked = a_rotation(2, policy=replace(a_policy(), owner="marked-value"))
    with pytest.raises(LedgerUnusable, match="second live rotation") as caught:
        ledger.commit(claim, Change(a_state(), marked))
    seen: BaseException | None = caught.value
    while seen:
        assert "marked-value" not in str(seen)
        seen = seen.__context__
    assert caught.value.__suppress_context__


def test_a_change_concerns_the_claimed_secret(ledger: SqlLedger) -> None:
    """A commit for another secret than the claim's is refused, and nothing is written."""
    ledger.enroll([a_state("one"), a_state("two")])
    claim = ledger.claim("one", "worker", MINUTE)
    assert claim
    with pytest.raises(AssertionError, match="no other"):
        ledger.commit(claim, Change(a_state("two")))
    with pytest.raises(AssertionError, match="no other"):
        ledger.commit(claim, Change(a_state("one"), a_rotation(1, "two")))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE facts SET value = CAST(x'ff' AS TEXT)",
        "ALTER TABLE facts RENAME COLUMN value TO valve",
    ],
)
def test_damage_is_called_damage(path: Path, ledger: SqlLedger, damage: str) -> None:
    """A text or a table that is not as it was written is told as that, with its remedy."""
    ledger.remember("made", '{"at": "2026"}')
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(damage)
    with pytest.raises(LedgerUnusable, match=r"restore (the|its) last backup.*\[(corrupt|record)\]"):
        ledger.fact("made")
