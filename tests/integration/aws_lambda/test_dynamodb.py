"""The function as it is meant to run: in Lambda, on a ledger in DynamoDB, with its audit key in a secret."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.lambda_handler import Failed
from tests.embedded.dynamodb import Server
from tests.integration.aws_lambda.conftest import STEPS, Stage

TICK = {"rotator": "tick"}


@pytest.fixture
def table(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The stage in Lambda's own surroundings."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "rotator-function")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_SECRET", "rotator/audit-key")
    monkeypatch.delenv("ROTATOR_AUDIT_KEY_FILE", raising=False)
    stage.service.client().create_secret(Name="rotator/audit-key", SecretString=os.urandom(32).hex())
    with Server() as server, server.table() as name:
        monkeypatch.setenv("ROTATOR_LEDGER", server.address(name))
        yield stage
        stage.cool()
        key = os.environ.pop("ROTATOR_AUDIT_KEY_FILE", None)
        if key is not None:
            Path(key).unlink()
            Path(key).parent.rmdir()


def test_a_rotation_by_secrets_manager_and_a_tick_on_dynamodb(table: Stage) -> None:
    """Every step in a process of its own: the table and the secret hold all that is needed."""
    before, token = table.read("prod/native"), table.rotate()
    for step in STEPS:
        assert table.step(step, token)["done"]
        table.cool()
    assert table.read("prod/native")["key_id"]
    assert table.read("prod/native") != before
    assert table.send(TICK)["stopped"] is None


def test_a_file_is_refused_in_lambda(table: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is emptied at any time."""
    monkeypatch.setenv("ROTATOR_LEDGER", f"sqlite:///{table.folder}/l.db")
    with pytest.raises(Failed, match="whose disk is emptied at any time"):
        table.send(TICK)


def test_an_audit_key_that_is_not_there_is_told(table: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable that names it, and no ledger is begun under another key."""
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_SECRET", "rotator/nowhere")
    with pytest.raises(Failed, match="ROTATOR_AUDIT_KEY_SECRET: the key of the audit trail cannot be read"):
        table.send(TICK)
