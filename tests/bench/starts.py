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

_ROOT = Path(__file__).parents[2]


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
    return statistics.median(_wall(folder, *command, *words) for _ in range(times))


def cold(policies: Sequence[int], times: int) -> list[Start]:
    """What Lambda does at a cold start: import the handler; then the first event, each on an empty ledger."""
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        need_not_last(folder)
        python = (sys.executable, "-c")
        imported = statistics.median(_wall(folder, *python, _HANDLER) for _ in range(times))
        starts = [Start("import jobs.lambda_handler", 0, imported)]
        for count in policies:
            policy_file(folder / "rotator.yaml", count)
            walls = [_first_event(folder, *python, _HANDLER + _EVENT) for _ in range(times)]
            starts.append(Start("its first schedule event", count, statistics.median(walls)))
    return starts


_HANDLER = "from jobs.lambda_handler import handler\n"
_EVENT = """
class Context:
    function_name, aws_request_id = "rotator", "1"
    def get_remaining_time_in_millis(self):
        return 20_000  # nothing begins: no store is asked
assert handler({"rotator": "tick"}, Context())["good"]
"""


def _first_event(folder: Path, *command: str) -> float:
    """The wall time of a process; the ledger that it made is taken away."""
    wall = _wall(folder, *command)
    for path in folder.glob("ledger.sqlite*"):
        path.unlink()
    return wall


def _wall(folder: Path, *command: str) -> float:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
        "ROTATOR_POLICIES": str(folder / "rotator.yaml"),
        "ROTATOR_LEDGER": f"sqlite:///{folder / 'ledger.sqlite'}",
        "ROTATOR_AUDIT_ANCHOR": str(folder / "ledger.sqlite.anchors"),
        "ROTATOR_LOG_LEVEL": "error",
    }
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    return time.monotonic() - began
