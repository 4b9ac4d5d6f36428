import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from rotator.audit.chain import trail_of
from rotator.audit.verify import verify
from rotator.errors import LedgerUnusable
from rotator.ledger import audit_keys, migrations, open_ledger, sqlite
from rotator.ledger.instants import instant, moment
from rotator.ledger.schema import METADATA, SECRETS
from rotator.ledger.secrets import DUE
from rotator.model import DebtPhase, Level, Phase, Provenance
from rotator.testing.clock import BEGINNING, ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_state, an_order

HERE = Path(__file__).parent


def golden(folder: Path, version: int = 1) -> Path:
    """A ledger as an earlier schema wrote it."""
    path = folder / f"ledger-{version}.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((HERE / f"schema_{version}.sql").read_text())
    return path


def tables(path: Path) -> dict[str, list[str]]:
    """The columns and indexes of every table of a file."""
    with closing(sqlite3.connect(path)) as file:
        names = [
            row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
        ]
        return {
            name: [str(row) for row in file.execute(f"SELECT * FROM pragma_table_xinfo('{name}')")]
            + [str(row) for row in file.execute(f"SELECT * FROM pragma_index_info('{name}')")]
            for name in names
        }


def test_schema_1_is_read(tmp_path: Path) -> None:
    """Every record of a ledger that the first release wrote is read back, under the ledger's own id."""
    ledger = open_ledger(f"sqlite:///{golden(tmp_path)}", ManualClock(), create=False)
    (one, next_at), (two, _) = ledger.secrets()
    rotation = ledger.rotation("one")
    assert (ledger.id, two, one.failures, one.pushes) == ("0a1b2c3d", a_state("two"), 2, (BEGINNING,))
    assert next_at == BEGINNING
    assert one.current
    assert one.block
    assert (one.current.provenance, one.block.todo) == (Provenance.ADOPTED, "to do")
    assert rotation
    assert (rotation.phase, rotation.grace, rotation.old) == (Phase.STAGED, HOUR, one.current)
    assert rotation.wanted == {"scopes": ["read", 1, None, True]}
    token = rotation.attempt.token
    assert ledger.attempts([token]) == {token: ("one", rotation.id)}
    assert list(ledger.debts()) == [a_debt()]
    assert ledger.debts(ended=True)[1].phase is DebtPhase.DEAD
    assert [event.level for event in ledger.events()] == [Level.ALARM, Level.INFO]
    assert [event.data for event in ledger.untold()] == [{"key_id": "key-2"}]
    assert ledger.orders("one") == {"run": replace(an_order(), grace=HOUR)}
    assert ledger.facts("control/") == {"control/a": "value"}
    assert not ledger.lock("principal", "another", HOUR)
    claim = ledger.claim("one", "worker", HOUR)
    assert claim
    assert claim.epoch == 2
    assert not ledger.reserve(claim, "tests", "new", frozenset({"key-1"}), 2)
    ledger.close()


def test_schema_2_is_read(tmp_path: Path) -> None:
    """What the second schema added is read back: a parent, and the key that a secret holds."""
    ledger = open_ledger(f"sqlite:///{golden(tmp_path, 2)}", ManualClock(), create=False)
    assert [state.id for state in ledger.children("two")] == ["three"]
    assert [state.id for state in ledger.keepers("tests", "key-3")] == ["three"]
    assert [event.kind for event in ledger.events("three")] == ["promoted"]
    ledger.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_ledgers_chains_begin_when_it_is_opened(tmp_path: Path, version: int) -> None:
    """Each secret's chain takes on what was recorded before, says that it began then, and verifies."""
    path = golden(tmp_path, version)
    for _ in "12":
        ledger = open_ledger(f"sqlite:///{path}", ManualClock(), create=False)
        records = {secret: ledger.chain(secret).records for secret in ledger.chains()}
        assert [record.number for record in records["one"]] == [1, 2, 3]
        trail = trail_of(records["one"][-1])
        assert (trail["what"], trail["before"]) == ("began", 2)
        assert {"secret", "rotation/rotation-one-1", "debt/debt-one-1", "order/run"} < set(trail["docs"])
        assert [trail_of(record)["what"] for record in records[""]] == ["began"]
        assert [event.kind for event in ledger.events("one")] == ["blocked", "staged"]
        assert verify(ledger, audit_keys(f"sqlite:///{path}")).findings == ()
        ledger.close()


@pytest.mark.parametrize("version", [1, 2])
def test_an_upgraded_ledger_is_as_a_new_one(tmp_path: Path, version: int) -> None:
    """A ledger of an earlier schema ends up with the same tables as one that is made today."""
    old, new = golden(tmp_path, version), tmp_path / "new.sqlite"
    for path in (old, new):
        open_ledger(f"sqlite:///{path}", ManualClock()).close()
    assert tables(old) == tables(new)


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A ledger that a newer rotator wrote is refused, with what to do, and is left as it is."""
    path = golden(tmp_path)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE meta SET schema_version = 99")
        file.commit()
    with pytest.raises(LedgerUnusable, match="Run the newer rotator"):
        open_ledger(f"sqlite:///{path}", ManualClock())
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT schema_version FROM meta").fetchone() == (99,)


def test_upgrades_run_once_and_whole(tmp_path: Path) -> None:
    """Upgrades run in order, each once; if one fails, none of them has happened."""
    path, done = golden(tmp_path), list[str]()

    def second(connection: Connection) -> None:
        done.append("second")
        connection.exec_driver_sql("ALTER TABLE facts ADD COLUMN note TEXT")

    def broken(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE missing ADD COLUMN note TEXT")

    def third(connection: Connection) -> None:
        done.append("third")
        connection.exec_driver_sql("UPDATE facts SET note = 'third'")

    database, ledger_id = sqlite.in_file(path, BEGINNING, 1.0, create=False)
    known = migrations.UPGRADES
    with pytest.raises(LedgerUnusable):
        migrations.ready(database, BEGINNING, create=False, upgrades=(*known, second, broken))
    for more in ((second,), (second, third), (second, third)):
        assert migrations.ready(database, BEGINNING, create=False, upgrades=(*known, *more)) == ledger_id
    database.close()
    assert done == ["second", "second", "third"]
    with pytest.raises(LedgerUnusable, match="newer"):
        open_ledger(f"sqlite:///{path}", ManualClock())


def test_times_are_exact() -> None:
    """A time is read back to the microsecond, from any year and zone; one without a zone is refused."""
    for at in (BEGINNING, BEGINNING.replace(year=1, microsecond=1), BEGINNING.replace(year=9999)):
        assert moment(instant(at)) == at
    assert moment(None) is None
    with pytest.raises(TypeError):
        instant(BEGINNING.replace(tzinfo=None))


@pytest.mark.parametrize("count", [10, 2_000])
def test_due_is_one_indexed_query(count: int) -> None:
    """What is due is found by the index alone, in the index's order, at the same cost for any number."""
    clock = ManualClock()
    database, _ = sqlite.in_memory(clock.now(), 1.0)
    rows = [
        {
            "id": f"s{n}",
            "policy": "",
            "principal": "",
            "next_at": instant(clock.now() + HOUR * (n - 4)),
            "epoch": 0,
            "ttl": 0,
            "nudges": 0,
            "doc": "{}",
        }
        for n in range(count)
    ]
    values = {"now": instant(clock.now()), "most": 3}
    steps: list[int] = []
    with database.writing() as connection:
        connection.execute(SECRETS.insert(), rows)
    with database.reading() as connection:
        sql = str(DUE.compile(connection))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).all()
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(lambda: steps.append(1), 1)
        assert connection.execute(DUE, values).scalars().all() == ["s0", "s1", "s2"]
        raw.set_progress_handler(None, 1)
    database.close()
    assert [row[3] for row in plan] == ["SEARCH secrets USING INDEX secrets_due (next_at<?)"]
    assert len(steps) < 100


def test_no_table_depends_on_another() -> None:
    """No table refers to another, and no index is partial: a key-value database could keep them all."""
    for table in METADATA.tables.values():
        assert not table.foreign_keys
        for index in table.indexes:
            assert not index.dialect_options["sqlite"]["where"]
