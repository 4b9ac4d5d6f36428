import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.audit.verify import verify
from rotator.budgets import ALL_REVOCATIONS
from rotator.ledger import audit_keys, open_ledger
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import a_state

COMMITS = """
import sys
from dataclasses import replace
from datetime import timedelta
from rotator.ledger import open_ledger
from rotator.model import Change, Event
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import a_debt, a_rotation, a_state

ledger = open_ledger(sys.argv[1], ManualClock())
ledger.enroll([a_state()])
claim = ledger.claim("one", "worker", timedelta(minutes=1))
for n in range(1_000_000):
    events = (Event("one", str(n), "x" * 2000), Event("one", str(n), "x"))
    ledger.commit(claim, Change(a_state(failures=n), a_rotation(looks=n), (a_debt(n),), events))
    print(n, flush=True)
"""

CLAIMS = """
import sys
from datetime import timedelta
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import a_state

names = [f"secret-{n}" for n in range(40)]
ledger = open_ledger(sys.argv[1], ManualClock())
ledger.enroll(a_state(name) for name in names)
won = [name for name in names if ledger.claim(name, "worker", timedelta(minutes=1))]
ledger.close()
print(ledger.id, *won)
"""

TAKES = """
import sys
from rotator.budgets import take_revocation
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock

ledger = open_ledger(sys.argv[1], ManualClock())
print(sum(take_revocation(ledger) is None for _ in range(50)))
ledger.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that several processes can share, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return str(request.getfixturevalue("database"))


def start(program: str, url: str) -> subprocess.Popen[str]:
    """Another process that uses the ledger at this address."""
    command = [sys.executable, "-c", program, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("commits", [1, 40])
def test_killed_between_commits(commits: int, url: str) -> None:
    """A process killed at any moment leaves a ledger with whole commits only, and all that it was told of."""
    with start(COMMITS, url) as process:
        assert process.stdout
        for _ in range(commits):
            told = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    ledger = open_ledger(url, ManualClock(), create=False)
    state, rotation = ledger.secret("one"), ledger.rotation("one")
    assert state
    assert rotation
    last = state.failures
    assert last >= told
    assert (state, rotation.looks, len(ledger.debts())) == (a_state(failures=last), last, last + 1)
    kinds = [event.kind for event in reversed(ledger.events(limit=10_000))]
    assert kinds == [str(n) for n in range(last + 1) for _ in "12"]
    assert verify(ledger, audit_keys(url)).findings == ()
    assert ledger.claim("one", "another", timedelta(minutes=1)) is None
    ledger.close()


def test_processes_start_and_claim_at_once(url: str) -> None:
    """Processes that make one ledger at once share it: one id, and each secret is claimed by one of them."""
    processes = [start(CLAIMS, url) for _ in range(3)]
    answers = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({answer[0] for answer in answers}) == 1
    won = [name for answer in answers for name in answer[1:]]
    assert sorted(won) == sorted(f"secret-{n}" for n in range(40))


def test_processes_share_one_budget(url: str) -> None:
    """Processes that spend of one budget at once spend exactly what it has."""
    processes = [start(TAKES, url) for _ in range(2)]
    took = [int(process.communicate()[0]) for process in processes]
    assert sum(took) == ALL_REVOCATIONS[0].most
