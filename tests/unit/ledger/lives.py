"""A ledger that lived through steps of every kind, and what a verification says of it."""

from dataclasses import replace
from pathlib import Path

from rotator.audit.verify import Report, verify
from rotator.interfaces import Ledger
from rotator.ledger import audit_keys, open_ledger
from rotator.ledger.sql import SqlLedger
from rotator.model import Anchor, Change, DebtPhase, Event, Phase
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_rotation, a_state, an_order


def opened_at(path: Path) -> SqlLedger:
    """The ledger in a file."""
    opened = open_ledger(f"sqlite:///{path}", ManualClock())
    assert isinstance(opened, SqlLedger)
    return opened


def judged(path: Path, *anchors: Anchor) -> Report:
    """What a verification says of the ledger in a file."""
    opened = opened_at(path)
    try:
        return verify(opened, audit_keys(f"sqlite:///{path}"), anchors)
    finally:
        opened.close()


def lived(ledger: Ledger) -> Anchor:
    """Let two secrets live through steps of every kind; the last anchor."""
    ledger.enroll([a_state("one"), a_state("two")])
    claim = ledger.claim("one", "worker", HOUR)
    assert claim
    ledger.give("one", an_order())
    planned = a_rotation()
    issued = replace(planned, phase=Phase.ISSUED, attempt=replace(planned.attempt, key_id="key-2"))
    told = tuple(Event("one", kind, "text") for kind in ("issued", "kept"))
    ledger.commit(claim, Change(a_state(failures=1), planned, orders_done=(an_order(),)))
    ledger.commit(claim, Change(a_state(failures=2), replace(planned, phase=Phase.ISSUING)))
    ledger.commit(claim, Change(a_state(failures=2), issued, events=told))
    ledger.remember("control/a", "value")
    first = ledger.anchor()
    assert first
    ledger.commit(claim, Change(a_state(), replace(issued, phase=Phase.PROMOTED), (a_debt(),)))
    ledger.commit(claim, Change(a_state(), debts=(replace(a_debt(), phase=DebtPhase.DEAD),)))
    ledger.give("two", an_order("pause"))
    ledger.give("two", an_order())
    ledger.withdraw("two", "pause")
    last = ledger.anchor()
    assert last
    assert last.head.number > first.head.number
    return last
