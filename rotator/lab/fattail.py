"""FatTail Markets on this machine, as its pages "Authentication" and "Endpoints" describe it."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any, ClassVar

from rotator.lab.keys import Gauge, Key, Limit
from rotator.lab.server import LocalProvider
from rotator.lab.wire import Answer, Request

SCOPES = frozenset({"read", "trade", "admin"})
COOKIE = "sb-access-token"
PREFIX_LENGTH = len("ftm_live_") + 8
NO_SESSION = Answer.of(401, {"error": "Authentication required"})
NO_SCOPE = Answer.of(403, {"error": "Insufficient scope"})
NOT_FOUND = Answer.of(404, {"error": "Not found"})


class FatTail(LocalProvider):
    """Keys are bearer tokens; they are managed in a browser's session alone, at most ten at a time.

    What the pages leave open is chosen here: ``limit_status`` (of the answer to an eleventh key),
    ``envelope`` (the name under which the list stands; None: a bare array), ``lists_revoked`` (revoked
    keys stay in the list), ``rotate_keeps_id`` (a rotated key keeps its id).
    """

    type_name = "fattail"
    ISSUE = "POST /api/keys"
    LIST = "GET /api/keys"
    REVOKE = "DELETE /api/keys/*"
    PROBE = "GET /api/agents/me"
    secret_names = ("key",)
    proof_names = ("api_key",)
    documented_limits = (Limit(60, 60.0, aligned=True),)
    documented_key_limit = 10
    widest: ClassVar[dict[str, Any]] = {"scopes": sorted(SCOPES), "expires_in_days": None}

    def __init__(
        self,
        *,
        limit_status: int = 400,
        envelope: str | None = "keys",
        lists_revoked: bool = False,
        rotate_keeps_id: bool = False,
        **common: Any,
    ) -> None:
        self.limit_status = limit_status
        self.envelope = envelope
        self.lists_revoked = lists_revoked
        self.rotate_keeps_id = rotate_keeps_id
        super().__init__(**common)

    def expire_admin(self) -> None:
        """The session has ended."""
        with self._lock:
            self._admin = {}

    def _new_admin(self) -> dict[str, str]:
        return {"session": secrets.token_urlsafe(48)}

    def _plain(self) -> dict[str, Any]:
        return {"scopes": ["read"], "expires_in_days": None}

    def _draw(self) -> tuple[str, dict[str, str]]:
        key_id = str(uuid.uuid4())
        return key_id, {"key_id": key_id, "api_key": f"ftm_live_{secrets.token_hex(16)}"}

    # --- who asks ----------------------------------------------------------------------------------------

    def _session(self, request: Request) -> bool:
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return bool(cookie and self._admin) and secrets.compare_digest(
            (cookie.value if cookie else "").encode(), self._admin.get("session", "").encode()
        )

    def _bearer(self, request: Request) -> Key | None:
        """The key of a request, whatever its state."""
        value = request.scheme("bearer") or ""
        return next((key for key in self._keys.values() if key.fields["api_key"] == value), None)

    def _denied(self, request: Request, scope: str | None) -> Answer | None:
        """Why a request with an API key may not go on; ``scope`` None: no key may do this at all."""
        key = self._bearer(request)
        if self.accepts_anything and request.scheme("bearer"):
            return None
        if key is None or not self._used(key):
            return NO_SESSION
        return None if scope and scope in key.granted["scopes"] else NO_SCOPE

    def _caller(self, request: Request) -> str | None:
        key = self._bearer(request)
        return key.key_id if key else None

    def _too_many(self, gauges: Sequence[Gauge]) -> Answer:
        wait = str(self._retry_after(gauges))
        return Answer.of(429, {"error": "Rate limit exceeded"}).plus({"Retry-After": wait})

    def _measured(self, answer: Answer, request: Request, gauges: Sequence[Gauge]) -> Answer:  # noqa: ARG002
        if not gauges:
            return answer
        gauge = gauges[0]
        return answer.plus(
            {
                "X-RateLimit-Limit": str(gauge.limit.count),
                "X-RateLimit-Remaining": str(gauge.remaining),
                "X-RateLimit-Reset": str(gauge.reset(self.clock().timestamp())),
            }
        )

    # --- what is asked -----------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Answer:  # noqa: PLR0911 - one for each route
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["api", "markets", "active"]:
                return Answer.of(200, {"count": 0, "markets": []})
            case "GET", ["api", "agents", "me"]:
                return self._denied(request, "read") or self._me(request)
            case "GET", ["api", "keys"]:
                return self._list(request)
            case "POST", ["api", "keys"]:
                return self._unmanaged(request) or self._created(request)
            case "POST", ["api", "keys", key_id, "rotate"]:
                return self._unmanaged(request) or self._rotated(key_id)
            case "DELETE", ["api", "keys", key_id]:
                return self._unmanaged(request) or self._deleted(key_id)
        return NOT_FOUND

    def _unmanaged(self, request: Request) -> Answer | None:
        """Why a request may not manage keys: it has no session, and an API key is not enough."""
        return None if self._session(request) else self._denied(request, None) or NO_SCOPE

    def _me(self, request: Request) -> Answer:
        key = self._bearer(request)
        agent = {"id": self.account, "name": "local agent", "role": "speculator", "trading_mode": "kp"}
        scopes = key.granted["scopes"] if key else []
        auth = (
            {"method": "api_key", "scopes": scopes, "key_prefix": key.fields["api_key"][:PREFIX_LENGTH]}
            if key
            else {}
        )
        return Answer.of(200, {"agent": agent, "auth": auth, "stats": {}})

    def _created(self, request: Request) -> Answer:
        body = request.json()
        wrong = _wrong(body)
        if wrong:
            return Answer.of(400, {"error": wrong})
        if self._full():
            return Answer.of(self.limit_status, {"error": f"Maximum of {self.key_limit} active API keys"})
        asked = {"scopes": body["scopes"], "expires_in_days": body.get("expires_in_days")}
        key = self._new(body["name"], asked)
        return Answer.of(201, {**self._row(key, self._told(key, asked)), "key": key.fields["api_key"]})

    def _new(self, name: str, asked: Mapping[str, Any]) -> Key:
        key = self._add(name, asked, made_by="api")
        days = key.granted["expires_in_days"]
        key.expires_at = key.created_at + timedelta(days=days) if days else None
        return key

    def _list(self, request: Request) -> Answer:
        denied = None if self._session(request) else self._denied(request, "read")
        if denied:
            return denied
        rows: list[dict[str, Any]] = []
        for key in self._listed():
            if self._live(key):
                rows.append(self._row(key, key.granted))
            elif self.lists_revoked:
                rows.append({**self._row(key, key.granted), "revoked_at": _iso(key.revoked_at)})
        return Answer.of(200, {self.envelope: rows} if self.envelope else rows)

    def _row(self, key: Key, granted: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": key.key_id,
            "name": key.label,
            "key_prefix": key.fields["api_key"][:PREFIX_LENGTH],
            "scopes": granted["scopes"],
            "expires_at": _iso(key.expires_at),
            "last_used_at": _iso(key.last_used_at),
            "created_at": _iso(key.created_at),
        }

    def _rotated(self, key_id: str) -> Answer:
        old = self._keys.get(key_id)
        if old is None or not self._live(old):
            return NOT_FOUND
        old.revoked_at = self.clock()
        key = self._new(old.label, old.granted)
        if self.rotate_keeps_id:
            self._keys[f"{key_id} until {len(self._keys)}"] = old
            self._keys[key_id] = self._keys.pop(key.key_id)
            key.key_id = key.fields["key_id"] = key_id
        return Answer.of(200, {**self._row(key, key.granted), "key": key.fields["api_key"]})

    def _deleted(self, key_id: str) -> Answer:
        key = self._keys.get(key_id)
        if key is None or not self._live(key):
            return NOT_FOUND
        self._revoke(key)
        return Answer.of(200, {"success": True})


def _iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z") if moment else None


def _wrong(body: Any) -> str | None:
    """What is wrong with the body of a creation, or None."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or not body["name"]:
        return "name is required"
    scopes, days = body.get("scopes"), body.get("expires_in_days")
    if not isinstance(scopes, list) or not scopes or not all(scope in SCOPES for scope in scopes):
        return "scopes must be some of read, trade, admin"
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or days < 1):
        return "expires_in_days must be a positive integer"
    return None
