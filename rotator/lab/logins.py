"""Local providers where a person issues credentials and a login mints tokens: what the two have in common."""

import secrets
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from rotator.lab.keys import Gauge, Key, Limit, LocalKey
from rotator.lab.server import LocalProvider
from rotator.lab.wire import Answer, Request

TOKEN = "token"  # the kind of a key that a login minted, under its granted settings


class LocalLogins(LocalProvider):
    """No request issues, lists or revokes: :meth:`issue_by_hand` and :meth:`revoke_by_hand` do.

    ``lifetime`` is that of tokens, in seconds, and may be changed at any time. ``revocation_kills_tokens``:
    the tokens of a revoked credential die with it; the pages do not say. ``new_keys_refused`` and
    ``flapping`` are about new tokens, ``admin`` is a credential like any other that a person issued.
    """

    LIST = "- no request lists"
    REVOKE = "- no request revokes"
    documented_limits: ClassVar[tuple[Limit, ...]] = ()  # there are some, and they are not published
    widest: ClassVar[Mapping[str, Any]] = {}
    token_names: ClassVar[tuple[str, ...]]  # fields of a token's secret that authenticate
    open_names: ClassVar[tuple[str, ...]] = ()  # proof fields that are no secret

    def __init__(self, *, lifetime: float, revocation_kills_tokens: bool = False, **common: Any) -> None:
        self.lifetime = lifetime
        self.revocation_kills_tokens = revocation_kills_tokens
        self._logins: Counter[str] = Counter()
        self._minted = 0
        super().__init__(**common)

    # --- what a person does in the web page or by mail -----------------------------------------------------

    def issue_by_hand(self, label: str = "by hand") -> dict[str, str]:
        """A new credential, as the fields that a person would submit."""
        with self._lock:
            return dict(self._add(label, {}, made_by="hand").fields)

    def revoke_by_hand(self, key_id: str) -> None:
        """Revoke a credential, whatever ``revocation_ignored`` says."""
        self.withdraw(key_id)
        with self._lock:
            for key in self._keys.values():
                if self.revocation_kills_tokens and key.granted.get("parent") == key_id:
                    key.revoked_at = self.clock()

    def expire_admin(self) -> None:
        """The credential that :attr:`admin` was is revoked."""
        with self._lock:
            for key in self._keys.values():
                if key.made_by == "admin" and key.revoked_at is None:
                    key.revoked_at = self.clock()

    # --- what a test may ask -------------------------------------------------------------------------------

    @property
    def token_calls(self) -> int:
        """How many requests for a token arrived."""
        return self.count(self.ISSUE)

    @property
    def logins(self) -> Mapping[str, int]:
        """How many of them were let in or refused, by the id of who logged in."""
        with self._lock:
            return dict(self._logins)

    def accepts(self, fields: Mapping[str, str]) -> bool:
        """Whether a credential or a token with these values would authenticate now; counts as no request."""
        with self._lock:
            return any(
                key.works(self.clock()) and not key.refusals and self._usable(key)
                for key in self._keys.values()
                if all(_same(key.fields[n], fields.get(n, "")) for n in self._proof(key))
            )

    def key_of(self, fields: Mapping[str, str]) -> LocalKey | None:
        """The credential or token whose values these are, whatever its state."""
        with self._lock:
            for key in self._keys.values():
                if all(_same(key.fields[name], fields.get(name, "")) for name in self._proof(key)):
                    return key.shown(self.clock())
            return None

    def values(self) -> frozenset[str]:
        """Every secret value it handed out."""
        with self._lock:
            return frozenset(
                key.fields[name]
                for key in self._keys.values()
                for name in self._proof(key)
                if name not in self.open_names
            )

    # --- parts ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _token(self, parent: Key, ends: float) -> dict[str, str]:
        """The values of a new token that ends at ``ends``, in Unix seconds."""

    def _usable(self, key: Key) -> bool:  # noqa: ARG002 - a provider may know more reasons
        return True

    def _proof(self, key: Key) -> tuple[str, ...]:
        return self.token_names if key.granted.get("kind") == TOKEN else self.proof_names

    def _mint(self, parent: Key) -> Key:
        """A new token."""
        now = self.clock()
        ends = now + timedelta(seconds=self.lifetime)
        self._minted += 1
        settings = {"kind": TOKEN, "parent": parent.key_id}
        fields = self._token(parent, ends.timestamp())
        key = Key(f"token-{self._minted}", f"of {parent.label}", now, fields, settings, "api", ends)
        key.refusals, key.flaps = self.new_keys_refused, self.flapping
        self._keys[key.key_id] = key
        return key

    def _holder(self, name: str, value: str) -> Key | None:
        """The token whose field ``name`` has this value, whatever its state."""
        tokens = (key for key in self._keys.values() if key.granted.get("kind") == TOKEN)
        return next((key for key in tokens if value and _same(key.fields[name], value)), None)

    def _new_admin(self) -> dict[str, str]:
        return dict(self._add("the first", {}, made_by="admin").fields)

    def _plain(self) -> dict[str, Any]:
        return {}

    def _caller(self, request: Request) -> str | None:
        return f"address {request.client}"

    def _too_many(self, gauges: Sequence[Gauge]) -> Answer:
        wait = str(self._retry_after(gauges))
        return Answer.of(429, {"message": "Too Many Requests"}).plus({"Retry-After": wait})


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
