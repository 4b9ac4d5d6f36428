"""Keeping the value of a key readable for as long as it is owed, and no longer."""

from dataclasses import replace

from rotator.desk import Desk, Held
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import SecretStore
from rotator.model import Debt, DebtReason, Level, Rotation


def keep_owed(desk: Desk, rotation: Rotation) -> Held | None:
    """A second promotion while a debt is open would let the debt's value go: put a label of ours on it.

    Answers what holds that, if something does: the promotion waits for it.
    """
    policy = rotation.policy
    for debt in desk.debts():
        needless = debt.expires_at is not None or debt.reason is not DebtReason.REPLACED
        if debt.version is None or debt.kept is not None or needless:
            continue
        held = desk.held(policy, urgent=rotation.urgent, admin=False)
        if held is not None:
            return held
        kept = replace(debt, kept=f"rotator-{debt.id}")
        desk.write(debts=[kept])
        try:
            desk.store(policy).keep(policy.target, debt.version, f"rotator-{debt.id}")
        except (EffectError, NeedsPerson) as error:  # the list of keys can still prove that debt's death
            text = f"the value of key {debt.key_id} may not stay readable: {error.message}"
            desk.write(
                events=[desk.event("not-kept", text, level=Level.WARNING, debt=debt, error=error.kind)]
            )
    return None


def let_go(desk: Desk, debt: Debt) -> None:
    """The debt is over: take what was kept for it away. What is left there does no harm."""
    if not _keeps(debt):
        return
    held = desk.held(debt.policy, urgent=True, admin=False)
    left = held.why if held is not None else discarded(desk.store(debt.policy), debt)
    if left is not None:
        text = f"the version of key {debt.key_id}, which is owed no more, keeps its label: {left}"
        desk.write(events=[desk.event("not-discarded", text, debt=debt)])


def discarded(store: SecretStore, debt: Debt) -> str | None:
    """Take a label, or a pending copy, of a debt that is over away; why that failed, None if it did not.

    May be called twice.
    """
    try:
        if _keeps(debt):
            store.discard(debt.policy.target, debt.version or "", debt.kept)
    except (EffectError, NeedsPerson) as error:
        return error.message
    return None


def _keeps(debt: Debt) -> bool:
    """Whether something is in the store for a debt's sake alone."""
    return debt.version is not None and (debt.kept is not None or debt.reason is DebtReason.ABANDONED)
