"""Buildmarkets on this machine, as its pages "Authentication", "Errors" and "Rate limits" describe it."""

import base64
import binascii
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from rotator.lab.keys import Gauge, Key, Limit
from rotator.lab.server import LocalProvider
from rotator.lab.wire import Answer, Request

MANAGE = frozenset({"keys:manage", "admin:keys"})  # the older and the newer name of the same scope
SCOPES = MANAGE | {
    "accounts:read",
    "accounts:write",
    "funding:read",
    "funding:write",
    "trading:read",
    "trading:write",
    "marketdata:read",
    "documents:read",
    "documents:write",
    "webhooks:read",
    "webhooks:write",
    "admin:webhooks",
}
Paging = Literal["cursor", "offset", "none"]


class Denied(Exception):
    """Carries the answer of a request that may not go on."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def failure(status: int, code: str, message: str, **more: Any) -> Answer:
    """The error body of the page "Errors"."""
    request_id = f"req_{secrets.token_hex(6)}"
    return Answer.of(status, {"error": {"code": code, "message": message, **more, "request_id": request_id}})


def iso(moment: datetime) -> str:
    """A time as the API writes it: ``2025-06-01T12:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Buildmarkets(LocalProvider):
    """Keys are pairs; the admin credential is a pair too, with the scope ``manage_scope``.

    The page does not show the list's envelope: ``paging`` chooses among the three forms that the vendor's
    documents use. ``lists_revoked``: revoked keys stay in the list with a status; otherwise they vanish.
    """

    type_name = "buildmarkets"
    ISSUE = "POST /v1/keys"
    LIST = "GET /v1/keys"
    REVOKE = "DELETE /v1/keys/*"
    PROBE = "GET /v1/accounts"
    secret_names = ("api_secret",)
    proof_names = ("api_key", "api_secret")
    documented_limits = (Limit(10, 1.0), Limit(10_000, 86_400.0, aligned=True))
    widest: ClassVar[dict[str, Any]] = {"scopes": sorted(SCOPES)}

    def __init__(
        self,
        *,
        paging: Paging = "cursor",
        page_size: int = 20,
        lists_revoked: bool = False,
        manage_scope: str = "keys:manage",
        **common: Any,
    ) -> None:
        self.paging = paging
        self.page_size = page_size
        self.lists_revoked = lists_revoked
        self.manage_scope = manage_scope
        super().__init__(**common)

    def expire_admin(self) -> None:
        """The admin pair is revoked."""
        with self._lock:
            for key in self._keys.values():
                if key.made_by == "admin" and key.revoked_at is None:
                    key.revoked_at = self.clock()

    def _new_admin(self) -> dict[str, str]:
        key = self._add("key manager", {"scopes": [self.manage_scope]}, made_by="admin")
        return {name: key.fields[name] for name in self.proof_names}

    def _plain(self) -> dict[str, Any]:
        return {"scopes": ["accounts:read"]}

    def _draw(self) -> tuple[str, dict[str, str]]:
        key_id = f"key-{secrets.token_hex(8)}"
        return key_id, {
            "key_id": key_id,
            "api_key": f"tapp_sandbox_{secrets.token_hex(16)}",
            "api_secret": f"sk_{secrets.token_urlsafe(32)}",
        }

    # --- who asks ----------------------------------------------------------------------------------------

    @staticmethod
    def _pair(request: Request) -> tuple[str, str] | None:
        """The pair of a request: two headers, or HTTP Basic. A Bearer token is none."""
        if "x-api-key" in request.headers or "x-api-secret" in request.headers:
            return request.headers.get("x-api-key", ""), request.headers.get("x-api-secret", "")
        try:
            name, _, value = (
                base64.b64decode(request.scheme("basic") or "", validate=True).decode().partition(":")
            )
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (name, value) if name else None

    def _named(self, request: Request) -> Key | None:
        pair = self._pair(request)
        return next((k for k in self._keys.values() if pair and k.fields["api_key"] == pair[0]), None)

    def _authenticated(self, request: Request, *scopes: str) -> None:
        """Let a request on that carries a good pair with one of ``scopes``; 401 comes before 403."""
        pair, key = self._pair(request), self._named(request)
        if pair and self.accepts_anything:
            return
        if not pair or not key or not secrets.compare_digest(key.fields["api_secret"], pair[1]):
            raise Denied(failure(401, "UNAUTHORIZED", "Missing or invalid API credentials."))
        if not self._used(key):
            code = "UNAUTHORIZED" if self._live(key) else "KEY_REVOKED"
            raise Denied(failure(401, code, "These API credentials are not active."))
        if not set(scopes) & set(key.granted["scopes"]):
            raise Denied(failure(403, "FORBIDDEN", f"This action needs the scope {scopes[0]}."))

    def _caller(self, request: Request) -> str | None:
        key = self._named(request)
        return key.key_id if key else f"address {request.client}"

    def _too_many(self, gauges: Sequence[Gauge]) -> Answer:
        wait = str(self._retry_after(gauges))
        return failure(429, "RATE_LIMITED", "Too many requests.").plus({"Retry-After": wait})

    def _measured(self, answer: Answer, request: Request, gauges: Sequence[Gauge]) -> Answer:  # noqa: ARG002
        if not gauges:
            return answer
        tightest = min(gauges, key=lambda gauge: gauge.remaining)
        return answer.plus(
            {
                "X-RateLimit-Limit": str(tightest.limit.count),
                "X-RateLimit-Remaining": str(tightest.remaining),
                "X-RateLimit-Reset": str(tightest.reset(self.clock().timestamp())),
                "X-RateLimit-Tier": "developer",
            }
        )

    # --- what is asked -----------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Answer:
        path, key_id = request.path, request.path.removeprefix("/v1/keys/")
        try:
            match request.method:
                case "POST" if path == "/v1/keys":
                    return self._created(request)
                case "GET" if path == "/v1/keys":
                    return self._list(request)
                case "DELETE" if key_id != path:
                    return self._deleted(request, key_id)
                case "GET" if path == "/v1/accounts":
                    self._authenticated(request, "accounts:read")
                    account = {"account_id": self.account, "status": "ACTIVE", "currency": "USD"}
                    return Answer.of(200, {"data": [account], "pagination": {"has_more": False}})
        except Denied as denied:
            return denied.answer
        return failure(404, "NOT_FOUND", "No such resource.")

    def _created(self, request: Request) -> Answer:
        self._authenticated(request, *sorted(MANAGE, reverse=True))
        body = request.json()
        if not isinstance(body, dict):
            return failure(400, "VALIDATION_ERROR", "The body is not a JSON object.")
        label, scopes = body.get("label"), body.get("scopes")
        if not isinstance(label, str) or not label:
            return failure(400, "MISSING_REQUIRED_FIELD", "label is required.", details=[_at("label")])
        if not isinstance(scopes, list) or not scopes:
            return failure(400, "MISSING_REQUIRED_FIELD", "scopes is required.", details=[_at("scopes")])
        if not all(isinstance(scope, str) and scope in SCOPES for scope in scopes):
            return failure(400, "INVALID_SCOPE", "A scope is unknown.", details=[_at("scopes")])
        if self._full():
            return failure(409, "CONFLICT", "The maximum number of API keys is reached.")
        key = self._add(label, {"scopes": scopes}, made_by="api")
        told = {"id": key.key_id, "label": label, **key.fields, **self._told(key, {"scopes": scopes})}
        del told["key_id"]
        return Answer.of(201, {**told, "created_at": iso(key.created_at)})

    def _list(self, request: Request) -> Answer:
        self._authenticated(request, *sorted(MANAGE, reverse=True))
        rows = [self._row(key) for key in self._listed() if self.lists_revoked or self._live(key)]
        if self.paging == "none":
            return Answer.of(200, rows)
        arguments = request.arguments
        size = min(_whole(arguments.get("limit"), self.page_size), self.page_size)
        start = _whole(arguments.get("cursor" if self.paging == "cursor" else "offset"), 0)
        page = {"data": rows[start : start + size]}
        more = start + size < len(rows)
        if self.paging == "offset":
            return Answer.of(
                200, {**page, "pagination": {"limit": size, "offset": start, "total": len(rows)}}
            )
        cursor = str(start + size) if more else None
        return Answer.of(200, {**page, "pagination": {"next_cursor": cursor, "has_more": more}})

    def _row(self, key: Key) -> dict[str, Any]:
        row = {
            "id": key.key_id,
            "label": key.label,
            "scopes": key.granted["scopes"],
            "created_at": iso(key.created_at),
        }
        if self.lists_revoked:
            row["status"] = "active" if self._live(key) else "revoked"
        return row

    def _deleted(self, request: Request, key_id: str) -> Answer:
        self._authenticated(request, *sorted(MANAGE, reverse=True))
        key = self._keys.get(key_id)
        if key is None or not self._live(key):
            return failure(404, "NOT_FOUND", "No such key.")
        self._revoke(key)
        return Answer.of(204)


def _at(name: str) -> dict[str, str]:
    return {"field": name, "reason": "missing or invalid"}


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() else otherwise
