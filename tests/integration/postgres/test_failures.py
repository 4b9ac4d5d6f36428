import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger, sqlstates
from rotator.ledger.login import Login
from rotator.ledger.sql import SqlLedger
from rotator.model import Change, Event
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import a_policy, a_rotation, a_state
from tests.embedded.server import Server
from tests.integration.postgres.wire import Between, Mute

MINUTE = timedelta(minutes=1)


def opened(url: str, patience: float = 10.0, *, create: bool = True) -> SqlLedger:
    """A ledger as a worker opens it."""
    ledger = open_ledger(url, ManualClock(), patience=patience, create=create)
    assert isinstance(ledger, SqlLedger)
    return ledger


def ask(url: str, *statements: str) -> None:
    """Do something as somebody else."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def tables(url: str) -> set[str]:
    """The tables, indexes and counters that a database holds."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return {name for (name,) in found}


def with_user(url: str, user: str) -> str:
    """The same database under another user's name."""
    return url.replace("postgresql://rotator@", f"postgresql://{user}@")


@pytest.fixture
def ledger(own_database: str) -> Iterator[SqlLedger]:
    """A ledger as a worker opens it, on a server of ours."""
    with closing(opened(own_database)) as ledger:
        yield ledger


@pytest.fixture
def stranger(server: Server) -> Iterator[str]:
    """A user who may log in and nothing more, and from whom no password is asked."""
    name = f"stranger_{secrets.token_hex(4)}"
    ask(server.url(), f"CREATE ROLE {name} LOGIN")
    yield name
    ask(server.url(), f"DROP ROLE {name}")


# --- a connection that cannot be made -----------------------------------------------------------------------


def test_nobody_answers() -> None:
    """A server that is not there is told as down, by its name, without the user's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        LedgerUnusable, match=r"postgresql://127\.0\.0\.1/db is not reached.*\[down\]"
    ) as caught:
        opened(f"postgresql://somebody@127.0.0.1:{port}/db")
    assert "somebody" not in str(caught.value)


def test_a_server_without_tls_is_refused() -> None:
    """Where encryption is asked for, a server that has none is refused before it hears who we are."""
    with Mute(b"N") as server, pytest.raises(LedgerUnusable, match=r"\[tls\]"):
        opened(f"postgresql://127.0.0.1:{server.port}/db?sslmode=require")


def test_the_authority_must_be_there(tmp_path: Path) -> None:
    """A server whose certificate cannot be verified is refused, with what to name in the address."""
    missing = f"sslmode=verify-full&sslrootcert={tmp_path}/none.pem"
    with Mute(b"S") as server, pytest.raises(LedgerUnusable, match=r"sslrootcert=PATH.*\[tls\]"):
        opened(f"postgresql://127.0.0.1:{server.port}/db?{missing}")


@pytest.mark.parametrize(
    ("address", "mode"),
    [
        ("postgresql://db.example/rotator", "verify-full"),
        ("postgresql://localhost,db.example/rotator", "verify-full"),
        ("postgresql:///rotator?service=ledger", "verify-full"),
        ("postgresql://db.example/rotator?sslmode=verify-ca", "verify-ca"),
        ("postgresql://localhost/rotator", None),
        ("postgresql://127.0.0.1,[::1]/rotator", None),
    ],
)
def test_certificates_are_verified_unless_the_host_is_local(address: str, mode: str | None) -> None:
    """A server elsewhere must prove who it is, unless the address says otherwise."""
    assert Login(address).settings().get("sslmode") == mode


def test_refused_users(own_database: str, server: Server, stranger: str) -> None:
    """A user who is unknown, has no password or lacks a right is told so, each in its own words."""
    with pytest.raises(LedgerUnusable, match=r"refuses this user.*\[auth\]"):
        opened(with_user(own_database, "nobody_knows"))
    with pytest.raises(LedgerUnusable, match=r"a right.*\[rights\]"):
        opened(with_user(own_database, stranger))
    server.allow(f"local all {stranger} scram-sha-256")
    ask(server.url(), "SELECT pg_reload_conf()")
    for _ in range(100):  # the server reads its rules when it comes to it
        with suppress(LedgerUnusable):
            opened(with_user(own_database, stranger))
        with pytest.raises(LedgerUnusable) as caught:
            opened(with_user(own_database, stranger))
        if "[auth]" in str(caught.value):
            return
    pytest.fail(str(caught.value))


def test_no_such_database(server: Server) -> None:
    """A database that does not exist is not made, and is told."""
    with pytest.raises(LedgerUnusable, match=r"does not exist.*\[database\]"):
        opened(server.url("not_there"))


def test_a_standby_is_refused(own_database: str) -> None:
    """A server that may only be read is not taken, and one that becomes so says so."""
    name = own_database.partition("?")[0].rpartition("/")[2]
    with closing(opened(own_database)) as ledger:
        with ledger._database.engine.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = on")
            connection.commit()
        with pytest.raises(LedgerUnusable, match=r"may only read.*\[read-only\]"):
            ledger.remember("a", "fact")
        assert ledger.fact("a") is None
    ask(own_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(LedgerUnusable, match=r"\[read-only\]"):
        opened(own_database)


def test_nothing_is_made_unasked(own_database: str) -> None:
    """Without ``create`` an empty database stays empty."""
    with pytest.raises(LedgerUnusable, match=r"There is no ledger.*\[missing\]"):
        opened(own_database, create=False)
    assert tables(own_database) == set()


@pytest.mark.parametrize("table", ["meta", "secrets"])
def test_tables_of_another_program_are_left_alone(table: str, own_database: str) -> None:
    """A database that holds tables of another program under our names is refused, and not changed."""
    ask(own_database, f"CREATE TABLE {table} (theirs int)")
    with pytest.raises(LedgerUnusable, match=r"\[foreign\]"):
        opened(own_database)
    assert tables(own_database) == {table}


def test_a_database_that_cannot_hold_every_text(server: Server) -> None:
    """A database of another encoding is refused before anything is made in it."""
    ask(server.url(), "CREATE DATABASE old_letters ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(LedgerUnusable, match=r"\[encoding\]"):
        opened(server.url("old_letters"))
    ask(server.url(), "DROP DATABASE old_letters WITH (FORCE)")


# --- a statement that fails ---------------------------------------------------------------------------------


def test_no_value_in_an_error(ledger: SqlLedger, server: Server) -> None:
    """What the database refuses is told without a value; nor does the server's own log hold a record."""
    ledger.enroll([a_state()])
    claim = ledger.claim("one", "worker", MINUTE)
    assert claim
    ledger.commit(claim, Change(a_state(), a_rotation(1)))
    marked = a_rotation(2, policy=replace(a_policy(), owner="marked-value"))
    with pytest.raises(LedgerUnusable, match=r"second live rotation.*\[rule\]") as caught:
        ledger.commit(claim, Change(a_state(), marked))
    seen: BaseException | None = caught.value
    while seen:
        assert "marked-value" not in str(seen)
        seen = seen.__context__
    assert caught.value.__suppress_context__
    assert "marked-value" not in server.log()


def test_others_that_hold_a_row_are_not_waited_for_for_ever(own_database: str) -> None:
    """A row that somebody else keeps locked is waited for as long as patience lasts, and then told."""
    with closing(opened(own_database, patience=0.3)) as ledger, psycopg.connect(own_database) as other:
        ledger.enroll([a_state()])
        other.execute("SELECT * FROM secrets FOR UPDATE")
        with pytest.raises(LedgerUnusable, match=r"\[busy\]"):
            ledger.claim("one", "worker", MINUTE)
        assert ledger.due(1) == ["one"]
        other.rollback()
        assert ledger.claim("one", "worker", MINUTE)


@pytest.mark.parametrize(
    ("code", "kind"), [("53100", "full"), ("53200", "exhausted"), ("40001", "busy"), ("XX001", "corrupt")]
)
def test_what_the_server_says_is_told(code: str, kind: str, ledger: SqlLedger, own_database: str) -> None:
    """A full disk, a server at its end, a conflict and damage are told apart, and nothing is written."""
    ask(
        own_database,
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'marked-value' USING ERRCODE = '{code}'; END $$",
        "CREATE TRIGGER fail BEFORE INSERT ON facts FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    with pytest.raises(LedgerUnusable, match=rf"\[{kind}\]") as caught:
        ledger.remember("a", "fact")
    assert "marked-value" not in str(caught.value)
    assert ledger.fact("a") is None


def test_every_code_has_its_words() -> None:
    """Each kind has what happened and what to do; a code that is not known is named."""
    assert sqlstates.refused("22000", committing=False)[0].startswith("cannot be used (SQLSTATE 22000)")
    assert sqlstates.refused("57P03", committing=False)[1] == "down"
    assert sqlstates.refused(None, committing=True)[1] == sqlstates.refused("57P01", committing=True)[1]
    assert sqlstates.refused("40P01", committing=True)[1] == "busy"


# --- the outcome of a commit --------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_is_in_doubt(own_database: str, server: Server) -> None:
    """A commit that is done and not answered is told as in doubt; the next look finds it, and goes on."""
    with Between(server.folder) as between:
        url = own_database.replace(str(server.folder), str(between.folder))
        with closing(opened(url)) as ledger:
            ledger.enroll([a_state()])
            claim = ledger.claim("one", "worker", MINUTE)
            assert claim
            change = Change(a_state(failures=1), a_rotation(), events=(Event("one", "x", "x"),))
            between.lose = True
            with pytest.raises(LedgerUnusable, match=r"nobody knows yet which.*\[in-doubt\]"):
                ledger.commit(claim, change)
            between.lose = False
            assert ledger.secret("one") == a_state(failures=1)
            ledger.commit(claim, change)
            assert (ledger.rotation("one"), len(ledger.events())) == (a_rotation(), 2)


def test_a_backend_killed_while_it_commits_is_in_doubt(ledger: SqlLedger, own_database: str) -> None:
    """A commit whose session is ended in its midst is in doubt; what it did not write goes through later."""
    ledger.enroll([a_state()])
    claim = ledger.claim("one", "worker", MINUTE)
    assert claim
    kill = "PERFORM pg_terminate_backend(pg_backend_pid());"
    ask(
        own_database,
        f"CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {kill} RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()",
    )
    change = Change(a_state(failures=1), events=(Event("one", "x", "x"),))
    with pytest.raises(LedgerUnusable, match=r"\[in-doubt\]"):
        ledger.commit(claim, change)
    assert (ledger.secret("one"), ledger.events()) == (a_state(), [])
    ask(own_database, "DROP TRIGGER die ON events")
    ledger.commit(claim, change)
    assert ledger.secret("one") == a_state(failures=1)


# --- a login by a role --------------------------------------------------------------------------------------


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets credentials as a role has them, or takes them away."""

    def become(name: str) -> None:
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(variable, name) if name else monkeypatch.delenv(variable, raising=False)
        for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(variable, "/dev/null")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    return become


def test_a_role_logs_in_with_a_signed_token(role: Callable[[str], None]) -> None:
    """With ``aws_iam`` each connection has a token signed for this user and host, over verified TLS."""
    role("testing")
    login = Login("postgresql://worker@db.example:5433/rotator?aws_iam=eu-west-1&connect_timeout=3")
    settings = login.settings()
    assert settings["password"].startswith("db.example:5433/?Action=connect&DBUser=worker&")
    assert (settings["sslmode"], settings["connect_timeout"]) == ("verify-full", "3")
    assert "aws_iam" not in settings
    assert "X-Amz" not in login.name + repr(login)


def test_a_role_that_is_not_there(role: Callable[[str], None]) -> None:
    """Without credentials a login by a role is refused with what to do, and so is one without a user."""
    role("")
    with pytest.raises(LedgerUnusable, match=r"rds-db:connect.*\[auth\]"):
        opened("postgresql://worker@db.example/rotator?aws_iam=eu-west-1")
    with pytest.raises(LedgerUnusable, match=r"needs user and host.*\[address\]"):
        Login("postgresql://db.example/rotator?aws_iam=eu-west-1")
