"""Buildmarkets: key pairs with scopes, managed by a pair that has ``keys:manage`` (now ``admin:keys``).

Facts from the Buildmarkets developer docs, pages Authentication, Errors and Rate limits.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from rotator.errors import NeedsPerson, Refused, RotatorError, Scope
from rotator.model import Credential, Issued, KeyRecord, Policy, Probe, Traits, Verdict
from rotator.providers.answers import Answer
from rotator.providers.http import Budget
from rotator.providers.managed import Managed, Pace, Part, json_body, scope_difference, settled
from rotator.providers.network import Call
from rotator.providers.parsing import (
    distinct,
    garbage,
    in_path,
    is_live,
    key_id,
    moment,
    named,
    rows,
    secret,
    text,
    texts,
    unwrapped,
)

_SANDBOX_KEY = "tapp_sandbox_"
_MANAGE = {"keys:manage", "admin:keys"}  # the older and the newer name of one scope
_TEST_HOSTS = ("dev-", "qa-")


class BuildmarketsKey(Part):
    """``key:`` of a policy. Scopes are opaque texts; left out, they are those of the key in use."""

    label: str | None = Field(default=None, min_length=1, max_length=100)
    scopes: list[Annotated[str, Field(min_length=1)]] | None = Field(default=None, min_length=1)


class BuildmarketsOptions(Pace):
    """The provider's section. ``environment`` guards against a key of the other one."""

    environment: Literal["sandbox", "production"] | None = None


class Buildmarkets(Managed):
    """``/v1/keys``, with the headers ``X-API-Key`` and ``X-API-Secret``.

    Documented: 10 requests a second for each key; created secrets are shown once; a revoked key gets 401 at
    once; 403 means that the pair is valid and lacks a scope.
    """

    traits: ClassVar[Traits] = Traits(
        version="1",
        fields=("key_id", "api_key", "api_secret"),
        secret_fields=("api_secret",),
        id_field="key_id",
        admin_fields=("api_key", "api_secret"),
        label_setting="label",
        rights=("keys:manage, by its newer name admin:keys",),
    )
    Settings: ClassVar[type[BaseModel]] = BuildmarketsKey
    Options: ClassVar[type[Pace]] = BuildmarketsOptions
    proof_fields: ClassVar[tuple[str, ...]] = ("api_key", "api_secret")
    rate: ClassVar[float] = 5.0
    burst: ClassVar[int] = 5
    counts_keys: ClassVar[bool] = True

    @classmethod
    def check(cls, policy: Policy) -> str | None:
        """A production provider whose host is one of the test systems."""
        host = urlsplit(policy.provider.base_url).hostname or ""
        if policy.provider.options.get("environment") == "production" and host.startswith(_TEST_HOSTS):
            return f"environment is production, but {host} is a test system of Buildmarkets."
        return None

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:
        """The policy's scopes, or exactly those of the key in use: never a guess of ours."""
        return {"scopes": list(settled("scopes", key, old))}

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:
        """Scopes more or fewer than were asked."""
        return scope_difference(wanted.get("scopes"), granted.get("scopes"))

    def admin_excess(self, listed: Sequence[KeyRecord]) -> str | None:
        """Its scopes beyond managing keys, where the admin secret says which of the keys it is."""
        if self._admin is None:
            return None
        own = self._admin.credential().get("key_id")
        scopes = next((record.granted.get("scopes") for record in listed if record.key_id == own), None)
        more = sorted(set(scopes) - _MANAGE) if isinstance(scopes, list) else []
        return f"it may do more than manage keys: {named(more)}." if more else None

    # calls

    def _headers(self, credential: Credential) -> dict[str, str]:
        return {
            "X-API-Key": credential.get("api_key") or "",
            "X-API-Secret": credential.get("api_secret") or "",
        }

    def _admin_headers(self, admin: Credential) -> dict[str, str]:
        if not self._fits(admin.get("api_key") or ""):
            raise NeedsPerson(
                "admin-environment",
                f"The admin key of {self._ref.name} belongs to the sandbox, the provider is production.",
                todo=f"Run `rotator submit --admin {self._ref.name}` with a key of production.",
                scope=Scope.PROVIDER,
            )
        return self._headers(admin)

    def _fits(self, api_key: str) -> bool:
        production = self._ref.options.get("environment") == "production"
        return not (production and api_key.startswith(_SANDBOX_KEY))

    def _list_call(self, admin: Credential, query: str) -> Call:
        return Call("GET", "/v1/keys", self._admin_headers(admin), query, reads=True)

    def _create_call(self, admin: Credential, label: str, wanted: Mapping[str, Any]) -> Call:
        headers = {**self._admin_headers(admin), "Content-Type": "application/json"}
        return Call("POST", "/v1/keys", headers, body=json_body({"label": label, **wanted}))

    def _revoke_call(self, admin: Credential, key_id: str) -> Call:
        if key_id in (admin.get("key_id"), admin.get("api_key")):
            raise Refused(
                "own-key",
                "The key to revoke is the admin key itself; another must revoke it.",
                permanent=True,
            )
        return Call("DELETE", f"/v1/keys/{in_path(key_id)}", self._admin_headers(admin))

    def _probe_call(self, credential: Credential) -> Call:
        return Call("GET", "/v1/accounts", self._headers(credential), "?limit=1", reads=True)

    # answers

    def _record(self, row: Mapping[str, Any]) -> KeyRecord:
        scopes = texts(row.get("scopes"))
        return KeyRecord(
            key_id(row.get("id", row.get("token_id"))),
            text(row.get("label")),
            is_live(row, self._clock.now()),
            moment(row.get("created_at")),
            {} if scopes is None else {"scopes": scopes},
        )

    def _issued(self, payload: object) -> Issued:
        row = unwrapped(payload)
        identity = key_id(row.get("id", row.get("token_id")))
        api_key = secret(row, "api_key" if "api_key" in row else "key")
        api_secret = secret(row, "api_secret" if "api_secret" in row else "secret")
        distinct(identity, api_key, api_secret)
        if not self._fits(api_key):
            raise garbage("a sandbox key was issued, though the provider is production")
        credential = Credential({"key_id": identity, "api_key": api_key, "api_secret": api_secret})
        scopes = texts(row.get("scopes"))
        return Issued(identity, credential, {} if scopes is None else {"scopes": scopes})

    def _not_created(self, answer: Answer, budget: Budget) -> RotatorError:
        """The docs name no limit of keys; 409 and 422 have no other reason that could apply to a new key."""
        if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            said = f"{self._ref.name}: no key was made ({answer.status}); the account may have too many keys."
            return Refused("key-limit", said)
        return super()._not_created(answer, budget)

    def _failed(self, answer: Answer, doing: str, *, reads: bool) -> RotatorError:
        """Scopes that the server does not know are never dropped or replaced: a person decides."""
        body = answer.shape()
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict) and error.get("code") == "INVALID_SCOPE":
            said = (
                f"{self._ref.name}: the server knows one of the scopes no more; correct them in the policy."
            )
            return Refused("invalid-scope", said, permanent=True)
        return super()._failed(answer, doing, reads=reads)

    def _judged(self, answer: Answer, call: Call) -> Probe:  # noqa: ARG002 - the answer says it all
        """LIVE: 200 with JSON, or the documented 403; DEAD: the documented 401.

        A refusal without the documented ``error`` object may come from something in between: UNKNOWN.
        """
        if answer.status == HTTPStatus.OK:
            rows(answer.json())
            return Probe(Verdict.LIVE)
        body = answer.shape()
        documented = isinstance(body, dict) and isinstance(body.get("error"), dict)
        if documented and answer.status == HTTPStatus.FORBIDDEN:
            return Probe(Verdict.LIVE, "valid, though it may not list accounts (403)")
        if documented and answer.status == HTTPStatus.UNAUTHORIZED:
            return Probe(Verdict.DEAD, "refused (401)")
        return Probe(Verdict.UNKNOWN, f"http-{answer.status}")
