"""FatTail Markets: bearer keys with scopes and an expiry, managed by a browser session.

Facts from the FatTail API docs, pages Authentication and Endpoints.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from rotator import cron
from rotator.errors import NeedsPerson, Scope
from rotator.model import Credential, Issued, KeyRecord, Policy, Probe, Traits, Verdict
from rotator.providers.answers import Answer
from rotator.providers.managed import Managed, Pace, Part, json_body, scope_difference, settled
from rotator.providers.network import Call
from rotator.providers.parsing import (
    distinct,
    garbage,
    in_path,
    is_live,
    key_id,
    moment,
    secret,
    text,
    texts,
    unwrapped,
)

_DAY = timedelta(days=1)
_TELLING = 16  # characters of a key's beginning that tell it from others: all begin with ftm_live_
_COOKIE_VALUE = re.compile(r'[^\s",;\\]+')


class FatTailKey(Part):
    """``key:`` of a policy. ``read`` is needed, since the probe reads. No expiry where none is written."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    scopes: list[Literal["read", "trade", "admin"]] | None = Field(default=None, min_length=1)
    expires_in_days: int | None = Field(default=None, ge=1, le=3650)

    @model_validator(mode="after")
    def _probed(self) -> Self:
        if self.scopes is not None and "read" not in self.scopes:
            raise ValueError("scopes must contain read: a key without it cannot be probed")
        return self


class FatTail(Managed):
    """``/api/keys``, with the cookie ``sb-access-token``.

    Documented: ten live keys for each account; 60 requests a minute; API keys cannot manage keys; a key is
    shown once. The provider's own ``/rotate`` revokes the old key at once, before a consumer has the new
    one, and is not used.
    """

    traits: ClassVar[Traits] = Traits(
        version="1",
        fields=("key_id", "api_key"),
        secret_fields=("api_key",),
        id_field="key_id",
        admin_fields=("session",),
        label_setting="name",
        key_limit=10,
        rights=("a browser session of the account",),
    )
    Settings: ClassVar[type[BaseModel]] = FatTailKey
    Options: ClassVar[type[Pace]] = Pace
    proof_fields: ClassVar[tuple[str, ...]] = ("api_key",)
    rate: ClassVar[float] = 0.5
    burst: ClassVar[int] = 10
    counts_keys: ClassVar[bool] = True

    @classmethod
    def check(cls, policy: Policy) -> str | None:
        """An expiry that would end a key in use: it is a backstop, never the trigger."""
        days = policy.key.get("expires_in_days")
        if policy.target.native:  # its schedule is not in the file
            return None
        gap = policy.every or cron.longest_gap(policy.cron or "")
        if not isinstance(days, int) or gap is None:
            return None
        life = gap + policy.jitter + policy.grace
        if days * _DAY > life:
            return None
        return (
            f"expires_in_days is {days}, but a key is in use until the next rotation, jitter and grace "
            f"included ({life}): it must be longer than that."
        )

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:
        """The policy's scopes, or those of the key in use; the policy's expiry."""
        asked: dict[str, Any] = {"scopes": list(settled("scopes", key, old))}
        days = key.get("expires_in_days")
        return asked if days is None else {**asked, "expires_in_days": days}

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:
        """Scopes other than asked, or an expiry that is off by more than a day."""
        scopes = scope_difference(wanted.get("scopes"), granted.get("scopes"))
        if scopes is not None or "expires_in_days" not in granted:
            return scopes
        asked, got = wanted.get("expires_in_days"), granted["expires_in_days"]
        if asked is None and got is None:
            return None
        if got is None:
            return f"It never expires, though {asked} days were asked."
        if asked is None:
            return f"It expires in {got:.0f} days, though no expiry was asked."
        return None if abs(got - asked) <= 1 else f"It expires in {got:.0f} days, though {asked} were asked."

    def identifies(self, record: KeyRecord, credential: Credential) -> bool:
        """The list shows how each key begins."""
        prefix = record.granted.get("key_prefix")
        return isinstance(prefix, str) and (credential.get("api_key") or "").startswith(prefix)

    # calls

    def _cookie(self, admin: Credential) -> dict[str, str]:
        session = admin.get("session") or ""
        if not _COOKIE_VALUE.fullmatch(session):
            raise NeedsPerson(
                "admin-malformed",
                f"The session of {self._ref.name} is more than the value of one cookie.",
                todo=f"Run `rotator submit --admin {self._ref.name}` with nothing but the cookie's value.",
                scope=Scope.PROVIDER,
            )
        return {"Cookie": f"sb-access-token={session}"}

    def _list_call(self, admin: Credential, query: str) -> Call:
        return Call("GET", "/api/keys", self._cookie(admin), query, reads=True)

    def _create_call(self, admin: Credential, label: str, wanted: Mapping[str, Any]) -> Call:
        headers = {**self._cookie(admin), "Content-Type": "application/json"}
        return Call("POST", "/api/keys", headers, body=json_body({"name": label, **wanted}))

    def _revoke_call(self, admin: Credential, key_id: str) -> Call:
        return Call("DELETE", f"/api/keys/{in_path(key_id)}", self._cookie(admin))

    def _probe_call(self, credential: Credential) -> Call:
        headers = {"Authorization": f"Bearer {credential.get('api_key')}"}
        return Call("GET", "/api/agents/me", headers, reads=True)

    # answers

    def _record(self, row: Mapping[str, Any]) -> KeyRecord:
        scopes, made = texts(row.get("scopes")), moment(row.get("created_at"))
        granted: dict[str, Any] = {} if scopes is None else {"scopes": scopes}
        if made is not None and "expires_at" in row:
            granted["expires_in_days"] = _days(made, row["expires_at"])
        prefix = row.get("key_prefix")
        if isinstance(prefix, str) and len(prefix) >= _TELLING:
            granted["key_prefix"] = text(prefix)
        live = is_live(row, self._clock.now())
        return KeyRecord(key_id(row.get("id")), text(row.get("name")), live, made, granted)

    def _issued(self, payload: object) -> Issued:
        row = unwrapped(payload)
        identity, api_key = key_id(row.get("id")), secret(row, "key")
        distinct(identity, api_key)
        prefix = row.get("key_prefix")
        if isinstance(prefix, str) and not api_key.startswith(prefix):
            raise garbage("the new key does not begin with its own prefix")
        granted: dict[str, Any] = {"expires_in_days": _days(self._clock.now(), row.get("expires_at"))}
        scopes = texts(row.get("scopes"))
        if scopes is not None:
            granted["scopes"] = scopes
        return Issued(identity, Credential({"key_id": identity, "api_key": api_key}), granted)

    def _judged(self, answer: Answer, call: Call) -> Probe:  # noqa: ARG002 - the answer says it all
        """LIVE: 200 with the agent and the key's scopes. DEAD: 401 with the documented ``error`` text."""
        body = answer.shape()
        if answer.status == HTTPStatus.OK:
            return _alive(body)
        documented = isinstance(body, dict) and isinstance(body.get("error"), str)
        if documented and answer.status == HTTPStatus.UNAUTHORIZED:
            return Probe(Verdict.DEAD, "refused (401)")
        return Probe(Verdict.UNKNOWN, f"http-{answer.status}")


def _days(made: datetime, expires_at: object) -> float | None:
    """The days that a key was given; None where it never expires, that is where no expiry is told."""
    if expires_at is None:
        return None
    at = moment(expires_at)
    if at is None:
        raise garbage("expires_at is not a time")
    return round((at - made) / _DAY, 2)


def _alive(body: object) -> Probe:
    agent = body.get("agent") if isinstance(body, dict) else None
    auth = body.get("auth") if isinstance(body, dict) else None
    if not isinstance(agent, dict) or not isinstance(auth, dict):
        return Probe(Verdict.UNKNOWN, "garbage")
    if auth.get("method", "api_key") != "api_key":
        return Probe(Verdict.UNKNOWN, "it was not the key that was let in")
    scopes = texts(auth.get("scopes"))
    return Probe(
        Verdict.LIVE,
        account=text(agent.get("id")) or None,
        granted=None if scopes is None else {"scopes": scopes},
    )
