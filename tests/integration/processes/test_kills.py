import random
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.processes.scene import EFFECTS, LATER, Scene, Strike, When, ended

SEED = random.randrange(2**32)
WRITES = {  # with what belongs to the same effect
    "issue": {"issue", "stage"},  # between them the value would be lost
    "stage": {"stage"},
    "promote": {"promote", "stage", "discard"},  # where it waited a note says what became of it
    "revoke": {"revoke"},
}
KILLS: dict[str, tuple[When, ...]] = {**dict.fromkeys(WRITES, ("before", "after")), "discard": ("after",)}


def killed(folder: Path, effect: str, when: When) -> None:
    """A pass is killed there, and later passes find what it left."""
    folder.mkdir()
    with Scene(folder) as scene:
        process = scene.struck("tick", Strike(EFFECTS[effect], when, signal.SIGKILL))
        assert process.wait(20) == -signal.SIGKILL
        scene.healed()


@pytest.mark.parametrize("effect", KILLS)
def test_a_kill_at_any_effect_loses_nothing(effect: str, tmp_path: Path) -> None:
    """Killed when a request arrives, and when it was just done: consumers never notice, one key lives."""
    with ThreadPoolExecutor() as both:
        found = [both.submit(killed, tmp_path / when, effect, when) for when in KILLS[effect]]
    for each in found:
        each.result()


def test_a_kill_at_any_instant_loses_nothing(tmp_path: Path) -> None:
    """Killed again and again at instants drawn at random, it comes to the same end."""
    draw = random.Random(SEED)
    with Scene(tmp_path) as scene:
        for number in range(3):
            process = scene.start("tick", number * LATER)
            try:
                process.wait(draw.uniform(0.4, 2.5))
            except subprocess.TimeoutExpired:
                process.kill()
            ended(process)
        try:
            scene.healed(4 * LATER)
        except AssertionError:
            raise AssertionError(f"seed {SEED}") from None


ENDS = {"issue": signal.SIGTERM, "promote": signal.SIGINT, "revoke": signal.SIGTERM}


@pytest.mark.parametrize("effect", ENDS)
def test_a_daemon_that_is_asked_to_end_begins_no_effect(effect: str, tmp_path: Path) -> None:
    """SIGTERM, or Ctrl-C, as a request arrives: that effect is finished, no other begins, the code is 0."""
    with Scene(tmp_path) as scene:
        process = scene.struck("daemon --tick 1s", Strike(EFFECTS[effect], "before", ENDS[effect]))
        told = ended(process)
        assert (told.code, scene.after_strike() - WRITES[effect]) == (0, set())
        assert "stopped between effects" in told.err
        scene.healed()


@pytest.mark.parametrize("effect", ["issue", "promote"])
def test_a_worker_that_was_frozen_changes_nothing(effect: str, tmp_path: Path) -> None:
    """Frozen as its request arrives, beyond its claim, while another goes on: thawed, it sends nothing."""
    with Scene(tmp_path) as scene:
        frozen = scene.struck("tick", Strike(EFFECTS[effect], "before", signal.SIGSTOP))
        scene.healed()
        before = len(scene.heard)
        frozen.send_signal(signal.SIGCONT)
        told = ended(frozen)
        assert told.code in (0, 1)
        sent = {each for each in scene.heard[before:] if each.startswith(("POST", "DELETE"))}
        # Its own promote may still clear up where the value waited; after a real freeze its time is over.
        assert all("/rotator/pending/" in each and effect == "promote" for each in sent)
        scene.settled()
