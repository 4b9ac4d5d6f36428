"""Giving an order: what is taken off its way, and who is asked instead where it cannot be carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rotator import blocks, breaker
from rotator.cli import session
from rotator.cli.reading import read_one
from rotator.incident.coverage import Coverage, Outcome
from rotator.model import Change, Event, Order, Policy
from rotator.owing import run_again
from rotator.people import paused_until

if TYPE_CHECKING:
    from rotator.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants rotated, and how; secrets by their id.

    In those of ``contain`` the key dies before another one is issued; those of ``refused`` are not begun, for
    that reason; ``leaked`` names the versions that hold keys which others know, ``leaked_fields`` what of
    them. Keys that were issued at ``issued_before``, or later, stay.
    """

    policies: tuple[Policy, ...]
    reason: str
    grace: timedelta | None
    paused_too: bool
    wait: timedelta
    revoke_first: bool = False
    contain: frozenset[str] = frozenset()
    refused: Mapping[str, Outcome] = field(default_factory=dict)
    leaked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaked_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    besides: tuple[str, ...] = ()  # what a person must see to beside them
    ends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by secret beside them, replaced keys
    issued_before: datetime | None = None
    choice: str = ""


def give(world: "Wiring", policy: Policy, wish: Wish) -> Outcome | None:
    """Give one order, so that it is tried now: a pause ends, a block holds nothing. None, or why not."""
    refused = wish.refused.get(policy.target.id)
    if refused is not None:
        return refused
    if policy.target.native:
        why = f"Secrets Manager's own rotation begins each rotation. To do: {run_again(policy)}"
        return Outcome(policy.name, Coverage.WAITING, why)
    ledger, by = world.ledger, session.person()
    known = read_one(ledger, policy.target.id)
    assert known is not None, "the worker has enrolled it"
    if paused_until(known, ledger.now()) is not None:
        if not wish.paused_too:
            why = f"paused by {known.orders['pause'].by}; --yes rotates it all the same"
            return Outcome(policy.name, Coverage.UNCOVERED, why)
        ledger.withdraw(policy.target.id, "pause")
    blocks.lift(ledger, policy)
    if policy.parent is not None:
        breaker.once_more(ledger, policy.parent, breaker.TOKEN)
    if known.state.block is not None:
        _unblocked(world, policy, by)
    ledger.give(policy.target.id, _order(policy, wish, known.orders.get("run"), by, ledger.now()))
    return None


def end_beside(world: "Wiring", wish: Wish) -> frozenset[str]:
    """End the grace of replaced keys beside an order, by their versions; the secrets where that was asked
    for. Where another order stands, that one is left alone.
    """
    ledger, none = world.ledger, timedelta(0)
    free = {secret: ends for secret, ends in wish.ends.items() if "run" not in ledger.orders(secret)}
    for secret, versions in free.items():
        now = ledger.now()
        order = Order("run", session.person(), wish.reason, now, grace=none, leaked_versions=versions)
        ledger.give(secret, order)
    return frozenset(free)


def _order(policy: Policy, wish: Wish, before: Order | None, by: str, now: datetime) -> Order:
    """The order for one secret. Where one was given ``before``, and not taken up yet, the harder of the two
    counts.
    """
    secret = policy.target.id
    order = Order(
        "run",
        by,
        wish.reason,
        now,
        grace=None if policy.renew is not None else wish.grace,  # a token dies when it expires
        leaked_versions=wish.leaked.get(secret, ()),
        leaked_fields=wish.leaked_fields.get(secret, ()),
        contain=secret in wish.contain,
        issued_before=wish.issued_before,
    )
    return order if before is None or policy.renew is not None else harder(order, before, policy)


def harder(order: Order, before: Order, policy: Policy) -> Order:
    """An order that ends all that either of two ends, no later than either does."""
    both = [one for one in (before.grace, order.grace) if one is not None]
    least = min([*both, policy.grace] if len(both) == 1 else both, default=None)
    ages = [one.issued_before for one in (order, before)]
    return replace(
        order,
        rotates=any(one.rotates or not one.leaked_versions for one in (order, before)),
        grace=least,
        leaked_versions=tuple(dict.fromkeys((*order.leaked_versions, *before.leaked_versions))),
        leaked_fields=tuple(dict.fromkeys((*order.leaked_fields, *before.leaked_fields))),
        contain=order.contain or before.contain,
        issued_before=None if None in ages else max(age for age in ages if age),
    )


def _unblocked(world: "Wiring", policy: Policy, by: str) -> None:
    """Take a block off, so that the step it stopped is tried anew; it comes back if nothing was mended."""

    def tried_anew() -> Change:
        state = world.ledger.secret(policy.target.id)
        assert state is not None, "a secret is never forgotten"
        event = Event(policy.target.id, "unblocked", f"{by} has it tried again", data={"policy": policy.name})
        return Change(replace(state, block=None), events=(event,))

    session.change(world.ledger, world.clock, policy.target.id, tried_anew)
