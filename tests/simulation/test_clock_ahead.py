"""A ledger's clock that was ahead, and put right: what it wrote proves nothing, and holds nothing up."""

from datetime import timedelta
from pathlib import Path

from rotator.errors import Unknown
from rotator.model import Phase
from rotator.native import DONE, Step
from tests.simulation.native import NativeSim
from tests.simulation.sim import TARGET, Sim
from tests.simulation.test_holds import pause
from tests.simulation.test_native import begun
from tests.simulation.test_stories import alarms, bend, live, ours, until

DAY = timedelta(days=1)


def away() -> None:
    """Of a provider that does not answer."""
    raise Unknown("timeout", "no answer")


def put_right(sim: Sim) -> str:
    """The clock is put right; hours later the candidate is dead. Its id."""
    sim.clock.advance(-DAY)
    sim.clock.advance(timedelta(hours=3))
    (candidate,) = ours(sim)
    sim.provider.keys[candidate].live = False
    return candidate


def verified_by_a_wrong_clock(folder: Path) -> tuple[Sim, str]:
    """A key is verified while the clock is ahead, and its promotion held until it is dead. Its id."""
    sim = Sim(folder)

    def outside(sim: Sim, name: str) -> None:
        if name == "provider.probe" and not sim.ledger.orders(TARGET.id):
            pause(sim)

    sim.clock.advance(DAY)
    sim.order()
    sim.outside = outside
    until(sim, lambda: live(sim) is Phase.VERIFIED)
    sim.outside = lambda _sim, _name: None
    candidate = put_right(sim)
    sim.ledger.withdraw(TARGET.id, "pause")
    sim.run()
    return sim, candidate


def stepped_by_a_wrong_clock(folder: Path) -> tuple[NativeSim, str]:
    """The same where Secrets Manager asks for each step."""
    sim = begun(folder)
    sim.clock.advance(DAY)
    assert sim.invoke(Step.CREATE) == DONE
    assert sim.invoke(Step.TEST) == DONE
    candidate = put_right(sim)
    assert not sim.invoke(Step.FINISH).done
    sim.passes()
    return sim, candidate


def test_a_key_that_a_wrong_clock_saw_verified_is_verified_anew(tmp_path: Path) -> None:
    """Nobody knows how long ago that was: one that died meanwhile never comes into service."""
    sim, candidate = verified_by_a_wrong_clock(tmp_path)
    assert "clock-was-ahead" in alarms(sim)
    assert sim.store.value("prod/one")["key_id"] != candidate


def test_a_step_of_the_stores_own_rotation_does_not_trust_it_either(tmp_path: Path) -> None:
    """What testSecret wrote by such a clock is put right by finishSecret, before it goes by it."""
    sim, candidate = stepped_by_a_wrong_clock(tmp_path)
    assert sim.store.value("prod/one")["key_id"] != candidate


def test_a_step_that_a_wrong_clock_put_off_is_taken_all_the_same(tmp_path: Path) -> None:
    """The service waits for its answer: a look that lies a day ahead is no reason to let it wait."""
    sim = begun(tmp_path)
    sim.clock.advance(DAY)
    find = sim.provider.find
    bend(sim.provider, "find", away)
    assert not sim.step(Step.CREATE).done
    bend(sim.provider, "find", find)
    sim.clock.advance(timedelta(minutes=1) - DAY)
    assert sim.all_steps()
    sim.run()
    sim.ended_well()
