"""Keys, calls and rate limits of a local provider: values, and the counting of requests."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A key as its provider sees it, without its value.

    ``made_by`` is ``api`` (a request), ``initial`` (:meth:`LocalProvider.create`), ``foreign``
    (:meth:`LocalProvider.add_foreign`) or ``admin``.
    """

    key_id: str
    label: str
    live: bool
    created_at: datetime
    granted: Mapping[str, Any]
    made_by: str
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was served; ``status`` is None where the connection was closed unanswered."""

    method: str
    path: str
    status: int | None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` requests of one caller in ``seconds``, for paths that begin with ``prefix``.

    ``aligned``: fixed windows that begin at multiples of ``seconds``; otherwise any ``seconds`` on end.
    """

    count: int
    seconds: float
    prefix: str = "/"
    aligned: bool = False


@dataclass(slots=True)
class Key:
    """A key with its value, inside the provider. ``fields`` are those of the secret that consumers read."""

    key_id: str
    label: str
    created_at: datetime
    fields: dict[str, str] = field(repr=False)
    granted: dict[str, Any]
    made_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    refusals: float = 0  # requests still refused, since the key has not reached every server
    flaps: int = 0  # requests still answered by turns: accepted, refused, accepted, ...
    unlisted: int = 0  # lists in which it does not appear yet
    survives: float = 0  # requests still accepted after its revocation

    def live(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def works(self, now: datetime) -> bool:
        """Whether it still opens anything, if only because its revocation has not reached every server."""
        return self.live(now) or (self.revoked_at is not None and self.survives > 0)

    def use(self, now: datetime) -> bool:
        """Count one request that carries its values; whether it is let in."""
        if not self.live(now):
            let_in, self.survives = self.works(now), self.survives - 1
            return let_in
        if self.refusals > 0:
            self.refusals -= 1
            return False
        if self.flaps > 0:
            self.flaps -= 1
            if self.flaps % 2 == 0:
                return False
        self.last_used_at = now
        return True

    def shown(self, now: datetime) -> LocalKey:
        """What a test may see of it."""
        return LocalKey(
            key_id=self.key_id,
            label=self.label,
            live=self.works(now),
            created_at=self.created_at,
            granted=dict(self.granted),
            made_by=self.made_by,
            last_used_at=self.last_used_at,
            revoked_at=self.revoked_at,
            expires_at=self.expires_at,
        )


class Gauge:
    """Counts the requests of one caller against one limit."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._times: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Count one request, unless that would be too many."""
        start = now - now % self.limit.seconds if self.limit.aligned else now - self.limit.seconds
        while self._times and (
            self._times[0] < start or (self._times[0] == start and not self.limit.aligned)
        ):
            self._times.popleft()
        if len(self._times) >= self.limit.count:
            return False
        self._times.append(now)
        return True

    @property
    def remaining(self) -> int:
        """Requests that are left."""
        return self.limit.count - len(self._times)

    def reset(self, now: float) -> int:
        """When a request is free again, in Unix seconds."""
        if self.limit.aligned:
            return int(now - now % self.limit.seconds + self.limit.seconds)
        return math.ceil((self._times[0] if self._times else now) + self.limit.seconds)


def real_time() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
