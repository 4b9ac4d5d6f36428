"""Tokens, logins and policies of the local Vault."""

import json
import re
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rotator.lab.vault_kv import told, wrong
from rotator.lab.wire import Answer

_RULE = re.compile(r'path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]')
_HOUR = timedelta(hours=1)
_OF_DEFAULT = {  # what Vault's policy `default` gives every token, as far as it is asked about here
    "auth/token/lookup-self": frozenset({"read"}),
    "auth/token/renew-self": frozenset({"update"}),
    "auth/token/revoke-self": frozenset({"update"}),
}


@dataclass(slots=True)
class Token:
    """A token. ``until`` None: it never expires. ``policy`` None: it may do everything."""

    value: str = field(repr=False)
    ttl: timedelta
    until: datetime | None
    renewable: bool = True
    policy: Mapping[str, frozenset[str]] | None = None

    def allows(self, path: str, capability: str) -> bool:
        """Whether its policy has this capability: an exact path counts before the longest prefix."""
        if self.policy is None or path.startswith("auth/token/") or path == "sys/capabilities-self":
            return True
        return capability in self.capabilities(path)

    def capabilities(self, path: str) -> list[str]:
        """What its policy says of a path, as ``sys/capabilities-self`` tells it."""
        if self.policy is None:
            return ["root"]
        own = {**_OF_DEFAULT, **self.policy}
        fitting = [rule for rule in own if rule == path or (rule[-1] == "*" and path.startswith(rule[:-1]))]
        best = max(fitting, key=lambda rule: (rule == path, len(rule)), default=None)
        return sorted(own[best]) if best is not None and own[best] else ["deny"]


@dataclass(frozen=True, slots=True)
class Role:
    """Who may log in at one mount: what a login must hold, and the tokens that it gets."""

    needs: Mapping[str, str] = field(repr=False)
    ttl: timedelta
    policy: Mapping[str, frozenset[str]] | None
    renewable: bool = True


def rules(policy: str | None) -> dict[str, frozenset[str]] | None:
    """A policy in HCL, as far as this Vault understands it: paths with capabilities."""
    if policy is None:
        return None
    found = _RULE.findall(policy)
    return {path: frozenset(re.findall(r'"([a-z-]+)"', names)) for path, names in found}


class Access:
    """Who may do what."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.tokens: dict[str, Token] = {}
        self.roles: dict[str, Role] = {}
        self.logins = 0
        self.revoked: list[str] = []

    def token(
        self, ttl: timedelta | None = None, *, renewable: bool = True, policy: str | None = None
    ) -> str:
        """A token made without a request."""
        return self._made(ttl, rules(policy), renewable=renewable).value

    def role(
        self, mount: str, needs: Mapping[str, str], ttl: timedelta = _HOUR, policy: str | None = None
    ) -> None:
        """Let in whoever logs in at ``mount`` with these values (of aws: ``role`` and ``header_value``)."""
        self.roles[mount] = Role(dict(needs), ttl, rules(policy))

    def valid(self, value: str | None) -> Token | None:
        """The token of a request, if it lives."""
        token = self.tokens.get(value or "")
        if token is None or (token.until is not None and token.until <= self.clock()):
            return None
        return token

    def expire(self, value: str | None = None) -> None:
        """Let one token expire, or every one that may."""
        for token in self.tokens.values():
            if value == token.value or (value is None and token.until is not None):
                token.until = self.clock()

    def login(self, mount: str, body: Mapping[str, Any]) -> Answer:
        """POST auth/MOUNT/login."""
        self.logins += 1
        role = self.roles.get(mount)
        if role is None:
            return wrong(404, f'no handler for route "auth/{mount}/login". route entry not found.')
        given = _of_aws(body) if "iam_request_headers" in body else body
        if any(given.get(name) != value for name, value in role.needs.items()):
            if "secret_id" in body or "role_id" in body:
                return wrong(400, "invalid role or secret ID")
            return wrong(403, "permission denied")
        return self._auth(self._made(role.ttl, role.policy, renewable=role.renewable))

    def look_up(self, token: Token) -> Answer:
        """GET auth/token/lookup-self."""
        left = (token.until - self.clock()).total_seconds() if token.until else 0
        return told(
            {"ttl": int(left), "creation_ttl": int(token.ttl.total_seconds()), "renewable": token.renewable}
        )

    def renew(self, token: Token) -> Answer:
        """POST auth/token/renew-self."""
        if not token.renewable or token.until is None:
            return wrong(400, "lease is not renewable")
        token.until = self.clock() + token.ttl
        return self._auth(token)

    def revoke(self, token: Token) -> Answer:
        """POST auth/token/revoke-self."""
        self.revoked.append(token.value)
        del self.tokens[token.value]
        return Answer(204)

    def _made(
        self, ttl: timedelta | None, policy: Mapping[str, frozenset[str]] | None, *, renewable: bool
    ) -> Token:
        value = f"local.{secrets.token_hex(12)}"
        until = self.clock() + ttl if ttl is not None else None
        self.tokens[value] = Token(value, ttl or timedelta(0), until, renewable and ttl is not None, policy)
        return self.tokens[value]

    def _auth(self, token: Token) -> Answer:
        told_of = {
            "client_token": token.value,
            "lease_duration": int(token.ttl.total_seconds()),
            "renewable": token.renewable,
            "token_type": "service",
        }
        return told(None, auth=told_of)


def _of_aws(body: Mapping[str, Any]) -> dict[str, Any]:
    """What counts in a login with a signed request: the role, and the header that names this Vault."""
    headers = json.loads(b64decode(body["iam_request_headers"]))
    return {"role": body.get("role"), "header_value": "".join(headers.get("X-Vault-AWS-IAM-Server-ID", []))}
