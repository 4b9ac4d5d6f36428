"""What the demo rotates: five policies at three providers, and how their secrets look before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rotator.lab import Lab, LocalProvider

REGION = "eu-west-1"
CALM = "30d"  # the schedule of every policy once the demo has been seen


@dataclass(frozen=True, slots=True)
class Part:
    """One policy. ``before``: the secret holds a key, or has no version at all."""

    policy: str
    provider: str
    secret: str
    every: str
    key: Mapping[str, Any]
    before: Literal["key", "nothing"]
    grace: str = "5s"
    others: Mapping[str, str] = field(default_factory=dict)  # fields of the secret that are not ours


CAST = (
    Part(
        "market-maker",
        "build",
        "prod/market-maker/buildmarkets",
        "15s",
        {"scopes": ["accounts:read", "trading:write"]},
        "key",
        others={"endpoint": "wss://orders.example"},
    ),
    Part(
        "data-reader",
        "build",
        "prod/data-reader/buildmarkets",
        "30s",
        {"scopes": ["accounts:read", "marketdata:read"]},
        "nothing",
    ),
    Part(
        "exchange-trading",
        "b2",
        "prod/exchange/trading",
        "25s",
        {"isInfo": True, "isTrade": True, "ipWhiteList": ["127.0.0.1"]},
        "key",
    ),
    Part(
        "prediction-bot",
        "fat",
        "prod/bot/fattail",
        "10s",
        {"scopes": ["read"], "expires_in_days": 90},
        "key",
        others={"owner": "desk-b"},
    ),
    Part(
        "arbitrage-bot",
        "fat",
        "prod/arbitrage/fattail",
        CALM,
        {"scopes": ["read", "trade"], "expires_in_days": 90},
        "key",
        grace="24h",
    ),
)
FAILS = "prediction-bot"  # the provider grants its first new key more than was asked
TWICE = "market-maker"  # rotated two times before the end
LEAKED = "arbitrage-bot"  # the key of the incident


def provider_of(part: Part, lab: Lab) -> LocalProvider:
    """The local provider that issues a policy's keys."""
    return {"build": lab.buildmarkets, "b2": lab.b2trader, "fat": lab.fattail}[part.provider]


def initial_settings(part: Part) -> dict[str, Any]:
    """With what a key was made before rotator came; no expiry."""
    settings = {name: value for name, value in part.key.items() if name != "expires_in_days"}
    return {**settings, "expires_in_days": None} if part.provider == "fat" else settings


def admin_secret(name: str) -> str:
    """The secret that holds a provider's admin credential."""
    return f"rotator/{name}-admin"


def write_policies(path: Path, lab: Lab, store_url: str, *, calm: bool = False) -> None:
    """The policy file, replaced in one step; ``calm``: nothing more falls due."""
    ours = {"build": lab.buildmarkets, "b2": lab.b2trader, "fat": lab.fattail}
    document = {
        "version": 1,
        "stores": {"aws": {"type": "aws-secrets-manager", "region": REGION, "endpoint_url": store_url}},
        "providers": {
            name: {
                "type": local.type_name,
                "base_url": local.url,
                "admin": {"store": "aws", "secret": admin_secret(name)},
            }
            for name, local in ours.items()
        },
        "policies": [
            {
                "name": part.policy,
                "provider": part.provider,
                "store": "aws",
                "secret": part.secret,
                "every": CALM if calm else part.every,
                "grace": part.grace,
                "key": dict(part.key),
            }
            for part in CAST
        ],
    }
    fresh = path.with_name("rotator.yaml.new")
    fresh.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    fresh.replace(path)
