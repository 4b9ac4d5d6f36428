"""From the ledger to what :mod:`rotator.people` shows; nothing is written here.

A worker commits between our reads. An order becomes a rotation and a replaced key a debt, so orders are read
before rotations and debts last: what moved meanwhile is seen twice at worst, never missed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from rotator.interfaces import Ledger
from rotator.model import Debt, Order, Policy, Rotation, SecretState
from rotator.people import Known, ProviderBlock, provider_blocks, provider_pauses


def read_all(ledger: Ledger) -> dict[str, Known]:
    """Every secret that the ledger knows, by its id."""
    orders, blocks, pauses = ledger.all_orders(), blocked_providers(ledger), paused_providers(ledger)
    states = list(ledger.secrets())
    rotations = {state.id: ledger.rotation(state.id) for state, _ in states}
    debts: dict[str, list[Debt]] = {}
    for debt in ledger.debts():
        debts.setdefault(debt.secret, []).append(debt)
    return {
        state.id: Known(
            state=state,
            looks_at=looks_at,
            rotation=rotations[state.id],
            debts=tuple(debts.get(state.id, ())),
            orders=orders.get(state.id, {}),
            provider_block=blocks.get(state.principal),
            provider_pause=pauses.get(state.principal),
            failed=_failed(ledger, state, rotations[state.id], orders.get(state.id, {})),
        )
        for state, looks_at in states
    }


def read_some(ledger: Ledger, secret_ids: Iterable[str]) -> dict[str, Known]:
    """Those of these secrets that the ledger knows, by id: cheap where a ledger is large."""
    blocks, pauses = blocked_providers(ledger), paused_providers(ledger)
    found = {}
    for secret_id in secret_ids:
        orders = {kind: order for kind, order in ledger.orders(secret_id).items() if kind != "stop"}
        rotation = ledger.rotation(secret_id)
        state = ledger.secret(secret_id)
        if state is not None:
            found[secret_id] = Known(
                state=state,
                rotation=rotation,
                debts=tuple(ledger.debts(secret_id)),
                orders=orders,
                provider_block=blocks.get(state.principal),
                provider_pause=pauses.get(state.principal),
                failed=_failed(ledger, state, rotation, orders),
            )
    return found


def _failed(
    ledger: Ledger, state: SecretState, live: Rotation | None, orders: Mapping[str, Order]
) -> Rotation | None:
    """The rotation by whose failure a secret is at rest: its end and the state were written at once."""
    if not state.failures or live is not None or "run" in orders:
        return None
    return next((one for one in ledger.rotations(state.id) if one.ended_at == state.failed_at), None)


def read_one(ledger: Ledger, secret_id: str) -> Known | None:
    """One secret, or None where the ledger does not know it."""
    return read_some(ledger, [secret_id]).get(secret_id)


def last_policy(ledger: Ledger, secret_id: str) -> Policy | None:
    """The deleted policy of a secret, as its newest rotation or debt knew it, under a name that no other one
    has; None where it had neither.
    """
    last: Rotation | Debt | None = next(iter(ledger.rotations(secret_id, 1)), None)
    last = last or max(ledger.debts(secret_id, ended=True), key=lambda debt: debt.since, default=None)
    if last is None:
        return None
    return replace(last.policy, name=f"{last.policy.name} (deleted, {last.policy.target.secret})")


def blocked_providers(ledger: Ledger) -> Mapping[str, ProviderBlock]:
    """The providers that wait for a person, by principal."""
    return provider_blocks(ledger.facts("block:"))


def paused_providers(ledger: Ledger, since: datetime | None = None) -> Mapping[str, ProviderBlock]:
    """The providers that fail, where no scheduled rotation begins, by principal; those where a secret has
    failed ``since``.
    """
    return provider_pauses(ledger.facts("failing:"), since)
