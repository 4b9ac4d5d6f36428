"""The function as it is meant to run: in Lambda, on a ledger in DynamoDB, with its audit key in a secret."""

import os
from collections.abc import Iterator

import boto3
import pytest

from jobs.lambda_handler import Failed
from tests.embedded.dynamodb import CREDENTIALS, Server
from tests.integration.aws_lambda.conftest import STEPS, Stage

TICK = {"rotator": "tick"}
AUDIT_KEY = "rotator/audit-key"


@pytest.fixture
def table(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The stage in Lambda's own surroundings."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "rotator-function")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_SECRET", AUDIT_KEY)
    monkeypatch.delenv("ROTATOR_AUDIT_KEY_FILE", raising=False)
    with Server() as server, server.table() as name:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        owner = boto3.client("secretsmanager", region_name="eu-west-1")
        owner.create_secret(Name=AUDIT_KEY, SecretString=os.urandom(32).hex())
        monkeypatch.setenv("ROTATOR_LEDGER", server.address(name))
        yield stage
        stage.cool()
        owner.delete_secret(SecretId=AUDIT_KEY, ForceDeleteWithoutRecovery=True)
        owner.close()


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
    with pytest.raises(Failed, match="See that ROTATOR_AUDIT_KEY_SECRET names the right secret"):
        table.send(TICK)
