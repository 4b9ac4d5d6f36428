"""Every effect of a whole rotation, struck by every fault: once, and a sample of twice."""

from datetime import timedelta
from random import Random

import pytest

from tests.simulation.checker import judged
from tests.simulation.engine import Setup, Sim
from tests.simulation.outcomes import Outcome, Strikes
from tests.simulation.runs import landings, pairs, settle, singles, storm_calls, struck

SAMPLE = 2  # second faults tried for each first one; `make soak` tries all


def replay(*strikes: tuple[int, Outcome], lands: float) -> str:
    """The command that shows a run again."""
    told = " ".join(f"--strike {nth} {outcome.name}" for nth, outcome in strikes)
    return f"python -m tests.simulation {told} --lands {lands:.0f}"


def test_a_rotation_without_faults_ends_with_one_live_key() -> None:
    """From an order to a key that is proven dead, nothing failing, in few calls."""
    sim, broken = struck({})
    assert not broken
    assert len(storm_calls({})) < 34
    (left,) = [act for act in sim.history if act.name == "left"]
    assert (left.data["debts"], len(left.data["dead"])) == ((), 1)


@pytest.mark.parametrize("fault", [one for one in Outcome if one is not Outcome.OK])
def test_one_fault_at_every_call_loses_nothing(fault: Outcome) -> None:
    """Whatever strikes whichever call, every rule of the checker holds, and all ends well."""
    strikes = [strike for strike in singles() if strike[1] is fault]
    assert strikes
    for strike in strikes:
        for lands in landings(strike):
            broken = struck(dict([strike]), lands)[1]
            assert not broken, f"{broken}\n{replay(strike, lands=lands.total_seconds())}"


@pytest.mark.parametrize("fault", [one for one in Outcome if one is not Outcome.OK])
def test_one_fault_loses_nothing_where_the_old_key_dies_first(fault: Outcome) -> None:
    """As above, for a key that a person ordered to die before another one is issued."""
    calls = storm_calls({}, contain=True)
    assert calls.index("provider.revoke") < calls.index("provider.issue")
    for strike in (one for one in singles(0, calls) if one[1] is fault):
        for lands in landings(strike):
            broken = struck(dict([strike]), lands, contain=True)[1]
            assert not broken, f"{broken}\n{replay(strike, lands=lands.total_seconds())} --contain"


@pytest.mark.parametrize("part", range(8))
def test_two_faults_lose_nothing(part: int) -> None:
    """A sample of all pairs, the same each time: each first fault with two later ones."""
    rng = Random(part)
    for first in list(singles())[part::8]:
        later = list(pairs(first))
        for pair in rng.sample(later, min(SAMPLE, len(later))):
            lands = rng.choice(landings(*pair))
            broken = struck(dict(pair), lands)[1]
            assert not broken, f"{broken}\n{replay(*pair, lands=lands.total_seconds())}"


def test_a_key_that_is_born_after_the_last_look_dies_at_the_next_one() -> None:
    """Issue landed days later, while the next key was on its way: an order that joins that looks no more."""
    nth = storm_calls({}).index("provider.issue") + 1
    sim = Sim(Setup(), 1, Strikes({nth: Outcome.LATE}, timedelta(days=2)))
    sim.order("one")
    sim.start()
    sim.baton.run(lambda: any(act.data.get("phase") == "staged" for act in sim.history))
    settle(sim)
    assert judged(sim.history.acts, sim.setup) == []
    assert any("joined" in act.data.get("events", ()) for act in sim.history)
