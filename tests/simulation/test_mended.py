"""What a comparison found is looked at again under the secret's claim: the world may have moved since."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from rotator.errors import NeedsPerson, Unknown
from rotator.model import Change, DebtReason, Phase, token_in
from rotator.reconcile import fix
from rotator.reconcile.mending import note_found
from rotator.reconcile.survey import survey
from rotator.reconcile.values import Finding, Kind
from rotator.testing.fakes import FakeKey
from tests.simulation.sim import POLICY, SECRET, TARGET, Crash, Fault, Sim, Strike, Violation
from tests.simulation.test_stories import bend, kinds, until


class Late(Sim):
    """A world in which a create did not land yet; ``label`` is the one that it bears."""

    label = ""


def rotated(folder: Path) -> Late:
    """A world whose secret was rotated, and is paid for; a first attempt came to nothing."""
    sim = Late(folder, strikes=[Strike(issue_of(folder / "quiet"), Fault.CRASH_BEFORE)])
    sim.order()
    with pytest.raises(Crash):
        until(sim, lambda: False)
    live = sim.ledger.rotation(TARGET.id)
    assert live is not None
    sim.label = f"one {live.attempt.token}"
    sim.clock.advance(timedelta(seconds=95))
    sim.run()
    return sim


@pytest.fixture
def sim(tmp_path: Path) -> Late:
    """Such a world."""
    return rotated(tmp_path)


def orphan(sim: Late) -> FakeKey:
    """The create of the attempt that is over lands late."""
    return sim.provider.add(sim.label)


def mended(sim: Sim, key: FakeKey) -> list[Finding]:
    """What becomes of a key that a comparison took for an orphan a moment ago."""
    found = token_in(key.label)
    assert found is not None
    one = Finding(Kind.ORPHAN, "key", "is an orphan", secret=TARGET.id, key_id=key.key_id, token=found[1])
    return fix(sim.start().world, [sim.policy], [one], "comparison")


def test_what_is_an_orphan_under_the_claim_too_is_owed(sim: Late) -> None:
    """It becomes a debt, and dies by the second story."""
    key = orphan(sim)
    assert [one.key_id for one in mended(sim, key)] == [key.key_id]
    (debt,) = sim.ledger.debts()
    assert (debt.key_id, debt.reason) == (key.key_id, DebtReason.STRAY)
    sim.run()
    assert not key.live


def test_what_was_seen_of_a_secret_that_changed_since_is_not_noted(sim: Late) -> None:
    """Its worker knows more than the comparison: what is there now is seen by the next one."""
    held, world = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}, sim.start().world
    sim.store.put(SECRET, "theirs", held, current=True)
    view = survey(world, [sim.policy])
    state, claim = sim.ledger.secret(TARGET.id), sim.ledger.claim(TARGET.id, "a worker", timedelta(seconds=9))
    assert state is not None
    assert claim is not None
    sim.ledger.commit(claim, Change(replace(state, rotated_at=sim.clock.now())))
    sim.ledger.release(claim, None)
    note_found(world, view, "comparison")
    assert sim.ledger.secret(TARGET.id) == replace(state, rotated_at=sim.clock.now())
    note_found(world, survey(world, [sim.policy]), "comparison")
    noted = sim.ledger.secret(TARGET.id)
    assert noted is not None
    assert noted.holds == sim.foreign.key_id


def denied(*_: object) -> NoReturn:
    """A person must act."""
    raise NeedsPerson("access-denied", "looking at it is not allowed.", todo="allow it")


def away(*_: object) -> NoReturn:
    """Nobody knows what happened."""
    raise Unknown("timeout", "no answer in time")


def put_in(sim: Sim, key: FakeKey) -> None:
    """Somebody puts the key into the secret."""
    sim.store.put(SECRET, "theirs", {"key_id": key.key_id, "secret": key.secret}, current=True)


def put_in_without_id(sim: Sim, key: FakeKey) -> None:
    """The same, without its id."""
    sim.store.put(SECRET, "theirs", {"secret": key.secret}, current=True)


def put_in_meanwhile(folder: Path) -> None:
    """A key that a comparison took for an orphan is put into the secret before it is mended."""
    sim = rotated(folder)
    key = orphan(sim)
    put_in(sim, key)
    if mended(sim, key):
        raise Violation(f"{key.key_id} is owed, which the secret holds")


def deny(sim: Sim, _: FakeKey) -> None:
    """Nobody may look at the secret any more."""
    bend(sim.store, "look", denied)


def silence(sim: Sim, _: FakeKey) -> None:
    """The store does not answer."""
    bend(sim.store, "look", away)


def unlist(sim: Sim, _: FakeKey) -> None:
    """The provider does not answer."""
    bend(sim.provider, "find", away)


@pytest.mark.parametrize(
    "moved", [put_in, put_in_without_id, deny, silence, unlist], ids=lambda one: one.__name__
)
def test_what_may_be_in_service_under_the_claim_is_not_owed(
    sim: Late, moved: Callable[[Sim, FakeKey], None]
) -> None:
    """A key that was put into the secret since, or of which that cannot be told, is left as it is."""
    key = orphan(sim)
    moved(sim, key)
    assert mended(sim, key) == []
    assert sim.ledger.debts() == []
    assert key.live


def test_a_key_that_is_just_being_made_is_not_owed(tmp_path: Path) -> None:
    """The attempt that is under way looks for its own key, and owes it itself where it is of no use."""
    sim = Sim(tmp_path)
    sim.order()
    sim.strikes = [Strike(issue_of(tmp_path / "quiet"), Fault.CRASH_AFTER)]
    with pytest.raises(Crash):
        until(sim, lambda: False)
    sim.clock.advance(timedelta(seconds=95))
    live = sim.ledger.rotation(TARGET.id)
    assert live is not None
    assert live.phase is Phase.ISSUING
    (key,) = [one for one in sim.provider.keys.values() if live.attempt.token in one.label]
    assert mended(sim, key) == []
    assert sim.ledger.debts() == []
    sim.run()
    sim.ended_well()


def issue_of(folder: Path) -> int:
    """Which call of a rotation asks for a key."""
    folder.mkdir()
    quiet = Sim(folder)
    quiet.order()
    until(quiet, lambda: "promoted" in kinds(quiet))
    quiet.ledger.close()
    return quiet.calls.index("provider.issue") + 1


def test_what_another_worker_holds_is_left_for_the_next_comparison(sim: Late) -> None:
    """Without the claim nothing is mended."""
    key = orphan(sim)
    assert sim.ledger.claim(TARGET.id, "a worker", timedelta(seconds=90)) is not None
    assert mended(sim, key) == []
    assert sim.ledger.debts() == []


def test_a_worker_that_is_to_end_mends_nothing(sim: Late) -> None:
    """After SIGTERM no claim is taken any more."""
    key, world = orphan(sim), sim.start().world
    world.stop()
    token = (token_in(key.label) or ("", ""))[1]
    one = Finding(Kind.ORPHAN, "key", "is an orphan", secret=TARGET.id, key_id=key.key_id, token=token)
    assert fix(world, [POLICY], [one], "comparison") == []
    assert sim.ledger.debts() == []
    assert sim.ledger.due(1) == []
