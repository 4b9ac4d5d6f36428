import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobs import harden
from rotator import wiring
from rotator.cli import run
from rotator.lab.faults import Slow
from rotator.lab.figure import Figure
from rotator.lab.vault import LocalVault
from rotator.ledger import open_ledger
from rotator.model import Phase
from rotator.telemetry import logs
from tests.acceptance.executable import PROGRAM, Executable

POLICIES = """\
version: 1
stores:
  vault: {{type: vault-kv2, url: "{vault}", auth: {{method: token}}}}
providers:
  figure: {{type: figure, base_url: "{figure}"}}
policies:
  - {{name: client, provider: figure, kind: client, store: vault, secret: prod/client, every: 30d, grace: 1h}}
"""


class Later(wiring.SystemClock):
    """Two minutes ahead: the claim of a process that was killed is over."""

    def now(self) -> datetime:
        """The wall clock, ahead."""
        return super().now() + timedelta(minutes=2)


@pytest.fixture
def lab(rotator: Executable) -> Iterator[tuple[LocalVault, Figure]]:
    """A Vault that holds a client of Figure, and the policy of it."""
    with LocalVault() as vault, Figure() as figure:
        vault.put("prod/client", **figure.admin)
        rotator.policies(POLICIES.format(vault=vault.url, figure=figure.url))
        yield vault, figure


def started(rotator: Executable, vault: LocalVault, fields: dict[str, str]) -> "subprocess.Popen[bytes]":
    """A submit on its way, as a person starts it."""
    home = {"PATH": os.environ["PATH"], "HOME": str(rotator.folder), "NO_PROXY": "*"}
    process = subprocess.Popen(
        [*PROGRAM, "--ledger", f"sqlite:///{rotator.folder}/l.db", "submit", "client"],
        cwd=rotator.folder,
        env={**home, "VAULT_TOKEN": vault.root},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.write(json.dumps(fields).encode())
    return process


def until_sent(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the ledger says that a credential is about to be written."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, "it ended by itself"
        if (folder / "l.db").exists():
            ledger = open_ledger(f"sqlite:///{folder}/l.db", wiring.SystemClock())
            try:
                rotations = [ledger.rotation(state.id) for state, _ in ledger.secrets()]
            finally:
                ledger.close()
            if any(each is not None and each.phase is Phase.ISSUED for each in rotations):
                return
        threading.Event().wait(0.1)
    raise AssertionError("nothing was submitted")


def test_a_submit_that_is_killed_loses_nothing(
    rotator: Executable, lab: tuple[LocalVault, Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the store hangs, the old credential stays; the same one, brought again, is taken."""
    vault, figure = lab
    fresh, before = figure.issue_by_hand(), vault.fields("prod/client")
    vault.fail_next("POST /v1/secret/data/rotator/*", Slow(3600))
    process = started(rotator, vault, fresh)
    until_sent(rotator.folder, process)
    process.kill()
    process.wait(30)
    assert vault.fields("prod/client") == before
    assert figure.accepts(before)

    monkeypatch.setattr(wiring, "SystemClock", Later)
    monkeypatch.setattr(harden, "harden", lambda: None)  # it would last as long as this process
    monkeypatch.setattr(logs, "configure", lambda *_args, **_more: None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(fresh).encode())))
    monkeypatch.setenv("VAULT_TOKEN", vault.root)
    monkeypatch.chdir(rotator.folder)
    assert run(["--ledger", f"sqlite:///{rotator.folder}/l.db", "submit", "client"]) == 0
    assert vault.fields("prod/client") == fresh
    assert figure.accepts(before)


def test_nothing_that_is_submitted_is_repeated(rotator: Executable, lab: tuple[LocalVault, Figure]) -> None:
    """Of a wrong shape, and of a refused credential, no output shows a value; the old one stays."""
    vault, _ = lab
    before = vault.fields("prod/client")
    wrong = {"client_id": "hunter2-id", "client_secret": "hunter2-secret"}
    for stdin, code in (("hunter2", 2), ('{"client_id": "hunter2 x", "client_secret": "y"}', 2), (wrong, 1)):
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        answer = rotator("submit", "client", stdin=text, env={"VAULT_TOKEN": vault.root, "NO_PROXY": "*"})
        assert answer.code == code
        assert "hunter2" not in answer.all
        assert "Traceback" not in answer.all
    assert vault.fields("prod/client") == before
