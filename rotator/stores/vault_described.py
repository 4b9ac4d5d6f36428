"""What Vault says of a key, its versions and its mount, and why a secret cannot be rotated. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rotator.errors import NeedsPerson
from rotator.stores.vault_settings import Place

MAX_VERSIONS = 10  # where neither the mount nor the key says otherwise (KV engine, path_data.go)
LEAST_VERSIONS = 3  # current, the one before it, and one that somebody else writes meanwhile


@dataclass(frozen=True, slots=True, repr=False)
class Value:
    """One version as it was read: its number, and its object as text, just as Vault wrote it."""

    number: int
    created_at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A version that is deleted or destroyed."""

    number: int


def held(found: Value | Gone | None) -> Value | None:
    """A value that can be read; one that is deleted or destroyed is not there."""
    return found if isinstance(found, Value) else None


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a mount, or of one key: what its versions may count on."""

    cas_required: bool = False
    delete_version_after: str = "0s"
    max_versions: int = 0

    @property
    def expires(self) -> bool:
        """Whether new versions are deleted after some time."""
        return bool(self.delete_version_after) and self.delete_version_after != "0s" and not self.never

    @property
    def never(self) -> bool:
        """Whether no version of the mount is deleted, whatever its key says: a negative time."""
        return self.delete_version_after.startswith("-")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key, without its value."""

    readable: bool
    destroyed: bool = False
    expires: bool = False  # it will be deleted at a time that is set already


@dataclass(frozen=True, slots=True)
class Key:
    """A key's metadata. ``current`` counts deleted and destroyed versions too; 0: it never had one."""

    current: int
    rules: Rules = field(default_factory=Rules)
    versions: Mapping[int, Version] = field(default_factory=dict)

    @property
    def readable(self) -> tuple[int, ...]:
        """Versions that can be read, oldest first."""
        return tuple(sorted(number for number, version in self.versions.items() if version.readable))

    @property
    def previous(self) -> int | None:
        """The newest version before the current one that can be read."""
        return max((number for number in self.readable if number < self.current), default=None)


def rules_in(data: Mapping[str, Any]) -> Rules | None:
    """The settings that an answer of ``config`` or ``metadata`` tells; None if it does not."""
    cas, after, most = (data.get(n) for n in ("cas_required", "delete_version_after", "max_versions"))
    if not isinstance(cas, bool) or not isinstance(after, str) or not _is_number(most):
        return None
    return Rules(cas, after, most or 0)


def key_in(data: Mapping[str, Any], now: datetime) -> Key | None:
    """What an answer of ``metadata`` tells; None if it is no such answer."""
    current, versions, rules = data.get("current_version"), data.get("versions"), rules_in(data)
    if not _is_number(current) or not isinstance(versions, dict) or rules is None or current is None:
        return None
    found: dict[int, Version] = {}
    for name, each in versions.items():
        if not str(name).isdecimal() or not isinstance(each, dict):
            return None
        destroyed = each.get("destroyed") is True
        readable = not destroyed and not gone(each, now)
        found[int(name)] = Version(readable, destroyed, readable and bool(each.get("deletion_time")))
    return Key(current, rules, found)


def gone(metadata: Mapping[str, Any], now: datetime) -> bool:
    """Whether a version is deleted by now; a time that cannot be read counts as past."""
    told = metadata.get("deletion_time")
    if not told:
        return False
    at = instant(told)
    return at is None or at <= now


def instant(told: object) -> datetime | None:
    """A time as Vault writes it, with nanoseconds, in UTC."""
    try:
        found = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None


def most_versions(mount: Rules, key: Key) -> int:
    """How many versions are kept: the greater of both settings (KV engine, path_data.go)."""
    return max(mount.max_versions, key.rules.max_versions) or MAX_VERSIONS


def refuse(mount: Rules, key: Key, where: Place) -> None:
    """Raise NeedsPerson for a secret that rotator must not write."""
    current = key.versions.get(key.current)
    if not mount.never and (mount.expires or key.rules.expires):
        raise NeedsPerson(
            "expires",
            f"Secret {where.name!r} has delete_version_after set: its current version would be deleted.",
            todo="Set delete_version_after to 0s, on the key or on the mount, wherever it is set.",
        )
    if current is not None and current.expires:
        raise NeedsPerson(
            "expires",
            f"The current version of secret {where.name!r} has a time set at which it is deleted.",
            todo="Set delete_version_after to 0s and write the same value once more.",
        )
    most = most_versions(mount, key)
    if most < LEAST_VERSIONS:
        raise NeedsPerson(
            "too-few-versions",
            f"Secret {where.name!r} keeps {most} versions; the old key must stay readable until it is dead.",
            todo=f"Set max_versions to {MAX_VERSIONS} (at least {LEAST_VERSIONS}) on the mount or the key.",
        )
    if key.current and key.current not in key.readable:
        raise deleted(where)


def deleted(where: Place) -> NeedsPerson:
    """Consumers read nothing, and nobody knows why: rotator does not write over it."""
    return NeedsPerson(
        "marked-deleted",
        f"The current version of secret {where.name!r} is deleted or destroyed.",
        todo="Undelete it (`vault kv undelete`), or write the key that is in use, or take its policy out.",
    )


def missing(where: Place) -> NeedsPerson:
    """There is no such secret."""
    return NeedsPerson(
        "missing",
        f"Secret {where.name!r} does not exist.",
        todo=f"Correct `secret` in the policy, or make it: `vault kv metadata put -cas-required=true "
        f"-mount={where.mount} {where.path}` (without a value: rotator writes the first).",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
