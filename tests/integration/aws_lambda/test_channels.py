"""What a function tells channels, of which it has none but the time until its answer."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from rotator.telemetry.outbox import Outbox
from tests.integration.aws_lambda.conftest import STEPS, Stage
from tests.unit.telemetry.ingest import Ingest, ingest

TICK = {"rotator": "tick"}
NOTIFY = """
notify:
  channels:
    desk: {secret: {store: aws, secret: url/desk}}
  otherwise: [desk]
defaults:"""


@pytest.fixture
def desk(stage: Stage) -> Iterator[Ingest]:
    """What is behind the one channel of the stage's policies."""
    path = stage.folder / "rotator.yaml"
    path.write_text(path.read_text().replace("\ndefaults:", NOTIFY))
    with ingest() as server:
        address = json.dumps({"url": f"json://127.0.0.1:{server.port}/desk"})
        stage.service.client().create_secret(Name="url/desk", SecretString=address)
        yield server
        stage.cool()


def waiting(stage: Stage) -> int:
    """How many messages the channel has not taken."""
    with stage.ledger() as ledger:
        return len(Outbox(ledger, "desk", "test").waiting(datetime.now(UTC)))


def bodies(desk: Ingest) -> list[str]:
    """What it was told."""
    return [json.loads(body)["message"] for body in desk.raw]


def ended() -> bool:
    """Whether every thread that tells channels is at its end."""
    ours = [each for each in threading.enumerate() if each.name.startswith(("courier", "notify"))]
    for each in ours:
        each.join(5)
    return not any(each.is_alive() for each in ours)


def test_a_channel_is_told_before_the_answer(stage: Stage, desk: Ingest) -> None:
    """Of a schedule's pass; a frozen process tells nobody, and nothing of it goes on."""
    stage.service.client().delete_secret(SecretId="prod/ours")
    assert not stage.send(TICK)["good"]
    assert len([body for body in bodies(desk) if "prod/ours" in body]) == 1
    assert waiting(stage) == 0
    stage.send(TICK)
    assert len(desk.raw) == 1
    assert ended()


def test_a_channel_hears_of_a_step_that_failed(stage: Stage, desk: Ingest) -> None:
    """Of Secrets Manager's rotation as of ours."""
    token = stage.rotate()
    stage.provider.expire_admin()
    with pytest.raises(Exception, match="createSecret of native"):
        stage.step(STEPS[0], token)
    assert desk.raw


def test_a_channel_that_does_not_answer_holds_up_no_answer(stage: Stage, desk: Ingest) -> None:
    """Where the time is short; the message waits in the ledger, and the next event tells it."""
    stage.send(TICK)
    path = stage.folder / "rotator.yaml"
    good = path.read_text()
    path.write_text("version: 2\n")
    desk.go_on.clear()
    began = time.monotonic()
    stage.send(TICK, seconds=20)
    assert time.monotonic() - began < 5
    assert waiting(stage) == 1
    desk.go_on.set()
    path.write_text(good)
    stage.send(TICK)
    assert any("The policies cannot be used" in body for body in bodies(desk))
    assert waiting(stage) == 0
