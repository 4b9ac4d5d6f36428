import logging
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.anchoring import Anchoring
from rotator import safe_mode
from rotator.audit import anchors
from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock
from tests.unit.jobs.test_passes import Heard


def test_an_anchor_is_given_outside_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every ten minutes, if anything moved: to the log and the file; to people's side once an hour."""
    clock, heard, path = ManualClock(), Heard(), tmp_path / "anchors"
    ledger = open_ledger("sqlite://", clock)
    anchoring = Anchoring(ledger, path, heard, clock)
    caplog.set_level(logging.INFO, "jobs.anchoring")
    for minute in range(121):
        if minute not in range(31, 49):
            ledger.remember(f"minute {minute}", "fact")
        anchoring.when_due()
        clock.advance(timedelta(minutes=1))
    drawn = list(anchors.read(path, ledger.id))
    assert len(drawn) == 12
    assert all(ledger.holds(anchor) for anchor in drawn)
    assert [anchors.parsed(record.getMessage()) for record in caplog.records] == drawn
    assert [anchors.parsed(line) for line in heard.vouched] == [drawn[0], drawn[5], drawn[11]]


def test_what_goes_wrong_stops_no_pass(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file or a ledger that cannot be written is told in the log, and no exception comes of it."""
    clock, heard = ManualClock(), Heard()
    ledger = open_ledger("sqlite://", clock)
    (tmp_path / "a file").touch()
    anchoring = Anchoring(ledger, tmp_path / "a file" / "anchors", heard, clock)
    anchoring.draw()
    assert len(heard.vouched) == 1
    assert "cannot be written" in caplog.text
    ledger.close()
    with pytest.raises(LedgerUnusable):
        ledger.anchor()
    anchoring.draw()
    assert "could not be anchored" in caplog.text


def test_a_ledger_that_was_put_back_is_not_trusted(tmp_path: Path) -> None:
    """What was given outside since is not in it: nothing is revoked until a person agrees, who is told."""
    clock, heard, file = ManualClock(), Heard(), tmp_path / "ledger.sqlite"
    ledger = open_ledger(f"sqlite:///{file}", clock)
    ledger.remember("one", "fact")
    ledger.close()
    backup = file.read_bytes()
    for restored in (False, True):
        if restored:
            file.write_bytes(backup)
        ledger = open_ledger(f"sqlite:///{file}", clock)
        anchoring = Anchoring(ledger, tmp_path / "anchors", heard, clock)
        anchoring.first()
        assert (safe_mode.current(ledger) is not None) is restored
        assert (safe_mode.untold(ledger) is not None) is restored
        ledger.remember(f"two {restored}", "fact")
        anchoring.draw()
        clock.advance(timedelta(minutes=1))
        safe_mode.leave(ledger)
        Anchoring(ledger, tmp_path / "anchors", heard, clock).first()
        assert safe_mode.current(ledger) is None
        ledger.close()
