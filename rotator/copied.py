"""One key in several secrets of an account: what the record of one tells of it is so for all.

Only an id that names one key tells that it is the same. That a key lives as long as any secret holds it is
asked where it is about to die, not here.
"""

from dataclasses import dataclass

from rotator.desk import Desk
from rotator.model import Debt, DebtPhase, Policy, Provenance


@dataclass(frozen=True, slots=True)
class Known:
    """How another secret's record knows that a key is ours; ``policy`` is the other's."""

    policy: str
    provenance: Provenance
    token: str | None


def known(desk: Desk, policy: Policy, key_id: str | None) -> Known | None:
    """Whether this ledger issued a key for another secret of the account, or a person adopted it there."""
    if key_id is None or not _names_one(desk, policy):
        return None
    principal, unknown = policy.provider.principal, Provenance.UNKNOWN
    for state in desk.world.ledger.keepers(principal, key_id):
        its = state.current
        here = state.id != desk.state.id and state.issuer == principal
        if here and its and its.key_id == key_id and its.provenance is not unknown:
            return Known(state.policy, its.provenance, its.token)
    for debt in desk.memory.debts(desk.world.ledger).get((principal, key_id), ()):
        if debt.secret != desk.state.id and debt.provenance is not unknown:
            return Known(debt.policy.name, debt.provenance, debt.token)
    return None


def dead(desk: Desk, debt: Debt) -> Debt | None:
    """The debt by which the very key was proven dead, of whichever secret.

    All that was ever owed is read for that: only for who waits, not for what the schedule replaced.
    """
    if debt.key_id is None or not debt.urgent or not _names_one(desk, debt.policy):
        return None
    principal = debt.policy.provider.principal
    every = desk.memory.debts(desk.world.ledger, ended=True).get((principal, debt.key_id), ())
    return next((one for one in every if one.phase is DebtPhase.DEAD), None)


def _names_one(desk: Desk, policy: Policy) -> bool:
    """Whether an id is that of one key alone."""
    traits = desk.provider(policy).traits
    return not traits.shared_id and not traits.expires
