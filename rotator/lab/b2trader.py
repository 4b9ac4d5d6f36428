"""B2Trader on this machine, as "Manage API keys" and the trading API's general information describe it."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from rotator.lab.keys import Gauge, Key, Limit
from rotator.lab.server import LocalProvider
from rotator.lab.wire import Answer, Request

CLOCK_TOLERANCE = timedelta(seconds=5)
NONCE_SECONDS = timedelta(seconds=22)
TICKS_TO_UNIX = 621_355_968_000_000_000  # .NET ticks, of 100 ns, from year 1 to 1970
KEYS = "/frontoffice/api/key"
SHORT_KEYS = "/frontoffice/key"  # the summary of the page spells the path of a deletion so


def failure(status: int, code: str, message: str) -> Answer:
    """The error body that the trading API documents."""
    return Answer.of(status, {"errors": [{"code": code, "message": message}]})


def signature(private_key: str, payload: str) -> str:
    """HMAC-SHA512 of the JSON body, or of the query with its question mark, in upper-case hexadecimal."""
    return hmac.new(private_key.encode(), payload.encode(), hashlib.sha512).hexdigest().upper()


class B2Trader(LocalProvider):
    """Keys are UUIDs that sign; they are managed with a bearer token, at most three at a time.

    Where documents and clients differ: ``list_verb`` (GET as clients do, or POST as the page is written),
    ``delete_short`` (the path of the page's summary), ``lists_private`` (the list repeats private keys),
    ``withdraw_flag`` (a third flag, isWithdraw), ``enforces_addresses`` (a call from outside a key's
    ipWhiteList is refused with 403), ``limit_status`` (of the answer to a fourth key).
    """

    type_name = "b2trader"
    ISSUE = f"POST {KEYS}"
    LIST = f"GET {KEYS}"
    REVOKE = f"DELETE {KEYS}/*"
    PROBE = "GET /frontoffice/api/balances"
    prefix = "/trading"
    secret_names = ("privateKey",)
    proof_names = ("public_key", "private_key")
    documented_limits = (Limit(1, 1.0, "/frontoffice/"), Limit(2, 1.0, "/marketdata/"))
    documented_key_limit = 3
    widest: ClassVar[dict[str, Any]] = {"isInfo": True, "isTrade": True, "ipWhiteList": []}

    def __init__(
        self,
        *,
        list_verb: str = "GET",
        delete_short: bool = False,
        lists_private: bool = False,
        withdraw_flag: bool = False,
        enforces_addresses: bool = False,
        limit_status: int = 400,
        **common: Any,
    ) -> None:
        self.list_verb = list_verb
        self.delete_path = SHORT_KEYS if delete_short else KEYS
        self.lists_private = lists_private
        self.withdraw_flag = withdraw_flag
        self.enforces_addresses = enforces_addresses
        self.limit_status = limit_status
        self._nonces: dict[tuple[str, int], datetime] = {}
        super().__init__(**common)

    def expire_admin(self) -> None:
        """The bearer token has expired."""
        with self._lock:
            self._admin = {}

    def _new_admin(self) -> dict[str, str]:
        return {"token": secrets.token_urlsafe(48)}

    def _plain(self) -> dict[str, Any]:
        return {"isInfo": True, "isTrade": False, "ipWhiteList": ["127.0.0.1"]}

    def _draw(self) -> tuple[str, dict[str, str]]:
        public = str(uuid.uuid4())
        return public, {"public_key": public, "private_key": str(uuid.uuid4())}

    def _caller(self, request: Request) -> str | None:
        return f"address {request.client}"

    def _too_many(self, gauges: Sequence[Gauge]) -> Answer:  # noqa: ARG002 - no header tells the wait
        return failure(429, "too_many_requests", "Too many requests")

    # --- what is asked -----------------------------------------------------------------------------------

    def _handle(self, request: Request) -> Answer:
        path = request.path
        if path == "/frontoffice/api/info":
            return Answer.of(200, {"serverTime": self._ticks()})
        if path in ("/frontoffice/api/balances", "/frontoffice/api/order_history"):
            return self._private(request)
        if path == KEYS or path.startswith((f"{KEYS}/", f"{SHORT_KEYS}/")):
            return self._managed(request)
        return failure(404, "not_found", "Not found")

    def _ticks(self) -> int:
        return TICKS_TO_UNIX + int(self.clock().timestamp() * 10_000_000)

    def _managed(self, request: Request) -> Answer:
        token = request.scheme("bearer")
        if not token or not secrets.compare_digest(token, self._admin.get("token", "")):
            return failure(401, "unauthorized", "Unauthorized")
        path, public = request.path, request.path.removeprefix(f"{self.delete_path}/")
        if request.method == "DELETE" and public != path:
            return self._deleted(public)
        if path != KEYS:
            return failure(404, "not_found", "Not found")
        if request.method == self.list_verb and not request.body:
            return self._list()
        if request.method == "POST":
            return self._created(request)
        return failure(405, "method_not_allowed", "Method not allowed")

    def _created(self, request: Request) -> Answer:
        body = request.json()
        asked = _settings(body) if isinstance(body, dict) else None
        if asked is None:
            return failure(400, "invalid_request", "name, isInfo, isTrade and IpWhiteList are required")
        if self._full():
            return failure(self.limit_status, "limit", f"A user can have {self.key_limit} API keys")
        key = self._add(body["name"], asked, made_by="api")
        told = {"name": key.label, **self._told(key, asked), **self._withdraw()}
        secret = {"publicKey": key.key_id, "privateKey": key.fields["private_key"]}
        return Answer.of(200, {**secret, **told})

    def _withdraw(self) -> dict[str, bool]:
        return {"isWithdraw": False} if self.withdraw_flag else {}

    def _list(self) -> Answer:
        return Answer.of(200, [self._row(key) for key in self._listed() if self._live(key)])

    def _row(self, key: Key) -> dict[str, Any]:
        row = {"publicKey": key.key_id, "name": key.label, **self._withdraw(), **key.granted}
        return {**row, "privateKey": key.fields["private_key"]} if self.lists_private else row

    def _deleted(self, public: str) -> Answer:
        key = self._keys.get(public)
        if key is None or not self._live(key):
            return failure(404, "not_found", "Not found")
        self._revoke(key)
        return Answer.of(200)

    # --- signed requests ---------------------------------------------------------------------------------

    def _private(self, request: Request) -> Answer:
        if request.method != "GET":
            return failure(405, "method_not_allowed", "Method not allowed")
        key = self._keys.get(request.headers.get("key", ""))
        if not self._signed(request, key):
            return failure(401, "unauthorized", "Unauthorized")
        if key and self._outside(key, request.client):
            return failure(403, "forbidden", "Forbidden")
        if key and not (key.granted["isInfo"] or key.granted["isTrade"]):
            return failure(403, "forbidden", "Forbidden")
        empty = {"balances": [{"asset": "usdt", "balance": 0, "locked": 0}]}
        return Answer.of(200, empty.get(request.path.rpartition("/")[2], []))

    def _signed(self, request: Request, key: Key | None) -> bool:
        """Whether the time, the nonce and the signature are right; a wrong one is told as nothing more."""
        if not self._timely(request):
            return False
        if self.accepts_anything:
            return True
        if key is None:
            return False
        expected = signature(key.fields["private_key"], f"?{request.query}")
        if not secrets.compare_digest(expected.encode(), request.headers.get("sign", "").encode()):
            return False
        return self._fresh(key, request.arguments.get("nonce", "")) and self._used(key)

    def _timely(self, request: Request) -> bool:
        try:
            ts = datetime.strptime(request.arguments.get("ts", ""), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return False
        # ts has whole seconds: a client's clock that agrees to the second is never refused for its fraction.
        return abs(self.clock().replace(microsecond=0) - ts) <= CLOCK_TOLERANCE

    def _fresh(self, key: Key, nonce: str) -> bool:
        """Whether this key did not use this nonce in the last 22 seconds; remembers it."""
        if not nonce.isdecimal() or int(nonce) >= 2**63:
            return False
        now = self.clock()
        self._nonces = {used: at for used, at in self._nonces.items() if now - at < NONCE_SECONDS}
        if (key.key_id, int(nonce)) in self._nonces:
            return False
        self._nonces[key.key_id, int(nonce)] = now
        return True

    def _outside(self, key: Key, client: str) -> bool:
        allowed = key.granted["ipWhiteList"]
        return self.enforces_addresses and bool(allowed) and client not in allowed


def _settings(body: dict[str, Any]) -> dict[str, Any] | None:
    """The settings of a creation, or None where a required one is missing or of another type."""
    addresses = body.get("IpWhiteList")
    flags = [body.get("isInfo"), body.get("isTrade")]
    if not isinstance(body.get("name"), str) or not all(isinstance(flag, bool) for flag in flags):
        return None
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        return None
    return {"isInfo": flags[0], "isTrade": flags[1], "ipWhiteList": addresses}
