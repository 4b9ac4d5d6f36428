"""Is it time, and why: a chain of pure checks, the first reason wins; then what holds it back.

The reasons: a person's order, a first look, changed key settings, the schedule. What holds them back: a
pause, the back-off after failures, the push budget, the windows.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from rotator import backoff, budgets, cron, durations
from rotator.model import Order, Policy, SecretState
from rotator.windows import in_window, window_opens

__all__ = [
    "Due",
    "due",
    "first_spread",
    "in_window",
    "late",
    "next_rotation",
    "pushes_free_at",
    "settings_digest",
    "window_opens",
]

SPREAD = timedelta(days=7)
REHEARSAL = timedelta(hours=24)
_EARLIER = 0.1  # share of a token's lead by which its renewal may be earlier, so that not all are at once
_APART = timedelta(hours=1)  # of a drill from the rotation that follows it
_NEVER = datetime.max.replace(tzinfo=UTC)

Kind = Literal["take-on", "rehearse", "rotate", "rollback", "drill"]


@dataclass(frozen=True, slots=True)
class Due:
    """What comes next for a secret, when and why; it may be late already. ``why`` is for people."""

    at: datetime
    why: str
    kind: Kind = "rotate"


@dataclass(frozen=True, slots=True)
class _Case:
    policy: Policy
    state: SecretState
    orders: Mapping[str, Order]
    now: datetime


def due(policy: Policy, state: SecretState, orders: Mapping[str, Order], now: datetime) -> Due | None:
    """The next action of a secret without a live rotation; None: none until somebody changes something.

    Whether the secret was marked as deleted does not matter: here is its policy. An action whose time is not
    after ``now`` is to be done. A rehearsal comes before a rotation that it
    announces, so see :func:`next_rotation` for the rotation itself.
    """
    case = _Case(policy, state, orders, now)
    rotation = _rotation(case)
    found = (_rehearsal(case, rotation) or rotation) if rotation else None
    drill = _drill(case, rotation)
    return min((one for one in (found, drill) if one), key=lambda one: one.at, default=None)


def next_rotation(
    policy: Policy, state: SecretState, orders: Mapping[str, Order], now: datetime
) -> Due | None:
    """As :func:`due`, but without rehearsals."""
    return _rotation(_Case(policy, state, orders, now))


def settings_digest(policy: Policy) -> str:
    """SHA-256, in hexadecimal, over all that a key is issued with: a change makes the policy due."""
    facts = {"type": policy.provider.type, "kind": policy.kind, "key": policy.key}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def first_spread(secret_id: str, now: datetime, overdue: bool) -> datetime:
    """When a secret that has just been taken on may rotate: one that is overdue waits its share of seven
    days, the same share each time, so that a fleet does not rotate at once.
    """
    if not overdue:
        return now
    share = int.from_bytes(hashlib.sha256(secret_id.encode()).digest()[:8], "big") / 2**64
    return now + timedelta(seconds=int(SPREAD.total_seconds() * share))


def late(policy: Policy, state: SecretState, now: datetime) -> timedelta | None:
    """How long ago a key's time was over, by its schedule or, of a token, by its life; None if it is not.

    What holds a rotation back (a pause, failures, windows) makes it no younger.
    """
    current = state.current
    if current is None:
        return None
    ended = current.expires_at if policy.renew is not None else None
    if policy.renew is None and state.rotated_at is not None:
        found = _by_schedule(_Case(policy, state, {}, now))
        ended = max(found.at, state.spread_until or found.at) if found else None
    return now - ended if ended is not None and ended < now else None


# --- the reasons -----------------------------------------------------------------------------------------


def _rotation(case: _Case) -> Due | None:
    if "rollback" in case.orders:
        order = case.orders["rollback"]
        return Due(case.now, f"rollback by {order.by}: {order.reason}", "rollback")
    if case.policy.target.native:  # the store's own rotation begins each, and nobody else
        return _first_look(case)
    return next((found for found in (check(case) for check in _REASONS) if found), None)


def _ordered(case: _Case) -> Due | None:
    """A person's order wins over pause and windows; a try that failed since it was given still backs off."""
    order = case.orders.get("run")
    if not order:
        return None
    why = f"run-now by {order.by}: {order.reason}"
    if case.state.looked_at is None:
        return Due(case.now, f"{why}; the store must be looked at first", "take-on")
    failed_since = case.state.failed_at is not None and case.state.failed_at >= order.at
    holds: tuple[_Hold, ...] = (_after_failures,) if failed_since else ()
    if not order.owes:  # a key that leaked is owed first; the rotation that is begun with it waits for room
        holds = (*holds, _push_budget)
    return _held(case, Due(case.now, why), holds)


def _first_look(case: _Case) -> Due | None:
    if case.state.looked_at is not None:
        return None
    holds = (_paused,) if case.policy.renew is None else ()  # a token is renewed once it was looked at
    return _held(case, Due(case.now, "never looked at", "take-on"), holds)


def _without_a_key(case: _Case) -> Due | None:
    """Its key died before there was another one, so whoever reads it is locked out: no schedule counts."""
    if case.state.current is None or not case.state.current.contained:
        return None
    found = Due(case.now, "the key in service is dead")
    return _held(case, found, (_paused, _after_failures, _push_budget))


def _changed(case: _Case) -> Due | None:
    before = case.state.settings
    if before is None or before == settings_digest(case.policy):
        return None
    return _scheduled_work(case, Due(case.now, "its key settings were changed"))


def _scheduled(case: _Case) -> Due | None:
    found = _by_schedule(case)
    if not found:
        return None
    until = case.state.spread_until
    if until and until > found.at:
        found = Due(until, f"{found.why}; taken on late, so spread to {_when(until)}")
    return _scheduled_work(case, found)


def _renewal(case: _Case) -> Due | None:
    """A token's next life; neither windows nor a pause hold it, or its users would be locked out."""
    current, renew = case.state.current, case.policy.renew
    holds = (_after_failures, _push_budget)
    if renew is None:
        return None
    if current is None or current.expires_at is None:
        return _held(case, Due(case.now, "there is no token yet"), holds)
    if "renew" in case.orders:
        return _held(case, Due(case.now, case.orders["renew"].reason), holds)
    if current.made_from not in (None, case.policy.parent):
        return _held(case, Due(case.now, "its parent credential is in another secret"), holds)
    life = current.expires_at - current.since
    lead = renew if isinstance(renew, timedelta) else life * renew
    early = lead * _EARLIER * case.state.jitter
    at = max(current.expires_at - lead - early, current.since + life / 2)
    found = Due(at, f"the token expires {_when(current.expires_at)}")
    return _held(case, found, holds)


_REASONS: tuple[Callable[[_Case], Due | None], ...] = (
    _ordered,
    _first_look,
    _renewal,
    _without_a_key,
    _changed,
    _scheduled,
)


def _by_schedule(case: _Case) -> Due | None:
    policy, last = case.policy, case.state.rotated_at
    schedule = f"every {durations.text(policy.every)}" if policy.every else f"cron {policy.cron!r}"
    if last is None:
        return Due(case.now, f"{schedule}: never rotated")
    if not policy.every and not policy.cron:
        return None
    late = policy.jitter * case.state.jitter
    fire = last + policy.every if policy.every else cron.next_fire(policy.cron or "", policy.timezone, last)
    if fire is None:
        return None
    zone = f" {policy.timezone}" if policy.cron else ""
    return Due(fire + late, f"{schedule}{zone}: last rotated {_when(last)}")


# --- what holds back -------------------------------------------------------------------------------------

_Hold = Callable[[_Case], tuple[datetime, str] | None]


def _scheduled_work(case: _Case, found: Due) -> Due | None:
    """Held back, and moved into a window: one that is open now if it is late."""
    held = _held(case, found, (_paused, _after_failures, _push_budget))
    if held is None or (held.at <= case.now and in_window(case.policy, case.now)):
        return held
    opens = window_opens(case.policy, max(held.at, case.now) if case.policy.windows else held.at)
    return held if opens == held.at else Due(opens, f"{held.why}; window opens {_when(opens)}")


def _held(case: _Case, found: Due, holds: tuple[_Hold, ...]) -> Due | None:
    """The same, not before the latest of the holds; None where one holds for ever."""
    for until, why in filter(None, (hold(case) for hold in holds)):
        if until == _NEVER:
            return None
        if until > max(found.at, case.now):
            found = replace(found, at=until, why=f"{why}; {found.why}")
    return found


def _paused(case: _Case) -> tuple[datetime, str] | None:
    order = case.orders.get("pause")
    if not order:
        return None
    if order.until is None:
        return _NEVER, "paused"
    return order.until, f"paused until {_when(order.until)} by {order.by}: {order.reason}"


def _after_failures(case: _Case) -> tuple[datetime, str] | None:
    state = case.state
    if not state.failures or state.failed_at is None:
        return None
    soon = case.policy.renew is not None
    until = state.failed_at + (
        backoff.after_token_failures(state.failures) if soon else backoff.after_failures(state.failures)
    )
    times = "once" if state.failures == 1 else f"{state.failures} times"
    return until, f"failed {times}, next try {_when(until)}"


def _push_budget(case: _Case) -> tuple[datetime, str] | None:
    current = case.state.current
    locked_out = current is not None and current.contained
    until = pushes_free_at(case.policy, case.state, case.now, locked_out=locked_out)
    return (until, f"too many versions were written, room at {_when(until)}") if until else None


def pushes_free_at(policy: Policy, state: SecretState, now: datetime, *, locked_out: bool) -> datetime | None:
    """When one more version of a secret may be written, sooner where it has no living key; None: now."""
    return budgets.free_at(state.pushes, budgets.of_pushes(policy, locked_out=locked_out), now)


# --- drills ----------------------------------------------------------------------------------------------


def _drill(case: _Case, rotation: Due | None) -> Due | None:
    """A drill that a person or the policy asks for; none where a rotation comes first, or soon after."""
    order, every, last = case.orders.get("drill"), case.policy.drill, case.state.drill
    since = last.at if last else case.state.looked_at
    if since is None or case.policy.renew is not None or case.policy.target.native:
        return Due(case.now, f"drill by {order.by}: {order.reason}", "drill") if order and since else None
    found = None
    if order is not None:
        found = _held(case, Due(case.now, f"drill by {order.by}: {order.reason}", "drill"), (_paused,))
    elif every is not None:
        late = every * _EARLIER * case.state.jitter
        found = _scheduled_work(
            case, Due(since + every + late, f"drill every {durations.text(every)}", "drill")
        )
    soon = rotation is not None and found is not None and rotation.at < max(found.at, case.now) + _APART
    return None if soon else found


# --- rehearsals ------------------------------------------------------------------------------------------


def _rehearsal(case: _Case, rotation: Due) -> Due | None:
    """A try of the admin credential ahead of a rotation on schedule, once, so that a person has time."""
    if rotation.kind != "rotate" or rotation.at <= case.now or case.policy.provider.admin is None:
        return None
    if case.state.failures or "run" in case.orders or case.policy.renew is not None:
        return None  # the credential has just been used, or is about to be, or is used at each renewal
    begins = rotation.at - _lead(case.policy)
    tried = case.state.rehearsed_at
    if tried is not None and tried >= begins:
        return None
    held = _held(
        case, Due(begins, f"admin credential tried ahead of {_when(rotation.at)}", "rehearse"), (_paused,)
    )
    return held if held and held.at < rotation.at else None


def _lead(policy: Policy) -> timedelta:
    gap = policy.every or cron.shortest_gap(policy.cron or "") or REHEARSAL * 4
    return min(REHEARSAL, gap / 4)


def _when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _plain(value: object) -> object:
    """What JSON has no word for: mappings and sets of frozen values."""
    return (
        dict(value)
        if isinstance(value, Mapping)
        else sorted(map(str, value))
        if isinstance(value, set | frozenset)
        else str(value)
    )
