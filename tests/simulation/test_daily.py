from datetime import timedelta
from pathlib import Path

import pytest

from rotator.reconcile.daily import Daily
from tests.simulation.sim import SECRET, Sim

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, whose key was adopted."""
    return Sim(tmp_path)


def daily(sim: Sim, holder: str = "one") -> Daily:
    """The comparison as one worker makes it."""
    return Daily(sim.start().world, lambda: [sim.policy], holder)


def told(sim: Sim) -> int:
    """How often people were told."""
    return sum(event.kind == "found" for event in sim.ledger.events())


def test_a_comparison_is_made_once_a_day_whoever_asks(sim: Sim) -> None:
    """The ledger says when it was made last; a new ledger has nothing to compare yet."""
    one, other = daily(sim), daily(sim, "other")
    assert one() is None
    sim.clock.advance(DAY)
    assert (one(), other(), one()) == (0, None, None)
    sim.clock.advance(DAY)
    assert sim.ledger.lock("reconcile:made", "a third", HOUR)
    assert other() is None


def test_people_are_told_of_drift_and_reminded_and_not_every_day(sim: Sim) -> None:
    """Once when it is new, again after a day, two, four, and then every week; what is over is forgotten."""
    compare = daily(sim)
    compare()
    held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
    sim.store.put(SECRET, "theirs", held, current=True)
    heard = []
    for _ in range(9):
        sim.clock.advance(DAY)
        compare()
        heard.append(told(sim))
    assert heard == [1, 2, 2, 3, 3, 3, 3, 4, 4]
    sim.store.put(SECRET, "back", {"key_id": sim.old.key_id, "secret": sim.old.secret}, current=True)
    sim.clock.advance(DAY)
    assert compare() == 0
