"""The worker's token: had in time, renewed in time, given back at the end.

A token that we log in for is replaced at two thirds of its life, and once when Vault refuses it. No request
begins with a token that might expire before the effect ends.
"""

import threading
from dataclasses import dataclass, replace
from typing import Any

from rotator.errors import EffectError, NeedsPerson, NotSent, RotatorError
from rotator.interfaces import EFFECT_SECONDS, Clock
from rotator.stores import vault_login
from rotator.stores.vault_errors import Asked, Reply, answered, broken, garbage
from rotator.stores.vault_settings import Auth, TokenAuth

_SHARE = 2 / 3  # of a token's life
_LATER = 1 / 10  # of what is left of it, until a renewal that failed is tried again
_TRUSTED = 600.0  # seconds for which a token that replaced a refused one is not replaced again


@dataclass(frozen=True, slots=True, repr=False)
class Lease:
    """A token, and until when it lives; times on the monotonic clock, None for one that never expires."""

    token: str
    until: float | None = None
    renew_at: float | None = None
    ours: bool = False  # we logged in for it
    renewable: bool = False

    def due(self, now: float) -> bool:
        """Whether it is time for another."""
        return self.renew_at is not None and now >= self.renew_at

    def lasts(self, now: float) -> bool:
        """Whether it lives longer than any effect."""
        return self.until is None or self.until - now > EFFECT_SECONDS


class Tokens:
    """The token of one store. ``door`` is a client without a token, ``client`` the one that is given it."""

    def __init__(self, auth: Auth, door: Any, client: Any, clock: Clock) -> None:
        self._auth = auth
        self._door = door
        self._client = client
        self._clock = clock
        self._lock = threading.RLock()
        self._lease: Lease | None = None
        self._replaced_at: float | None = None  # when a refused token was replaced

    def ready(self) -> str:
        """See that the client has a token that outlasts an effect; that token.

        Raises NotSent where none can be had now, and NeedsPerson where none ever will be.
        """
        with self._lock:
            lease = self._lease
            if (
                lease is None
                or lease.due(self._clock.monotonic())
                or not lease.lasts(self._clock.monotonic())
            ):
                lease = self._next(lease)
            if not lease.lasts(self._clock.monotonic()):
                raise _short()
            self._use(lease)
            return lease.token

    def refused(self, token: str) -> bool:
        """Vault refused this token: whether there is another to try with.

        One that replaced a refused token a moment ago is good: then it is a right that is missing.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._lease is None or self._lease.token != token:  # another thread saw to it
                return True
            if isinstance(self._auth, TokenAuth):
                if vault_login.token(self._auth) == token:
                    return False
            elif self._replaced_at is not None and now - self._replaced_at < _TRUSTED:
                return False
            self._replaced_at = now
            self._use(self._fresh())
            return True

    def give_back(self) -> None:
        """Revoke the token that we logged in for. Raises what the library raises; may be called twice."""
        with self._lock:
            lease, self._lease = self._lease, None
            if lease is not None and lease.ours:
                self._client.auth.token.revoke_self()
            self._client.token = ""

    # --- parts ---

    def _use(self, lease: Lease) -> None:
        self._lease = lease
        self._client.token = lease.token

    def _next(self, lease: Lease | None) -> Lease:
        """Another lease; where none can be had now, the one that we have if it lasts."""
        try:
            return self._fresh() if lease is None else self._renewed(lease)
        except EffectError as raised:
            if lease is not None and lease.lasts(self._clock.monotonic()):
                return self._later(lease)
            error = raised
        raise NotSent(
            error.kind, f"No token of Vault was to be had. {error.message}", retry_at=error.retry_at
        )

    def _renewed(self, lease: Lease) -> Lease:
        """A new login; for a given token: the one that is given now, or the same one prolonged."""
        if not isinstance(self._auth, TokenAuth):
            return self._fresh()
        given = vault_login.token(self._auth)
        if given != lease.token or not lease.renewable:
            return self._looked_up(given)
        reply = self._ask(self._client.auth.token.renew_self, Asked("renew", "auth/token/renew-self"))
        if not reply.done:
            return self._later(lease)
        return self._of_login(reply, Asked("renew", "auth/token/renew-self"), ours=False)

    def _later(self, lease: Lease) -> Lease:
        """The same lease, renewed a little later."""
        now = self._clock.monotonic()
        return replace(lease, renew_at=now + ((lease.until or now) - now) * _LATER)

    def _fresh(self) -> Lease:
        if isinstance(self._auth, TokenAuth):
            return self._looked_up(vault_login.token(self._auth))
        auth = self._auth
        asked = vault_login.asked(auth)
        reply = self._ask(lambda: vault_login.login(auth, self._door), asked)
        if reply.status in (400, 401, 403):
            raise NeedsPerson(
                "credentials",
                f"Vault refused the {asked}.",
                todo="See that the role exists, and that what the worker logs in with is still valid.",
            )
        if not reply.done:
            raise answered(reply, asked)
        return self._of_login(reply, asked, ours=True)

    def _of_login(self, reply: Reply, asked: Asked, *, ours: bool) -> Lease:
        """The lease that a login's or a renewal's answer tells of."""
        told = (reply.body or {}).get("auth")
        told = told if isinstance(told, dict) else {}
        token, seconds = told.get("client_token"), told.get("lease_duration")
        if not isinstance(token, str) or not isinstance(seconds, int) or isinstance(seconds, bool):
            raise garbage(asked)
        return self._lease_of(
            vault_login.checked(token, "token"), seconds, ours=ours, renewable=told.get("renewable") is True
        )

    def _looked_up(self, token: str) -> Lease:
        """How long a given token lives; one that may not ask is used as it is."""
        self._client.token = token
        asked = Asked("read", "auth/token/lookup-self", ("read",))
        reply = self._ask(self._client.auth.token.lookup_self, asked)
        if reply.status == 403:  # noqa: PLR2004  the policy `default` was taken off it, or it is no longer valid
            return Lease(token)
        data = (reply.body or {}).get("data")
        if not reply.done or not isinstance(data, dict):
            raise answered(reply, asked)
        ttl = data.get("ttl")
        if not isinstance(ttl, int) or isinstance(ttl, bool):
            raise garbage(asked)
        return self._lease_of(token, ttl, ours=False, renewable=data.get("renewable") is True)

    def _lease_of(self, token: str, seconds: int, *, ours: bool, renewable: bool) -> Lease:
        """A lease from now on; 0 seconds mean for ever (Vault docs, tokens: root and orphan ones)."""
        now = self._clock.monotonic()
        if seconds <= 0:
            return Lease(token, ours=ours)
        return Lease(token, now + seconds, now + seconds * _SHARE, ours=ours, renewable=renewable)

    def _ask(self, call: Any, asked: Asked) -> Reply:
        """One request about tokens. The boundary at which the library's exceptions become ours."""
        try:
            reply = call()
        except RotatorError:
            raise
        except Exception as raised:  # noqa: BLE001  whatever it is, it may hold the token
            error = broken(raised, asked)
        else:
            if isinstance(reply, Reply):
                return reply
            error = garbage(asked)
        raise error


def _short() -> NeedsPerson:
    return NeedsPerson(
        "credentials",
        f"The worker's token at Vault does not outlast an effect of {EFFECT_SECONDS:.0f} seconds.",
        todo="Give it a token that lives for an hour or more, or raise token_ttl of its role.",
    )
