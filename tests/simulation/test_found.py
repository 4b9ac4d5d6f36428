"""What the seeds found, each as its smallest scenario: one rule each, so that none comes back."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import Unknown
from rotator.model import DebtReason, Phase, Probe, Verdict
from tests.simulation.sim import GRACE, SECRET, TARGET, Sim
from tests.simulation.test_rollback import back, rotated
from tests.simulation.test_stories import alarms, bend, kinds, live, ours, until


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, whose key was adopted."""
    return Sim(tmp_path)


def full(sim: Sim) -> None:
    """Keys of others take every free slot of the account."""
    while sum(key.live for key in sim.provider.keys.values()) < (sim.provider.traits.key_limit or 0):
        sim.provider.add("theirs")


def test_a_rotation_does_not_wait_for_a_debt_that_waits_for_it(sim: Sim) -> None:
    """Somebody wrote their own key while the account is full: a person is asked for room, at once."""
    held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret, "note": "theirs"}
    sim.store.put(SECRET, "theirs", held, current=True)
    full(sim)
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    assert alarms(sim) == ["blocked"]
    assert sim.provider.revoked == []


def test_a_rotation_does_not_wait_for_ever_for_a_debt_that_will_not_die(sim: Sim) -> None:
    """Once people know that a key will not die, they are asked for another one's slot as well."""
    bend(sim.provider, "revoke", lambda _: None)
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    full(sim)
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim), steps=900)
    assert alarms(sim) == ["will-not-die", "blocked"]


def test_a_candidate_dies_though_somebody_revoked_the_current_key(sim: Sim) -> None:
    """A list that shows the very key as revoked is of the right account, whatever became of another key."""
    probe, old = sim.provider.probe, sim.old.secret
    bend(sim.provider, "probe", lambda c: probe(c) if c.get("secret") == old else Probe(Verdict.DEAD))

    def killed(sim: Sim, name: str) -> None:
        if name == "store.stage":
            sim.old.live = False

    sim.outside = killed
    bend(sim, "check", lambda: None)  # which would say that the secret's key is dead
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    until(sim, lambda: not sim.ledger.debts())
    assert ours(sim) == []


def frozen_after(sim: Sim, phase: Phase) -> list[int]:
    """The process is stopped for ten minutes just after it wrote that it is about to."""
    commit, frozen = sim.ledger.commit, list[int]()

    def slow(claim: Any, change: Any) -> None:
        commit(claim, change)
        if change.rotation and change.rotation.phase is phase and not frozen:
            frozen.append(len(sim.calls))
            sim.clock.advance(timedelta(minutes=10))

    bend(sim.ledger, "commit", slow)
    return frozen


@pytest.mark.parametrize(
    ("phase", "effect"), [(Phase.ISSUING, "provider.issue"), (Phase.PROMOTING, "store.promote")]
)
def test_a_process_that_was_frozen_after_its_intent_begins_no_effect(
    sim: Sim, phase: Phase, effect: str
) -> None:
    """Its claim is over, so another may have looked and found nothing: a key issued now would be a stray."""
    frozen = frozen_after(sim, phase)
    sim.order()
    with pytest.raises(Exception, match="The claim on"):
        until(sim, lambda: False)
    assert effect not in sim.calls[frozen[0] :]
    sim.run()
    sim.ended_well()


def test_effects_that_take_long_do_not_end_their_own_claim(sim: Sim) -> None:
    """A debt is paid though each of its calls takes nearly all the time that an effect may take."""

    def slow(sim: Sim, name: str) -> None:
        if not name.startswith("ledger."):
            sim.clock.advance(timedelta(seconds=24))

    sim.outside = slow
    sim.order()
    sim.run()
    sim.ended_well()
    assert [debt.reason for debt in sim.ledger.debts(TARGET.id, ended=True)] == [DebtReason.REPLACED]


def test_a_slot_that_was_taken_before_is_looked_at_again(sim: Sim) -> None:
    """Its worker may have been killed before issue, and somebody else have filled the account meanwhile."""
    claim = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=90))
    assert claim is not None
    assert sim.ledger.reserve(claim, "an account", "a token", frozenset({"one"}), 2)
    assert not sim.ledger.reserve(claim, "an account", "a token", frozenset({"one", "two"}), 2)
    assert sim.ledger.reserve(claim, "an account", "a token", frozenset({"two"}), 2)


# --- in service, and nobody saw it -------------------------------------------------------------------------


def landed_unseen(sim: Sim, *writes: str) -> None:
    """The next promote lands, nobody hears of it, and others write these versions before anybody looks."""
    promote = sim.store.promote

    def landed(*args: Any) -> str:
        bend(sim.store, "promote", promote)
        promote(*args)
        for version in writes:
            held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret, "note": version}
            sim.store.put(SECRET, version, held, current=True)
        raise Unknown("timeout", "no answer")

    bend(sim.store, "promote", landed)


def dies_only_after_a_grace(sim: Sim, key_id: str) -> None:
    """A person orders again out of the conflict: consumers may use the key until a grace is over."""
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    left_at = sim.clock.now()
    sim.order()
    until(sim, lambda: not sim.provider.keys[key_id].live)
    assert sim.clock.now() - left_at >= GRACE


def test_a_candidate_that_may_have_served_has_a_grace_of_its_own(sim: Sim) -> None:
    """Two foreign writes hide from every label that it was current: what nobody knows counts for it."""
    landed_unseen(sim, "theirs", "theirs too")
    sim.order()
    until(sim, lambda: len(ours(sim)) == 1)
    dies_only_after_a_grace(sim, ours(sim)[0])


def test_a_key_that_may_have_come_back_has_a_grace_of_its_own(sim: Sim) -> None:
    """The old key of a rollback that nobody saw land was in service again: its old grace is no longer one."""
    sim.policy, sim.excused = replace(sim.policy, consumers=()), True
    rotated(sim)
    sim.clock.advance(GRACE - timedelta(minutes=5))
    landed_unseen(sim, "theirs", "theirs too")
    back(sim)
    dies_only_after_a_grace(sim, sim.old.key_id)


def test_a_candidate_that_was_never_promoted_dies_at_once(sim: Sim) -> None:
    """The one promote of it was refused, since somebody else was first: no consumer has ever read it."""
    held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret, "note": "theirs"}
    promote = sim.store.promote

    def beaten(*args: Any) -> str:
        sim.store.put(SECRET, "theirs", held, current=True)
        return promote(*args)

    bend(sim.store, "promote", beaten)
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    bend(sim.store, "promote", promote)
    (candidate,), ended_at = ours(sim), sim.clock.now()
    sim.order()
    until(sim, lambda: candidate not in ours(sim))
    assert sim.clock.now() - ended_at < GRACE
