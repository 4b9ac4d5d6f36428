"""The cost of having policies: start, idle ticks and memory, each size in a process of its own."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import bindparam, update

from rotator import caseload
from rotator.ledger import need_not_last, open_ledger
from rotator.ledger.codec import SECRET
from rotator.ledger.instants import instant
from rotator.ledger.schema import SECRETS
from rotator.ledger.sql import SqlLedger
from rotator.model import CurrentKey, Policy, Provenance, SecretState
from rotator.policies import Book, load
from rotator.providers.network import Network, Surroundings
from rotator.run_pass import Worker
from rotator.testing.fakes import Told
from rotator.wiring import SystemClock, Wiring

T = TypeVar("T")

SIZES = (10, 1_000, 10_000, 100_000)
_TICKS = 50

_HEAD = """\
version: 1
stores:
  aws: {type: aws-secrets-manager, region: eu-west-1}
providers:
  build:
    type: buildmarkets
    base_url: https://keys.example.com
    admin: {store: aws, secret: rotator/admin}
policies:
"""
_POLICY = """\
  - {{name: policy-{0:06d}, provider: build, store: aws, secret: prod/{0:06d}, every: 30d, grace: 24h,
     key: {{scopes: [accounts:read]}}}}
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """What ``policies`` cost. Seconds of CPU; memory in bytes, the most that was ever used."""

    policies: int
    read: float  # the policy file
    enrol: float  # a worker that begins with an empty ledger
    start: float  # a worker that begins again
    tick: float  # one pass with nothing due, and a look for alarms
    memory: int


def measure(policies: int) -> Idle:
    """Measure one size in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.idle", str(policies)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Idle(**json.loads(answer.stdout))


def policy_file(file: Path, policies: int) -> None:
    """Write so many policies of one provider."""
    with file.open("w") as written:
        written.write(_HEAD)
        written.writelines(_POLICY.format(number) for number in range(policies))


def _measured(policies: int, folder: Path) -> Idle:
    file = folder / "rotator.yaml"
    policy_file(file, policies)
    book, read = _timed(lambda: load(file))
    clock = SystemClock()
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    assert isinstance(ledger, SqlLedger), "the ledger in a file"
    with Wiring(ledger, clock, Network(Surroundings(), clock)) as world:
        _, enrol = _timed(lambda: _worker(world, book))
        _settle(ledger, book)
        worker, start = _timed(lambda: _worker(world, book))
        worker.run_pass()
        began = time.process_time()
        for _ in range(_TICKS):
            assert worker.run_pass() == 0, "nothing is due"
            worker.tell_alarms()
        tick = (time.process_time() - began) / _TICKS
        worker.close()
    return Idle(policies, read, enrol, start, tick, _memory())


def _timed(act: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    done = act()
    return done, time.process_time() - began


def _worker(world: Wiring, book: Book) -> Worker:
    return Worker(world, book, Told(), holder="bench")


def _settle(ledger: SqlLedger, book: Book) -> None:
    """Write each secret as it is once it was looked at, due in a month: in portions, to keep memory low."""
    now = ledger.now()
    statement = update(SECRETS).where(SECRETS.c.id == bindparam("its_id"))
    statement = statement.values(doc=bindparam("its_doc"), next_at=instant(now + timedelta(days=30)))
    states = ledger.secrets()
    while portion := list(islice(states, 1_000)):
        rows = [
            {"its_id": state.id, "its_doc": SECRET.encode(_looked_at(state, book.by_secret[state.id], now))}
            for state, _ in portion
        ]
        with ledger._database.writing() as connection:
            connection.execute(statement, rows)


def _looked_at(state: SecretState, policy: Policy, now: datetime) -> SecretState:
    key = CurrentKey(f"{state.id[-6:]:>032}", "key-1", Provenance.ADOPTED, now)
    return replace(state, looked_at=now, current=key, rotated_at=now, digest=caseload.digest(policy))


def _memory() -> int:
    """The most bytes that this process ever used; where Linux tells it, without those of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        need_not_last(Path(folder))
        sys.stdout.write(json.dumps(asdict(_measured(int(sys.argv[1]), Path(folder)))))
