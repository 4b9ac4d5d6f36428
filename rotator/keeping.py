"""Keeping the value of a key readable until it is proven dead."""

from dataclasses import replace

from rotator.desk import Desk, Held
from rotator.errors import EffectError, NeedsPerson
from rotator.model import DebtReason, Level, Rotation


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
