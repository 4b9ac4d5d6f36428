"""How long commands take to start: wall time of whole processes, the median of several."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rotator.ledger import need_not_last, open_ledger
from rotator.policies import load
from rotator.providers.network import Network, Surroundings
from rotator.run_pass import Worker
from rotator.testing.fakes import Told
from rotator.wiring import SystemClock, Wiring
from tests.bench.idle import policy_file


@dataclass(frozen=True, slots=True)
class Start:
    """A command line, and the seconds that it took, in the middle of several."""

    command: str
    policies: int
    wall: float


def measure(policies: Sequence[int], times: int) -> list[Start]:
    """``--version``, then ``status`` with so many policies each."""
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        need_not_last(folder)
        starts = [Start("rotator --version", 0, _median(folder, times, "--version"))]
        for count in policies:
            policy_file(folder / "rotator.yaml", count)
            _enrol(folder)
            starts.append(Start("rotator status", count, _median(folder, times, "status")))
    return starts


def _enrol(folder: Path) -> None:
    """A ledger that knows every policy."""
    clock = SystemClock()
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    with Wiring(ledger, clock, Network(Surroundings(), clock)) as world:
        Worker(world, load(folder / "rotator.yaml"), Told(), holder="bench").close()


def _median(folder: Path, times: int, *words: str) -> float:
    script = Path(sys.executable).with_name("rotator")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "rotator"]
    environment = {
        **os.environ,
        "ROTATOR_POLICIES": str(folder / "rotator.yaml"),
        "ROTATOR_LEDGER": f"sqlite:///{folder / 'ledger.sqlite'}",
    }
    walls = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run([*command, *words], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
        walls.append(time.monotonic() - began)
    return statistics.median(walls)
