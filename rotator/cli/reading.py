"""From the ledger to what :mod:`rotator.people` shows; nothing is written here."""

from collections.abc import Iterable, Mapping

from rotator.interfaces import Ledger
from rotator.model import Debt
from rotator.people import Known, ProviderBlock, provider_blocks


def read_all(ledger: Ledger) -> dict[str, Known]:
    """Every secret that the ledger knows, by its id."""
    debts: dict[str, list[Debt]] = {}
    for debt in ledger.debts():
        debts.setdefault(debt.secret, []).append(debt)
    orders, blocks = ledger.all_orders(), blocked_providers(ledger)
    return {
        state.id: Known(
            state=state,
            looks_at=looks_at,
            rotation=ledger.rotation(state.id),
            debts=tuple(debts.get(state.id, ())),
            orders=orders.get(state.id, {}),
            provider_block=blocks.get(state.principal),
        )
        for state, looks_at in list(ledger.secrets())
    }


def read_some(ledger: Ledger, secret_ids: Iterable[str]) -> dict[str, Known]:
    """Those of these secrets that the ledger knows, by id: cheap where a ledger is large."""
    blocks = blocked_providers(ledger)
    found = {}
    for secret_id in secret_ids:
        state = ledger.secret(secret_id)
        if state is not None:
            found[secret_id] = Known(
                state=state,
                rotation=ledger.rotation(secret_id),
                debts=tuple(ledger.debts(secret_id)),
                orders=ledger.orders(secret_id),
                provider_block=blocks.get(state.principal),
            )
    return found


def read_one(ledger: Ledger, secret_id: str) -> Known | None:
    """One secret, or None where the ledger does not know it."""
    return read_some(ledger, [secret_id]).get(secret_id)


def blocked_providers(ledger: Ledger) -> Mapping[str, ProviderBlock]:
    """The providers that wait for a person, by principal."""
    return provider_blocks(ledger.facts("block:"))
