import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.executable import Answer, Executable
from tests.embedded.dynamodb import CREDENTIALS, Server
from tests.integration.postgres.fleet import Fleet


@pytest.fixture
def fleet(dynamo: Server, table: str, tmp_path: Path) -> Iterator[Fleet]:
    """Two secrets that are due, and no worker yet."""
    with Fleet(dynamo.address(table), tmp_path, size=2) as fleet:
        yield fleet


class Commands:
    """Commands on a fleet's ledger, as a person gives them."""

    def __init__(self, fleet: Fleet, audit_key: Path) -> None:
        self._rotator = Executable(fleet.folder)
        self._given = {
            **CREDENTIALS,
            "NO_PROXY": "127.0.0.1",
            "ROTATOR_AUDIT_KEY_FILE": str(audit_key),
            "ROTATOR_LEDGER": fleet.url,
        }

    def __call__(self, *args: str, code: int = 0) -> Answer:
        """One command, which must end with this code."""
        answer = self._rotator(*args, env=self._given)
        assert answer.code == code, answer.all
        return answer


def test_workers_and_commands(fleet: Fleet, audit_key: Path) -> None:
    """Two daemons rotate every secret once and pay every debt; each command then finds it all there."""
    rotator = Commands(fleet, audit_key)
    fleet.start(2)
    fleet.until(fleet.done)
    fleet.must_be_whole()
    assert fleet.issued() == len(fleet.names)
    rotator("tick")
    status = json.loads(rotator("status", "--json").out)
    assert "desk-0" in json.dumps(status)
    assert "promoted" in rotator("history", "desk-0").out
    assert rotator("audit", "verify").code == 0
    exported = [json.loads(line) for line in rotator("audit", "export").out.splitlines()]
    assert {"record", "certificate"} <= {one["type"] for one in exported}
    rotator("pause", "desk-0", "--for", "2h", "--reason", "drill")
    rotator("reconcile")
    assert "paused" in rotator("status", "desk-0").out


def test_a_rotation_by_tick(fleet: Fleet, audit_key: Path) -> None:
    """Single passes, each a process of its own, bring rotations to their ends, and the old keys to theirs."""
    rotator = Commands(fleet, audit_key)
    for _ in range(6):
        rotator("tick")
        if fleet.done():
            break
    fleet.must_be_whole()
    rotator("audit", "verify")


def test_commands_before_the_first(dynamo: Server, table: str, tmp_path: Path, audit_key: Path) -> None:
    """In an empty table there is no ledger yet, and a missing table is an error with what to apply."""
    rotator = Executable(tmp_path)
    env = {**CREDENTIALS, "NO_PROXY": "127.0.0.1", "ROTATOR_AUDIT_KEY_FILE": str(audit_key)}
    (tmp_path / "rotator.yaml").write_text("version: 1\nstores: {}\nproviders: {}\npolicies: []\n")
    empty = rotator("--ledger", dynamo.address(table), "status", env=env)
    assert f"There is no ledger at dynamodb://{table}" in empty.err, empty.all
    missing = rotator("--ledger", dynamo.address("missing"), "status", env=env)
    assert missing.code == 2
    assert "terraform/modules/state" in missing.err
