"""Keeping the value of a key readable for as long as it is owed, and no longer."""

from collections.abc import Iterable
from dataclasses import replace

from rotator.desk import Desk, Held
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Debt, DebtReason, Level, Rotation, SecretState


def keep_owed(desk: Desk, rotation: Rotation) -> Held | None:
    """A second promotion while a debt is open would let the debt's value go: put a label of ours on it.

    Answers what holds that, if something does: the promotion waits for it.
    """
    policy = rotation.policy
    for debt in desk.debts():
        needless = debt.expires_at is not None or not debt.reason.of_service
        becomes_previous = debt.version == rotation.expected  # one that leaked: its own promotion keeps it
        if debt.version is None or debt.kept is not None or needless or becomes_previous:
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


def left_by(state: SecretState, debts: Iterable[Debt]) -> SecretState:
    """The state to be written with the end of debts: what was kept for them is to be taken away, and not
    before. A kill in between would leave a death that was proven, and nothing to prove it with again.
    """
    over = (debt.id for debt in debts if keeps(debt))
    return replace(state, copies=(*state.copies, *over))


def let_go(desk: Desk) -> None:
    """Take away what was kept for debts that are over, at a later look where something holds that now."""
    left = {debt_id: desk.world.ledger.debt(debt_id) for debt_id in desk.state.copies}
    done = {debt_id for debt_id, debt in left.items() if debt is None or _taken_away(desk, debt)}
    if done:
        rest = tuple(debt_id for debt_id in left if debt_id not in done)
        desk.write(state=replace(desk.state, copies=rest))


def keeps(debt: Debt) -> bool:
    """Whether something is in the store for a debt's sake alone."""
    return debt.version is not None and (debt.kept is not None or debt.reason is DebtReason.ABANDONED)


def _taken_away(desk: Desk, debt: Debt) -> bool:
    """Take a label, or a pending copy, of a debt that is over away; False where something holds that. May be
    called twice. What the store refuses stays, and does no harm.
    """
    if desk.held(debt.policy, urgent=True, admin=False) is not None:
        return False
    try:
        desk.store(debt.policy).discard(debt.policy.target, debt.version or "", debt.kept)
    except (EffectError, NeedsPerson) as error:
        text = f"the version of key {debt.key_id}, which is owed no more, keeps its label: {error.message}"
        desk.write(events=[desk.event("not-discarded", text, debt=debt)])
    return True
