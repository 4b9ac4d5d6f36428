"""Whether a key may die now: what holds every effect, and the budgets of what nobody asked for.

A clock that jumps, or a ledger that somebody wrote to, would have many keys die at once. So those that the
schedule lets die are counted: of one policy, and of all. Strays, candidates that were given up, and what a
person ordered are not held up.
"""

from dataclasses import replace
from datetime import datetime

from rotator import budgets
from rotator.desk import Desk
from rotator.errors import NeedsPerson
from rotator.model import Again, Debt, DebtReason, Level, SecretState


def may_wait(desk: Desk, debt: Debt) -> Again | None:
    """What a revocation waits for: asked before anything is read, and once more just before it is sent.

    Raises NeedsPerson for a second key of one policy within an hour.
    """
    held = desk.held(debt.policy, urgent=_asked_for(debt), revokes=True)
    if held is not None:
        return Again(held.until)
    if not _counts(desk, debt):
        return None
    _not_one_after_another(desk, debt)
    until = budgets.revocations_free_at(desk.world.ledger)
    return _told(desk, debt, until) if until else None


def take(desk: Desk, debt: Debt) -> Again | None:
    """Take the revocation that is about to be sent from the budget of all, once for each key."""
    until = budgets.take_revocation(desk.world.ledger) if _counts(desk, debt) else None
    return _told(desk, debt, until) if until else None


def taken(desk: Desk, debt: Debt) -> SecretState:
    """The secret's state with the revocation that is about to be sent counted, once for each key."""
    if not _counts(desk, debt):
        return desk.state
    spent = budgets.spend(desk.state.revokes, budgets.REVOCATIONS, desk.now())
    return replace(desk.state, revokes=spent)


def _asked_for(debt: Debt) -> bool:
    """Whether no schedule let the key die: a person did, or it never was in service."""
    return debt.urgent or debt.reason is not DebtReason.REPLACED


def _counts(desk: Desk, debt: Debt) -> bool:
    """Whether a revocation is to be counted: not where a person sends it, and not once it was sent."""
    sent = debt.revoked_at is not None
    return not (_asked_for(debt) or sent) and desk.provider(debt.policy).traits.revokes


def _not_one_after_another(desk: Desk, debt: Debt) -> None:
    """A schedule does not let two keys of one policy die within an hour: a person should know."""
    free_at = budgets.free_at(desk.state.revokes, budgets.REVOCATIONS, desk.now())
    if free_at is None:
        return
    why = f"key {debt.key_id} is to die within an hour of another key of this policy."
    name, at = debt.policy.name, f"{free_at:%H:%M} UTC"
    todo = (
        f"see in rotator history {name} whether that is right; it dies by itself after {at}, "
        f"at once by rotator run-now {name} --revoke-now"
    )
    raise NeedsPerson("one-after-another", why, todo=todo)


def _told(desk: Desk, debt: Debt, until: datetime) -> Again:
    """The revocations of this hour are used up, of all policies together: people are told once."""
    if budgets.must_be_told(desk.world.ledger):
        most = budgets.ALL_REVOCATIONS[0].most
        text = (
            f"{most} keys died by schedule within an hour, so the next ones wait their turn. "
            "To do: see in rotator status whether that is right; if not: rotator stop --reason TEXT"
        )
        told = desk.event("revocations-held", text, level=Level.ALARM, debt=debt, error="revocation-budget")
        desk.write(events=[told])
    return Again(until)
