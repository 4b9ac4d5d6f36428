"""An incident as a person has it: real processes, a real ledger, providers and a store over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.incident import furnish
from tests.bench.outside import Outside, Size

SECRETS, ACCOUNTS = 12, 2
ORDER = ("run-now", "--tag", "on=laptop", "--revoke-now", "--yes", "--json", "--reason", "laptop lost")


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Twelve keys at two accounts."""
    with Outside(Size(SECRETS, ACCOUNTS, 0.0, 0.0)) as running:
        yield running


def begun(folder: Path, *words: str) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "ROTATOR_LEDGER": f"sqlite:///{folder / 'ledger.sqlite'}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "rotator", "--policies", str(folder / "rotator.yaml"), *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """A command's exit code, and its document."""
    process = begun(folder, *words)
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in err, err
    return process.returncode, json.loads(out)


def test_a_fleet_is_rotated_by_one_command_and_reported(tmp_path: Path, outside: Outside) -> None:
    """One goes first at each account; all end contained; the page and the later report say the same."""
    furnish(tmp_path, outside)
    code, told = ran(tmp_path, *ORDER, "--html", str(tmp_path / "incident.html"))
    assert (code, told["counts"]["rotated"], told["contained"]) == (0, SECRETS, SECRETS)
    assert outside.calls()["provider"]["issue"] == SECRETS
    lines = sorted(told["policies"], key=lambda line: str(line["began_at"]))
    first, rest = lines[:ACCOUNTS], lines[ACCOUNTS:]
    assert len({line["provider"] for line in first}) == ACCOUNTS
    assert max(line["in_use_at"] for line in first) < min(line["began_at"] for line in rest)
    assert all(line["certificates"][0]["death"] == "proven" for line in lines)
    again, later = ran(tmp_path, "incident", "--json")
    assert (again, later["policies"]) == (0, told["policies"])
    page = (tmp_path / "incident.html").read_text()
    assert all(line["new_key"] in page for line in lines)


def test_a_command_that_was_stopped_goes_on_where_it_was(tmp_path: Path, outside: Outside) -> None:
    """Ctrl-C in the middle: given again, the same command issues no key a second time."""
    furnish(tmp_path, outside)
    process = begun(tmp_path, *ORDER)
    while outside.calls()["provider"]["issue"] <= ACCOUNTS:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    stopped = json.loads(out)
    assert process.returncode == 1
    assert "The orders stand" in err
    assert 0 < stopped["counts"]["rotated"] < SECRETS
    code, told = ran(tmp_path, *ORDER)
    assert (code, told["counts"]["rotated"]) == (0, SECRETS)
    assert told["incident"]["id"] == stopped["incident"]["id"]
    assert outside.calls()["provider"]["issue"] == SECRETS


def test_an_account_that_refuses_us_holds_up_no_other(tmp_path: Path, outside: Outside) -> None:
    """Its secrets wait for a person, who is told what to do; the exit code says that not all is covered."""
    furnish(tmp_path, outside, admins={1: "rotator/admin-0"})
    code, told = ran(tmp_path, *ORDER)
    found = {line["policy"]: line for line in told["policies"]}
    refused = [line for line in found.values() if line["provider"] == "build-1"]
    assert code == 1
    assert told["counts"]["rotated"] == SECRETS // ACCOUNTS
    assert all(line["coverage"] == "waiting for a person" for line in refused)
    assert all("submit --admin build-1" in line["why"] for line in refused)
    assert sum("not begun" in line["why"] for line in refused) == len(refused) - 1
