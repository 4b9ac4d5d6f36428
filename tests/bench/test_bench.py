import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document() -> dict[str, dict[str, dict[str, dict[str, int]]]]:
    """Every part of the benchmark in small, as one document."""
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: dict[str, dict[str, dict[str, dict[str, int]]]] = json.loads(answer.stdout)
    return told


@pytest.mark.parametrize("over", ["rotator", "rotator-boto3"])
def test_a_whole_rotation_makes_at_most_eight_store_calls(
    document: dict[str, dict[str, dict[str, dict[str, int]]]], over: str
) -> None:
    """Issue, promotion, re-check, revocation and proof included, and so is the admin credential's read."""
    run = document["each"][over]
    assert sum(run["store"].values()) <= 8 * int(str(run["rotations"]))


def test_a_rotation_makes_fewer_store_calls_than_four_steps(
    document: dict[str, dict[str, dict[str, dict[str, int]]]],
) -> None:
    """Those describe the secret at each step, and read it again."""
    ours, theirs = document["each"]["rotator-boto3"], document["each"]["four-steps"]
    assert sum(ours["store"].values()) < sum(theirs["store"].values())


def test_every_part_measures_something(document: dict[str, object]) -> None:
    """No table is empty."""
    assert all(document[part] for part in ("each", "many", "idle", "starts", "incidents", "machine"))
