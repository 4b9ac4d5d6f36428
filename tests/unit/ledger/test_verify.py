import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rotator import safe_mode
from rotator.audit.verify import TRUSTED, Flaw, verify
from rotator.interfaces import Ledger
from rotator.ledger import audit_keys
from rotator.ledger.rows import FACT
from rotator.ledger.sql import SqlLedger
from rotator.model import Anchor
from rotator.testing.ledger_samples import a_state, an_order
from tests.unit.ledger.lives import judged, lived, opened_at


class Beside:
    """A ledger to which a worker adds a secret, and anchors it, as soon as its chains are listed."""

    def __init__(self, ledger: SqlLedger, worker: SqlLedger) -> None:
        self._ledger = ledger
        self._worker = worker
        self.took_on = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def chains(self) -> Iterator[str]:
        """The chains as they were before."""
        listed = list(self._ledger.chains())
        self.took_on += self._worker.enroll([a_state("three")])
        self._worker.anchor()
        self._worker.close()
        return iter(listed)


def edit(path: Path, *statements: str) -> None:
    """Change the ledger's file as another program would."""
    with closing(sqlite3.connect(path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


RECORD = "UPDATE events SET {} WHERE secret = 'one' AND number = {}"
GONE = "DELETE FROM events WHERE "
COLUMNS = 'secret, at, untold, doc, number, mac, "key", trail'
REST = 'at, untold, doc, number, mac, "key", trail FROM events'
SECRET = "id, policy, principal, epoch, ttl, nudges, doc"
ITS = "policy, principal, epoch, ttl, nudges, doc FROM secrets"
COPY = f"INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM events WHERE {{}}"


@dataclass(frozen=True)
class Edit:
    """What another program does to the ledger's file, and what must be said of it."""

    flaw: Flaw
    secret: str
    number: int | None
    statements: tuple[str, ...]


EDITS = (
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("at = at + 1", 3),)),
    Edit(Flaw.CHANGED, "one", 5, (RECORD.format("doc = ''", 5),)),
    Edit(Flaw.CHANGED, "one", 7, (RECORD.format("trail = trail || ' '", 7),)),
    Edit(Flaw.CHANGED, "one", 2, (RECORD.format("mac = '00'", 2),)),
    Edit(Flaw.KEY, "one", 2, (RECORD.format("\"key\" = 'f'", 2),)),
    Edit(Flaw.CUT, "one", 8, (RECORD.format("secret = 'two', number = 9", 8),)),
    Edit(Flaw.REMOVED, "one", 4, (GONE + "secret = 'one' AND number = 4",)),
    Edit(Flaw.CUT, "one", 7, (GONE + "secret = 'one' AND number > 6",)),
    Edit(Flaw.CUT, "one", 1, (GONE + "secret = 'one'",)),
    Edit(Flaw.CUT, "", 1, (GONE + "secret = ''",)),
    Edit(Flaw.CUT, "", 1, ("DELETE FROM events",)),
    Edit(Flaw.HEAD, "one", 8, ("UPDATE secrets SET number = 7 WHERE id = 'one'",)),
    Edit(
        Flaw.CHANGED,
        "one",
        3,
        (RECORD.format("number = 99", 3), RECORD.format("number = 3", 4), RECORD.format("number = 4", 99)),
    ),
    Edit(
        Flaw.FORKED,
        "one",
        6,
        (
            "DROP INDEX events_of_chain",
            COPY.format("secret = 'one' AND number = 6"),
        ),
    ),
    Edit(Flaw.REORDERED, "one", 4, (RECORD.format("seq = 0", 4),)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE secrets SET doc = replace(doc, '0.0', '0.5') WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE secrets SET principal = 'x' WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "one", None, ("DELETE FROM secrets WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE debts SET doc = replace(doc, 'key-1', 'key-9')",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE debts SET doc = replace(doc, 'issued', 'adopted')",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE debts SET open = 1",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("DELETE FROM debts",)),
    Edit(Flaw.DOCUMENT, "one", 7, ("UPDATE rotations SET live = 'one'",)),
    Edit(Flaw.DOCUMENT, "two", 3, ("DELETE FROM orders",)),
    Edit(Flaw.DOCUMENT, "two", None, ("INSERT INTO attempts VALUES ('t', 'two', 'r', 1, 'k')",)),
    Edit(Flaw.DOCUMENT, "", 2, ("UPDATE facts SET value = 'x'",)),
    Edit(Flaw.DOCUMENT, "", 4, ("UPDATE meta SET anchored = 99",)),
)
# Rows that belong to no secret of the ledger, or to nobody, and rows that hide behind another.
EVENT = f"INSERT INTO events ({COLUMNS}) "
BY_OWNER = (
    "INSERT INTO attempts VALUES ('t', '{}', 'r', 1, 'k')",
    "INSERT INTO debts SELECT 99, 'x', '{}', open, since, doc FROM debts",
    "INSERT INTO rotations SELECT 9, 'x', '{}', NULL, 1, doc FROM rotations",
)
FOREIGN = (
    *(Edit(Flaw.DOCUMENT, of, None, (one.format(of),)) for one in BY_OWNER for of in ("", "*", "ghost")),
    *(
        Edit(Flaw.DOCUMENT, "", None, (f"INSERT INTO orders VALUES ('{of}', 'stop', '{{}}')",))
        for of in ("", "*")
    ),
    Edit(Flaw.CHANGED, "*", 1, (EVENT + f"SELECT '*', {REST} WHERE number = 1 AND secret = 'one'",)),
    Edit(Flaw.KEY, "*", 1, (EVENT + "VALUES ('*', 0, 0, '', 1, '00', '00', '{}')",)),
    Edit(Flaw.CHANGED, "", 5, (EVENT + f"SELECT '', {REST} WHERE number = 5 AND secret = 'one'",)),
    Edit(Flaw.DOCUMENT, "", None, (f"INSERT INTO secrets ({SECRET}) SELECT '', {ITS} WHERE id = 'one'",)),
    Edit(Flaw.HEAD, "*", None, (f"INSERT INTO secrets ({SECRET}) SELECT '*', {ITS} WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "b'one'", None, ("INSERT INTO orders VALUES (CAST('one' AS BLOB), 'run', '{}')",)),
    Edit(
        Flaw.DOCUMENT,
        "one",
        None,
        (
            "CREATE TABLE debts_2 AS SELECT * FROM debts",
            "DROP TABLE debts",
            "ALTER TABLE debts_2 RENAME TO debts",
            "INSERT INTO debts SELECT 99, id, secret, 1, since, doc FROM debts",
        ),
    ),
)
# What no rotator writes: SQLite keeps a value of any type in any column.
TYPES = (
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("at = 9223372036854775807", 3),)),
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("at = 'x'", 3),)),
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("doc = x'00ff'", 3),)),
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("trail = x'00'", 3),)),
    Edit(Flaw.CHANGED, "one", 3, (RECORD.format("mac = x'00'", 3),)),
    Edit(Flaw.KEY, "one", 3, (RECORD.format("\"key\" = x'00'", 3),)),
    Edit(Flaw.CHANGED, "one", 8, (RECORD.format("number = 'x'", 8),)),
    Edit(Flaw.CHANGED, "", 1, ("UPDATE events SET number = -1 WHERE number = 1 AND secret = ''",)),
    Edit(Flaw.HEAD, "", 4, ("UPDATE meta SET mac = x'00'",)),
    Edit(Flaw.HEAD, "one", 8, ("UPDATE secrets SET number = 'x' WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE debts SET doc = x'00'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE debts SET open = 2",)),
    Edit(Flaw.DOCUMENT, "one", 7, ("UPDATE rotations SET doc = '[]'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE secrets SET policy = x'00' WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "one", 8, ("UPDATE secrets SET doc = '{}' WHERE id = 'one'",)),
    Edit(Flaw.DOCUMENT, "", 2, ("UPDATE facts SET value = x'01'",)),
    Edit(Flaw.DOCUMENT, "", 4, ("UPDATE meta SET anchored = 'x'",)),
)


def test_a_secret_that_is_taken_on_meanwhile_is_not_gone(path: Path, ledger: SqlLedger) -> None:
    """A chain that was begun and anchored after the chains were listed is read before it is called gone."""
    lived(ledger)
    beside = Beside(ledger, opened_at(path))
    assert verify(cast(Ledger, beside), audit_keys(f"sqlite:///{path}")).findings == ()
    assert beside.took_on


@pytest.mark.parametrize("edited", EDITS, ids=lambda one: f"{one.flaw}-{one.statements[0][:40]}")
def test_an_edit_is_named(path: Path, ledger: SqlLedger, edited: Edit) -> None:
    """The first bad record is named, and what is wrong with it: also a table that the records contradict."""
    lived(ledger)
    ledger.close()
    edit(path, *edited.statements)
    found = judged(path).findings
    assert (found[0].flaw, found[0].secret, found[0].number) == (edited.flaw, edited.secret, edited.number)


@pytest.mark.parametrize("edited", FOREIGN, ids=lambda one: f"{one.flaw}-{one.statements[-1][:60]}")
def test_every_row_is_looked_at(path: Path, ledger: SqlLedger, edited: Edit) -> None:
    """A row of whatever owner in whatever table, also of nobody's or everybody's, is vouched for or named."""
    test_an_edit_is_named(path, ledger, edited)


@pytest.mark.parametrize("edited", TYPES, ids=lambda one: f"{one.flaw}-{one.statements[0][:60]}")
def test_a_value_that_cannot_be_one_is_named(path: Path, ledger: SqlLedger, edited: Edit) -> None:
    """A value of a type that is never written, or beyond all times, is a finding, and no fault."""
    test_an_edit_is_named(path, ledger, edited)


def cut_well(path: Path, secret: str, last: int) -> None:
    """Cut a chain's tail, and set its head back as one would who knows the tables, but not the key."""
    table, where = ("meta", "one = 1") if secret == "" else ("secrets", f"id = '{secret}'")
    edit(
        path,
        f"DELETE FROM events WHERE secret = '{secret}' AND number > {last}",
        f"UPDATE {table} SET (number, mac) = (SELECT number, mac FROM events WHERE secret = '{secret}' "
        f"AND number = {last}) WHERE {where}",
    )


def test_a_cut_tail_is_found_by_the_ledgers_own_chain(path: Path, ledger: SqlLedger) -> None:
    """A tail that was cut, with its head set back, is missed by the ledger's own chain."""
    lived(ledger)
    ledger.close()
    cut_well(path, "one", 6)
    found = judged(path).findings[0]
    assert (found.flaw, found.secret, found.number) == (Flaw.CUT, "one", 7)


def test_an_old_ledger_is_found_by_the_anchor(tmp_path: Path, path: Path, ledger: SqlLedger) -> None:
    """A ledger that was put back whole verifies in itself; the anchor outside tells which record it lacks."""
    ledger.enroll([a_state("one")])
    old = ledger.anchor()
    ledger.close()
    backup = path.read_bytes()
    again = opened_at(path)
    again.enroll([a_state("two")])
    new = again.anchor()
    again.close()
    assert old
    assert new
    path.write_bytes(backup)
    assert judged(path, old).findings == ()
    found = judged(path, old, new).findings[0]
    assert (found.flaw, found.secret, found.number) == (Flaw.CUT, "", new.head.number)
    opened = opened_at(path)
    assert (opened.holds(old), opened.holds(new)) == (True, False)
    opened.close()


def test_a_ledger_written_anew_with_the_key_is_found_by_the_anchor(path: Path, ledger: SqlLedger) -> None:
    """Who has the key may write every record anew, and the anchor outside tells it."""
    last = lived(ledger)
    ledger.close()
    opened = opened_at(path)
    ledger_id = opened.id
    opened.close()
    path.unlink()
    forged = opened_at(path)
    forged._id = ledger_id
    lived(forged)
    forged.close()
    edit(path, f"UPDATE meta SET ledger_id = '{ledger_id}'")
    found = judged(path, last).findings
    assert found[0].flaw in (Flaw.REWRITTEN, Flaw.CHANGED)


def test_a_ledger_that_was_made_to_begin_anew_is_found(path: Path, ledger: SqlLedger) -> None:
    """Who makes a ledger look as if it had no chains has the next start vouch for edits; it is named."""
    last = lived(ledger)
    ledger.give("one", an_order())
    ledger.close()
    edit(
        path,
        RECORD.format("at = at + 1", 9),
        "UPDATE secrets SET number = 0, mac = ''",
        "UPDATE meta SET number = 0",
    )
    found = judged(path, last).findings[0]
    assert (found.flaw, found.secret, found.number) == (Flaw.REWRITTEN, "", 5)


def test_a_chain_that_is_gone_is_found(path: Path, ledger: SqlLedger) -> None:
    """A secret of which everything was removed is named by the ledger's own chain."""
    lived(ledger)
    ledger.close()
    edit(
        path,
        *(f"DELETE FROM {table} WHERE secret = 'two'" for table in ("events", "orders")),
        "DELETE FROM secrets WHERE id = 'two'",
    )
    found = judged(path).findings[0]
    assert (found.flaw, found.secret, found.number) == (Flaw.CUT, "two", 1)


# --- a cut that a person agreed to ------------------------------------------------------------------------


def restored(path: Path) -> list[Anchor]:
    """A ledger that was put back, to which a person agreed; the anchors of before and since."""
    ledger = opened_at(path)
    ledger.enroll([a_state("zero")])
    ledger.anchor()
    ledger.close()
    old = path.read_bytes()
    ledger = opened_at(path)
    lost = lived(ledger)
    ledger.close()
    path.write_bytes(old)
    ledger = opened_at(path)
    safe_mode.enter(ledger, "it does not hold its anchor")
    safe_mode.leave(ledger)
    ledger.enroll([a_state(f"after-{number}") for number in range(20)])
    ledger.remember("control/a", "value")
    since = ledger.anchor()
    ledger.close()
    assert since is not None
    return [lost, replace(since, at=since.at + timedelta(minutes=10))]


def test_a_cut_that_a_person_agreed_to_is_told_and_is_no_flaw(tmp_path: Path) -> None:
    """With when and by whom, out of the chain itself; anchors since then are compared as ever."""
    path = tmp_path / "ledger.sqlite"
    lost, since = restored(path)
    assert TRUSTED == FACT + safe_mode.TRUSTED
    report = judged(path, lost, since)
    assert report.findings == ()
    assert report.agreed is not None
    assert (report.agreed.anchors, report.agreed.at, bool(report.agreed.by)) == (1, lost.at, True)
    ahead = replace(since, head=replace(since.head, number=since.head.number + 9))
    assert [one.flaw for one in judged(path, lost, ahead).findings] == [Flaw.CUT]
    assert judged(path, since).agreed is None


def test_what_an_agreed_cut_does_not_explain_is_found_all_the_same(tmp_path: Path) -> None:
    """Tampering after it is named, and so is one with the agreement: nobody makes that without the key."""
    path = tmp_path / "ledger.sqlite"
    lost, since = restored(path)
    edit(path, "DELETE FROM facts WHERE key = 'control/a'")
    (found,) = judged(path, lost, since).findings
    assert (found.flaw, "control/a" in found.text) == (Flaw.DOCUMENT, True)


def test_nobody_agrees_to_a_cut_by_hand(tmp_path: Path) -> None:
    """A fact that another program writes is no agreement: the lost records are missed as ever."""
    path = tmp_path / "ledger.sqlite"
    ledger = opened_at(path)
    ledger.enroll([a_state("zero")])
    ledger.close()
    old = path.read_bytes()
    ledger = opened_at(path)
    lost = lived(ledger)
    ledger.close()
    path.write_bytes(old)
    edit(path, f"INSERT INTO facts VALUES ('{safe_mode.TRUSTED}', '2030-01-01T00:00:00+00:00')")
    report = judged(path, lost)
    assert [one.flaw for one in report.findings] == [Flaw.CUT]
    assert report.agreed is None
