"""The adapter for Secrets Manager over any client with boto3's methods, with its inside laid open."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError

from rotator.interfaces import Clock
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.stores.aws_settings import Settings

_METHODS = {"stage": "put_secret_value", "promote": "update_secret_version_stage"}


class Lossy:
    """A client whose next answer to some method gets lost, after it was done."""

    def __init__(self, client: Any, lost: list[str]) -> None:
        self._client = client
        self._lost = lost

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            answer = getattr(self._client, method)(**request)
            if method in self._lost:
                self._lost.remove(method)
                raise ReadTimeoutError(endpoint_url="https://secretsmanager.invalid")
            return answer

        return call


class LaidOpen:
    """A Backend of the contract, for everything that speaks as boto3 does."""

    def __init__(self, settings: Settings, clock: Clock, clients: Callable[[str], Any]) -> None:
        self._client = clients(settings.region)
        self._lost: list[str] = []
        self.store = AwsSecretsManager(
            settings, clock, clients=lambda region: Lossy(clients(region), self._lost)
        )

    def create(self, name: str, value: str | bytes | None) -> None:
        given: dict[str, Any] = {}
        if value is not None:
            given["SecretBinary" if isinstance(value, bytes) else "SecretString"] = value
        self._client.create_secret(Name=name, **given)

    def overwrite(self, name: str, value: str) -> None:
        self._client.put_secret_value(SecretId=name, SecretString=value)

    def mark_deleted(self, name: str) -> None:
        self._client.delete_secret(SecretId=name)

    def rotate_natively(self, name: str) -> None:
        self._client.rotate_secret(
            SecretId=name, RotationRules={"AutomaticallyAfterDays": 30}, RotateImmediately=False
        )

    def replicate(self, name: str) -> None:
        self._client.replicate_secret_to_regions(
            SecretId=name, AddReplicaRegions=[{"Region": "eu-central-1"}]
        )

    def lose_answer(self, verb: str) -> None:
        self._lost.append(_METHODS[verb])

    def consumed(self, name: str) -> str:
        return str(self._client.get_secret_value(SecretId=name)["SecretString"])
