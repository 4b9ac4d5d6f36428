"""Records of a ledger to try it with; all of them are about the secret ``one`` unless told otherwise."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from rotator.model import (
    Attempt,
    Debt,
    DebtReason,
    Order,
    Phase,
    Policy,
    Provenance,
    ProviderRef,
    Rotation,
    SecretState,
    StoreRef,
    Target,
)
from rotator.testing.clock import BEGINNING

HOUR = timedelta(hours=1)


def a_state(secret: str = "one", **changes: Any) -> SecretState:
    """A secret as it is enrolled."""
    state = SecretState(id=secret, policy=f"policy-{secret}", principal="tests", enrolled_at=BEGINNING)
    return replace(state, **changes)


def a_policy(secret: str = "one") -> Policy:
    """A policy for it."""
    provider = ProviderRef("tests", "local", "http://127.0.0.1")
    return Policy(
        f"policy-{secret}", provider, Target(secret, StoreRef("here", "memory"), secret), every=HOUR
    )


def a_rotation(number: int = 1, secret: str = "one", **changes: Any) -> Rotation:
    """A rotation of it, just planned."""
    attempt = Attempt(f"token-{secret}-{number}", 1, f"push-{number}")
    rotation = Rotation(
        f"rotation-{secret}-{number}", secret, a_policy(secret), "due", BEGINNING, Phase.PLANNED, attempt
    )
    return replace(rotation, **changes)


def a_debt(number: int = 1, secret: str = "one", **changes: Any) -> Debt:
    """A key of it that must die."""
    debt = Debt(
        f"debt-{secret}-{number}",
        secret,
        a_policy(secret),
        DebtReason.REPLACED,
        f"key-{number}",
        Provenance.ISSUED,
        BEGINNING,
    )
    return replace(debt, **changes)


def an_order(kind: str = "run", reason: str = "leaked") -> Order:
    """What a person asked for."""
    return Order(kind, "a person", reason, BEGINNING)
