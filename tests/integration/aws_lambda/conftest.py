"""A function with its events, over a local provider, Secrets Manager in memory and a ledger in a file."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobs import lambda_handler
from rotator.interfaces import Ledger
from rotator.lab import Buildmarkets
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from tests.unit.cli.conftest import settled

POLICIES = """
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
providers:
  build: {{type: buildmarkets, base_url: "{url}", admin: {{store: aws, secret: admin}}}}
defaults: {{store: aws, provider: build, grace: 0s}}
policies:
  - {{name: ours, secret: prod/ours, every: 30d, key: {{scopes: ["accounts:read"]}}}}
  - {{name: native, secret: prod/native, trigger: secrets-manager, key: {{scopes: ["accounts:read"]}}}}
"""
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass
class Context:
    """What Lambda hands over; ``seconds`` are left at the beginning."""

    seconds: float = 900.0
    function_name: str = "rotator-function"
    aws_request_id: str = "00000000-0000-4000-8000-000000000001"
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.seconds

    def get_remaining_time_in_millis(self) -> int:
        """Until it is killed."""
        return int((self.ends - time.monotonic()) * 1000)


@dataclass
class Stage:
    """The function, and what it meets."""

    folder: Path
    provider: Buildmarkets
    service: FakeSecretsManager
    capture: pytest.CaptureFixture[str]

    def send(self, event: object, seconds: float = 900.0) -> dict[str, Any]:
        """An event; nothing that comes of it holds a secret."""
        failed: list[BaseException | str | None] = []
        try:
            answer = dict(lambda_handler.handler(event, Context(seconds)))
        except lambda_handler.Failed as error:
            failed += [str(error), error.__cause__, error.__context__]
            raise
        finally:
            self.clean(str(failed))
            assert failed[1:] in ([], [None, None]), "what was caught does not leave with it"
        self.clean(json.dumps(answer))
        return answer

    def clean(self, text: str) -> None:
        """No value of a key is in what was answered, or logged."""
        captured = self.capture.readouterr()
        for value in self.provider.values():
            assert value not in text + captured.out + captured.err

    def step(self, step: str, token: str, secret: str = "prod/native", **more: str) -> dict[str, Any]:
        """What Secrets Manager calls with."""
        arn = self.service.client().describe_secret(SecretId=secret)["ARN"]
        return self.send({"Step": step, "SecretId": arn, "ClientRequestToken": token, **more})

    def rotate(self, secret: str = "prod/native") -> str:
        """RotateSecret, as far as the secret goes; the version's id."""
        return str(self.service.client().rotate_secret(SecretId=secret)["VersionId"])

    def read(self, name: str) -> dict[str, str]:
        """What consumers read."""
        found: dict[str, str] = json.loads(
            self.service.client().get_secret_value(SecretId=name)["SecretString"]
        )
        return found

    def empty(self, name: str) -> None:
        """The secret holds no key: one is due at once."""
        self.service.client().put_secret_value(SecretId=name, SecretString="{}")

    def issued(self) -> int:
        """How many keys were asked for."""
        return sum(call.method == "POST" and call.path.endswith("/v1/keys") for call in self.provider.calls)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """What the function remembers."""
        ledger = open_ledger(f"sqlite:///{self.folder}/l.db", ManualClock(), create=False)
        try:
            yield ledger
        finally:
            ledger.close()

    def cool(self) -> None:
        """The function's process is gone; the next event starts another."""
        while lambda_handler._warm:
            lambda_handler._warm.pop().close()


@pytest.fixture
def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Stage]:
    """One policy with a schedule, whose time has not come, and one that Secrets Manager rotates."""
    service = settled(monkeypatch)
    monkeypatch.setenv("ROTATOR_POLICIES", str(tmp_path / "rotator.yaml"))
    monkeypatch.setenv("ROTATOR_LEDGER", f"sqlite:///{tmp_path}/l.db")
    monkeypatch.setenv("ROTATOR_AUDIT_ANCHOR", str(tmp_path / "anchors"))
    with Buildmarkets(limits=()) as provider:
        (tmp_path / "rotator.yaml").write_text(POLICIES.format(url=provider.url))
        stage = Stage(tmp_path, provider, service, capsys)
        old = provider.create("made by hand", scopes=["accounts:read"])
        other = provider.create("made by hand, too", scopes=["accounts:read"])
        made = {"admin": provider.admin, "prod/ours": other, "prod/native": old}
        for name, value in made.items():
            held = {key: value[key] for key in ("api_key", "api_secret") if key in value} or {}
            service.client().create_secret(Name=name, SecretString=json.dumps(held))
        service.client().rotate_secret(SecretId="prod/native", RotateImmediately=False)
        yield stage
        stage.cool()
