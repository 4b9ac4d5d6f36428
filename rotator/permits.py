"""Whether a key may die now: what holds every effect, who must be told first, and the budgets of what nobody
asked for.

A clock that jumps, or a ledger that somebody wrote to, would have many keys die at once. So those that the
schedule lets die are counted: of one policy, and of all. Strays, candidates that were given up, and what a
person ordered are not held up.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from rotator import budgets, telling
from rotator.desk import Desk
from rotator.errors import NeedsPerson
from rotator.model import Again, Debt, DebtReason, Level, Policy, SecretState

_UNTOLD = timedelta(days=1)  # telling a consumer, or a person's word, makes the secret due at once
ONE_AFTER_ANOTHER = "one-after-another"  # the block of keys that wait for their turn


def may_wait(desk: Desk, debt: Debt) -> Again | None:
    """What a revocation waits for: asked before anything is read, and once more just before it is sent.

    A key whose grace has not begun is not about to die: budgets are for those that are.
    """
    held = desk.held(debt.policy, urgent=_asked_for(debt), revokes=True)
    if held is not None:
        return Again(held.until)
    if _in_use_untold(desk, debt):
        return Again(desk.now() + _UNTOLD)
    if debt.not_before is None or not _counts(desk, debt):
        return None
    turn = _one_after_another(desk, debt)
    until = budgets.revocations_free_at(desk.world.ledger) if turn is None else None
    return _told(desk, debt, until) if until else turn


def take(desk: Desk, debt: Debt) -> Again | None:
    """Take the revocation that is about to be sent from the budget of all, once for each key."""
    until = budgets.take_revocation(desk.world.ledger) if _counts(desk, debt) else None
    return _told(desk, debt, until) if until else None


def taken(desk: Desk, debt: Debt) -> SecretState:
    """The secret's state with the revocation that is about to be sent counted, once for each key."""
    if not _counts(desk, debt):
        return desk.state
    spent = budgets.spend(desk.state.revokes, budgets.of_revocations(debt.policy), desk.now())
    return replace(desk.state, revokes=spent)


def _in_use_untold(desk: Desk, debt: Debt) -> bool:
    """Whether a consumer may use the key that was not told of a newer one: it lives, whoever asked for its
    death, until that consumer is told, or a person or the policy says otherwise. A key that was to die though
    it is in service was given up with whoever uses it.
    """
    contained = debt.contain or (debt.reason is DebtReason.LEAKED and debt.revoked_at is not None)
    return debt.reason.of_service and not contained and bool(telling.holding(desk.state))


def _asked_for(debt: Debt) -> bool:
    """Whether no schedule let the key die: a person did, or it never was in service."""
    return debt.urgent or debt.reason is not DebtReason.REPLACED


def _counts(desk: Desk, debt: Debt) -> bool:
    """Whether a revocation is to be counted: not where a person sends it, and not once it was sent."""
    sent = debt.revoked_at is not None
    return not (_asked_for(debt) or sent) and desk.provider(debt.policy).traits.revokes


def _one_after_another(desk: Desk, debt: Debt) -> Again | None:
    """A schedule does not let keys of one policy die faster than it issues them: a person should know, once
    for all that wait. They wait for the same moment, and debts are paid oldest first.
    """
    budget = budgets.of_revocations(debt.policy)
    free_at = budgets.free_at(desk.state.revokes, budget, desk.now())
    if free_at is None:
        return None
    name, most = debt.policy.name, budget[0].most
    keys = "key" if most == 1 else "keys"
    error = NeedsPerson(
        ONE_AFTER_ANOTHER,
        f"more than {most} {keys} of this policy would die within an hour.",
        todo=f"see in rotator history {name} whether that is right; they die by themselves, the "
        f"oldest first, {most} an hour{_at_once(debt.policy)}",
    )
    known = (each.block for each in desk.debts() if each.block and each.block.kind == ONE_AFTER_ANOTHER)
    block, news = desk.block_of(error, max(known, key=lambda each: each.told, default=None))
    if news:
        desk.trouble = True
    if block != debt.block:
        text = f"{error.message} To do: {error.todo}"
        told = desk.event("blocked", text, level=Level.ALARM, debt=debt, error=error.kind)
        desk.write(debts=[replace(debt, block=block)], events=[told] if news else [])
    return Again(free_at)


def _at_once(policy: Policy) -> str:
    """How a person has them die now; nobody has, where only the store's own rotation begins one."""
    if policy.target.native:
        return ""
    return (
        f"; at once, and with one more new key, by rotator run-now {policy.name} --revoke-now --reason TEXT"
    )


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
