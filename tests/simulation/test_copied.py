"""One key in several secrets of an account: what is known of it in one is so for all."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.model import (
    Change,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    Provenance,
    SecretState,
    Target,
)
from tests.simulation.sim import POLICY, PROVIDER, STORE, TARGET, Sim
from tests.simulation.test_stories import kinds, until

OTHER = replace(POLICY, name="other", target=Target("fake|other", STORE, "prod/other"))
NONE = timedelta(0)


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, of whose key nobody said whose it is."""
    return Sim(tmp_path, adopted=False)


def elsewhere(sim: Sim, *, current: CurrentKey | None = None, debt: Debt | None = None) -> None:
    """What the ledger knows of another secret of the account."""
    state = SecretState(OTHER.target.id, "other", PROVIDER.principal, sim.clock.now())
    sim.ledger.enroll([state])
    claim = sim.ledger.claim(state.id, "test", timedelta(seconds=90))
    assert claim is not None
    sim.ledger.commit(claim, Change(replace(state, current=current), debts=(debt,) if debt else ()))
    sim.ledger.release(claim, None)


def holding(sim: Sim, provenance: Provenance) -> CurrentKey:
    """The key of our secret, as another one holds it."""
    return CurrentKey("o0", sim.old.key_id, provenance, sim.clock.now())


def owed(sim: Sim, **more: object) -> Debt:
    """A debt of the other secret for the key of ours."""
    debt = Debt(
        "d0", OTHER.target.id, OTHER, DebtReason.LEAKED, sim.old.key_id, Provenance.ADOPTED, sim.clock.now()
    )
    return replace(debt, **more)  # type: ignore[arg-type]


def ours(sim: Sim) -> Debt:
    """The one debt of our secret."""
    (debt,) = sim.ledger.debts(TARGET.id, ended=True)
    return debt


def test_a_leaked_key_that_is_proven_dead_by_another_debt_needs_no_adoption(sim: Sim) -> None:
    """Nobody must say whose a dead key was; its proof names the other debt, and nothing is revoked again."""
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    sim.old.live = False
    dead = owed(sim, phase=DebtPhase.DEAD, ended_at=sim.clock.now(), proof="no longer listed as live")
    elsewhere(sim, debt=dead)
    until(sim, lambda: ours(sim).phase.ended)
    assert ours(sim).phase is DebtPhase.DEAD
    assert ours(sim).proof == "it is the key of other (debt d0): no longer listed as live"
    assert sim.provider.revoked == []


@pytest.mark.parametrize(
    "debt",
    [
        {"phase": DebtPhase.SETTLED, "proof": "declared dead by ann, never proven"},
        {"phase": DebtPhase.DEAD, "policy": replace(OTHER, provider=replace(PROVIDER, base_url="https://b"))},
        {"phase": DebtPhase.DEAD, "key_id": "key-99"},
    ],
    ids=["declared", "another-account", "another-key"],
)
def test_only_a_proof_of_the_very_key_counts(sim: Sim, debt: dict[str, object]) -> None:
    """A person's word, another account's key of that id and another key prove nothing of this one."""
    elsewhere(sim, debt=owed(sim, **debt))
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).phase is DebtPhase.OWED
    assert sim.old.live


def test_an_id_that_several_keys_share_tells_nothing_of_another_secret(sim: Sim) -> None:
    """What is known of one user's key says nothing of another key of that user."""
    shared = replace(sim.provider.traits, shared_id=True)
    setattr(sim.provider, "traits", shared)  # noqa: B010
    elsewhere(sim, debt=owed(sim, phase=DebtPhase.DEAD, proof="refused"))
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).phase is DebtPhase.OWED


def test_a_key_that_a_person_adopts_for_another_secret_dies_once_neither_holds_it(sim: Sim) -> None:
    """Its debt here takes over whose it is, and waits while the other secret holds it."""
    sim.order(NONE)
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    elsewhere(sim, current=holding(sim, Provenance.ADOPTED))
    sim.adopted = True
    sim.held_elsewhere.add(sim.old.key_id)
    until(sim, lambda: ours(sim).provenance is Provenance.ADOPTED)
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.old.live
    debt = ours(sim).block
    assert debt is not None
    assert "the secret of other holds it as well" in debt.reason
    state = sim.ledger.secret(OTHER.target.id)
    claim = sim.ledger.claim(OTHER.target.id, "test", timedelta(seconds=90))
    assert state is not None
    assert claim is not None
    sim.ledger.commit(claim, Change(replace(state, current=None)))
    sim.ledger.release(claim, None)
    sim.held_elsewhere.clear()
    sim.run()
    assert ours(sim).phase is DebtPhase.DEAD


def test_a_key_that_nobody_knows_elsewhere_stays_nobodys(sim: Sim) -> None:
    """Another secret that holds it as a key of unknown origin tells nothing."""
    elsewhere(sim, current=holding(sim, Provenance.UNKNOWN))
    sim.order(NONE)
    until(sim, lambda: "promoted" in kinds(sim))
    sim.clock.advance(timedelta(days=2))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).provenance is Provenance.UNKNOWN
    assert sim.old.live
