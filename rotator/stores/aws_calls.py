"""The four calls to Secrets Manager that rotator makes, each in one form only, with errors sorted.

Writing is ``put_pending`` and nothing else: PutSecretValue without VersionStages makes the new version
current at once (Secrets Manager API, PutSecretValue), so no caller is able to leave them out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Unknown
from rotator.stores import aws_errors
from rotator.stores.aws_clients import Clients, Doubt
from rotator.stores.aws_described import CURRENT, PENDING, is_version, well_formed
from rotator.stores.aws_settings import Place, Settings
from rotator.stores.deadline import Deadline


@dataclass(frozen=True, slots=True, repr=False)
class Value:
    """One version as it was read."""

    version: str
    created_at: datetime | None
    text: str


class Calls:
    """Calls of one store. ``clients`` gives the client for a region; left out, boto3's."""

    def __init__(
        self, settings: Settings, deadline: Deadline, clients: Callable[[str], Any] | None = None
    ) -> None:
        self._deadline = deadline
        self._doubt = Doubt()
        self._own = Clients(settings, deadline, self._doubt)
        self._clients = clients or self._own

    def close(self) -> None:
        """Close the clients that were made here."""
        self._own.close()

    def describe(self, place: Place) -> Mapping[str, Any]:
        """DescribeSecret: labels of versions, replicas and the secret's state, without values."""
        answer = self._call("DescribeSecret", place, {})
        if "ARN" not in answer or not well_formed(answer):
            raise _garbage("DescribeSecret", place)
        return answer

    def value(self, place: Place, version: str | None = None) -> Value | None:
        """GetSecretValue of a version, or of AWSCURRENT; None if there is no such version.

        A second call tells a missing version from a missing secret, which have one error code.
        """
        named = {"VersionStage": CURRENT} if version is None else {"VersionId": version}
        try:
            answer = self._call("GetSecretValue", place, named)
        except NeedsPerson as raised:
            if raised.kind != "missing":
                raise
            answer = None
        if answer is None:
            self.describe(place)
            return None
        return _value(answer, place, version)

    def put_pending(self, place: Place, token: str, text: str, proof: str | None = None) -> None:
        """PutSecretValue under AWSPENDING; ``token`` becomes the version's id, ``proof`` is what Secrets
        Manager's own rotation gave to show, if it did. May be called twice.
        """
        shown = {} if proof is None else {"RotationToken": proof}
        written = {"ClientRequestToken": token, "SecretString": text, "VersionStages": [PENDING], **shown}
        answer = self._call("PutSecretValue", place, written)
        if answer.get("VersionId") != token:
            raise _garbage("PutSecretValue", place)

    def move(self, place: Place, label: str, *, to: str | None = None, off: str | None = None) -> None:
        """UpdateSecretVersionStage: put a label on one version and take it off another, in one step.

        Where the label is elsewhere than ``off``, Secrets Manager refuses with InvalidParameterException:
        Refused with that kind.
        """
        moved = {"MoveToVersionId": to, "RemoveFromVersionId": off}
        named = {name: version for name, version in moved.items() if version is not None}
        answer = self._call("UpdateSecretVersionStage", place, {"VersionStage": label, **named})
        if "ARN" not in answer:
            raise _garbage("UpdateSecretVersionStage", place)

    def _call(self, operation: str, place: Place, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request. The boundary at which every exception of the library becomes one of ours."""
        error: RotatorError
        self._deadline.check()
        self._doubt.clear()
        try:
            answer: Mapping[str, Any] = getattr(self._clients(place.region), _METHODS[operation])(
                SecretId=place.id, **request
            )
        except RotatorError:
            raise
        except Exception as raised:  # noqa: BLE001  whatever it is, it may hold the value
            error = aws_errors.translated(raised, operation, place.name)
        else:
            return answer
        # Raised outside the handler: the library's exception is not even the context of ours.
        raise self._honest(error)

    def _honest(self, error: RotatorError) -> RotatorError:
        """Unknown where the last attempt did nothing but an earlier one may have."""
        if self._doubt and isinstance(error, NotSent | Refused):
            return Unknown(error.kind, f"{error.message} An earlier attempt may have been done.")
        return error


_METHODS = {
    "DescribeSecret": "describe_secret",
    "GetSecretValue": "get_secret_value",
    "PutSecretValue": "put_secret_value",
    "UpdateSecretVersionStage": "update_secret_version_stage",
}


def _value(answer: Mapping[str, Any], place: Place, version: str | None) -> Value:
    """What an answer of GetSecretValue holds."""
    found = answer.get("VersionId")
    if not is_version(found) or (version is not None and found != version):
        raise _garbage("GetSecretValue", place)
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise NeedsPerson(
            "binary",
            f"Secret {place.name!r} holds binary data, not text.",
            todo="Write its value again as text (SecretString), JSON or plain.",
        )
    created = answer.get("CreatedDate")
    return Value(found, created.astimezone(UTC) if isinstance(created, datetime) else None, text)


def _garbage(operation: str, place: Place) -> EffectError:
    return Unknown(
        "garbage", f"{operation} of secret {place.name!r} was answered with something else than an answer."
    )
