from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.incident.coverage import Asked, Coverage, outcome
from rotator.model import Back, Block, Debt, DebtPhase, DebtReason, Order, Phase, Provenance, Rotation
from rotator.people import Known, ProviderBlock
from tests.unit.cli.records import NOW, debt, known, policy, rotation

POLICY = policy()
BEFORE = NOW - timedelta(minutes=2)
RUN = {"run": Order("run", "ann", "leak", BEFORE)}
BLOCK = Block("k", "reason", "todo", NOW)
PROMOTED = rotation(POLICY, Phase.PROMOTED, ended_at=NOW)
FAILED = rotation(POLICY, Phase.FAILED, ended_at=NOW, error="not-verified")
OLD = rotation(POLICY, Phase.PROMOTED, ended_at=BEFORE - timedelta(days=1))
DEAD = debt(POLICY, phase=DebtPhase.DEAD, ended_at=NOW)
UNKNOWN = debt(POLICY, provenance=Provenance.UNKNOWN, key_id=None)
TIRED = known(POLICY, failures=4, failed_at=NOW)


@pytest.mark.parametrize(
    ("given", "last", "debts", "expected"),
    [
        (replace(known(POLICY), orders=RUN), OLD, [], Coverage.WORKING),
        (replace(known(POLICY), rotation=rotation(POLICY, Phase.STAGED)), OLD, [], Coverage.WORKING),
        (known(POLICY), PROMOTED, [debt(POLICY)], Coverage.ROTATED),
        (known(POLICY), PROMOTED, [], Coverage.ROTATED),
        (known(POLICY), PROMOTED, [UNKNOWN], Coverage.WAITING),
        (known(POLICY), PROMOTED, [debt(POLICY, block=BLOCK)], Coverage.WAITING),
        (known(POLICY), FAILED, [], Coverage.FAILED),
        (known(POLICY, block=BLOCK), OLD, [], Coverage.WAITING),
        (known(POLICY), OLD, [], Coverage.UNCOVERED),
        (known(POLICY), None, [], Coverage.UNCOVERED),
        (replace(TIRED, orders=RUN), OLD, [], Coverage.UNCOVERED),
    ],
    ids=[
        "queued",
        "under-way",
        "grace-began",
        "no-old-key",
        "unadopted",
        "old-key-blocked",
        "failed",
        "blocked",
        "withdrawn",
        "never-began",
        "held-back",
    ],
)
def test_an_order_is_covered_once_its_grace_has_begun(
    given: Known, last: Rotation | None, debts: Sequence[Debt], expected: Coverage
) -> None:
    """A new key in service covers an order, unless nobody may revoke the old one."""
    found = outcome(POLICY, given, [last] if last else [], debts, asked=Asked(BEFORE, dead=False), now=NOW)
    assert found.state is expected
    assert found.why


def test_without_grace_an_order_is_covered_by_a_proof() -> None:
    """With --revoke-now an order is covered only once the old key is proven dead."""
    asked = Asked(BEFORE, dead=True)
    going = outcome(POLICY, known(POLICY), [PROMOTED], [debt(POLICY)], asked=asked, now=NOW)
    done = outcome(POLICY, known(POLICY), [PROMOTED], [DEAD], asked=asked, now=NOW)
    assert (going.state, done.state) == (Coverage.WORKING, Coverage.ROTATED)
    assert "proven dead" in done.why


def test_a_declared_death_is_not_called_proven() -> None:
    """A key that a person settled is said to be declared dead."""
    settled = replace(DEAD, phase=DebtPhase.SETTLED)
    asked = Asked(BEFORE, dead=True)
    assert "not proven" in outcome(POLICY, known(POLICY), [PROMOTED], [settled], asked=asked, now=NOW).why


def test_a_secret_that_was_rolled_back_is_not_covered() -> None:
    """The key before is in service again, whatever was rotated in between."""
    back = replace(PROMOTED, back=Back("debt1", "ann", timedelta(days=1)))
    found = outcome(POLICY, known(POLICY), [back], [], asked=Asked(BEFORE, dead=False), now=NOW)
    assert (found.state, found.key_id) == (Coverage.UNCOVERED, None)
    assert "run-now orders" in found.why


def test_a_rollback_that_came_to_nothing_is_no_part_of_an_order() -> None:
    """The key that was coming back leaked and is dead: the newer one serves on, and nothing is rotated."""
    ended = replace(FAILED, back=Back("debt1", "ann", timedelta(days=1)))
    leaked = replace(DEAD, reason=DebtReason.LEAKED, version="v0")
    asked = Asked(BEFORE, dead=True, leaked=("v0",))
    found = outcome(POLICY, known(POLICY), [ended, OLD], [leaked], asked=asked, now=NOW)
    assert (found.state, found.why) == (Coverage.ROTATED, "old key key-0 proven dead")


def test_a_leaked_key_of_another_order_covers_nothing() -> None:
    """Only where the key that this order is about serves no more there is nothing to rotate."""
    leaked = debt(POLICY, reason=DebtReason.LEAKED, version="v0")
    given = (POLICY, known(POLICY), [OLD], [leaked])
    assert outcome(*given, asked=Asked(BEFORE, dead=False), now=NOW).state is Coverage.UNCOVERED
    serving = Asked(BEFORE, dead=False, leaked=("v1",))
    assert outcome(*given, asked=serving, now=NOW).state is Coverage.UNCOVERED
    about = Asked(BEFORE, dead=False, leaked=("v0",))
    assert outcome(*given, asked=about, now=NOW).state is Coverage.ROTATED


def test_a_leaked_key_that_was_given_up_is_covered_once_it_is_dead() -> None:
    """It never came into service, so nothing is rotated for it; its own death is what counts."""
    spent = debt(POLICY, reason=DebtReason.ABANDONED, version="v0", urgent=True)
    about = Asked(BEFORE, dead=True, leaked=("v0",))
    going = outcome(POLICY, known(POLICY), [OLD], [spent], asked=about, now=NOW)
    dead = replace(spent, phase=DebtPhase.DEAD, ended_at=NOW)
    done = outcome(POLICY, known(POLICY), [OLD], [dead], asked=about, now=NOW)
    assert (going.state, done.state) == (Coverage.WORKING, Coverage.ROTATED)
    assert "proven dead" in done.why
    later = outcome(POLICY, known(POLICY), [OLD], [replace(spent, grace=timedelta(1))], asked=about, now=NOW)
    assert later.state is Coverage.UNCOVERED


def told(given: Known, last: Rotation | None, *debts: Debt, dead: bool = True) -> str:
    """What is said of an order."""
    return outcome(POLICY, given, [last] if last else [], debts, asked=Asked(BEFORE, dead=dead), now=NOW).why


def test_what_an_order_met_is_said_in_words() -> None:
    """While it is tried again, where an old key will not die, and where it failed, with what to do."""
    met: dict[str, Any] = {"error": "http-503", "why": "the server answered 503."}
    going = replace(known(POLICY), rotation=rotation(POLICY, Phase.PLANNED, **met))
    assert told(going, OLD) == "planned, looking again: the server answered 503"
    lives = debt(POLICY, why="the server answered 500.", not_before=NOW)
    assert told(known(POLICY), PROMOTED, lives).endswith(
        "revoking key-0, looking again: the server answered 500"
    )
    failed = replace(FAILED, **met, todo="rotator run-now orders")
    said = told(known(POLICY), failed)
    assert said == "the old key stays: the server answered 503. To do: rotator run-now orders"


def test_a_dead_key_in_service_is_said_first() -> None:
    """Proven dead, or only refused since: whatever else there is to say of the order."""
    current = known(POLICY).state.current
    assert current is not None
    out = replace(
        known(POLICY, current=replace(current, contained=True)), rotation=rotation(POLICY, Phase.STAGED)
    )
    assert told(out, OLD) == "the old key is dead, and no other is in service: verifying"
    refused = debt(POLICY, key_id=current.key_id, contain=True, refused_at=NOW)
    assert told(known(POLICY, block=BLOCK, debts=(refused,)), OLD).startswith("the old key is dead")


def test_what_was_not_begun_says_what_holds_its_provider() -> None:
    """A report that is made later says why, as the command did."""
    pause = ProviderBlock("p", "build", "provider-fails", "it fails there (http-503).", "see to it", "")
    assert "it fails there (http-503)" in told(replace(known(POLICY), provider_pause=pause), OLD)
    assert "the same command" in told(known(POLICY), OLD)


def test_a_covered_order_is_not_judged_by_what_came_later() -> None:
    """Later keys, orders and blocks are none of it; a rollback to a key that had to die undoes it."""
    later = NOW + timedelta(hours=1)
    asked = Asked(BEFORE, dead=True, covered_at=NOW)
    busy = known(POLICY, block=BLOCK)
    busy = replace(busy, rotation=rotation(POLICY, Phase.STAGED), orders=RUN)
    after = replace(PROMOTED, id="rotation2", ended_at=later)
    owed = debt(POLICY, id="debt2", since=later, served=NOW, key_id="key-1")
    found = outcome(POLICY, busy, [after, PROMOTED], [DEAD, owed], asked=asked, now=later)
    assert (found.state, found.key_id) == (Coverage.ROTATED, PROMOTED.attempt.key_id)
    assert found.why == "old key key-0 proven dead"
    back = replace(after, back=Back("debt1", "ann", timedelta(days=1)))
    void = replace(DEAD, phase=DebtPhase.VOID)
    undone = outcome(POLICY, known(POLICY), [back, PROMOTED], [void, owed], asked=asked, now=later)
    assert undone.state is Coverage.UNCOVERED
    assert "rolled back" in undone.why


def test_the_keys_of_other_orders_need_not_die() -> None:
    """What was issued since an order was given, and replaced again, is no key that it ends."""
    lives = debt(POLICY, since=NOW, issued_at=NOW, served=NOW, grace=timedelta(days=1))
    asked = Asked(BEFORE, dead=True)
    assert outcome(POLICY, known(POLICY), [PROMOTED], [DEAD, lives], asked=asked, now=NOW).ended
    older = replace(lives, issued_at=BEFORE - timedelta(minutes=1))
    assert not outcome(POLICY, known(POLICY), [PROMOTED], [DEAD, older], asked=asked, now=NOW).ended


def test_a_young_key_covers_an_order_about_older_ones() -> None:
    """Where the key in service stays there is no rotation to wait for: the older one has to be dead."""
    asked = Asked(BEFORE, dead=True, issued_before=BEFORE - timedelta(hours=1))
    young = known(POLICY, rotated_at=BEFORE - timedelta(minutes=30))
    assert outcome(POLICY, young, [OLD], [DEAD], asked=asked, now=NOW).state is Coverage.ROTATED
    old = known(POLICY, rotated_at=BEFORE - timedelta(hours=2))
    assert outcome(POLICY, old, [OLD], [DEAD], asked=asked, now=NOW).state is Coverage.UNCOVERED


def test_an_older_key_that_came_into_service_since_covers_nothing() -> None:
    """It was on its way when the order was given, and is older than what may stay."""
    asked = Asked(BEFORE, dead=True, issued_before=BEFORE)
    old = known(POLICY, rotated_at=BEFORE - timedelta(minutes=1))
    found = outcome(POLICY, old, [PROMOTED], [DEAD], asked=asked, now=NOW)
    assert (found.state, found.key_id) == (Coverage.UNCOVERED, None)
    ahead = replace(asked, issued_before=NOW + timedelta(hours=1))
    fresh = known(POLICY, rotated_at=NOW)
    assert outcome(POLICY, fresh, [PROMOTED], [DEAD], asked=ahead, now=NOW).state is Coverage.ROTATED


def test_what_was_given_up_since_it_is_too_old_has_to_be_dead() -> None:
    """A candidate that an order ends is waited for, as the key in service is."""
    asked = Asked(BEFORE, dead=True, issued_before=BEFORE)
    given_up = debt(POLICY, id="debt2", reason=DebtReason.ABANDONED, since=NOW, not_before=NOW, urgent=True)
    old = replace(given_up, issued_at=BEFORE - timedelta(minutes=1))
    fresh = known(POLICY, rotated_at=NOW)
    found = [
        outcome(POLICY, fresh, [PROMOTED], [DEAD, one], asked=asked, now=NOW).ended
        for one in (old, replace(old, phase=DebtPhase.DEAD, ended_at=NOW), replace(old, issued_at=NOW))
    ]
    assert found == [False, True, True]


def test_a_key_that_leaked_later_is_not_covered_by_the_one_before_it() -> None:
    """A new key is in use since the order, and that one leaked as well: it is to be replaced."""
    serving = known(POLICY)
    assert serving.state.current is not None
    asked = Asked(BEFORE, dead=False, leaked=("v0", serving.state.current.version))
    found = outcome(POLICY, serving, [PROMOTED], [DEAD], asked=asked, now=NOW)
    assert (found.state, found.key_id) == (Coverage.UNCOVERED, None)
