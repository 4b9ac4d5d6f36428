"""What an answer of DescribeSecret says: who holds which label, and why a secret cannot be rotated. Pure."""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from rotator.errors import NeedsPerson
from rotator.stores.aws_settings import Place

CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"

Labels = Mapping[str, frozenset[str]]

_VERSION = re.compile(r"[!-~]{1,64}")  # Secrets Manager API, VersionId; it is written down and shown
_SHOWN = re.compile(r"[\w.@/: -]{1,100}", re.ASCII)


def is_version(value: object) -> TypeGuard[str]:
    """Whether a value can be a version's id."""
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def well_formed(description: Mapping[str, Any]) -> bool:
    """Whether what is kept and shown of a description looks as it should."""
    shown = (description.get(name) for name in ("OwningService", "PrimaryRegion"))
    return all(map(is_version, description.get("VersionIdsToStages") or {})) and all(
        value is None or (isinstance(value, str) and _SHOWN.fullmatch(value)) for value in shown
    )


def labels_in(description: Mapping[str, Any]) -> Labels:
    """The labels of each version that has any, by version id."""
    return {
        version: frozenset(labels)
        for version, labels in (description.get("VersionIdsToStages") or {}).items()
        if labels
    }


def holder(labels: Labels, label: str) -> str | None:
    """The version that has a label."""
    return next((version for version, its in labels.items() if label in its), None)


def refuse(description: Mapping[str, Any], place: Place, *, native: bool = False) -> None:
    """Raise NeedsPerson for a secret that rotator must not write.

    Secrets Manager's own rotation must be switched on where the policy says that it is (``native``), and off
    where it does not.
    """
    name = repr(place.name)
    if description.get("DeletedDate"):
        raise NeedsPerson(
            "marked-deleted",
            f"Secret {name} is marked for deletion.",
            todo="Restore it (`aws secretsmanager restore-secret`), or take its policy out.",
        )
    if owner := description.get("OwningService"):
        raise NeedsPerson(
            "owned",
            f"Secret {name} is managed by the AWS service {owner}.",
            todo="Let that service rotate it, and take its policy out.",
        )
    if description.get("RotationEnabled") and not native:
        raise NeedsPerson(
            "rotated-natively",
            f"Secret {name} has Secrets Manager's own rotation switched on; two rotators would fight.",
            todo="Switch one off: `aws secretsmanager cancel-rotate-secret`, or take the policy out; or let "
            "Secrets Manager call rotator: `trigger: secrets-manager`.",
        )
    if native and not description.get("RotationEnabled"):
        raise NeedsPerson(
            "not-rotated-natively",
            f"Secret {name} has Secrets Manager's own rotation switched off, so nothing ever rotates it.",
            todo="Switch it on: `aws secretsmanager rotate-secret` with --rotation-lambda-arn and "
            "--rotation-rules; or let rotator keep the schedule: `trigger: schedule`.",
        )
    primary = description.get("PrimaryRegion")
    if primary and primary != place.region:
        raise NeedsPerson(
            "replica",
            f"Secret {name} in {place.region} is a replica, which cannot be written.",
            todo=f"Name the secret in its primary region, {primary}.",
        )
