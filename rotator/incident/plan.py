"""What an incident would do, before it does anything: by account, in which order, and how long. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rotator.incident.waves import FEW, TAKES, Member


@dataclass(frozen=True, slots=True)
class Cost:
    """The calls of one rotation; ``by_hand`` where a person issues the key, and we call nothing before."""

    provider: int
    store: int
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What happens at one account: who goes first, how many side by side after that, at which pace."""

    provider: str
    secrets: int
    first: str
    side_by_side: int
    requests_per_second: float | None
    provider_calls: int
    takes: timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. ``last`` are our own admin credentials, ``by_hand`` what cannot be done by machine."""

    secrets: int
    accounts: tuple[Account, ...]
    owners: tuple[str, ...]
    provider_calls: int
    store_calls: int
    takes: timedelta
    last: tuple[str, ...]
    by_hand: tuple[str, ...]


def plan(
    everybody: Sequence[Member],
    costs: Mapping[str, Cost],
    rates: Mapping[str, float | None],
    *,
    few: bool = True,
) -> Plan:
    """The plan of an incident; ``costs`` by secret, ``rates`` in requests per second by account. Without
    ``few`` all of an account follow its first one.
    """
    machine = [one for one in everybody if not costs[one.id].by_hand]
    lanes: dict[str, list[Member]] = {}
    for one in machine:
        lanes.setdefault(one.account, []).append(one)
    accounts = tuple(_account(lane, costs, rates.get(account), few=few) for account, lane in lanes.items())
    ids = {one.id for one in machine}
    return Plan(
        secrets=len(everybody),
        accounts=accounts,
        owners=tuple(sorted({one.policy.owner for one in everybody if one.policy.owner})),
        provider_calls=sum(costs[one.id].provider for one in machine),
        store_calls=sum(costs[one.id].store for one in machine),
        takes=max((account.takes for account in accounts), default=timedelta(0)),
        last=tuple(one.policy.name for one in machine if one.after & ids and one.policy.renew is None),
        by_hand=tuple(one.policy.name for one in everybody if costs[one.id].by_hand),
    )


def _account(lane: Sequence[Member], costs: Mapping[str, Cost], rate: float | None, *, few: bool) -> Account:
    calls = sum(costs[one.id].provider for one in lane)
    return Account(
        provider=lane[0].policy.provider.name,
        secrets=len(lane),
        first=lane[0].policy.name,
        side_by_side=min(lane[0].width, len(lane)),
        requests_per_second=rate,
        provider_calls=calls,
        takes=_takes(len(lane), lane[0].width, calls, rate, some=FEW if few else 0),
    )


def _takes(count: int, width: int, calls: int, rate: float | None, *, some: int) -> timedelta:
    """One that goes first, a few, and the rest side by side; or its calls, where the rate limits more."""
    few = min(some, width, max(0, count - 1))
    rest = max(0, count - 1 - few)
    turns = 1 + (few > 0) + -(-rest // max(1, width))
    return max(TAKES * turns, timedelta(seconds=calls / rate) if rate else timedelta(0))
