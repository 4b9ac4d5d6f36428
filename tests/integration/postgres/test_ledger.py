from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection

from rotator.errors import Fenced, LedgerUnusable
from rotator.interfaces import Ledger
from rotator.ledger import migrations, open_ledger, postgres
from rotator.ledger.schema import METADATA
from rotator.ledger.secrets import DUE
from rotator.ledger.sql import SqlLedger
from rotator.model import Change, Claim, Event, Level
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_rotation, a_state, an_order
from rotator.testing.trail_contract import at_once
from tests.embedded.server import Server

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


Open = Callable[..., SqlLedger]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a ledger as a worker does whose host believes to be in another year."""
    with ExitStack() as all_of_them:

        def opened(url: str, year: int = 1990, patience: float = 10.0) -> SqlLedger:
            ledger = open_ledger(url, ManualClock(datetime(year, 1, 1, tzinfo=UTC)), patience=patience)
            assert isinstance(ledger, SqlLedger)
            all_of_them.callback(ledger.close)
            return ledger

        yield opened


@pytest.fixture
def ledger(database: str, opened: Open) -> SqlLedger:
    """A ledger as a worker opens it."""
    return opened(database)


def ask(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Do something as somebody else; what the last statement answers."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def claimed(ledger: Ledger, secret: str = "one") -> Claim:
    """A claim on a secret, which is enrolled for it."""
    ledger.enroll([a_state(secret)])
    claim = ledger.claim(secret, "worker", MINUTE)
    assert claim
    return claim


# --- whose clock --------------------------------------------------------------------------------------------


def test_workers_go_by_the_databases_clock(database: str, opened: Open) -> None:
    """Two workers whose hosts' clocks are a century apart agree on what is due, held, over and when."""
    past, future = opened(database, 1990), opened(database, 2090)
    past.enroll([a_state()])
    assert past.due(1) == future.due(1) == ["one"]
    claim = past.claim("one", "past", MINUTE)
    assert claim
    assert future.due(1) == []
    assert future.claim("one", "future", MINUTE) is None
    assert past.lock("principal", "past", MINUTE)
    assert not future.lock("principal", "future", MINUTE)
    past.commit(claim, Change(a_state(), events=(Event("one", "x", "x"),)))
    ((now,),) = ask(database, "SELECT clock_timestamp()")
    assert isinstance(now, datetime)
    for time in (past.now(), future.now(), claim.until - MINUTE, past.events()[0].at):
        assert time is not None
        assert abs(time - now) < 30 * SECOND
    past.release(claim, past.now() + HOUR)
    assert future.due(1) == []
    ask(database, "UPDATE secrets SET next_at = next_at - 3600 * 1000000::bigint")
    assert future.due(1) == past.due(1) == ["one"]


def test_time_goes_on_between_two_questions(database: str) -> None:
    """Without asking, the time goes on by seconds that never go back; each transaction sets it right."""
    clock = ManualClock()
    ledger = open_ledger(database, clock)
    before = ledger.now()
    clock.advance(HOUR)
    assert ledger.now() == before + HOUR
    ledger.nudge([])
    assert timedelta(0) <= ledger.now() - before < MINUTE
    ledger.close()
    assert ledger.now() >= before


def test_a_claim_ends_by_the_databases_clock(ledger: SqlLedger, database: str) -> None:
    """A claim whose time is over in the database writes nothing, whatever the worker's own clock says."""
    claim = claimed(ledger)
    ask(database, "UPDATE secrets SET claimed_until = claimed_until - 61 * 1000000::bigint")
    with pytest.raises(Fenced):
        ledger.renew(claim)
    assert ledger.claim("one", "another", MINUTE)


# --- many at once -------------------------------------------------------------------------------------------


def test_a_thousand_claimers_at_once(database: str, opened: Open) -> None:
    """Of a thousand threads over four workers' connections that claim one secret at once, one wins."""
    ledgers = [opened(database, patience=60) for _ in range(4)]
    ledgers[0].enroll([a_state()])
    won = at_once(lambda n: ledgers[n % 4].claim("one", f"worker-{n}", MINUTE), 1000)
    assert sum(claim is not None for claim in won) == 1


def test_slots_over_several_workers(database: str, opened: Open) -> None:
    """Workers that reserve at once never get more slots of an account than there are."""
    ledgers = [opened(database) for _ in range(2)]
    claims = [claimed(ledgers[0], f"secret-{number}") for number in range(20)]
    got = at_once(
        lambda n: ledgers[n % 2].reserve(claims[n], "tests", f"token-{n}", frozenset(), 5), len(claims)
    )
    assert sum(got) == 5


def test_writers_do_not_wait_for_each_other_in_a_circle(database: str, opened: Open) -> None:
    """Writers of every kind, over the same rows in any order, never block each other for good."""
    ledgers = [opened(database) for _ in range(2)]
    names = [f"secret-{number}" for number in range(6)]
    ledgers[0].enroll(a_state(name) for name in names)

    def write(number: int) -> None:
        ledger, mine = ledgers[number % 2], names[number % len(names)]
        order = names[::-1] if number % 3 else names
        for step in range(3):
            ledger.enroll(a_state(f"{name}-{step}") for name in order)
            ledger.give(mine, an_order())
            ledger.nudge(order)
            claim = ledger.claim(mine, str(number), MINUTE)
            if claim is not None:
                ledger.reserve(claim, "tests", f"token-{number}", frozenset(), 100)
                alarms = (Event(mine, "x", "x", Level.ALARM),)
                change = Change(a_state(mine), events=alarms, frees=(f"token-{number}",))
                ledger.commit(claim, change)
                ledger.commit(claim, Change(a_state(mine), orders_done=(an_order(),)))
            ledger.told(event.seq for event in ledger.untold()[:: 1 if number % 2 else -1])
            ledger.withdraw(mine, "run")
            if claim is not None:
                ledger.release(claim, None)

    at_once(write, 24)


def test_what_one_worker_writes_another_reads(database: str, opened: Open) -> None:
    """What a process knows of attempts and slots that are written holds, whoever went on with them since."""
    first, second = opened(database), opened(database)
    old = claimed(first)
    rotation = a_rotation()
    token = rotation.attempt.token
    first.commit(old, Change(a_state(), rotation))
    assert first.reserve(old, "tests", token, frozenset(), 1)
    first.release(old, None)
    new = second.claim("one", "second", MINUTE)
    assert new
    assert second.attempts([token]) == {token: ("one", rotation.id)}
    told = a_rotation(attempt=type(rotation.attempt)(token, 1, "push-1", "key-1"))
    second.commit(new, Change(a_state(), told))
    second.release(new, None)
    again = first.claim("one", "first", MINUTE)
    assert again
    assert first.rotation("one") == told
    first.commit(again, Change(a_state(), told, (a_debt(token=token, key_id="key-1"),)))
    assert first.reserve(again, "tests", "next", frozenset({"key-1"}), 2)
    assert not first.reserve(again, "tests", "last", frozenset({"key-1"}), 2)


# --- the schema ---------------------------------------------------------------------------------------------


def test_tables_are_made_once(database: str, opened: Open) -> None:
    """Workers that make one ledger at once share it: it has one id."""
    ledgers = at_once(lambda _: opened(database), 12)
    assert len({ledger.id for ledger in ledgers}) == 1


def test_upgrades_run_once_and_whole(database: str, opened: Open) -> None:
    """Upgrades of workers that start at once run one time; one that fails leaves nothing behind."""
    opened(database)

    def second(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE facts ADD COLUMN note TEXT")

    def broken(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE missing ADD COLUMN note TEXT")

    def upgraded(*more: migrations.Upgrade) -> None:
        made, _ = postgres.at(database, postgres.DatabaseTime(lambda: 0.0), 10.0, create=False)
        try:
            migrations.ready(made, datetime.now(UTC), create=False, upgrades=(*migrations.UPGRADES, *more))
        finally:
            made.close()

    with pytest.raises(LedgerUnusable):
        upgraded(second, broken)
    at_once(lambda _: upgraded(second), 1)
    with pytest.raises(LedgerUnusable, match="newer"):
        opened(database)


def test_texts_are_compared_by_code_points(ledger: SqlLedger, database: str) -> None:
    """Every text column sorts as SQLite does, whatever language the database is set to."""
    columns = ask(
        database,
        "SELECT table_name, column_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'text'",
    )
    assert len(columns) > 20
    assert {collation for *_, collation in columns} == {"C"}
    ledger.enroll(a_state(name) for name in ("b", "B", "a", "ä", "_"))
    assert [state.id for state, _ in ledger.secrets()] == ["B", "_", "a", "b", "ä"]


def test_due_is_found_by_the_index(ledger: SqlLedger) -> None:
    """What is due is found by the index alone, in the index's order."""
    ledger.enroll(a_state(f"s{number}") for number in range(2000))
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("ANALYZE secrets")
        compiled = DUE.compile(connection)
        given = {name: 3 if name == "most" else 2**62 for name in compiled.params}
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", given).scalars())
    assert "Index Scan using secrets_due" in plan
    assert "Sort" not in plan


def test_no_table_of_ours_is_special() -> None:
    """No index is partial here either: a key-value database could keep them all."""
    for table in METADATA.tables.values():
        for index in table.indexes:
            assert not index.dialect_options["postgresql"]["where"]


# --- the session --------------------------------------------------------------------------------------------


def test_settings_are_ours(database: str, opened: Open) -> None:
    """Whatever the database is set to, a commit is durable, nobody waits for ever, and rows are seen anew."""
    name = database.partition("?")[0].rpartition("/")[2]
    for setting in ("synchronous_commit = off", "default_transaction_isolation = 'serializable'"):
        ask(database, f"ALTER DATABASE {name} SET {setting}")
    ledger = opened(database, patience=7)
    expected = {
        "synchronous_commit": "on",
        "transaction_isolation": "read committed",
        "statement_timeout": "7s",
        "lock_timeout": "7s",
        "idle_in_transaction_session_timeout": "3500ms",
        "application_name": "rotator",
        "client_encoding": "UTF8",
    }
    with ledger._database.writing() as connection:
        found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in expected}
    assert found == expected
    assert ledger._database.engine.hide_parameters


def test_a_frozen_worker_lets_rows_go(database: str, opened: Open) -> None:
    """A worker that stops within a transaction holds nobody up for longer than others wait."""
    frozen, other = opened(database, patience=0.6), opened(database, patience=10)
    other.enroll([a_state()])

    def freeze() -> None:
        with frozen._database.writing() as connection:
            connection.exec_driver_sql("UPDATE secrets SET epoch = 7")
            assert other.claim("one", "other", MINUTE)  # waits until the server has ended the frozen one

    with pytest.raises(LedgerUnusable, match=r"\[(down|in-doubt)\]"):
        freeze()
    assert (other.secret("one"), other.due(1)) == (a_state(), [])


def test_a_restart_between_two_steps_is_not_noticed(own_database: str, server: Server, opened: Open) -> None:
    """After a restart of the database, and after its connections were ended, the next step just goes on."""
    ledger = opened(own_database)
    claim = claimed(ledger)
    ask(
        own_database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rotator'",
    )
    ledger.commit(claim, Change(a_state(failures=1)))
    server.stop("immediate")
    assert ledger.now() > datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(LedgerUnusable, match=r"does not answer.*\[down\]"):
        ledger.renew(claim)
    server.start()
    ledger.commit(claim, Change(a_state(failures=2)))
    assert ledger.secret("one") == a_state(failures=2)
