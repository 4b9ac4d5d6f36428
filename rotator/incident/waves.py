"""Which secrets of an incident are ordered next. Pure.

At each provider's account one goes first; when its new key is in use, a few more; then as many side by side
as the account's limits bear. What others are made of goes before them, and our own admin credentials go last.
An account that fails again and again gets no more orders, and the others go on.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.model import Policy, Traits

FEW = 8  # side by side, until as many new keys are in use
STUCK = timedelta(
    minutes=1
)  # a first one that takes longer is joined by a second, to tell which of them fails
TAKES = timedelta(seconds=10)  # a rotation, apart from what it waits for its turn at the account


@dataclass(frozen=True, slots=True)
class Member:
    """One policy of an incident. ``width``: how many of its account may be under way at once; ``after``: the
    secrets that are rotated before it.
    """

    policy: Policy
    width: int
    after: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The secret's."""
        return self.policy.target.id

    @property
    def account(self) -> str:
        """The principal that it counts against."""
        return self.policy.provider.principal


@dataclass(frozen=True, slots=True)
class Standing:
    """How an incident stands: secrets whose new key is in use, that ended otherwise, that are under way, with
    how long ago they were ordered; the accounts that fail; what was begun and ended without a new key, and of
    that, in what the old key was to die first.
    """

    in_use: Collection[str] = ()
    missed: Collection[str] = ()
    under_way: Mapping[str, timedelta] = field(default_factory=dict)
    failing: Collection[str] = ()
    failed: Collection[str] = ()
    lost: Collection[str] = ()

    @property
    def ended(self) -> set[str]:
        """What needs no further look."""
        return {*self.in_use, *self.missed}


@dataclass(frozen=True, slots=True)
class Turn:
    """What is ordered now, and what will not be, by account."""

    orders: tuple[Policy, ...] = ()
    given_up: Mapping[str, tuple[Policy, ...]] = field(default_factory=dict)


def width(traits: Traits, rate: float | None, calls: int, peers: int) -> int:
    """How many rotations of an account may be under way at once.

    ``rate`` is in requests per second (None: no limit is known), ``calls`` what one rotation makes. More than
    that would only wait for each other, past the time in which a new key must be verified. Of a limit of live
    keys the ``peers`` policies of the account take one each.
    """
    most = 10_000 if rate is None else math.ceil(rate * TAKES.total_seconds() / max(1, calls))
    if traits.key_limit is not None:
        most = min(most, traits.key_limit - peers)
    return max(1, most)


def members(policies: Sequence[Policy], widths: Mapping[str, int]) -> tuple[Member, ...]:
    """The policies of an incident, what goes first first; ``widths`` by account."""
    ids = {policy.target.id for policy in policies}
    managed: dict[str, set[str]] = {}  # by admin secret, what it manages
    for policy in policies:
        if policy.provider.account in ids and policy.renew is None:
            managed.setdefault(policy.provider.account, set()).add(policy.target.id)
    found = []
    for policy in policies:
        first = managed.get(policy.target.id, set()) - {policy.target.id}
        if policy.parent in ids and policy.parent is not None:
            first = {*first, policy.parent}
        found.append(Member(policy, widths[policy.provider.principal], frozenset(first)))
    return tuple(sorted(found, key=lambda one: bool(managed.get(one.id))))


def turn(everybody: Sequence[Member], standing: Standing, *, few: bool = True, at_once: bool = False) -> Turn:
    """What is ordered now. Without ``few``, where keys die first, all of an account follow as soon as its
    first one has a new key in use, and none where it has not; ``at_once`` none is waited for: those that hold
    one leaked key, which dies when none of them does.
    """
    lanes: dict[str, list[Member]] = {}
    for one in everybody:
        lanes.setdefault(one.account, []).append(one)
    orders: list[Policy] = []
    given_up = {}
    for account, lane in lanes.items():
        waiting = [one for one in lane if one.id not in standing.ended and one.id not in standing.under_way]
        alone = not (few or at_once) and _missed_alone(lane, standing)
        if alone or (account in standing.failing and _tried(lane, standing)):
            given_up[account] = tuple(one.policy for one in waiting)
            continue
        allowed = len(lane) if at_once else _allowed(lane, standing, few=few)
        free = allowed - sum(one.id in standing.under_way for one in lane)
        ready = [one.policy for one in waiting if _ready(one, standing)]
        orders += ready[: max(0, free)]
    return Turn(tuple(orders), {account: left for account, left in given_up.items() if left})


def _missed_alone(lane: Sequence[Member], standing: Standing) -> bool:
    """Whether the first one has no new key, so that no other is to lose its own."""
    lost = any(one.id in standing.lost for one in lane)
    return lost and not any(one.id in standing.in_use for one in lane)


def _tried(lane: Sequence[Member], standing: Standing) -> bool:
    """Whether it is known by now that an account that is said to fail does; a refusal tells nothing."""
    stuck = [one for one in lane if standing.under_way.get(one.id, timedelta(0)) >= STUCK]
    return bool(stuck) or any(one.id in standing.failed for one in lane)


def _ready(one: Member, standing: Standing) -> bool:
    """Whether all that goes before it has ended, well or not, or will not begin."""
    return one.after <= standing.ended


def _allowed(lane: Sequence[Member], standing: Standing, *, few: bool) -> int:
    """How many of an account may be under way now."""
    worked = sum(one.id in standing.in_use for one in lane)
    if worked >= (FEW if few else 1):
        return lane[0].width
    if worked:
        return min(FEW, lane[0].width)
    if not few:
        return 1
    longest = max((standing.under_way.get(one.id, timedelta(0)) for one in lane), default=timedelta(0))
    return 1 + min(2, longest // STUCK)
