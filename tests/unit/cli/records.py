"""Records as a ledger would hold them, for tests of what people are shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.model import (
    AdminRef,
    Attempt,
    CurrentKey,
    Debt,
    DebtReason,
    Phase,
    Policy,
    Provenance,
    ProviderRef,
    Rotation,
    SecretState,
    StoreRef,
    Target,
)
from rotator.people import Known

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
STORE = StoreRef("aws", "aws-secrets-manager", {"region": "eu-west-1"})


def policy(name: str = "orders", *, provider: str = "build", **more: Any) -> Policy:
    """A policy that rotates every 30 days."""
    ref = ProviderRef(provider, "buildmarkets", f"https://{provider}.example.com", AdminRef(STORE, "admin"))
    target = Target(f"aws|{name}", STORE, f"prod/{name}")
    return Policy(name, ref, target, **{"every": timedelta(days=30), **more})


def state(of: Policy, **more: Any) -> SecretState:
    """A secret that was taken on, and rotated a day ago."""
    given = {
        "looked_at": NOW - timedelta(days=9),
        "rotated_at": NOW - timedelta(days=1),
        "current": CurrentKey("v1", "key-1", Provenance.ISSUED, NOW - timedelta(days=1)),
        **more,
    }
    return SecretState(of.target.id, of.name, of.provider.principal, NOW - timedelta(days=9), **given)


def known(of: Policy, *, debts: tuple[Debt, ...] = (), **more: Any) -> Known:
    """A secret at rest; ``more`` are fields of its state."""
    return Known(state(of, **more), debts=debts)


def debt(of: Policy, **more: Any) -> Debt:
    """A key that was replaced and is in its grace."""
    given = {
        "id": "debt1",
        "secret": of.target.id,
        "policy": of,
        "reason": DebtReason.REPLACED,
        "key_id": "key-0",
        "provenance": Provenance.ISSUED,
        "since": NOW - timedelta(hours=1),
        "not_before": NOW + timedelta(hours=23),
        **more,
    }
    return Debt(**given)


def rotation(of: Policy, phase: Phase, **more: Any) -> Rotation:
    """A rotation that began a minute ago."""
    token = f"r1-{'0' * 8}-{'0' * 32}"
    given = {
        "id": "rotation1",
        "secret": of.target.id,
        "policy": of,
        "reason": "test",
        "began_at": NOW - timedelta(minutes=1),
        "phase": phase,
        "attempt": Attempt(token, 1, token),
        **more,
    }
    return Rotation(**given)
