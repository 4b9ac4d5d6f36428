"""Drills: a key that nobody uses goes the whole way but into the secret, under every fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli.drill import Drilled, Stands, look
from rotator.drilling import not_drillable
from rotator.due import due
from rotator.errors import NeedsPerson
from rotator.model import Drill, Order, Phase, SecretState
from rotator.providers.figure import FigureClient
from rotator.testing.fakes import FakeProvider
from tests.simulation.outcomes import Outcome
from tests.simulation.runs import drill_calls, drilled, landings, singles
from tests.simulation.sim import POLICY, SECRET, TARGET, Sim
from tests.simulation.test_stories import alarms, bend, kinds, live, ours, until

DAY = timedelta(days=1)
MONTHLY = replace(POLICY, drill=30 * DAY, every=90 * DAY)


@pytest.mark.parametrize("fault", [one for one in Outcome if one is not Outcome.OK])
def test_one_fault_at_every_call_of_a_drill_loses_nothing(fault: Outcome) -> None:
    """Whatever strikes whichever call, no key of a drill is left over, and none reaches the secret."""
    strikes = [strike for strike in singles(calls=drill_calls()) if strike[1] is fault]
    assert strikes
    for strike in strikes:
        for lands in landings(strike):
            broken = drilled(dict([strike]), lands)[1]
            assert not broken, f"{broken}\n{strike} lands {lands}"


# --- one by one ------------------------------------------------------------------------------------------


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, for which a person wants a drill."""
    sim = Sim(tmp_path)
    drill(sim)
    return sim


def drill(sim: Sim) -> None:
    """A person wants a drill."""
    sim.ledger.give(TARGET.id, Order("drill", "ann", "by hand", sim.clock.now()))


def state_of(sim: Sim) -> SecretState:
    """What the ledger knows of the secret."""
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    return state


def last(sim: Sim) -> Drill:
    """What came of the last drill."""
    found = state_of(sim).drill
    assert found is not None
    return found


def test_a_drill_that_is_asked_for_while_one_is_held_joins_that(sim: Sim) -> None:
    """Both see the one key on its way, and its end; no second one is issued."""
    seen: list[Drilled] = []
    worker = sim.start()
    for _ in range(60):
        worker.work(TARGET.id)
        if "issued" in kinds(sim) and not seen:
            sim.clock.advance(timedelta(seconds=2))
            drill(sim)
        seen += [look(sim.ledger, sim.policy)] if "issued" in kinds(sim) else []
        sim.clock.advance(timedelta(seconds=1))
    assert [*dict.fromkeys(one.why for one in seen)][:2] == [
        "waiting for its turn",
        "issuing and verifying a key",
    ]
    assert seen[-1].state is Stands.WELL
    assert sim.calls.count("provider.issue") == 1


def test_a_drill_goes_the_whole_way_and_touches_nothing(sim: Sim) -> None:
    """Issued, accepted, revoked and proven dead, with its times; the secret was read, and never written."""
    before = replace(state_of(sim), drill=None)
    sim.run()
    found = last(sim)
    assert found.ok
    assert [*found.took] == ["issued", "verified", "revoked", "proven dead"]
    assert found.took["verified"] >= 5
    assert ours(sim) == []
    assert not {"store.stage", "store.promote", "store.seed", "store.keep"} & {*sim.calls}
    assert sim.store.secrets[SECRET].history == ["v0"]
    after = state_of(sim)
    assert (after.current, after.rotated_at, after.pushes) == (before.current, before.rotated_at, ())
    assert alarms(sim) == []


def test_a_drill_that_fails_is_told_and_no_rotation_has_failed(sim: Sim) -> None:
    """Its key dies, people hear why, and the schedule is not put off by it."""
    bend(sim.provider, "excess", lambda *_: "it may trade")
    sim.run()
    assert (last(sim).ok, last(sim).why) == (False, "it may trade")
    assert alarms(sim) == ["drill-failed"]
    assert ours(sim) == []
    assert state_of(sim).failures == 0


def test_a_refused_admin_credential_is_what_a_drill_is_for(sim: Sim) -> None:
    """It is told at once as the drill's result, with nothing issued and nothing left to wait for."""

    def refused() -> None:
        raise NeedsPerson("admin-refused", "the admin credential is refused.", todo="bring another")

    bend(sim.provider, "find", refused)
    sim.run()
    assert not last(sim).ok
    assert "admin credential is refused" in last(sim).why
    assert "provider.issue" not in sim.calls


def test_a_value_that_is_lost_does_no_harm(sim: Sim) -> None:
    """A worker that is killed while it tries the key loses its value: the key dies by the list."""
    until(sim, lambda: live(sim) is Phase.ISSUED)
    sim.run()
    assert (last(sim).ok, last(sim).why.partition(":")[0]) == (False, "interrupted")
    assert alarms(sim) == []
    assert ours(sim) == []


def test_an_order_for_a_key_that_is_used_comes_first(sim: Sim) -> None:
    """A rotation does not wait for a drill: the shadow key is owed, and the rotation goes its way."""
    until(sim, lambda: live(sim) is Phase.ISSUED)
    sim.order()
    sim.run()
    sim.ended_well()
    assert "asked for a key" in last(sim).why


def test_a_full_account_is_the_result_of_a_drill(sim: Sim) -> None:
    """No slot, no key: the drill says so instead of waiting for one."""
    while sum(key.live for key in sim.provider.keys.values()) < (sim.provider.traits.key_limit or 0):
        sim.provider.add("theirs")
    sim.run()
    assert last(sim).why == "the account bears no more keys now"
    assert "provider.issue" not in sim.calls


@pytest.mark.parametrize("kind", ["person", "token", "native"])
def test_what_cannot_be_drilled_says_why(kind: str) -> None:
    """Where a person issues, where a key dies by itself, and where Secrets Manager begins each rotation."""
    traits, policy = FakeProvider.traits, POLICY
    if kind == "person":
        traits = FigureClient.traits
    if kind == "token":
        policy = replace(POLICY, renew=0.25, every=None)
    if kind == "native":
        policy = replace(POLICY, target=replace(TARGET, native=True))
    assert (not_drillable(traits, policy) or "").startswith("not drillable: ")
    assert not_drillable(FakeProvider.traits, POLICY) is None


# --- when ------------------------------------------------------------------------------------------------


def test_a_drill_by_schedule_comes_again_and_again(tmp_path: Path) -> None:
    """Every so often since the first look, then since the last drill; a policy that says nothing has none."""
    sim = Sim(tmp_path, policy=MONTHLY)
    until(sim, lambda: "drilled" in kinds(sim))
    first = last(sim).at
    assert timedelta(days=30) <= first - (state_of(sim).looked_at or first) <= timedelta(days=33)
    sim.clock.advance(timedelta(days=1))
    until(sim, lambda: kinds(sim).count("drilled") == 2)
    assert last(sim).at - first >= timedelta(days=30)
    found = due(POLICY, state_of(sim), {}, sim.clock.now())
    assert found is not None
    assert found.kind != "drill"


def test_no_drill_begins_just_before_a_rotation(tmp_path: Path) -> None:
    """The rotation shows the path as well; a drill beside it would only take its slot."""
    sim = Sim(tmp_path)
    state, now = state_of(sim), sim.clock.now()
    soon = replace(state, rotated_at=now - 30 * DAY + timedelta(minutes=30), rehearsed_at=now)
    orders = {"drill": Order("drill", "ann", "by hand", now)}
    found = due(POLICY, soon, orders, now)
    assert found is not None
    assert (found.kind, found.at) == ("rotate", now + timedelta(minutes=30))
    later = due(POLICY, state, orders, now)
    assert later is not None
    assert (later.kind, later.at) == ("drill", now)


def test_a_pause_and_windows_hold_a_drill(tmp_path: Path) -> None:
    """A pause holds one that a person ordered, too."""
    sim = Sim(tmp_path)
    state, now = state_of(sim), sim.clock.now()
    pause = Order("pause", "bob", "freeze", now, until=now + DAY)
    orders = {"drill": Order("drill", "ann", "by hand", now), "pause": pause}
    found = due(POLICY, state, orders, now)
    assert found is not None
    assert (found.kind, found.at) == ("drill", now + DAY)
