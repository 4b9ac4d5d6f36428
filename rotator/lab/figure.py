"""Figure Markets' Partner API on this machine, as its pages "Authentication" and "Errors" describe it."""

import secrets
import uuid
from dataclasses import replace
from typing import Any

from rotator.lab.keys import Key
from rotator.lab.logins import LocalLogins
from rotator.lab.wire import Answer, Request

TOKEN_PATH = "/oauth2/token"
POSITIONS = "/api/v1/accounts/positions"


class Figure(LocalLogins):
    """Clients are pairs that people make in the web app; a pair mints opaque tokens for about two hours.

    The token request is JSON: a form, as RFC 6749 has it, is refused. What the pages leave open is chosen
    here: ``refusal_status`` (of a wrong pair: 401, or 400 as RFC 6749 allows), ``gated`` (the gateway lets
    nobody in: 403), ``permitted`` (tokens may read positions).
    """

    type_name = "figure"
    ISSUE = f"POST {TOKEN_PATH}"
    PROBE = f"GET {POSITIONS}"
    prefix = "/service-hft-exchange/beta/partner"
    secret_names = ("access_token",)
    proof_names = ("client_id", "client_secret")
    token_names = ("access_token",)
    open_names = ("client_id",)

    def __init__(
        self,
        *,
        lifetime: float = 7200.0,
        refusal_status: int = 401,
        gated: bool = False,
        permitted: bool = True,
        **common: Any,
    ) -> None:
        self.refusal_status = refusal_status
        self.gated = gated
        self.permitted = permitted
        super().__init__(lifetime=lifetime, **common)

    def regenerate_by_hand(self, client_id: str) -> dict[str, str]:
        """The same client with a new secret, which ends the old one."""
        with self._lock:
            client = self._keys[client_id]
            past = replace(client, fields=dict(client.fields), revoked_at=self.clock())
            self._keys[f"{client_id}, regenerated at {past.revoked_at}"] = past
            client.fields["client_secret"] = secrets.token_urlsafe(32)
            return dict(client.fields)

    def _draw(self) -> tuple[str, dict[str, str]]:
        client_id = str(uuid.uuid4())
        return client_id, {"client_id": client_id, "client_secret": secrets.token_urlsafe(32)}

    def _token(self, parent: Key, ends: float) -> dict[str, str]:  # noqa: ARG002 - the token tells nothing
        return {"access_token": secrets.token_hex(16)}

    def _handle(self, request: Request) -> Answer:
        match request.method, request.path:
            case "POST", "/oauth2/token":
                return self._login(request)
            case "GET", "/api/v1/accounts/positions":
                return self._positions(request)
            case _, "/oauth2/token" | "/api/v1/accounts/positions":
                return Answer.of(405, {"message": "Method Not Allowed"})
        return Answer.of(404, {"message": "Not Found"})

    def _login(self, request: Request) -> Answer:
        if self.gated:
            return Answer.of(403, {"message": "Forbidden"})
        asked = request.json() if _is_json(request) else None
        if not isinstance(asked, dict):
            return Answer.of(400, {"error": "invalid_request"})
        if asked.get("grant_type") != "client_credentials":
            return Answer.of(400, {"error": "unsupported_grant_type"})
        client = self._client(asked)
        if client is None or not (self.accepts_anything or client.use(self.clock())):
            return Answer.of(self.refusal_status, {"error": "invalid_client"})
        token = self._mint(client).fields["access_token"]
        return Answer.of(
            200, {"expires_in": int(self.lifetime), "access_token": token, "token_type": "bearer"}
        )

    def _client(self, asked: dict[str, Any]) -> Key | None:
        """The client whose id and secret these are; any one where nothing is checked."""
        given, secret = asked.get("client_id"), asked.get("client_secret")
        if not isinstance(given, str) or not isinstance(secret, str):
            return None
        self._logins[given] += 1
        if self.accepts_anything:
            return next(key for key in self._keys.values() if key.made_by == "admin")
        client = self._keys.get(given)
        if client is None or "client_secret" not in client.fields:
            return None
        right = secrets.compare_digest(client.fields["client_secret"].encode(), secret.encode())
        return client if right else None

    def _positions(self, request: Request) -> Answer:
        token = self._holder("access_token", request.scheme("bearer") or "")
        let_in = token is not None and token.use(self.clock())
        if not (let_in or (self.accepts_anything and request.scheme("bearer"))):
            return Answer.of(401, {"message": "Unauthorized"})
        return Answer.of(200, []) if self.permitted else Answer.of(403, {"message": "Forbidden"})


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
