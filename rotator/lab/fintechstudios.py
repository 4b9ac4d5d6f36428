"""FinTech Studios on this machine, as "API Authentication" and the later instructions describe it."""

import base64
import json
import secrets
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rotator.lab.keys import Key
from rotator.lab.logins import LocalLogins
from rotator.lab.wire import Answer, Request

PROBE_PATH = "/account"  # of this machine's provider: the pages name no harmless GET
PATHS = ("/auth/token", "/auth/login")


@dataclass(slots=True)
class User:
    """Who logs in. ``refused`` counts refused logins in a row, ``times`` holds those of the last window."""

    email: str
    password: str = field(repr=False)
    user_id: str
    refused: int = 0
    disabled: bool = False
    times: deque[float] = field(default_factory=deque)


class FintechStudios(LocalLogins):
    """Each request carries the organisation's key; a user's e-mail and password mint a JWT.

    A login that a person issues has a key of its own and the one user's e-mail and password. Where the pages
    differ: ``token_path``, ``token_header`` (bearer, raw, x-api-token), ``milliseconds`` (of ``expires``),
    ``needs_access_key`` (also at the login), ``errors_in_200`` (failures come as 200 with an ``error``).
    Accounts: within ``login_window`` seconds more than ``throttled_after`` logins are answered with 429, and
    more than ``disabled_after`` disable the user, as do ``refusals_allowed`` refused ones in a row; None:
    never. ``exp_early``: seconds by which a token's own ``exp`` is earlier than ``expires``.
    """

    type_name = "fintechstudios"
    PROBE = f"GET {PROBE_PATH}"
    secret_names = ("token",)
    proof_names = ("access_key", "email", "password")
    token_names = ("access_key", "token")
    open_names = ("email",)

    def __init__(
        self,
        *,
        lifetime: float = 3600.0,
        token_path: str = PATHS[0],
        token_header: str = "bearer",
        milliseconds: bool = True,
        needs_access_key: bool = True,
        errors_in_200: bool = False,
        throttled_after: int | None = 20,
        disabled_after: int | None = 100,
        refusals_allowed: int | None = 5,
        login_window: float = 600.0,
        exp_early: float = 0.0,
        **common: Any,
    ) -> None:
        self.ISSUE = f"POST {token_path}"  # type: ignore[misc]  # by the spelling that this one has
        self.token_path = token_path
        self.token_header = token_header
        self.milliseconds = milliseconds
        self.needs_access_key = needs_access_key
        self.errors_in_200 = errors_in_200
        self.throttled_after = throttled_after
        self.disabled_after = disabled_after
        self.refusals_allowed = refusals_allowed
        self.login_window = login_window
        self.exp_early = exp_early
        self._user = _new_user()
        self._users = {self._user.email: self._user}
        self._past: set[str] = set()  # passwords that were changed
        super().__init__(lifetime=lifetime, **common)
        self.account = self._user.user_id

    # --- what a person does --------------------------------------------------------------------------------

    def issue_for_another_user(self) -> dict[str, str]:
        """A login of somebody else in the organisation."""
        other = _new_user()
        with self._lock:
            self._users[other.email] = other
            ours, self._user = self._user, other
            try:
                return dict(self._add("another user", {}, made_by="hand").fields)
            finally:
                self._user = ours

    def expire_admin(self) -> None:
        """The user's password is another one from now on: so is that of every login issued before."""
        self.change_password()

    def change_password(self) -> str:
        """A new password for the user; the old one is refused from now on."""
        with self._lock:
            self._user.password = secrets.token_urlsafe(18)
            for key in self._keys.values():
                if key.fields.get("email") == self._user.email:
                    self._past.add(key.fields["password"])
                    key.fields["password"] = self._user.password
            return self._user.password

    def values(self) -> frozenset[str]:
        """Every secret value it handed out, passwords that were changed since too."""
        with self._lock:
            return super().values() | self._past

    def disabled(self) -> bool:
        """Whether the user's account is disabled."""
        with self._lock:
            return self._user.disabled

    def enable(self) -> None:
        """The account manager lets the user in again."""
        with self._lock:
            self._user.disabled, self._user.refused = False, 0
            self._user.times.clear()

    # --- parts ---------------------------------------------------------------------------------------------

    def _draw(self) -> tuple[str, dict[str, str]]:
        access_key, user = str(uuid.uuid4()), self._user
        return access_key, {"access_key": access_key, "email": user.email, "password": user.password}

    def _token(self, parent: Key, ends: float) -> dict[str, str]:
        told = {"sub": self._users[parent.fields["email"]].user_id, "exp": int(ends - self.exp_early)}
        unsigned = ".".join(_part(one) for one in ({"alg": "RS256", "typ": "JWT"}, told))
        token = f"{unsigned}.{secrets.token_urlsafe(32)}"
        return {"access_key": parent.fields["access_key"], "token": token}

    def _usable(self, key: Key) -> bool:
        organisation = self._keys.get(key.fields["access_key"])
        if organisation is None or not self._live(organisation):
            return False
        user = self._users.get(key.fields.get("email", ""))
        return user is None or not user.disabled

    def _handle(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/status":
                return Answer.of(200, {"status": "ok"})
            case "POST", path if path == self.token_path:
                return self._login(request)
            case "GET", "/account":
                return self._account(request)
        return Answer.of(404, {"message": "Not Found"})

    def _organisation(self, request: Request) -> Key | None:
        key = self._keys.get(request.headers.get("x-api-key", ""))
        return key if key is not None and "email" in key.fields and self._live(key) else None

    def _login(self, request: Request) -> Answer:
        organisation, asked = self._organisation(request), request.json()
        if organisation is None and self.needs_access_key and not self.accepts_anything:
            return Answer.of(403, {"message": "Forbidden"})
        if not isinstance(asked, dict) or not all(
            isinstance(asked.get(name), str) for name in ("email", "password")
        ):
            return self._failure(400, "BadRequest", "email and password are required")
        self._logins[asked["email"]] += 1
        user = self._users.get(asked["email"])
        if user is None:
            return self._failure(401, "Unauthorized", "Unauthorized")
        refused = self._counted_login(user, asked["password"])
        if refused is not None:
            return refused
        parent = organisation or next(key for key in self._keys.values() if "email" in key.fields)
        return self._welcomed(user, self._mint(parent))

    def _counted_login(self, user: User, password: str) -> Answer | None:
        """Count a login, and refuse it where it is one too many, or wrong."""
        now = self.clock().timestamp()
        user.times.append(now)
        while user.times[0] <= now - self.login_window:
            user.times.popleft()
        if self.disabled_after is not None and len(user.times) > self.disabled_after:
            user.disabled = True
        if not self.accepts_anything and not secrets.compare_digest(
            user.password.encode(), password.encode()
        ):
            user.refused += 1
            user.disabled |= self.refusals_allowed is not None and user.refused >= self.refusals_allowed
            return self._failure(401, "Unauthorized", "Unauthorized")
        if user.disabled:
            return self._failure(401, "AccountDisabled", "This account is disabled")
        if self.throttled_after is not None and len(user.times) > self.throttled_after:
            return self._failure(429, "Throttled", "Too many logins")
        user.refused = 0
        return None

    def _welcomed(self, user: User, token: Key) -> Answer:
        assert token.expires_at is not None, "a token ends"
        ends = token.expires_at.timestamp()
        told = int(ends * 1000) if self.milliseconds else int(ends)
        answer = {
            "token": token.fields["token"],
            "expires": told,
            "userId": user.user_id,
            "tenantId": "local",
        }
        return Answer.of(200, answer)

    def _account(self, request: Request) -> Answer:
        if self._organisation(request) is None and not self.accepts_anything:
            return Answer.of(403, {"message": "Forbidden"})
        token = self._holder("token", self._spelled(request))
        if not self.accepts_anything and (token is None or not token.use(self.clock())):
            return self._failure(401, "Unauthorized", "Unauthorized")
        return Answer.of(200, {"userId": self.account})

    def _spelled(self, request: Request) -> str:
        """The token where this provider looks for it."""
        match self.token_header:
            case "bearer":
                return request.scheme("bearer") or ""
            case "raw":
                return request.headers.get("authorization", "")
            case header:
                return request.headers.get(header, "")

    def _failure(self, status: int, kind: str, message: str) -> Answer:
        """A failure with its status, or as the gateway squashes it: 200 and an ``error``."""
        if self.errors_in_200:
            return Answer.of(200, {"error": {"type": kind, "message": message}})
        return Answer.of(status, {"message": message})


def _new_user() -> User:
    name = f"worker-{secrets.token_hex(4)}@desk.example"
    return User(name, secrets.token_urlsafe(18), str(uuid.uuid4()))


def _part(value: dict[str, Any]) -> str:
    """One part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
