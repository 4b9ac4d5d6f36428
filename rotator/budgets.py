"""How much of something may happen within a time. Pure but for what all workers share, which is a fact.

What one secret spends is in its record, which its claim guards; it is written in the commit that announces
the effect. What all secrets spend together is a fact, and taken in one conditional step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator import backoff, cron
from rotator.interfaces import Ledger
from rotator.model import Policy
from rotator.records import Codec

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Budget:
    """So many at most within so long."""

    most: int
    within: timedelta


# Versions of one secret: Secrets Manager advises against more than one in 10 minutes for long, keeps about a
# hundred, and removes none that is younger than a day (its page of quotas): then it refuses to write.
PUSHES = (Budget(6, HOUR), Budget(50, DAY))
# A token may use nearly all of that: its users are locked out when it is not renewed.
RENEWALS = (Budget(6, HOUR), Budget(90, DAY))
# Whoever reads a secret without a living key is locked out: a few more are for its next one.
LOCKED_OUT = (Budget(10, HOUR), Budget(60, DAY))
# Keys in use that the schedule lets die; those of one policy see of_revocations. 60 an hour are 1,440 a day,
# enough for forty thousand policies a month, and leave time to stop what went wrong.
ALL_REVOCATIONS = (Budget(60, HOUR),)
FLOOD = "push-budget"  # the error of a rotation that waits for room for one more version
NO_SLOT = "no-slot"  # the block of one whose account bears no more keys: a death makes room
_ALL = "budget:revocations"


def of_pushes(policy: Policy, *, locked_out: bool = False) -> tuple[Budget, ...]:
    """How many versions of a policy's secret may be written; more where it has no living key."""
    if policy.renew is not None:
        return RENEWALS
    return LOCKED_OUT if locked_out else PUSHES


def of_revocations(policy: Policy) -> tuple[Budget, ...]:
    """How many keys of a policy may die by its schedule: one an hour, and all that it issues in an hour. So a
    queue gets shorter at every pace, and one after another is not what a schedule does.
    """
    gap = policy.every or (cron.shortest_gap(policy.cron) if policy.cron else None)
    return (Budget(1 + (HOUR // gap if gap else 0), HOUR),)


def free_at(spent: Sequence[datetime], budgets: Sequence[Budget], now: datetime) -> datetime | None:
    """When one more may be spent; None: now."""
    full = [
        sorted(counted)[-budget.most] + budget.within
        for budget in budgets
        if len(counted := _within(spent, budget.within, now)) >= budget.most
    ]
    return max(full, default=None)


def spend(spent: Sequence[datetime], budgets: Sequence[Budget], now: datetime) -> tuple[datetime, ...]:
    """What is spent with one more; what counts no longer is left out."""
    return (*_within(spent, max(budget.within for budget in budgets), now), now)


def _within(spent: Sequence[datetime], within: timedelta, now: datetime) -> list[datetime]:
    """What counts still. What lies further ahead was written by a clock that was wrong: it would for ever."""
    return [at for at in spent if now - within < at <= now + within]


# --- what all secrets share ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shared:
    """What all secrets spent together, and when people were told that it was too much."""

    spent: tuple[datetime, ...] = ()
    told_at: datetime | None = None


_SHARED = Codec("budget", TypeAdapter(Shared))


def _read(text: str | None) -> Shared:
    return _SHARED.decode(text) if text else Shared()


def revocations_free_at(ledger: Ledger) -> datetime | None:
    """When the schedule may let one more key die, of all policies together; None: now."""
    return free_at(_read(ledger.fact(_ALL)).spent, ALL_REVOCATIONS, ledger.now())


def take_revocation(ledger: Ledger) -> datetime | None:
    """Take one of the revocations of this hour; or, with nothing taken, when the next one is free."""
    while True:
        text, now = ledger.fact(_ALL), ledger.now()
        shared = _read(text)
        until = free_at(shared.spent, ALL_REVOCATIONS, now)
        spent = Shared(spend(shared.spent, ALL_REVOCATIONS, now), shared.told_at)
        if until is not None or ledger.swap(_ALL, text, _SHARED.encode(spent)):
            return until


def must_be_told(ledger: Ledger) -> bool:
    """Whether it is for us to tell people that the revocations of this hour are used up: once in a day."""
    text, now = ledger.fact(_ALL), ledger.now()
    shared = _read(text)
    if shared.told_at is not None and not backoff.passed(shared.told_at, backoff.until_reminder(1), now):
        return False
    return ledger.swap(_ALL, text, _SHARED.encode(Shared(shared.spent, now)))
