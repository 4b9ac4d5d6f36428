"""One secret of the in-memory Secrets Manager: its versions, their labels and its replicas."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
BYTES_MAX = 65_536
LABELS_MAX = 20
VERSIONS_KEPT = 100
KEPT_FOR = timedelta(hours=24)


def refusal(code: str, operation: str, message: str = "") -> ClientError:
    """What boto3 raises for an error code; Secrets Manager's own errors all have HTTP status 400."""
    error: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, operation)


@dataclass(eq=False)
class Version:
    """One version; ``id`` is the token that it was written with. RotateSecret makes one without a value."""

    id: str
    value: str | bytes | None
    created: datetime
    labels: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Replica:
    """A copy in another region, which shows what became current only after ``lag``."""

    lag: timedelta = timedelta(0)
    seen: deque[tuple[datetime, Version]] = field(default_factory=deque)  # what became current, and when
    readable: bool = True


@dataclass(eq=False)
class Secret:
    """A secret and the rules of its labels."""

    name: str
    arn: str
    region: str
    created: datetime
    versions: dict[str, Version] = field(default_factory=dict)
    replicas: dict[str, Replica] = field(default_factory=dict)
    deleted: datetime | None = None
    rotation: bool = False
    owner: str | None = None

    def arn_in(self, region: str) -> str:
        """The same ARN with another region in it: a replica's."""
        return self.arn.replace(f":{self.region}:", f":{region}:", 1)

    def holder(self, label: str) -> Version | None:
        """The version that has a label."""
        return next((v for v in self.versions.values() if label in v.labels), None)

    def add(self, version: Version, labels: list[str], now: datetime) -> None:
        """A new version takes the labels that it names from whichever version has them.

        The first version of a secret becomes current, whatever it names.
        """
        if not self.versions:
            labels = [*labels, CURRENT]
        self.versions[version.id] = version
        demoted = self.holder(CURRENT)
        for label in labels:
            self.attach(label, version, now)
        if CURRENT in labels and demoted is not None:
            demoted.labels.discard(PENDING)
        self._purge(now)

    def attach(self, label: str, version: Version, now: datetime) -> None:
        """Move a label to a version; AWSPREVIOUS follows AWSCURRENT to the version that it leaves."""
        left = self.holder(label)
        if left is not None:
            left.labels.discard(label)
        version.labels.add(label)
        if label != CURRENT:
            return
        if left is not None and left is not version:
            self.attach(PREVIOUS, left, now)
        version.labels.discard(PREVIOUS)
        for replica in self.replicas.values():
            replica.seen.append((now, version))

    def move(self, label: str, to: str | None, off: str | None, now: datetime) -> None:
        """UpdateSecretVersionStage: all of it, or a refusal and nothing."""
        target, source, holder = self._known(to), self._known(off), self.holder(label)
        operation = "UpdateSecretVersionStage"
        if source is not holder and (source is not None or holder is not target):
            raise refusal("InvalidParameterException", operation, f"{label} is not on RemoveFromVersionId.")
        if target is not None:
            if label not in target.labels and len(target.labels) >= LABELS_MAX:
                raise refusal("LimitExceededException", operation)
            self.attach(label, target, now)
        elif source is None or label == CURRENT:
            raise refusal("InvalidParameterException", operation, f"{label} must be moved to a version.")
        else:
            source.labels.discard(label)

    def _known(self, version: str | None) -> Version | None:
        if version is not None and version not in self.versions:
            raise refusal("ResourceNotFoundException", "UpdateSecretVersionStage")
        return self.versions[version] if version is not None else None

    def _purge(self, now: datetime) -> None:
        """Beyond a hundred versions those without a label go, oldest first, none younger than a day."""
        old = sorted(
            (v for v in self.versions.values() if not v.labels and v.created < now - KEPT_FOR),
            key=lambda version: version.created,
        )
        for version in old[: max(0, len(self.versions) - VERSIONS_KEPT)]:
            del self.versions[version.id]

    def asked(self, request: Mapping[str, Any]) -> Version:
        """The version that a read names: by id, by label (both must agree), or else the current one."""
        wanted, label = request.get("VersionId"), request.get("VersionStage")
        version = self.versions.get(wanted) if wanted else self.holder(label or CURRENT)
        if version is None:
            raise no_value(f"VersionId: {wanted}" if wanted else f"staging label: {label or CURRENT}")
        if version.value is None:
            raise no_value(f"VersionId: {version.id}")
        if wanted and label and label not in version.labels:
            raise refusal(
                "InvalidRequestException",
                "GetSecretValue",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        return version

    def replicated(self, region: str, now: datetime) -> Version:
        """The current version as a replica shows it by now."""
        replica = self.replicas[region]
        if not replica.readable:
            raise refusal("AccessDeniedException", "GetSecretValue")
        arrived = [v for at, v in replica.seen if at + replica.lag <= now]
        if not arrived:
            raise no_value(f"staging label: {CURRENT}")
        return arrived[-1]


def no_value(what: str) -> ClientError:
    """The refusal of a read that names no version."""
    text = f"Secrets Manager can't find the specified secret value for {what}"
    return refusal("ResourceNotFoundException", "GetSecretValue", text)
