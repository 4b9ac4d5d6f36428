import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rotator.audit.chain import trail_of
from rotator.audit.keys import AuditKey
from rotator.audit.verify import Flaw, verify
from rotator.errors import Fenced, LedgerUnusable
from rotator.ledger.sql import SqlLedger
from rotator.model import Change, Event
from rotator.testing.ledger_samples import HOUR, a_rotation, a_state, an_order
from tests.unit.ledger.lives import judged, lived, opened_at

# --- what is recorded -------------------------------------------------------------------------------------


def test_every_change_is_recorded(ledger: SqlLedger) -> None:
    """Each change is a record of its secret's chain, told to people or not: who did it, what it wrote."""
    lived(ledger)
    records = ledger.chain("one").records
    trails = [trail_of(record) for record in records]
    assert [record.number for record in records] == list(range(1, 9))
    assert [trail["what"] for trail in trails] == ["enrolled", "order-given", *["commit"] * 6]
    assert [trail["by"] for trail in trails[1:]] == ["a person", *["worker"] * 6]
    assert trails[3]["phases"] == {"rotation/rotation-one-1": "issuing"}
    assert trails[2]["docs"]["order/run"] is None
    assert [json.loads(record.event)["kind"] for record in records if record.event] == ["issued", "kept"]
    assert [event.kind for event in ledger.events("one")] == ["kept", "issued"]
    own = [trail_of(record)["what"] for record in ledger.chain("").records]
    assert own == ["began", "remembered", "heads", "heads"]


def test_a_whole_ledger_verifies(path: Path, ledger: SqlLedger) -> None:
    """Nothing is wrong with a ledger that nobody touched, whatever happened in it."""
    last = lived(ledger)
    ledger.close()
    assert judged(path).findings == judged(path, last).findings == ()
    assert (judged(path).chains, judged(path).records) == (3, 16)


def test_nothing_moved_needs_no_anchor(ledger: SqlLedger) -> None:
    """An anchor is drawn when something moved since the last one, and anchors alone move nothing."""
    lived(ledger)
    assert ledger.anchor() is None
    ledger.remember("b", "fact")
    anchor = ledger.anchor()
    assert anchor
    assert ledger.holds(anchor)
    assert not ledger.holds(replace(anchor, head=replace(anchor.head, number=anchor.head.number + 1)))
    assert not ledger.holds(replace(anchor, ledger="00000000"))


def test_what_is_not_written_is_not_recorded(ledger: SqlLedger) -> None:
    """A change that is fenced, refused or needless leaves no record, and the chain goes on after it."""
    ledger.enroll([a_state("one")])
    claim = ledger.claim("one", "worker", HOUR)
    assert claim
    ledger.commit(claim, Change(a_state(), a_rotation()))
    before = ledger.chain("one").records
    with pytest.raises(Fenced):
        ledger.commit(replace(claim, epoch=9), Change(a_state(failures=1)))
    with pytest.raises(LedgerUnusable):
        ledger.commit(claim, Change(a_state(), a_rotation(2)))
    assert ledger.enroll([a_state("one")]) == 0
    assert not ledger.withdraw("one", "pause")
    assert not ledger.forget("nothing")
    assert ledger.chain("one").records == before
    ledger.commit(claim, Change(a_state(failures=1)))
    assert verify(ledger, ledger._ring).findings == ()


def test_writers_at_once_make_one_chain(path: Path) -> None:
    """Processes and threads that write about one secret at once, orders and commits, fork no chain."""
    ledgers = [opened_at(path) for _ in range(3)]
    ledgers[0].enroll([a_state("one")])
    claim = ledgers[0].claim("one", "worker", HOUR)
    assert claim

    def write(number: int) -> None:
        ledger = ledgers[number % 3]
        if number % 2:
            ledger.commit(claim, Change(a_state(failures=number), events=(Event("one", "x", "text"),)))
        else:
            ledger.give("one", an_order(reason=str(number)))
        ledger.remember(f"fact-{number}", "value")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(write, range(48)))
    assert [record.number for record in ledgers[1].chain("one").records] == list(range(1, 50))
    for ledger in ledgers:
        ledger.close()
    assert judged(path).findings == ()


# --- the key ----------------------------------------------------------------------------------------------


def test_the_key_is_beside_the_ledger_and_not_in_it(path: Path, ledger: SqlLedger) -> None:
    """The key is made once, for its owner alone, and no file of the ledger holds it."""
    lived(ledger)
    key = path.with_name("ledger.sqlite.audit-key")
    value = key.read_text().strip()
    assert len(value) == 64
    assert key.stat().st_mode & 0o777 == 0o600
    for file in path.parent.iterdir():
        if file != key:
            assert value.encode() not in file.read_bytes()
            assert bytes.fromhex(value) not in file.read_bytes()
    assert value not in repr(ledger._ring.signing())


def test_a_lost_key_stops_what_writes(path: Path, ledger: SqlLedger) -> None:
    """Without the key nothing is written, and nobody makes another behind people's backs; reading goes on."""
    lived(ledger)
    ledger.close()
    path.with_name("ledger.sqlite.audit-key").unlink()
    opened = opened_at(path)
    assert opened.secret("one") == a_state()
    with pytest.raises(LedgerUnusable, match="Put the file back"):
        opened.enroll([a_state("three")])
    with pytest.raises(LedgerUnusable, match="Put the file back"):
        opened.give("one", an_order())
    assert opened.orders("one") == {}
    opened.close()
    assert judged(path).findings[0].flaw is Flaw.KEY


def test_keys_can_change(path: Path, ledger: SqlLedger) -> None:
    """A new key goes on top of the file, and the old one below it still verifies what it made."""
    last = lived(ledger)
    ledger.close()
    file = path.with_name("ledger.sqlite.audit-key")
    old = file.read_text()
    file.write_text(f"{'ab' * 32}\n{old}")
    opened = opened_at(path)
    opened.give("one", an_order())
    opened.close()
    assert judged(path, last).findings == ()
    file.write_text(f"{'ab' * 32}\n")
    assert {found.flaw for found in judged(path, last).findings} == {Flaw.KEY}


def test_a_worker_with_another_key_writes_nothing(path: Path, ledger: SqlLedger) -> None:
    """Nobody could verify both; it may read. Where the first key is lost for good, a person says so."""
    lived(ledger)
    ledger.close()
    file = path.with_name("ledger.sqlite.audit-key")
    (was,) = (AuditKey(bytes.fromhex(line)) for line in file.read_text().split())
    file.write_text(f"{'ab' * 32}\n")
    opened = opened_at(path)
    assert list(opened.secrets())
    with pytest.raises(LedgerUnusable, match=f"lost {was.id}"):
        opened.give("one", an_order())
    opened.close()
    file.write_text(f"{'ab' * 32}\nlost {was.id}\n")
    opened = opened_at(path)
    opened.give("one", an_order())
    opened.close()


def test_a_named_key_is_used(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ROTATOR_AUDIT_KEY_FILE names the file, made where it is missing; a wrong one is refused."""
    file = tmp_path / "elsewhere"
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_FILE", str(file))
    opened_at(path).close()
    assert file.exists()
    assert not path.with_name("ledger.sqlite.audit-key").exists()
    file.write_text("secret\n")
    opened = opened_at(path)
    with pytest.raises(LedgerUnusable, match="64 hexadecimal digits") as caught:
        opened.enroll([a_state("one")])
    assert "secret\n" not in str(caught.value)
    opened.close()
