"""What the seeds found, each as its smallest scenario: one rule each, so that none comes back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.model import DebtReason, Phase, Probe, Verdict
from tests.simulation.sim import SECRET, TARGET, Sim
from tests.simulation.test_stories import alarms, bend, kinds, ours, until


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
