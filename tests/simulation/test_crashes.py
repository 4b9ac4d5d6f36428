"""Every effect of a whole rotation, struck by every fault, once."""

from pathlib import Path

import pytest

from tests.simulation.sim import Fault, Sim, Strike, Violation


def calls_of(folder: Path) -> int:
    """How many calls a rotation without faults makes."""
    sim = Sim(folder)
    sim.order()
    sim.run()
    sim.ended_well()
    return len(sim.calls)


def test_a_rotation_without_faults_ends_with_one_live_key(tmp_path: Path) -> None:
    """From an order to a key that is proven dead, nothing failing."""
    assert calls_of(tmp_path) < 60


@pytest.mark.parametrize("fault", list(Fault))
def test_one_fault_at_every_call_loses_nothing(tmp_path: Path, fault: Fault) -> None:
    """Whatever strikes whichever call, the current key always works and exactly one of ours lives at the
    end.
    """
    nth = 0
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        sim = Sim(folder, strikes=[Strike(nth, fault)])
        sim.order()
        try:
            sim.run()
            sim.ended_well()
        except Violation as violation:
            pytest.fail(f"{fault} at call {nth}, {sim.strikes[0].hit}: {violation}\n{sim.calls}")
        sim.ledger.close()
        if sim.strikes[0].hit is None:
            break
    assert nth > 20
