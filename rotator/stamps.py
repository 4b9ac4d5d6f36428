"""Records that a clock wrote which was ahead, once it was put right: what they would wait for is far. Pure.

A time of something that is past is no later than now, and what is to come is no further ahead than its own
span. Anything else would hold a secret, silently, until the true time gets there.
"""

from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from rotator.backoff import is_ahead
from rotator.model import CurrentKey, Debt, Policy, Rotation, SecretState

_R = TypeVar("_R")
_TO_COME = frozenset({"expires_at", "dead_by", "not_before", "look_at", "spread_until"})
_SPREAD = timedelta(days=7)
_LOOK = timedelta(days=31)  # the longest pause, and a little more


def is_off(state: SecretState, now: datetime) -> bool:
    """Whether a secret's last steps lie in the future: asked of every secret, so that it costs little."""
    steps = (state.rotated_at, state.failed_at, state.current.since if state.current else None)
    return any(at is not None and is_ahead(at, now) for at in steps)


def of_state(state: SecretState, now: datetime) -> SecretState:
    """A secret's record as if it had been written by ``now``. A token that was minted by the wrong clock is
    due at once, since nobody knows when that was; it is dead when its whole life is over, counted from now.
    """
    current, spread = state.current, state.spread_until
    if current is not None and is_ahead(current.since, now):
        dies, ends = current.dead_by or current.expires_at, now if current.expires_at else None
        current = replace(current, since=now, expires_at=ends, dead_by=_shifted(dies, current.since, now))
    far = spread is not None and is_ahead(spread, now, _SPREAD)
    return replace(_past(state, now), current=current, spread_until=None if far else spread)


def of_rotation(rotation: Rotation, now: datetime) -> Rotation:
    """A rotation's; it is looked at again at once. A verification by the wrong clock is none, since nobody
    knows how long ago it was.
    """
    righted, attempt = _past(rotation, now), rotation.attempt
    known = attempt.verified_at is not None and not is_ahead(attempt.verified_at, now)
    verified = attempt.verified_at if known else None
    ends, dies = (_shifted(at, attempt.issued_at, now) for at in (attempt.expires_at, attempt.dead_by))
    right = replace(righted.attempt, expires_at=ends, dead_by=dies, verified_at=verified)
    righted = replace(righted, attempt=right)
    far = rotation.look_at is not None and is_ahead(rotation.look_at, now, _LOOK)
    return replace(righted, look_at=None) if righted != rotation or far else rotation


def of_debt(debt: Debt, now: datetime) -> Debt:
    """A debt's: its grace begins anew from now, since it may not be over; it is looked at again at once."""
    righted, longest = _past(debt, now), max(debt.grace, debt.policy.grace)
    if debt.not_before is not None and is_ahead(debt.not_before, now, longest):
        righted = replace(righted, not_before=now + debt.grace)
    righted = replace(righted, expires_at=_shifted(debt.expires_at, debt.served, now))
    far = debt.look_at is not None and is_ahead(debt.look_at, now, _LOOK)
    return replace(righted, look_at=None) if righted != debt or far else debt


def _shifted(ends: datetime | None, began: datetime | None, now: datetime) -> datetime | None:
    """The end of a life that began by the wrong clock, as if it had begun now."""
    ahead = ends is not None and began is not None and is_ahead(began, now)
    return ends - (began - now) if ahead and ends and began else ends


def _past(record: _R, now: datetime) -> _R:
    """The record with no time of something past beyond ``now``, in the records within it neither."""
    right: dict[str, Any] = {}
    for one in fields(record):  # type: ignore[arg-type]  # every record is a dataclass
        value = getattr(record, one.name)
        if isinstance(value, datetime) and one.name not in _TO_COME and is_ahead(value, now):
            right[one.name] = now
        elif is_dataclass(value) and not isinstance(value, Policy | CurrentKey | type):
            right |= {one.name: inner} if (inner := _past(value, now)) != value else {}
    return replace(record, **right) if right else record  # type: ignore[type-var]
