"""What the demo rotates: nine policies at five providers, and how their secrets look before it begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from rotator.lab import Lab, LocalProvider

REGION = "eu-west-1"
CALM = "30d"  # the schedule of every policy once the demo has been seen
TOKEN_LIVES = {"figure": 30.0, "fts": 20.0}  # seconds, so that a person sees them renewed
_ALMOST_DUE = timedelta(days=90) - timedelta(seconds=15)

Issuer = Literal["request", "person", "login"]


@dataclass(frozen=True, slots=True)
class Part:
    """One policy. ``before``: the secret holds a key, or has no version at all.

    ``issued_by``: by request, by a person at the provider, or by a login with what ``parent``'s secret holds.
    """

    policy: str
    provider: str
    store: Literal["aws", "vault"]
    secret: str
    when: Mapping[str, str]
    before: Literal["key", "nothing"]
    key: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    issued_by: Issuer = "request"
    parent: str | None = None
    age: timedelta = timedelta(0)  # of the key that was there before
    others: Mapping[str, str] = field(default_factory=dict)  # fields of the secret that are not ours

    @property
    def hasty(self) -> bool:
        """Whether its schedule is one that only a demo would have."""
        return self.when.get("every", CALM).endswith("s")


CAST = (
    Part(
        "market-maker",
        "build",
        "aws",
        "prod/market-maker/buildmarkets",
        {"every": "15s"},
        "key",
        {"scopes": ["accounts:read", "trading:write"]},
        others={"endpoint": "wss://orders.example"},
    ),
    Part(
        "data-reader",
        "build",
        "vault",
        "prod/data-reader/buildmarkets",
        {"every": "30s"},
        "nothing",
        {"scopes": ["accounts:read", "marketdata:read"]},
    ),
    Part(
        "exchange-trading",
        "b2",
        "vault",
        "prod/exchange/trading",
        {"every": "25s"},
        "key",
        {"isInfo": True, "isTrade": True, "ipWhiteList": ["127.0.0.1"]},
        others={"venue": "exchange-1"},
    ),
    Part(
        "prediction-bot",
        "fat",
        "aws",
        "prod/bot/fattail",
        {"every": "10s"},
        "key",
        {"scopes": ["read"], "expires_in_days": 90},
        others={"owner": "desk-b"},
    ),
    Part(
        "arbitrage-bot",
        "fat",
        "aws",
        "prod/arbitrage/fattail",
        {"every": CALM, "grace": "24h"},
        "key",
        {"scopes": ["read", "trade"], "expires_in_days": 90},
    ),
    Part(
        "figure-client",
        "figure",
        "vault",
        "prod/figure/client",
        {"every": "90d"},
        "key",
        kind="client",
        issued_by="person",
        age=_ALMOST_DUE,
        others={"contact": "desk-c"},
    ),
    Part(
        "figure-token",
        "figure",
        "vault",
        "prod/figure/access-token",
        {"renew_before": "12s"},
        "nothing",
        kind="access-token",
        issued_by="login",
        parent="figure-client",
    ),
    Part(
        "fts-access-key",
        "fts",
        "aws",
        "prod/fts/login",
        {"every": "180d"},
        "key",
        kind="access-key",
        issued_by="person",
    ),
    Part(
        "fts-token",
        "fts",
        "vault",
        "prod/fts/token",
        {"renew_before": "30%"},
        "nothing",
        kind="token",
        issued_by="login",
        parent="fts-access-key",
    ),
)
FAILS = "prediction-bot"  # the provider grants its first new key more than was asked
TWICE = "market-maker"  # rotated two times before the end
LEAKED = "arbitrage-bot"  # the key of the incident
BROUGHT = "figure-client"  # a person issues its new key, and revokes the old one
STAYS = "fts-access-key"  # not due
TOKENS = tuple(part for part in CAST if part.issued_by == "login")


def part_of(policy: str) -> Part:
    """The part of a policy's name."""
    return next(part for part in CAST if part.policy == policy)


def provider_of(part: Part, lab: Lab) -> LocalProvider:
    """The local provider that issues a policy's keys."""
    return providers(lab)[part.provider]


def providers(lab: Lab) -> dict[str, LocalProvider]:
    """Every local provider, by its name in the policies."""
    return {
        "build": lab.buildmarkets,
        "b2": lab.b2trader,
        "fat": lab.fattail,
        "figure": lab.figure,
        "fts": lab.fintechstudios,
    }


def initial_settings(part: Part) -> dict[str, Any]:
    """With what a key was made before rotator came; no expiry."""
    settings = {name: value for name, value in part.key.items() if name != "expires_in_days"}
    return {**settings, "expires_in_days": None} if part.provider == "fat" else settings


ADMINS = {"build": "aws", "b2": "vault", "fat": "aws"}  # in which store the admin credential of each is


def admin_secret(name: str) -> str:
    """The secret that holds a provider's admin credential."""
    return f"rotator/{name}-admin"
