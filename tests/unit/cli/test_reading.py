from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli.drill import Stands
from rotator.cli.drill import look as how_a_drill_stands
from rotator.cli.ordering import look
from rotator.cli.reading import read_all, read_one
from rotator.incident.coverage import Asked, Coverage
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import Change, DebtPhase, DebtReason, Drill, Order, Phase
from rotator.wiring import SystemClock
from tests.unit.cli.records import debt, policy, rotation, state

POLICY = policy()
SECRET = POLICY.target.id


class Busy:
    """A ledger where another worker commits just before one of our reads: it begins what was ordered."""

    def __init__(self, ledger: Ledger, before: int, commit: Callable[[Ledger], None] | None = None) -> None:
        self._ledger = ledger
        self._left = before
        self._commit = commit or begin

    def __getattr__(self, name: str) -> object:
        if name in ("orders", "all_orders", "rotation", "rotations", "secret", "secrets", "debts", "debt"):
            self._left -= 1
            if self._left == 0:
                self._commit(self._ledger)
        return getattr(self._ledger, name)


def begin(ledger: Ledger) -> None:
    """What a worker commits when it takes an order up."""
    claim = ledger.claim(SECRET, "another", timedelta(minutes=1))
    assert claim is not None
    began = replace(rotation(POLICY, Phase.PLANNED), began_at=ledger.now())
    done = tuple(ledger.orders(SECRET).values())
    ledger.commit(claim, Change(state(POLICY), rotation=began, orders_done=done))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """One secret with the order to rotate it."""
    made = open_ledger(f"sqlite:///{tmp_path}/l.db", SystemClock())
    made.enroll([state(POLICY)])
    made.give(SECRET, Order("run", "ann", "leak", made.now()))
    return made


@pytest.mark.parametrize("before", range(1, 5))
@pytest.mark.parametrize("read", [read_one, lambda ledger, secret: read_all(ledger)[secret]])
def test_an_order_that_is_taken_up_meanwhile_is_never_missed(
    ledger: Ledger, read: object, before: int
) -> None:
    """Whoever reads while an order becomes a rotation sees at least one of them."""
    assert callable(read)
    known = read(Busy(ledger, before), SECRET)
    ledger.close()
    assert known.orders or known.rotation


@pytest.mark.parametrize("before", range(1, 5))
def test_run_now_waits_for_a_worker_that_just_began(ledger: Ledger, before: int) -> None:
    """An order that a daemon takes up while run-now looks is at work, not withdrawn."""
    asked = Asked(at=ledger.now(), dead=False)
    found = look(Busy(ledger, before), POLICY, asked)  # type: ignore[arg-type]  # it passes every call on
    ledger.close()
    assert found.state is Coverage.WORKING


@pytest.mark.parametrize("before", range(1, 7))
def test_run_now_waits_for_a_rotation_that_begins_meanwhile(ledger: Ledger, before: int) -> None:
    """Another order is taken up while run-now looks at how its own ended: that is at work, not undone."""
    asked = Asked(at=ledger.now(), dead=False)
    claim = ledger.claim(SECRET, "another", timedelta(minutes=1))
    assert claim is not None
    promoted = replace(rotation(POLICY, Phase.PROMOTED), began_at=ledger.now(), ended_at=ledger.now())
    own = tuple(ledger.orders(SECRET).values())
    ledger.commit(claim, Change(state(POLICY), rotation=promoted, orders_done=own))
    ledger.release(claim, None)

    def begins(behind: Ledger) -> None:
        again = behind.claim(SECRET, "another", timedelta(minutes=1))
        assert again is not None
        began = replace(rotation(POLICY, Phase.PLANNED), id="next", began_at=behind.now())
        behind.commit(again, Change(state(POLICY), rotation=began))

    found = look(Busy(ledger, before, begins), POLICY, asked)  # type: ignore[arg-type]  # as above
    ledger.close()
    assert found.state in (Coverage.WORKING, Coverage.ROTATED)


@pytest.mark.parametrize("before", range(1, 6))
def test_a_drill_that_ends_well_meanwhile_has_not_failed(ledger: Ledger, before: int) -> None:
    """Its key's death and its end are one commit, which may come between two reads of whoever waits."""
    ledger.withdraw(SECRET, "run")
    owed = debt(POLICY, reason=DebtReason.DRILL, phase=DebtPhase.REVOKING)
    drill = Drill(ledger.now(), debt=owed.id)
    dead = replace(owed, phase=DebtPhase.DEAD, ended_at=ledger.now())
    claim = ledger.claim(SECRET, "another", timedelta(minutes=1))
    assert claim is not None
    ledger.commit(claim, Change(state(POLICY, drill=drill), debts=(owed,)))

    def ends(behind: Ledger) -> None:
        behind.commit(claim, Change(state(POLICY, drill=replace(drill, ok=True)), debts=(dead,)))

    found = how_a_drill_stands(Busy(ledger, before, ends), POLICY)  # type: ignore[arg-type]  # as above
    after = how_a_drill_stands(ledger, POLICY)
    ledger.close()
    assert found.state in (Stands.UNDER_WAY, Stands.WELL)
    assert after.state is Stands.WELL


def test_a_secret_at_rest_is_read_with_the_rotation_that_failed(ledger: Ledger) -> None:
    """Where the last rotation failed it is read too, with a whole ledger and with one secret alike;
    an order, or a rotation under way, is what counts then.
    """
    now, claim = ledger.now(), ledger.claim(SECRET, "another", timedelta(minutes=1))
    assert claim is not None
    failed = replace(rotation(POLICY, Phase.FAILED), ended_at=now, why="gone")
    ledger.commit(claim, Change(state(POLICY, failures=1, failed_at=now), rotation=failed))
    first = read_one(ledger, SECRET)
    assert first is not None
    assert first.failed is None
    ledger.withdraw(SECRET, "run")
    assert read_all(ledger)[SECRET].failed == failed
    after = read_one(ledger, SECRET)
    assert after is not None
    assert after.failed == failed
