"""AWS Secrets Manager in memory: the service as AWS documents it and as it was recorded, not as emulators do.

The calls are those of boto3's client, with its parameters, answers and errors (``botocore`` ClientErrors,
HTTP status 400). One :class:`FakeSecretsManager` is the service of one account in all regions;
``client(region)`` is what boto3 would give. Times come from the injected clock.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rotator.interfaces import Clock
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.testing.fake_secret import (
    BYTES_MAX,
    CURRENT,
    LABELS_MAX,
    PENDING,
    Replica,
    Secret,
    Version,
    refusal,
)

ACCOUNT = "123456789012"
_TOKEN = range(32, 65)  # characters of a ClientRequestToken (API reference, PutSecretValue)

Request = Mapping[str, Any]
Answer = dict[str, Any]


@dataclass
class _Fault:
    operation: str
    error: Exception
    after: bool


class FakeSecretsManager:
    """The service. ``calls`` counts by method; ``latency`` seconds pass through ``sleep`` at each call."""

    def __init__(
        self,
        clock: Clock,
        *,
        region: str = "eu-west-1",
        latency: float = 0.0,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.region = region
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._latency = latency
        self._sleep = sleep or clock.sleep
        self._lock = threading.RLock()
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._faults: list[_Fault] = []
        self._drawn = 0

    # --- for tests ---

    def client(self, region: str | None = None) -> "FakeClient":
        """What boto3 would give for a region."""
        return FakeClient(self, region or self.region)

    def store(self, **settings: Any) -> AwsSecretsManager:
        """An adapter that speaks to this service."""
        given = AwsSecretsManager.Settings.model_validate({"region": self.region, **settings})
        return AwsSecretsManager(given, self._clock, clients=self.client)

    def fail(self, operation: str, error: Exception | str, *, after: bool = False) -> None:
        """Let the next call of ``operation``, a client's method, fail: at once, or ``after`` it was done.

        ``error`` is an exception, or the code of a ClientError.
        """
        raised = refusal(error, _api_name(operation)) if isinstance(error, str) else error
        self._faults.append(_Fault(operation, raised, after))

    def own(self, name: str, service: str) -> None:
        """Let an AWS service manage a secret."""
        self._secrets[self.region, name].owner = service

    def lag(self, name: str, region: str, by: timedelta, *, readable: bool = True) -> None:
        """How long a replica takes to show what became current, and whether it can be read at all."""
        replica = self._secrets[self.region, name].replicas[region]
        replica.lag, replica.readable = by, readable

    # --- a call ---

    def call(self, region: str, operation: str, request: Request) -> Answer:
        """One request to a region's endpoint."""
        if self._latency:
            self._sleep(self._latency)
        with self._lock:
            self.calls[operation] += 1
            fault = next((f for f in self._faults if f.operation == operation), None)
            if fault is not None:
                self._faults.remove(fault)
            if fault is not None and not fault.after:
                raise fault.error
            answer: Answer = getattr(self, f"_{operation}")(region, request)
            if fault is not None:
                raise fault.error
            return answer

    def _find(self, region: str, request: Request, operation: str, *, write: bool = False) -> Secret:
        for secret in self._secrets.values():
            here = region == secret.region or region in secret.replicas
            if here and request["SecretId"] in {secret.name, secret.arn_in(region)}:
                break
        else:
            text = "Secrets Manager can't find the specified secret."
            raise refusal("ResourceNotFoundException", operation, text)
        if write and (region != secret.region or secret.owner is not None):
            raise refusal("InvalidRequestException", operation, "It is a replica or managed by a service.")
        if operation not in _EVEN_IF_DELETED and secret.deleted is not None:
            text = "You can't perform this operation on the secret because it was marked for deletion."
            raise refusal("InvalidRequestException", operation, text)
        return secret

    def _describe_secret(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "DescribeSecret")
        described: Answer = {
            "ARN": secret.arn_in(region),
            "Name": secret.name,
            "CreatedDate": secret.created,
            "RotationEnabled": secret.rotation,
            "VersionIdsToStages": {v.id: sorted(v.labels) for v in secret.versions.values() if v.labels},
        }
        optional = {"DeletedDate": secret.deleted, "OwningService": secret.owner}
        described |= {name: value for name, value in optional.items() if value is not None}
        if secret.replicas:
            described["PrimaryRegion"] = secret.region
            described["ReplicationStatus"] = [{"Region": r, "Status": "InSync"} for r in secret.replicas]
        return described

    def _get_secret_value(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "GetSecretValue")
        at_home = region == secret.region
        version = secret.asked(request) if at_home else secret.replicated(region, self._clock.now())
        kind = "SecretBinary" if isinstance(version.value, bytes) else "SecretString"
        return {
            "ARN": secret.arn_in(region),
            "Name": secret.name,
            "VersionId": version.id,
            kind: version.value,
            "VersionStages": sorted(version.labels),
            "CreatedDate": version.created,
        }

    def _put_secret_value(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "PutSecretValue", write=True)
        labels = list(request.get("VersionStages") or [CURRENT])
        token = request.get("ClientRequestToken") or self._draw()
        value = _value(request, "PutSecretValue")
        if len(labels) > LABELS_MAX:
            raise refusal("ValidationException", "PutSecretValue")
        if len(token) not in _TOKEN:
            raise refusal("InvalidParameterException", "PutSecretValue")
        known = secret.versions.get(token)
        if known is not None and known.value not in (None, value):
            raise refusal("ResourceExistsException", "PutSecretValue")
        if known is None or known.value is None:
            now = self._clock.now()
            known = Version(token, value, now)
            secret.add(known, labels, now)
        return {**_named(secret), "VersionId": token, "VersionStages": sorted(known.labels)}

    def _update_secret_version_stage(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "UpdateSecretVersionStage", write=True)
        to, off = request.get("MoveToVersionId"), request.get("RemoveFromVersionId")
        secret.move(request["VersionStage"], to, off, self._clock.now())
        return _named(secret)

    def _create_secret(self, region: str, request: Request) -> Answer:
        name = request["Name"]
        if (region, name) in self._secrets:
            raise refusal("ResourceExistsException", "CreateSecret")
        arn = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-Fake01"
        secret = Secret(name, arn, region, self._clock.now())
        self._secrets[region, name] = secret
        if "SecretString" in request or "SecretBinary" in request:
            return self._put_secret_value(region, {**request, "SecretId": name})
        return _named(secret)

    def _delete_secret(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "DeleteSecret", write=True)
        if request.get("ForceDeleteWithoutRecovery"):
            del self._secrets[region, secret.name]
        else:
            secret.deleted = self._clock.now() + timedelta(days=request.get("RecoveryWindowInDays", 30))
        return _named(secret)

    def _restore_secret(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "RestoreSecret", write=True)
        secret.deleted = None
        return _named(secret)

    def _list_secret_version_ids(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "ListSecretVersionIds")
        listed = [v for v in secret.versions.values() if v.labels or request.get("IncludeDeprecated")]
        versions = [
            {"VersionId": v.id, "VersionStages": sorted(v.labels), "CreatedDate": v.created} for v in listed
        ]
        return {**_named(secret), "Versions": versions}

    def _replicate_secret_to_regions(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "ReplicateSecretToRegions", write=True)
        current = secret.holder(CURRENT)
        for wanted in request["AddReplicaRegions"]:
            replica = secret.replicas[wanted["Region"]] = Replica()
            if current is not None:
                replica.seen.append((self._clock.now(), current))
        return self._describe_secret(region, request)

    def _rotate_secret(self, region: str, request: Request) -> Answer:
        """As far as the secret goes: whoever calls the rotation function then is the test's own."""
        secret = self._find(region, request, "RotateSecret", write=True)
        secret.rotation = True
        pending = secret.holder(PENDING)
        if not request.get("RotateImmediately", True):
            return _named(secret)
        if pending is not None and CURRENT not in pending.labels:
            text = "A previous rotation isn't complete. That rotation will be reattempted."
            raise refusal("InvalidRequestException", "RotateSecret", text)
        token = request.get("ClientRequestToken") or self._draw()
        secret.add(Version(token, None, self._clock.now()), [PENDING], self._clock.now())
        return {**_named(secret), "VersionId": token}

    def _cancel_rotate_secret(self, region: str, request: Request) -> Answer:
        secret = self._find(region, request, "CancelRotateSecret", write=True)
        secret.rotation = False
        return _named(secret)

    def _draw(self) -> str:
        self._drawn += 1
        return f"{self._drawn:08d}-0000-4000-8000-000000000000"


_EVEN_IF_DELETED = frozenset({"DescribeSecret", "RestoreSecret", "ListSecretVersionIds"})

_OPERATIONS = frozenset(
    {
        "cancel_rotate_secret",
        "create_secret",
        "delete_secret",
        "describe_secret",
        "get_secret_value",
        "list_secret_version_ids",
        "put_secret_value",
        "replicate_secret_to_regions",
        "restore_secret",
        "rotate_secret",
        "update_secret_version_stage",
    }
)


class FakeClient:
    """What boto3 would give for one region: ``describe_secret(SecretId=...)`` and the others."""

    def __init__(self, service: FakeSecretsManager, region: str) -> None:
        self._service = service
        self._region = region

    def __getattr__(self, operation: str) -> Callable[..., Answer]:
        if operation not in _OPERATIONS:
            raise AttributeError(operation)
        return lambda **request: self._service.call(self._region, operation, request)

    def close(self) -> None:
        """Nothing is open."""


def _api_name(method: str) -> str:
    """The operation behind a method of boto3's client: PutSecretValue of ``put_secret_value``."""
    return method.title().replace("_", "")


def _named(secret: Secret) -> Answer:
    return {"ARN": secret.arn, "Name": secret.name}


def _value(request: Request, operation: str) -> str | bytes:
    """The value of a write: text or binary, of 1 to 65,536 bytes."""
    value: str | bytes = request["SecretString"] if "SecretString" in request else request["SecretBinary"]
    size = len(value.encode() if isinstance(value, str) else value)
    if not 0 < size <= BYTES_MAX:
        raise refusal("ValidationException", operation)
    return value
