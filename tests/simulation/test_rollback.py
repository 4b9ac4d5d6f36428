"""Back to the key before: under every fault, and refused in words wherever it is not safe."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator import safe_mode
from rotator.errors import Refused
from rotator.model import Change, DebtPhase, DebtReason, Order, Phase, Policy, Probe, Provenance, Verdict
from tests.simulation.outcomes import Outcome
from tests.simulation.runs import landings, rollback_calls, rolled_back, singles
from tests.simulation.sim import POLICY, SECRET, TARGET, Sim
from tests.simulation.test_stories import bend, kinds, live, until

DAY = timedelta(days=1)


@pytest.mark.parametrize("fault", [one for one in Outcome if one is not Outcome.OK])
def test_one_fault_at_every_call_of_a_rollback_loses_nothing(fault: Outcome) -> None:
    """Whatever strikes whichever call of the way back, every rule of the checker holds, and all ends well."""
    strikes = [strike for strike in singles(calls=rollback_calls({})) if strike[1] is fault]
    assert strikes
    for strike in strikes:
        for lands in landings(strike):
            broken = rolled_back(dict([strike]), lands)[1]
            assert not broken, f"{broken}\n{strike} lands {lands}"


# --- one by one ------------------------------------------------------------------------------------------


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world whose secret was rotated, and whose old key is in its grace."""
    return rotated(Sim(tmp_path))


def rotated(sim: Sim) -> Sim:
    """A new key is in service."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    return sim


def back(sim: Sim, grace: timedelta | None = None) -> None:
    """A person wants the key before."""
    now = sim.clock.now()
    order = Order("rollback", "ann", "the new one misbehaves", now, grace=grace, until=now + DAY)
    sim.ledger.give(TARGET.id, order)


def served(sim: Sim) -> str:
    """The id of the key that the secret holds."""
    return sim.store.value(SECRET)["key_id"]


def refusal(sim: Sim) -> str:
    """Why the rollback was refused: the last words of the history about it."""
    return next(event.text for event in sim.ledger.events() if event.kind == "not-rolled-back")


def test_the_key_before_comes_back_in_a_fresh_version(sim: Sim) -> None:
    """It is current in a version of its own, owed no more and as old as it is; the policy is paused."""
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    newer, version = served(sim), state.current and state.current.version
    back(sim)
    until(sim, lambda: kinds(sim).count("promoted") == 2)
    after = sim.ledger.secret(TARGET.id)
    assert after is not None
    assert after.current is not None
    assert (served(sim), after.current.provenance) == (sim.old.key_id, Provenance.ADOPTED)
    assert after.current.version not in ("v0", version)
    assert after.rotated_at is not None
    assert after.rotated_at < sim.clock.now() - timedelta(seconds=5)
    (debt,) = sim.ledger.debts()
    assert (debt.key_id, debt.grace) == (newer, sim.policy.grace)
    assert sim.ledger.orders(TARGET.id)["pause"].until is not None
    assert sim.store.value(SECRET)["note"] == "theirs"


def test_the_key_that_was_rolled_back_dies_in_spite_of_the_pause(sim: Sim) -> None:
    """After its grace, though the policy is paused; its schedule goes on when the pause is over."""
    newer = sim.provider.keys[served(sim)]
    back(sim, grace=timedelta(0))
    until(sim, lambda: not newer.live)
    assert "pause" in sim.ledger.orders(TARGET.id)
    assert (served(sim), sim.old.live) == (sim.old.key_id, True)


def test_a_rollback_can_be_rolled_back(sim: Sim) -> None:
    """The newer key lives in its grace, so there is a way forth as there was one back."""
    newer = served(sim)
    back(sim)
    until(sim, lambda: kinds(sim).count("promoted") == 2)
    sim.ledger.withdraw(TARGET.id, "pause")
    back(sim)
    until(sim, lambda: kinds(sim).count("promoted") == 3)
    assert served(sim) == newer
    assert [debt.key_id for debt in sim.ledger.debts()] == [sim.old.key_id]
    phases = [debt.phase for debt in sim.ledger.debts(ended=True) if debt.key_id == sim.old.key_id]
    assert phases == [DebtPhase.VOID, DebtPhase.OWED]


def test_a_key_that_nobody_adopted_can_come_back_too(tmp_path: Path) -> None:
    """It stays nobody's; the newer one, which we issued, dies all the same."""
    sim = rotated(Sim(tmp_path, adopted=False))
    newer = sim.provider.keys[served(sim)]
    back(sim)
    until(sim, lambda: not newer.live)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.current is not None
    assert (served(sim), state.current.provenance) == (sim.old.key_id, Provenance.UNKNOWN)
    assert sim.old.live


def test_run_now_after_a_rollback_brings_a_third_key(sim: Sim) -> None:
    """Neither of the two is brought back by it, and both die."""
    back(sim)
    until(sim, lambda: kinds(sim).count("promoted") == 2)
    sim.ledger.withdraw(TARGET.id, "pause")
    sim.order()
    sim.run()
    sim.ended_well()


def test_an_order_for_a_new_key_is_not_taken_for_done_by_a_rollback(sim: Sim) -> None:
    """Given while the old key is coming back it is carried out next, and no pause holds it."""
    back(sim)
    until(sim, lambda: live(sim) is Phase.STAGED)
    sim.order()
    sim.run()
    sim.ended_well()
    assert kinds(sim).count("promoted") == 3


@pytest.mark.parametrize("call", ["store.stage", "provider.probe"])
@pytest.mark.parametrize("leaked", [True, False], ids=["leaked", "too-old"])
def test_a_key_that_an_order_ends_does_not_come_back(tmp_path: Path, call: str, *, leaked: bool) -> None:
    """It leaked, or is older than a person says: the way back ends, it dies, and the newer one serves on."""
    sim = Sim(tmp_path)
    sim.clock.advance(timedelta(minutes=1))
    newer = served(rotated(sim))
    state, before = sim.ledger.secret(TARGET.id), len(sim.calls)
    assert state is not None

    def ordered(_sim: Sim, name: str) -> None:
        if name == call and sim.calls[before:].count(call) == 1:
            more = {"leaked": "v0"} if leaked else {"issued_before": state.issued_at}
            sim.order(timedelta(0), **more)

    back(sim)
    sim.outside = ordered
    sim.run()
    sim.ended_well()
    assert (served(sim), sim.old.live, kinds(sim).count("promoted")) == (newer, False, 1)
    assert sim.ledger.orders(TARGET.id) == {}


def test_a_key_of_which_nobody_knows_how_old_it_is_does_not_come_back(tmp_path: Path) -> None:
    """Where a person says how old a key may be: since when the secret held it tells nothing of that."""
    sim = rotated(Sim(tmp_path, adopted=False))
    (debt,), newer = sim.ledger.debts(TARGET.id), served(sim)
    assert debt.served is not None
    back(sim)
    until(sim, lambda: live(sim) is Phase.STAGED)
    sim.order(issued_before=debt.served)
    until(sim, lambda: not sim.ledger.orders(TARGET.id))
    assert "nobody knows when its key was issued" in refusal(sim)
    assert (served(sim), kinds(sim).count("promoted")) == (newer, 1)


def held_by_the_store(sim: Sim, wanted: timedelta) -> None:
    """The secret's versions cannot be looked at for so long."""
    look, until_then = sim.store.look, sim.clock.now() + wanted

    def refused(target: object) -> object:
        if sim.clock.now() < until_then:
            raise Refused("busy", "not now")
        return look(TARGET)

    bend(sim.store, "look", refused)


def test_a_key_that_is_to_come_back_does_not_die_meanwhile(sim: Sim) -> None:
    """Its grace ends while the store cannot be looked at: it lives, and comes back after that."""
    held_by_the_store(sim, sim.policy.grace * 2)
    back(sim)
    until(sim, lambda: kinds(sim).count("promoted") == 2)
    assert served(sim) == sim.old.key_id
    assert sim.old.live


# --- refused ---------------------------------------------------------------------------------------------


def dead_already(sim: Sim) -> None:
    """The old key was revoked and proven dead."""
    until(sim, lambda: not sim.ledger.debts())


def written_by_hand(sim: Sim) -> None:
    """Somebody put a key of their own into the secret."""
    held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
    sim.store.put(SECRET, "theirs", held, current=True)


def refused_by_the_provider(sim: Sim) -> None:
    """Somebody revoked the old key at the provider."""
    sim.old.live = False


def value_gone(sim: Sim) -> None:
    """The store lost the old version."""
    sim.store.secrets[SECRET].versions.pop("v0")


def written_over(sim: Sim) -> None:
    """Somebody put another key into the old version."""
    held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
    sim.store.secrets[SECRET].versions["v0"] = held
    sim.clock.advance(timedelta(minutes=10))  # until nobody has its value in memory


def ledger_in_doubt(sim: Sim) -> None:
    """The ledger is older than the world."""
    safe_mode.enter(sim.ledger, "a drill")


def leaked(sim: Sim) -> None:
    """The old key leaked: its debt says so."""
    (debt,), state = sim.ledger.debts(TARGET.id), sim.ledger.secret(TARGET.id)
    claim = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=90))
    assert state is not None
    assert claim is not None
    sim.ledger.commit(claim, Change(state, debts=(replace(debt, reason=DebtReason.LEAKED),)))
    sim.ledger.release(claim, sim.clock.now())


def being_revoked(sim: Sim) -> None:
    """The revoke was sent, and nobody knows whether it did anything."""
    bend(sim.provider, "revoke", lambda _: None)
    until(sim, lambda: any(debt.phase is DebtPhase.REVOKING for debt in sim.ledger.debts()))


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (dead_already, "is proven dead since"),
        (being_revoked, "is being revoked"),
        (written_by_hand, "somebody wrote"),
        (refused_by_the_provider, "fake refuses key"),
        (value_gone, "no longer holds the value"),
        (written_over, "no longer holds the value"),
        (ledger_in_doubt, "may not know which key is the previous one"),
        (leaked, "leaked"),
    ],
)
def test_where_there_is_no_way_back_it_is_said(
    tmp_path: Path, prepare: Callable[[Sim], None], words: str
) -> None:
    """In words that say why; the secret stays as it is, no rotation is left over, and no pause."""
    sim = rotated(Sim(tmp_path))
    prepare(sim)
    held = served(sim)
    back(sim)
    until(sim, lambda: "not-rolled-back" in kinds(sim))
    assert words in refusal(sim)
    assert (served(sim), sim.ledger.rotation(TARGET.id)) == (held, None)
    assert not sim.ledger.orders(TARGET.id)


def test_a_key_that_leaks_while_its_rollback_waits_does_not_come_back(sim: Sim) -> None:
    """What its debt says is read anew before anything is written."""
    held_by_the_store(sim, timedelta(minutes=20))
    back(sim)
    until(sim, lambda: live(sim) is Phase.PLANNED)
    leaked(sim)
    until(sim, lambda: "not-rolled-back" in kinds(sim))
    assert "leaked meanwhile" in refusal(sim)
    assert served(sim) != sim.old.key_id


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (replace(POLICY, target=replace(TARGET, native=True), every=None), "Secrets Manager's own rotation"),
        (replace(POLICY, renew=0.25, every=None, parent="fake|parent"), "it is a token"),
    ],
)
def test_kinds_that_cannot_go_back_say_what_to_do_instead(tmp_path: Path, policy: Policy, words: str) -> None:
    """A token is renewed, and Secrets Manager's own rotation writes its versions itself."""
    sim = rotated(Sim(tmp_path))
    sim.policy = policy
    back(sim)
    until(sim, lambda: "not-rolled-back" in kinds(sim))
    assert words in refusal(sim)


def test_a_rollback_does_not_disturb_a_rotation_that_is_under_way(tmp_path: Path) -> None:
    """It is refused, since nobody could tell which key is the one before; the rotation goes on."""
    sim = Sim(tmp_path)
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    back(sim)
    until(sim, lambda: "not-rolled-back" in kinds(sim))
    assert "a rotation of it is under way" in refusal(sim)
    sim.run()
    sim.ended_well()


def paused(sim: Sim, days: int) -> Order:
    """A person freezes the policy."""
    now = sim.clock.now()
    order = Order("pause", "ben", "freeze", now, until=now + days * DAY)
    sim.ledger.give(TARGET.id, order)
    return order


def test_a_rollback_that_is_refused_leaves_the_pause_from_before(sim: Sim) -> None:
    """It was wanted in spite of the freeze, and came to nothing: the freeze is as it was."""
    freeze = paused(sim, 2)
    bend(sim.provider, "probe", lambda _: Probe(Verdict.DEAD, "refused"))
    back(sim)
    until(sim, lambda: "not-rolled-back" in kinds(sim))
    assert sim.ledger.orders(TARGET.id) == {"pause": freeze}


def test_a_longer_pause_from_before_goes_on_after_a_rollback_and_lets_what_is_owed_die(sim: Sim) -> None:
    """No new key comes until its end, and the newer one does not live until then."""
    newer, freeze = sim.provider.keys[served(sim)], paused(sim, 3)
    sim.clock.advance(timedelta(seconds=1))
    back(sim, grace=timedelta(0))
    until(sim, lambda: not newer.live)
    assert sim.ledger.orders(TARGET.id) == {"pause": replace(freeze, new_only=True)}
    assert sim.clock.now() - freeze.at < DAY


def test_a_pause_that_comes_after_the_order_holds_a_rollback(sim: Sim) -> None:
    """Until it is over nothing is written; it is not ended by what it holds."""
    until(sim, lambda: not sim.ledger.orders(TARGET.id))
    back(sim)
    sim.clock.advance(timedelta(seconds=1))
    freeze = paused(sim, 1)
    stays = served(sim)
    until(sim, lambda: sim.clock.now() >= freeze.at + DAY - timedelta(hours=1), steps=999)
    assert served(sim) == stays
