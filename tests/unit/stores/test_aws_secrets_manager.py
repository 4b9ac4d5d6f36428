import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from rotator import stores
from rotator.errors import Conflict, NeedsPerson, Refused, RotatorError, Unknown
from rotator.interfaces import Stored
from rotator.model import StoreRef
from rotator.stores.aws_secrets_manager import RIGHTS, AwsSecretsManager
from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.testing.store_backend import key, push, target

WHERE = target("app/one")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture
def service(clock: ManualClock) -> FakeSecretsManager:
    """Secrets Manager with one secret."""
    service = FakeSecretsManager(clock)
    service.client().create_secret(Name="app/one", SecretString='{"api_key": "first"}')
    service.calls.clear()
    return service


@pytest.fixture
def store(service: FakeSecretsManager) -> AwsSecretsManager:
    """The adapter over it."""
    return service.store()


def current(store: AwsSecretsManager) -> Stored:
    """The current version."""
    stored = store.read(WHERE)
    assert stored
    return stored


def test_a_rotation_takes_eight_calls(service: FakeSecretsManager, store: AwsSecretsManager) -> None:
    """Look, read, stage, promote, look again, read both: eight calls of Secrets Manager."""
    store.look(WHERE)
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    store.promote(WHERE, staged.version, onto.version)
    store.look(WHERE)
    store.read(WHERE)
    store.read(WHERE, onto.version)
    assert service.calls == Counter(
        describe_secret=2, get_secret_value=4, put_secret_value=1, update_secret_version_stage=1
    )


def test_pending_stolen_by_another_does_not_matter(
    service: FakeSecretsManager, store: AwsSecretsManager
) -> None:
    """A candidate whose AWSPENDING was taken is still found by its id, and promoted."""
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    service.client().put_secret_value(
        SecretId="app/one", SecretString="{}", ClientRequestToken=push(), VersionStages=["AWSPENDING"]
    )
    assert store.read(WHERE, staged.version)
    store.promote(WHERE, staged.version, onto.version)
    assert store.look(WHERE).current == staged.version


def test_a_secret_of_a_service_needs_a_person(service: FakeSecretsManager, store: AwsSecretsManager) -> None:
    """A secret that an AWS service manages is refused by name of the service."""
    service.own("app/one", "rds")
    with pytest.raises(NeedsPerson, match="rds"):
        store.look(WHERE)
    with pytest.raises(NeedsPerson):
        store.stage(WHERE, key(), push(), current(store))


def test_a_replica_needs_a_person(service: FakeSecretsManager) -> None:
    """A replica cannot be rotated; the primary region is named."""
    service.client().replicate_secret_to_regions(
        SecretId="app/one", AddReplicaRegions=[{"Region": "us-east-1"}]
    )
    with pytest.raises(NeedsPerson, match="eu-west-1"):
        service.store(region="us-east-1").look(WHERE)


def test_shown_waits_for_a_slow_replica(
    service: FakeSecretsManager, store: AwsSecretsManager, clock: ManualClock
) -> None:
    """In sync does not count: a version is shown once the replica's own current version is it."""
    service.client().replicate_secret_to_regions(
        SecretId="app/one", AddReplicaRegions=[{"Region": "us-east-1"}]
    )
    service.lag("app/one", "us-east-1", timedelta(minutes=15))
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    store.promote(WHERE, staged.version, onto.version)
    since = clock.now()
    clock.advance(timedelta(minutes=14))
    assert not store.shown(WHERE, staged.version, since)
    clock.advance(timedelta(minutes=1))
    assert store.shown(WHERE, staged.version, since)


def test_shown_waits_the_delay_where_a_replica_cannot_be_read(
    service: FakeSecretsManager, store: AwsSecretsManager, clock: ManualClock
) -> None:
    """A replica that may not be read is taken to show what is older than the replica delay."""
    service.client().replicate_secret_to_regions(
        SecretId="app/one", AddReplicaRegions=[{"Region": "us-east-1"}]
    )
    service.lag("app/one", "us-east-1", timedelta(0), readable=False)
    since, version = clock.now(), current(store).version
    assert not store.shown(WHERE, version, since)
    clock.advance(timedelta(minutes=10))
    assert store.shown(WHERE, version, since)


def test_a_written_version_that_cannot_be_read_is_in_doubt(
    service: FakeSecretsManager, store: AwsSecretsManager
) -> None:
    """Refused or not sent after the write is Unknown: something did happen."""
    onto, token, new = current(store), push(), key()
    for error in ("ThrottlingException", EndpointConnectionError(endpoint_url="x")):
        service.fail("get_secret_value", error)
        with pytest.raises(Unknown):
            store.stage(WHERE, new, token, onto)
    assert store.stage(WHERE, new, token, onto).version == token


def test_a_promotion_that_is_throttled_is_refused(
    service: FakeSecretsManager, store: AwsSecretsManager
) -> None:
    """Only a label that is elsewhere is a Conflict; any other refusal keeps its kind."""
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    service.fail("update_secret_version_stage", "ThrottlingException")
    with pytest.raises(Refused, match="ThrottlingException"):
        store.promote(WHERE, staged.version, onto.version)
    service.fail("update_secret_version_stage", ReadTimeoutError(endpoint_url="x"))
    with pytest.raises(Unknown):
        store.promote(WHERE, staged.version, onto.version)
    assert store.promote(WHERE, staged.version, onto.version) == staged.version


def test_a_mark_is_one_versions(store: AwsSecretsManager) -> None:
    """A mark that keeps one version is not taken from it for another."""
    onto = current(store)
    store.keep(WHERE, onto.version, "rotator-one")
    staged = store.stage(WHERE, key(), push(), onto)
    with pytest.raises(Conflict):
        store.keep(WHERE, staged.version, "rotator-one")


def test_replace_raw_loses_no_other_write(service: FakeSecretsManager, store: AwsSecretsManager) -> None:
    """Where somebody wrote between the read and the promotion, their value stays."""
    service.fail("update_secret_version_stage", "InvalidParameterException")
    with pytest.raises(Conflict):
        store.replace_raw("app/one", {"api_key": "second"}, push())
    assert store.raw("app/one").reveal() == {"api_key": "first"}


class Garbled:
    """A client that is answered with something else, as by a proxy: success, and nothing in it."""

    def __getattr__(self, method: str) -> Any:
        return lambda **_: {"ResponseMetadata": {"HTTPStatusCode": 200}}


def test_an_answer_that_is_none_is_unknown(store: AwsSecretsManager, clock: ManualClock) -> None:
    """A success without a version id is no success, for any call."""
    onto = current(store)
    garbled = AwsSecretsManager(store.settings, clock, clients=lambda _: Garbled())
    for call in (
        lambda: garbled.look(WHERE),
        lambda: garbled.read(WHERE),
        lambda: garbled.stage(WHERE, key(), push(), onto),
        lambda: garbled.promote(WHERE, push(), onto.version),
        lambda: garbled.seed(WHERE, push()),
    ):
        with pytest.raises(Unknown, match="garbage"):
            call()


class Altered:
    """A client that reads back something else than was written."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, method: str) -> Any:
        return getattr(self._client, method)

    def get_secret_value(self, **request: Any) -> Any:
        answer = self._client.get_secret_value(**request)
        return {**answer, "SecretString": json.dumps({**json.loads(answer["SecretString"]), "more": "1"})}


def test_stage_compares_the_whole(service: FakeSecretsManager, clock: ManualClock) -> None:
    """What is read back must be what was written, other fields included."""
    store = AwsSecretsManager(service.store().settings, clock, clients=lambda r: Altered(service.client(r)))
    with pytest.raises(Unknown, match="read-back"):
        store.stage(WHERE, key(), push(), current(service.store()))


def test_the_table_makes_stores(clock: ManualClock) -> None:
    """A store is made from its reference; an unknown type is a KeyError, a wrong setting a ValueError."""
    assert stores.names() == ("aws-secrets-manager", "vault-kv2")
    made = stores.make(StoreRef("aws", "aws-secrets-manager", {"region": "eu-west-1"}), clock)
    assert isinstance(made, AwsSecretsManager)
    made.close()
    with pytest.raises(KeyError):
        stores.adapter("vault")
    with pytest.raises(ValueError, match="region"):
        stores.make(StoreRef("aws", "aws-secrets-manager"), clock)


def test_the_rights_are_those_of_the_calls(service: FakeSecretsManager, store: AwsSecretsManager) -> None:
    """Every call that the adapter makes is declared, and nothing that it does not make."""
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    store.promote(WHERE, staged.version, onto.version)
    store.keep(WHERE, onto.version, "rotator-one")
    store.discard(WHERE, onto.version, "rotator-one")
    made = {method.title().replace("_", "") for method in service.calls}
    assert made == {right.partition(":")[2] for right in RIGHTS if right.startswith("secretsmanager:")}


def test_policies_are_loaded_without_boto3() -> None:
    """Importing and making the adapter imports no part of boto3."""
    script = (
        "import sys; from rotator import stores; from rotator.model import StoreRef\n"
        "a = stores.adapter('aws-secrets-manager'); a.canonical({'region': 'eu-west-1'}, 'x')\n"
        "stores.make(StoreRef('a', 'aws-secrets-manager', {'region': 'eu-west-1'}), None)\n"
        "print(sorted(m for m in sys.modules if m in ('boto3', 'botocore', 'urllib3')))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_missing_rights_are_named(service: FakeSecretsManager, store: AwsSecretsManager) -> None:
    """A denied call blocks, and says which action to allow."""
    service.fail("describe_secret", "AccessDeniedException")
    with pytest.raises(NeedsPerson) as raised:
        store.look(WHERE)
    assert "secretsmanager:DescribeSecret" in raised.value.todo
    assert isinstance(raised.value, RotatorError)


def test_a_write_that_is_not_confirmed_is_unknown(service: FakeSecretsManager, clock: ManualClock) -> None:
    """A write whose answer does not name our token is in doubt before anything is read back."""

    class Unconfirmed(Altered):
        def put_secret_value(self, **_: Any) -> dict[str, str]:
            return {"ARN": "a", "VersionId": "another"}

    settings = service.store().settings
    store = AwsSecretsManager(settings, clock, clients=lambda r: Unconfirmed(service.client(r)))
    with pytest.raises(Unknown, match="PutSecretValue"):
        store.stage(WHERE, key(), push(), current(service.store()))


def test_discard_leaves_a_promoted_version_alone(
    service: FakeSecretsManager, store: AwsSecretsManager
) -> None:
    """AWSPENDING is taken off candidates only; the current version loses nothing but our own mark."""
    onto = current(store)
    staged = store.stage(WHERE, key(), push(), onto)
    store.promote(WHERE, staged.version, onto.version)
    store.keep(WHERE, staged.version, "rotator-one")
    store.discard(WHERE, staged.version, "rotator-one")
    labels = service.client().describe_secret(SecretId="app/one")["VersionIdsToStages"]
    assert labels[staged.version] == ["AWSCURRENT", "AWSPENDING"]
