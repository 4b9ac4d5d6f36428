"""Clients and a clock for the tests of the local providers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from rotator.lab.b2trader import B2Trader, signature
from rotator.lab.buildmarkets import Buildmarkets
from rotator.lab.fattail import FatTail
from rotator.lab.server import LocalProvider


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        """Go on by so many seconds, minutes, days."""
        self.at += timedelta(**by)


def pair(fields: dict[str, str]) -> dict[str, str]:
    """The headers of a Buildmarkets key."""
    return {"X-API-Key": fields["api_key"], "X-API-Secret": fields["api_secret"]}


def managing(provider: LocalProvider) -> dict[str, str]:
    """The headers that may manage keys."""
    match provider:
        case Buildmarkets():
            return pair(provider.admin)
        case B2Trader():
            return {"Authorization": f"Bearer {provider.admin.get('token', '-')}"}
        case _:
            return {"Cookie": f"sb-access-token={provider.admin.get('session', '-')}"}


def asked(provider: LocalProvider, label: str = "a label") -> dict[str, Any]:
    """The body of a creation."""
    match provider:
        case Buildmarkets():
            return {"label": label, "scopes": ["accounts:read"]}
        case B2Trader():
            return {"name": label, "isInfo": True, "isTrade": False, "IpWhiteList": ["203.0.113.7"]}
        case _:
            return {"name": label, "scopes": ["read"], "expires_in_days": 90}


def path_of(pattern: str, key_id: str = "") -> str:
    """The path of a pattern such as ``DELETE /v1/keys/*``."""
    return pattern.split()[1].replace("*", key_id)


def issue(client: httpx.Client, provider: LocalProvider) -> tuple[str, dict[str, str]]:
    """Make a key by request: its id, and its fields as consumers read them."""
    told = client.post(
        provider.url + path_of(provider.ISSUE), json=asked(provider), headers=managing(provider)
    ).json()
    match provider:
        case Buildmarkets():
            return told["id"], {"api_key": told["api_key"], "api_secret": told["api_secret"]}
        case B2Trader():
            return told["publicKey"], {"public_key": told["publicKey"], "private_key": told["privateKey"]}
        case _:
            return told["id"], {"api_key": told["key"]}


def revoke(client: httpx.Client, provider: LocalProvider, key_id: str) -> httpx.Response:
    """Revoke a key by request."""
    return client.delete(provider.url + path_of(provider.REVOKE, key_id), headers=managing(provider))


def listed(client: httpx.Client, provider: LocalProvider) -> httpx.Response:
    """List keys by request."""
    return client.get(provider.url + path_of(provider.LIST), headers=managing(provider))


Sign = Callable[[str], str]
_nonce = iter(range(1, 1_000_000))


def probe(
    client: httpx.Client, provider: LocalProvider, fields: dict[str, str], **signed: Any
) -> httpx.Response:
    """Try a key itself; ``ts``, ``nonce`` and ``sign`` may be given for B2Trader."""
    url = provider.url + path_of(provider.PROBE)
    match provider:
        case Buildmarkets():
            return client.get(url, params={"limit": "1"}, headers=pair(fields))
        case B2Trader():
            ts = signed.get("ts", provider.clock().strftime("%Y-%m-%dT%H:%M:%S"))
            query = f"?ts={ts}&nonce={signed.get('nonce') or next(_nonce)}"
            sign = signed.get("sign") or signature(fields["private_key"], query)
            return client.get(url + query, headers={"Key": fields["public_key"], "Sign": sign})
        case FatTail():
            return client.get(url, headers={"Authorization": f"Bearer {fields['api_key']}"})
    raise AssertionError(provider)
