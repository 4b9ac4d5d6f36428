"""What a revocation does when a key does not die: look again, tell people, and remind them while it lives."""

from dataclasses import replace
from datetime import timedelta

from rotator import backoff, byhand, permits
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson, Scope, clause
from rotator.model import Again, Block, Debt, Event, Level

UNDYING = "will-not-die"
_PATIENCE = timedelta(hours=1)  # from the first revoke until people are told that a key will not die


def later(desk: Desk, debt: Debt, why: str, error: EffectError | None, *before: Event) -> Again:
    """Not dead yet: look again, later each time; people are told when it will not die, and reminded.

    ``before`` is what led to it and is not written yet.
    """
    now = desk.now()
    look_at = max(now + backoff.after_looks(debt.looks), (error and error.retry_at) or now)
    block, news = _will_not_die(desk, debt)
    waiting = replace(debt, looks=debt.looks + 1, look_at=look_at, block=block, why=why)
    kind = error.kind if error else "not-proven"
    told = desk.event("retry", f"{clause(why)}; looking again", debt=debt, error=kind)
    if news and block is not None:
        text = f"{block.reason} {clause(why)}. To do: {block.todo}"
        told = desk.event("will-not-die", text, level=Level.ALARM, debt=debt, error=kind)
    desk.write(debts=[waiting], events=[*before, told])
    return Again(look_at)


def _will_not_die(desk: Desk, debt: Debt) -> tuple[Block | None, bool]:
    """The block of a key that could have died an hour ago, and whether people are told. Where a person was
    asked for something already, that is what they are reminded of.
    """
    begins = debt.revoked_at or debt.not_before or debt.since
    known = reminded_of(debt)
    asked = debt.block is not None and debt.block.kind not in (UNDYING, permits.ONE_AFTER_ANOTHER)
    if asked or desk.now() - begins < _PATIENCE:
        return debt.block, False
    text = f"key {debt.key_id or 'of unknown id'} will not die."
    todo = f"see why: rotator history {debt.policy.name}, and rotator doctor; it is tried again meanwhile"
    return desk.block_of(NeedsPerson(UNDYING, text, todo=todo), known)


def reminded_of(debt: Debt) -> Block | None:
    """The block of a key that will not die: sending one more revoke is no reason to tell it anew."""
    return debt.block if debt.block is not None and debt.block.kind == UNDYING else None


def blocked(desk: Desk, debt: Debt, error: NeedsPerson) -> Again:
    """A person must act before this key may die: told once, and reminded."""
    waiting = replace(debt, looks=debt.looks + 1, look_at=None)
    if error.scope is Scope.PROVIDER:
        again, news = desk.block_provider(debt.policy, error)
    else:
        block, news = desk.block_of(error, debt.block)
        again = Again(desk.now() + _until_done(desk, debt, block))
        waiting = replace(waiting, look_at=again.at, block=block)
    text = f"{error.message} To do: {error.todo}"
    told = desk.event("blocked", text, level=Level.ALARM, debt=debt, error=error.kind)
    desk.trouble = True
    desk.write(debts=[waiting], events=[told] if news else [])
    return again


def _until_done(desk: Desk, debt: Debt, asked: Block) -> timedelta:
    """How long until we look whether a person has acted: one who revokes at once sees the proof at once."""
    if asked.kind == byhand.ASKED:
        return backoff.while_asked(desk.now() - asked.since)
    return backoff.while_blocked(debt.looks)
