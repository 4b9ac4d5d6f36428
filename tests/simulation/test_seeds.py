"""Whole runs drawn from a number: several workers, secrets and accounts, faults and weather."""

import pytest

from tests.simulation.seeds import run

SEEDS, SHARDS = 32, 8


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_rule_is_broken_whatever_a_seed_brings(shard: int) -> None:
    """The checker finds nothing in the history of any of these seeds; `make soak` tries others."""
    for seed in range(shard, SEEDS, SHARDS):
        broken = run(seed)[1]
        assert not broken, f"{broken}\npython -m tests.simulation --seed {seed}"


@pytest.mark.parametrize("seed", [3, 11])
def test_a_seed_replays(seed: int) -> None:
    """The same number gives the same history, line by line."""
    assert run(seed)[0].history.told() == run(seed)[0].history.told()
