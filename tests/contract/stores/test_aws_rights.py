"""That the declared rights are true: what a rotation calls, with boto3's own clients and moto."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from rotator.interfaces import SecretStore
from rotator.model import Target
from rotator.stores.aws_secrets_manager import (
    READING,
    REPLICA_RIGHTS,
    RIGHTS,
    ROLE_RIGHTS,
    AwsSecretsManager,
)
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import key, push, target

HERE, THERE = "eu-west-1", "eu-central-1"
BY_AWS = {"kms:Decrypt", "kms:GenerateDataKey"}  # Secrets Manager calls KMS itself, with the caller's rights
WHERE = target("app/one")


@dataclass
class Called:
    """Every operation of AWS that was called, as IAM names it, by region."""

    by_region: dict[str, set[str]] = field(default_factory=dict)

    def taken(self) -> dict[str, set[str]]:
        """What was called since the last time."""
        taken, self.by_region = self.by_region, {}
        return taken


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    """Moto behind all of boto3, and one secret with a replica."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    seen = Called()
    real: Callable[..., Any] = vars(BaseClient)["_make_api_call"]

    def recorded(client: Any, operation: str, request: Any) -> Any:
        action = f"{client.meta.service_model.service_name}:{operation}"
        seen.by_region.setdefault(client.meta.region_name, set()).add(action)
        return real(client, operation, request)

    with mock_aws():
        owner: Any = boto3.client("secretsmanager", region_name=HERE)
        for name in ("app/one", "app/empty"):
            text = {"SecretString": json.dumps({"kept": "1"})} if name == "app/one" else {}
            owner.create_secret(Name=name, AddReplicaRegions=[{"Region": THERE}], **text)
        owner.close()
        monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
        yield seen


def adapter(**settings: Any) -> AwsSecretsManager:
    """The adapter with clients of its own."""
    return AwsSecretsManager(AwsSecretsManager.Settings(region=HERE, **settings), ManualClock())


def rotated(store: AwsSecretsManager, where: Target) -> set[str]:
    """All that the stories may ask a store for, once; which verbs that were."""
    onto = store.read(where)
    assert store.look(where).replicated
    assert onto
    staged = store.stage(where, key(), push(), onto)
    store.promote(where, staged.version, onto.version)
    store.shown(where, staged.version, ManualClock().now() - timedelta(hours=1))
    store.keep(where, onto.version, "rotator-one")
    store.discard(where, onto.version, "rotator-one")
    store.raw(where.secret)
    store.replace_raw(where.secret, {"token": "not-a-key"}, push())
    store.seed(target("app/empty"), push())
    return {"read", "look", "stage", "promote", "shown", "keep", "discard", "raw", "replace_raw", "seed"}


def test_a_rotation_calls_what_is_declared(called: Called) -> None:
    """Every right is used by some call, and every call has its right; in a replica's region only its own."""
    store = adapter()
    verbs = rotated(store, WHERE)
    store.close()
    made = called.taken()
    assert made == {HERE: RIGHTS - BY_AWS, THERE: REPLICA_RIGHTS - BY_AWS}
    verbs |= {"canonical", "close", "check_rights"}  # none of which calls
    assert verbs >= {
        name for name, _ in inspect.getmembers(SecretStore, inspect.isfunction) if name[0] != "_"
    }


def test_reading_calls_what_is_declared_for_it(called: Called) -> None:
    """A secret that is only read, such as an admin credential, is looked at and read, and no more."""
    store = adapter()
    store.look(WHERE)
    store.raw(WHERE.secret)
    store.close()
    assert called.taken() == {HERE: READING - BY_AWS}


def test_a_role_is_assumed_by_the_right_for_it(called: Called) -> None:
    """With ``role_arn`` the worker itself calls nothing but AssumeRole; the rest is called by the role."""
    store = adapter(role_arn="arn:aws:iam::123456789012:role/rotator")
    store.look(WHERE)
    store.close()
    assert called.taken() == {HERE: {"secretsmanager:DescribeSecret"} | ROLE_RIGHTS}
