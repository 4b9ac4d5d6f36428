"""One test for each way in which AWS is known to behave and emulators are known not to."""

import secrets
import threading
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeClient, FakeSecretsManager

NAME = "app/one"


def token() -> str:
    """A fresh token."""
    return secrets.token_hex(16)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture
def service(clock: ManualClock) -> FakeSecretsManager:
    """The service in all regions."""
    return FakeSecretsManager(clock)


@pytest.fixture
def client(service: FakeSecretsManager) -> FakeClient:
    """Its client for the home region."""
    return service.client()


@pytest.fixture
def first(client: FakeClient) -> str:
    """The id of the first version of a secret."""
    return str(client.create_secret(Name=NAME, SecretString="one", ClientRequestToken=token())["VersionId"])


def put(client: FakeClient, value: str = "two", *labels: str, as_token: str | None = None) -> str:
    """Write a version; its id."""
    given: dict[str, Any] = {"VersionStages": list(labels)} if labels else {}
    answer = client.put_secret_value(
        SecretId=NAME, SecretString=value, ClientRequestToken=as_token or token(), **given
    )
    return str(answer["VersionId"])


def labels(client: FakeClient) -> dict[str, list[str]]:
    """The labels of each version that has any."""
    return dict(client.describe_secret(SecretId=NAME)["VersionIdsToStages"])


def read(client: FakeClient, **which: str) -> str:
    """The value of a version."""
    return str(client.get_secret_value(SecretId=NAME, **which)["SecretString"])


def move(client: FakeClient, label: str, to: str | None = None, off: str | None = None) -> None:
    """Move a label."""
    named = {"MoveToVersionId": to, "RemoveFromVersionId": off}
    client.update_secret_version_stage(
        SecretId=NAME, VersionStage=label, **{k: v for k, v in named.items() if v is not None}
    )


def refused(code: str) -> Any:
    """Expect a refusal under an error code."""
    return pytest.raises(ClientError, match=code)


def test_first_version_is_current_whatever_it_is_called(client: FakeClient) -> None:
    """The first version of a secret becomes current, also under AWSPENDING."""
    client.create_secret(Name=NAME)
    only = put(client, "one", "AWSPENDING")
    assert labels(client) == {only: ["AWSCURRENT", "AWSPENDING"]}


def test_put_without_labels_publishes(client: FakeClient, first: str) -> None:
    """A write without VersionStages is current at once, and AWSPREVIOUS follows."""
    second = put(client)
    assert labels(client) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_bare_read_follows_a_moved_label(client: FakeClient, first: str) -> None:
    """A read without a stage gives what UpdateSecretVersionStage made current."""
    second = put(client, "two", "AWSPENDING")
    assert read(client) == "one"
    move(client, "AWSCURRENT", second, first)
    assert read(client) == "two"


def test_same_token_with_another_value_is_refused(client: FakeClient, first: str) -> None:
    """A version is immutable, also while it is AWSPENDING."""
    second = put(client, "two", "AWSPENDING")
    with refused("ResourceExistsException"):
        put(client, "three", "AWSPENDING", as_token=second)
    assert read(client, VersionId=second) == "two"


def test_same_token_with_the_same_value_does_nothing(client: FakeClient, first: str) -> None:
    """A repeated write succeeds and changes nothing, labels included."""
    second = put(client, "two", "AWSPENDING")
    put(client, "two", "AWSCURRENT", as_token=second)
    assert labels(client) == {first: ["AWSCURRENT"], second: ["AWSPENDING"]}


def test_pending_is_stolen(client: FakeClient, first: str) -> None:
    """A write takes AWSPENDING from whichever version has it, without a condition."""
    put(client, "two", "AWSPENDING")
    third = put(client, "three", "AWSPENDING")
    assert labels(client) == {first: ["AWSCURRENT"], third: ["AWSPENDING"]}


def test_label_elsewhere_needs_its_place(client: FakeClient, first: str) -> None:
    """A label on another version moves only with the right RemoveFromVersionId."""
    second = put(client, "two", "AWSPENDING")
    move(client, "mine", first)
    for off in (None, second):
        with refused("InvalidParameterException"):
            move(client, "mine", second, off)
    assert "mine" in labels(client)[first]
    move(client, "mine", second, first)
    assert "mine" in labels(client)[second]


def test_promotion_is_compare_and_swap(client: FakeClient, first: str) -> None:
    """AWSCURRENT moves only from the version that has it; a repeated move is refused."""
    second = put(client, "two", "AWSPENDING")
    move(client, "AWSCURRENT", second, first)
    assert labels(client) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}
    with refused("InvalidParameterException"):
        move(client, "AWSCURRENT", second, first)


def test_move_to_no_version_changes_nothing(client: FakeClient, first: str) -> None:
    """A move to a version that does not exist fails as a whole."""
    with refused("ResourceNotFoundException"):
        move(client, "AWSCURRENT", token(), first)
    assert labels(client) == {first: ["AWSCURRENT"]}


def test_current_cannot_be_taken_off(client: FakeClient, first: str) -> None:
    """AWSCURRENT moves, but is never removed."""
    with refused("InvalidParameterException"):
        move(client, "AWSCURRENT", None, first)


def test_deleted_secret_takes_no_change(client: FakeClient, first: str) -> None:
    """A secret that is marked for deletion is neither read nor written, until it is restored."""
    client.delete_secret(SecretId=NAME)
    assert client.describe_secret(SecretId=NAME)["DeletedDate"]
    for call in (
        lambda: put(client),
        lambda: read(client),
        lambda: move(client, "mine", first),
    ):
        with refused("InvalidRequestException"):
            call()
    client.restore_secret(SecretId=NAME)
    assert read(client) == "one"


def test_versions_without_labels_are_hidden(client: FakeClient, first: str) -> None:
    """A version without labels is listed only where deprecated ones are asked for; it is still readable."""
    for value in ("two", "three"):
        put(client, value)

    def listed(**more: Any) -> int:
        return len(client.list_secret_version_ids(SecretId=NAME, **more)["Versions"])

    assert (listed(), listed(IncludeDeprecated=True)) == (2, 3)
    assert read(client, VersionId=first) == "one"
    assert first not in labels(client)


def test_old_versions_are_purged(client: FakeClient, clock: ManualClock, first: str) -> None:
    """Beyond a hundred versions the oldest without a label go, but none younger than a day."""
    move(client, "mine", first)
    for number in range(110):
        put(client, str(number))
    assert len(client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]) == 111
    clock.advance(timedelta(hours=25))
    put(client, "last")
    left = client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert len(left) == 100
    assert first in {version["VersionId"] for version in left}


def test_sizes_are_limited(client: FakeClient, first: str) -> None:
    """A value has at most 65,536 bytes and a version at most 20 labels."""
    put(client, "x" * 65_536, "AWSPENDING")
    with refused("ValidationException"):
        put(client, "x" * 65_537, "AWSPENDING")
    with refused("ValidationException"):
        put(client, "two", *(f"l{n}" for n in range(21)))
    for number in range(19):
        move(client, f"l{number}", first)
    with refused("LimitExceededException"):
        move(client, "one too many", first)


def test_token_has_32_to_64_characters(client: FakeClient, first: str) -> None:
    """A token of another length is refused."""
    for wrong in ("short", "x" * 65):
        with refused("InvalidParameterException"):
            put(client, "two", as_token=wrong)


def test_missing_is_status_400(client: FakeClient) -> None:
    """What is missing is told by the error code; the HTTP status is 400 as for every refusal."""
    with refused("ResourceNotFoundException") as raised:
        read(client)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_id_and_label_must_agree(client: FakeClient, first: str) -> None:
    """A read by id and label is refused unless that version has that label."""
    assert read(client, VersionId=first, VersionStage="AWSCURRENT") == "one"
    with refused("InvalidRequestException"):
        read(client, VersionId=first, VersionStage="AWSPENDING")


def test_moved_label_keeps_custom_labels(client: FakeClient, first: str) -> None:
    """The version that is demoted by a move keeps its custom labels, and lives on by them."""
    move(client, "mine", first)
    second = put(client, "two", "AWSPENDING")
    move(client, "AWSCURRENT", second, first)
    assert labels(client)[first] == ["AWSPREVIOUS", "mine"]
    put(client, "three")
    assert labels(client)[first] == ["mine"]


def test_plain_write_drops_pending_of_the_demoted(client: FakeClient, first: str) -> None:
    """A write without labels takes AWSPENDING off the version that it demotes."""
    second = put(client, "two", "AWSPENDING")
    move(client, "AWSCURRENT", second, first)
    put(client, "three")
    assert labels(client)[second] == ["AWSPREVIOUS"]


def test_versions_have_the_time_they_were_written(client: FakeClient, clock: ManualClock, first: str) -> None:
    """A listed version shows when it was written, not now."""
    written = clock.now()
    clock.advance(timedelta(days=3))
    listed = client.list_secret_version_ids(SecretId=NAME)["Versions"]
    assert [version["CreatedDate"] for version in listed] == [written]


def test_replica_lags(
    service: FakeSecretsManager, client: FakeClient, clock: ManualClock, first: str
) -> None:
    """A replica says that it is in sync while it still shows the old version; it cannot be written."""
    client.replicate_secret_to_regions(SecretId=NAME, AddReplicaRegions=[{"Region": "us-east-1"}])
    service.lag(NAME, "us-east-1", timedelta(minutes=2))
    clock.advance(timedelta(minutes=5))
    put(client)
    there = service.client("us-east-1")
    assert read(there) == "one"
    assert client.describe_secret(SecretId=NAME)["ReplicationStatus"][0]["Status"] == "InSync"
    with refused("InvalidRequestException"):
        put(there)
    clock.advance(timedelta(minutes=3))
    assert read(there) == "two"


def test_arn_names_the_secret_too(client: FakeClient, first: str) -> None:
    """A secret is found by its name and by its ARN."""
    arn = client.describe_secret(SecretId=NAME)["ARN"]
    assert client.get_secret_value(SecretId=arn)["VersionId"] == first


def test_faults_come_before_or_after(service: FakeSecretsManager, client: FakeClient, first: str) -> None:
    """An injected fault hits one call: at once, by its code, or after the call was done."""
    service.fail("put_secret_value", "ThrottlingException")
    with refused("ThrottlingException"):
        put(client)
    service.fail("put_secret_value", ReadTimeoutError(endpoint_url="x"), after=True)
    with pytest.raises(ReadTimeoutError):
        put(client)
    assert read(client) == "two"
    assert service.calls["put_secret_value"] == 2


def test_latency_passes_through_the_clock(clock: ManualClock) -> None:
    """Each call takes the latency that it was given."""
    service = FakeSecretsManager(clock, latency=0.05)
    service.client().create_secret(Name=NAME)
    service.client().describe_secret(SecretId=NAME)
    assert clock.slept == [0.05, 0.05]


def test_many_threads_write_once(client: FakeClient, first: str) -> None:
    """Of many promotions at once, from one version, exactly one succeeds."""
    done: list[str] = []
    candidates = [put(client, str(n), "AWSPENDING") for n in range(8)]

    def promote(version: str) -> None:
        try:
            move(client, "AWSCURRENT", version, first)
        except ClientError:
            return
        done.append(version)

    threads = [threading.Thread(target=promote, args=(version,)) for version in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1


def test_unknown_methods_are_missing(client: FakeClient) -> None:
    """A method that the fake does not have is an AttributeError, not a silent success."""
    with pytest.raises(AttributeError):
        client.put_resource_policy(SecretId=NAME)
