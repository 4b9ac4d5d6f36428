"""A whole rotator in one process: a local provider over HTTP, a faithful store, a ledger in a file."""

import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs import harden, signals
from rotator import blocks, stores, wiring
from rotator.cli import run
from rotator.interfaces import Ledger
from rotator.lab import Buildmarkets
from rotator.lab.figure import Figure
from rotator.ledger import open_ledger
from rotator.policies import Book, load
from rotator.telemetry import logs
from rotator.testing.fake_secrets_manager import FakeSecretsManager

FASTER = 10  # a claim of 90 s outlasts a machine that hesitates for 9


class FastClock:
    """The wall clock, ten times faster; deadlines stay as they are."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._base = datetime.now(UTC)

    def now(self) -> datetime:
        """The time, running ahead."""
        return self._base + timedelta(seconds=(time.monotonic() - self._began) * FASTER)

    def monotonic(self) -> float:
        """Seconds as they are."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """As long as the wall clock takes."""
        time.sleep(seconds / FASTER)


@dataclass
class Said:
    """What a command line answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)


@dataclass
class Rig:
    """What a command line meets."""

    folder: Path
    provider: Buildmarkets
    service: FakeSecretsManager
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def say(self, *args: str, stdin: str = "") -> Said:
        """Run a command line here; nothing that it says may hold a secret."""
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        paths = ["--policies", str(self.folder / "rotator.yaml"), "--ledger", f"sqlite:///{self.folder}/l.db"]
        code = run([*paths, *args])
        captured = self.capture.readouterr()
        for value in self.values():
            assert value not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    def values(self) -> frozenset[str]:
        """Every secret value that there is."""
        return self.provider.values()

    def secret(self, name: str, value: dict[str, str]) -> None:
        """Make a secret."""
        self.service.client().create_secret(
            Name=name, SecretString=json.dumps(value), ClientRequestToken=f"made-{name}".ljust(40, "-")
        )

    @property
    def book(self) -> Book:
        """Its policies."""
        return load(self.folder / "rotator.yaml")

    def ledger(self) -> Ledger:
        """The ledger of its commands; whoever opens it closes it."""
        return open_ledger(f"sqlite:///{self.folder}/l.db", wiring.SystemClock())

    def fails(self) -> None:
        """Several secrets failed at the provider, which is paused."""
        with closing(self.ledger()) as ledger:
            for number in range(blocks.SECRETS):
                blocks.failed(ledger, self.book.policies[0], f"secret {number}", "http-503")

    def read(self, name: str) -> dict[str, str]:
        """What consumers read."""
        found = self.service.client().get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        value: dict[str, str] = json.loads(found["SecretString"])
        return value


POLICIES = """
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
providers:
  build: {{type: buildmarkets, base_url: "{url}", admin: {{store: aws, secret: admin}}}}
defaults: {{every: 30d, grace: 24h}}
policies:
  - name: orders
    provider: build
    store: aws
    secret: prod/orders
    key: {{scopes: ["accounts:read"]}}
    tags: {{team: a}}
  - name: quotes
    provider: build
    store: aws
    secret: prod/quotes
    key: {{scopes: ["accounts:read"]}}
"""


def settled(monkeypatch: pytest.MonkeyPatch) -> FakeSecretsManager:
    """The store that every command meets, and surroundings that outlast no test."""
    clock = FastClock()
    service = FakeSecretsManager(clock)
    monkeypatch.setattr(wiring, "SystemClock", lambda: clock)
    monkeypatch.setattr(stores, "make", lambda _ref, _clock: service.store())
    monkeypatch.setattr(logs, "configure", lambda *_args, **_more: None)
    monkeypatch.setattr(harden, "harden", lambda: None)  # it would last as long as this process
    monkeypatch.setattr(signals, "catch", threading.Event)
    monkeypatch.delenv("SENTRY_DSN", raising=False)
    return service


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Rig]:
    """Two policies: ``orders`` holds a key that was there before, whose id nobody said; ``quotes`` ours."""
    service = settled(monkeypatch)
    with Buildmarkets(limits=()) as provider:
        rig = Rig(tmp_path, provider, service, capsys, monkeypatch)
        (tmp_path / "rotator.yaml").write_text(POLICIES.format(url=provider.url))
        rig.secret("admin", provider.admin)
        old = provider.create("made by hand", scopes=["accounts:read"])
        rig.secret("prod/orders", {name: old[name] for name in ("api_key", "api_secret")})
        rig.secret("prod/quotes", {})
        yield rig


@dataclass
class PeopleRig(Rig):
    """With a provider where people issue."""

    figure: Figure

    def values(self) -> frozenset[str]:
        """Every secret value that there is."""
        return self.provider.values() | self.figure.values()

    def bring(self, fields: dict[str, Any], *args: str) -> Said:
        """Submit fields for the policy ``client``."""
        return self.say("submit", "client", *args, stdin=json.dumps(fields))


PEOPLE = """
  figure: {{type: figure, base_url: "{figure}"}}
defaults: {{every: 30d, grace: 24h}}
policies:
  - {{name: client, provider: figure, kind: client, store: aws, secret: prod/client}}
"""
TOKEN = """
  - name: token
    provider: figure
    kind: access-token
    store: aws
    secret: prod/token
    from: {{store: aws, secret: prod/client}}
"""


@pytest.fixture
def people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[PeopleRig]:
    """One policy, ``client``, whose credential a person issued."""
    service = settled(monkeypatch)
    with Buildmarkets(limits=()) as provider, Figure() as figure:
        rig = PeopleRig(tmp_path, provider, service, capsys, monkeypatch, figure)
        text = POLICIES[: POLICIES.index("defaults")].strip("\n") + PEOPLE
        (tmp_path / "rotator.yaml").write_text(text.format(url=provider.url, figure=figure.url))
        rig.secret("admin", provider.admin)
        rig.secret("prod/client", figure.admin)
        yield rig


@pytest.fixture
def tokens(people: PeopleRig) -> PeopleRig:
    """The same, and a policy of the token that the credential mints."""
    path = people.folder / "rotator.yaml"
    path.write_text(path.read_text() + TOKEN.format())
    people.secret("prod/token", {})
    return people
