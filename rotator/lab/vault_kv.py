"""A KV version 2 mount on this machine, as the KV engine of Vault and OpenBao behaves (path_*.go)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rotator.lab.wire import Answer

MAX_VERSIONS = 10  # where nobody says otherwise
NOTHING: tuple[int, dict[str, Any]] = (404, {"errors": []})
_SETTINGS = {"max_versions", "cas_required", "delete_version_after", "custom_metadata"}
NEVER = timedelta(seconds=-1)  # delete_version_after of a mount on which nothing is deleted
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # as Go writes JSON


def answer(status: int, body: Mapping[str, Any]) -> Answer:
    """A body as Go writes it: sorted, without spaces, some characters escaped."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char, escape in _ESCAPED.items():
        text = text.replace(char, escape)
    return Answer(status, text.encode(), {"Content-Type": "application/json"})


def told(data: Mapping[str, Any] | None, status: int = 200, **more: Any) -> Answer:
    """A success with data, in Vault's envelope."""
    envelope = {
        "request_id": "00000000-0000-0000-0000-000000000000",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }
    return answer(status, {**envelope, "data": data, **more})


def wrong(status: int, *errors: str) -> Answer:
    """A refusal."""
    return answer(status, {"errors": list(errors)})


@dataclass(slots=True)
class Stored:
    """One version. ``text`` is the object as it was sent; None once it is destroyed."""

    text: str | None = field(repr=False)
    created: datetime
    deletes_at: datetime | None = None
    destroyed: bool = False

    def gone(self, now: datetime) -> bool:
        """Whether a read finds it deleted or destroyed."""
        return self.destroyed or (self.deletes_at is not None and self.deletes_at <= now)

    def shown(self) -> dict[str, Any]:
        """What metadata tell of it."""
        return {
            "created_time": instant(self.created),
            "deletion_time": instant(self.deletes_at),
            "destroyed": self.destroyed,
        }


@dataclass(slots=True)
class Rules:
    """Settings of a mount or of a key."""

    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: timedelta = timedelta(0)

    def shown(self) -> dict[str, Any]:
        """As an answer tells them."""
        return {
            "max_versions": self.max_versions,
            "cas_required": self.cas_required,
            "delete_version_after": lasting(self.delete_version_after),
        }

    def change(self, body: Mapping[str, Any]) -> None:
        """Take over what a request names."""
        self.max_versions = int(body.get("max_versions", self.max_versions))
        self.cas_required = bool(body.get("cas_required", self.cas_required))
        if "delete_version_after" in body:
            self.delete_version_after = duration(body["delete_version_after"])


@dataclass(slots=True)
class Secret:
    """A key with its versions; ``current`` counts those that are gone too."""

    made: datetime
    updated: datetime
    rules: Rules = field(default_factory=Rules)
    current: int = 0
    oldest: int = 0
    versions: dict[int, Stored] = field(default_factory=dict)
    custom: dict[str, str] | None = None

    def shown(self) -> dict[str, Any]:
        """Its metadata."""
        return {
            **self.rules.shown(),
            "created_time": instant(self.made),
            "updated_time": instant(self.updated),
            "current_version": self.current,
            "oldest_version": self.oldest,
            "custom_metadata": self.custom,
            "versions": {str(number): version.shown() for number, version in self.versions.items()},
        }

    def add(self, version: Stored, most: int) -> None:
        """A new current version; the oldest beyond ``most`` are removed for ever."""
        self.current += 1
        self.updated = version.created
        self.versions[self.current] = version
        if self.current - self.oldest >= most:
            self.oldest = self.current - most + 1
            for number in [each for each in self.versions if each < self.oldest]:
                del self.versions[number]


class Mount:
    """One KV v2 mount. Paths are below it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.rules = Rules()
        self.secrets: dict[str, Secret] = {}

    # --- data ---

    def read(self, path: str, number: int) -> Answer:
        """GET data: the current version where ``number`` is 0."""
        secret = self.secrets.get(path)
        version = secret.versions.get(number or secret.current) if secret else None
        if secret is None or version is None:
            return answer(*NOTHING)
        metadata = {
            **version.shown(),
            "version": number or secret.current,
            "custom_metadata": secret.custom,
        }
        if version.gone(self.clock()) or version.text is None:
            return told({"data": None, "metadata": metadata}, 404)
        return told({"data": json.loads(version.text, parse_int=_float), "metadata": metadata})

    def write(self, path: str, body: Mapping[str, Any]) -> Answer:
        """POST data: a new current version, if check-and-set allows."""
        if body.get("data") is None:
            return wrong(400, "no data provided")
        if not isinstance(body["data"], dict):
            return wrong(
                400, "error converting input for field \"data\": expected type 'map[string]interface {}'"
            )
        secret = self.secrets.get(path) or Secret(self.clock(), self.clock())
        options = body.get("options") or {}
        if "cas" in options and options["cas"] != secret.current:
            return wrong(400, "check-and-set parameter did not match the current version")
        if "cas" not in options and (self.rules.cas_required or secret.rules.cas_required):
            return wrong(400, "check-and-set parameter required for this call")
        version = Stored(json.dumps(body["data"]), self.clock(), self._deletes_at(secret))
        self.secrets[path] = secret
        secret.add(version, max(self.rules.max_versions, secret.rules.max_versions) or MAX_VERSIONS)
        return told({**version.shown(), "version": secret.current, "custom_metadata": secret.custom})

    def delete(self, path: str, numbers: list[int] | None = None) -> Answer:
        """DELETE data, POST delete: versions can be read no longer, until they are undeleted."""
        secret = self.secrets.get(path)
        for number in (numbers or [secret.current]) if secret else []:
            version = secret.versions.get(number) if secret else None
            if version is not None and not version.gone(self.clock()):
                version.deletes_at = self.clock()
        return Answer(204)

    def undelete(self, path: str, numbers: list[int]) -> Answer:
        """POST undelete: versions that are not destroyed can be read again."""
        for version in self._versions(path, numbers):
            if not version.destroyed:
                version.deletes_at = None
        return Answer(204)

    def destroy(self, path: str, numbers: list[int]) -> Answer:
        """POST destroy: values are gone for ever; their numbers stay."""
        for version in self._versions(path, numbers):
            version.destroyed, version.text = True, None
        return Answer(204)

    # --- metadata and settings ---

    def describe(self, path: str) -> Answer:
        """GET metadata."""
        secret = self.secrets.get(path)
        return told(secret.shown()) if secret else answer(*NOTHING)

    def annotate(self, path: str, body: Mapping[str, Any]) -> Answer:
        """POST metadata: settings of a key, which is made if there is none; it then has no version.

        A request that sets nothing makes nothing (KV engine, path_metadata.go).
        """
        if not _SETTINGS & body.keys():
            return Answer(204)
        secret = self.secrets.setdefault(path, Secret(self.clock(), self.clock()))
        secret.rules.change(body)
        secret.custom = body.get("custom_metadata", secret.custom)
        return Answer(204)

    def forget(self, path: str) -> Answer:
        """DELETE metadata: everything is gone, and numbers begin anew."""
        self.secrets.pop(path, None)
        return Answer(204)

    def names(self, folder: str) -> Answer:
        """LIST metadata: keys, and folders with a slash."""
        below = f"{folder.strip('/')}/" if folder.strip("/") else ""
        rest = [path[len(below) :] for path in self.secrets if path.startswith(below)]
        found = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in rest})
        return told({"keys": found}) if found else answer(*NOTHING)

    def configure(self, body: Mapping[str, Any]) -> Answer:
        """POST config."""
        self.rules.change(body)
        return Answer(204)

    def _versions(self, path: str, numbers: list[int]) -> list[Stored]:
        secret = self.secrets.get(path)
        return [secret.versions[n] for n in numbers if n in secret.versions] if secret else []

    def _deletes_at(self, secret: Secret) -> datetime | None:
        """The smaller of both settings, unless the mount says never (delete_version_after.go)."""
        given = [self.rules.delete_version_after, secret.rules.delete_version_after]
        if NEVER in given[:1]:
            return None
        after = min((each for each in given if each), default=None)
        return self.clock() + after if after is not None else None


def instant(at: datetime | None) -> str:
    """A time as Vault writes it."""
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}109Z"


def lasting(after: timedelta) -> str:
    """A duration as Go writes it."""
    seconds = int(after.total_seconds())
    if abs(seconds) < 60:  # noqa: PLR2004
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


def duration(said: object) -> timedelta:
    """A duration as a request says it: seconds, or a number with s, m or h."""
    text = str(said)
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    return timedelta(seconds=int(text[:-1]) * unit if unit else int(text))


def _float(text: str) -> float | int:
    """A whole number as a reader gets it: rounded to what a float holds."""
    value = float(text)
    return int(value) if abs(value) < 1e21 else value  # noqa: PLR2004  from here on Go writes an exponent
