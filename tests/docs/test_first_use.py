import io
import json
import re
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs import harden, signals
from rotator import stores, wiring
from rotator.cli import run
from rotator.lab import Buildmarkets
from rotator.telemetry import logs
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from tests.docs.pages import ROOT, blocks

README = ROOT / "README.md"
FASTER = 20
ADMIN, SECRET = "rotator/buildmarkets-admin", "prod/market-maker/buildmarkets"


class FastClock:
    """The wall clock, running ahead; deadlines stay as they are."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._base = datetime.now(UTC)

    def now(self) -> datetime:
        return self._base + timedelta(seconds=(time.monotonic() - self._began) * FASTER)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / FASTER)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSecretsManager:
    """A Secrets Manager in place of the real one, and a process that is left as it was."""
    clock = FastClock()
    service = FakeSecretsManager(clock)
    monkeypatch.setattr(wiring, "SystemClock", lambda: clock)
    monkeypatch.setattr(stores, "make", lambda _ref, _clock: service.store())
    monkeypatch.setattr(logs, "configure", lambda *_args, **_more: None)
    monkeypatch.setattr(harden, "harden", lambda: None)
    monkeypatch.setattr(signals, "catch", threading.Event)
    monkeypatch.delenv("SENTRY_DSN", raising=False)
    monkeypatch.setenv("ROTATOR_LEDGER", f"sqlite:///{tmp_path}/ledger.sqlite")
    monkeypatch.chdir(tmp_path)
    return service


@pytest.fixture
def provider() -> Iterator[Buildmarkets]:
    """A local Buildmarkets."""
    with Buildmarkets(limits=()) as provider:
        yield provider


def steps() -> list[str]:
    """The commands of the first use, and the one that the text adds; the daemon apart, which goes on."""
    shell = next(block for block in blocks("sh") if block.page == README and "rotator" in block.text)
    added = re.search(r"`(rotator run-now [^`]+)`", README.read_text())
    assert added is not None
    return [line for line in shell.text.splitlines() if "daemon" not in line] + [f"{added[1]} --yes"]


def test_the_first_use_goes_as_the_readme_says(
    service: FakeSecretsManager, provider: Buildmarkets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step, typed as it stands, does what it promises; at the end a new key is in use."""
    client = service.client()
    old = provider.create("made by hand", scopes=["accounts:read", "trading:write"])
    before = {"api_key": old["api_key"], "api_secret": old["api_secret"], "desk": "a"}
    client.create_secret(
        Name=SECRET, SecretString=json.dumps(before), ClientRequestToken="made".ljust(40, "-")
    )
    client.create_secret(Name=ADMIN, SecretString="{}", ClientRequestToken="admin".ljust(40, "-"))
    policies = next(block.text for block in blocks("yaml") if block.page == README)
    here = re.sub(r"base_url: \S+", f"base_url: {provider.url}", policies).replace(
        "environment: production", "environment: sandbox"
    )
    (tmp_path / "rotator.yaml").write_text(here)
    for step in steps():
        admin = json.dumps({name: provider.admin[name] for name in ("api_key", "api_secret")})
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(admin.encode())))
        words = shlex.split(step.replace(" ID", f" {old['key_id']}"))
        assert run(words[1:]) == 0, step
    held = json.loads(client.get_secret_value(SecretId=SECRET, VersionStage="AWSCURRENT")["SecretString"])
    assert held.keys() == {*before, "key_id"}
    assert held["desk"] == "a"
    assert held["key_id"] != old["key_id"]
    assert provider.accepts(held), "the new key works"
    assert provider.accepts(old), "the old one lives until its grace is over"
