"""Carrying out a person's order: give it to each secret, then work until every one is covered or stuck."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from rotator import breaker
from rotator.cli import session
from rotator.cli.coverage import Asked, Coverage, Outcome, outcome
from rotator.cli.options import Options
from rotator.cli.overall import must_not_be_stopped
from rotator.cli.progress import Progress
from rotator.cli.reading import read_one
from rotator.interfaces import Ledger
from rotator.model import Change, Event, Order, Phase, Policy
from rotator.people import paused_until

if TYPE_CHECKING:
    from rotator.policies import Book
    from rotator.run_pass import Worker
    from rotator.wiring import Wiring

LOOK = 0.5  # seconds between passes
GOES_ON = "Stopped between effects. The orders stand: the daemon, or the same command again, goes on."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants rotated, and how."""

    policies: tuple[Policy, ...]
    reason: str
    grace: timedelta | None
    paused_too: bool
    wait: timedelta


def carry_out(options: Options, book: "Book", wish: Wish) -> list[Outcome]:
    """Give the orders and work until each has an outcome; in the order of the wish."""
    from rotator.run_pass import Worker  # noqa: PLC0415 - the whole machine
    from rotator.wiring import holder  # noqa: PLC0415

    with session.world(options) as world, session.notifier(world.clock) as tells:
        must_not_be_stopped(world.ledger)
        worker = Worker(world, book, tells, holder=holder())
        try:
            with stopped_by_signal(world):
                asked = Asked(at=world.ledger.now(), dead=wish.grace == timedelta(0))
                refused = _give_all(world, wish)
                given = [policy for policy in wish.policies if policy.name not in refused]
                watch(world, worker, given, asked, wish.wait)
                stopped = world.stopping()
        finally:
            worker.stop()
            worker.close()
        found = {policy.name: final(look(world.ledger, policy, asked)) for policy in given}
        worker.tell_alarms()
    if stopped:
        click.echo(GOES_ON, err=True)
    return [refused.get(policy.name) or found[policy.name] for policy in wish.policies]


# --- giving ----------------------------------------------------------------------------------------------


def _give_all(world: "Wiring", wish: Wish) -> dict[str, Outcome]:
    """Give every order; by policy, those that are not given and why."""
    refused = {}
    for policy in wish.policies:
        todo = _for_a_person(world, policy)
        why = _give(world, policy, wish) if todo is None else None
        if todo is not None:
            refused[policy.name] = Outcome(policy.name, Coverage.WAITING, todo)
        elif why is not None:
            refused[policy.name] = Outcome(policy.name, Coverage.UNCOVERED, why)
    return refused


def _for_a_person(world: "Wiring", policy: Policy) -> str | None:
    """What a person does where the provider issues nothing by request; None where an order is carried out.

    A credential that was brought before is hurried by an order, and so is a conflict about it.
    """
    traits = world.provider(policy.provider).traits
    rotation = world.ledger.rotation(policy.target.id)
    if traits.issues or (rotation is not None and rotation.phase is not Phase.PLANNED):
        return None
    return (
        f"{policy.provider.name} has no key API: a person issues the new key. To do: {traits.todo_issue} "
        f"Then: rotator submit {policy.name}"
    )


def _give(world: "Wiring", policy: Policy, wish: Wish) -> str | None:
    """Give one order, so that it is tried now: a pause ends, a block is forgotten. Why not, or None."""
    ledger, by = world.ledger, session.person()
    known = read_one(ledger, policy.target.id)
    assert known is not None, "the worker has enrolled it"
    if paused_until(known, ledger.now()) is not None:
        if not wish.paused_too:
            return f"paused by {known.orders['pause'].by}; --yes rotates it all the same"
        ledger.withdraw(policy.target.id, "pause")
    ledger.forget(f"block:{policy.provider.principal}")
    if policy.parent is not None:
        breaker.once_more(ledger, policy.parent, breaker.TOKEN)
    if known.state.block is not None:
        _unblocked(world, policy, by)
    grace = None if policy.renew is not None else wish.grace  # a token dies when it expires
    order = Order(kind="run", by=by, reason=wish.reason, at=ledger.now(), grace=grace)
    ledger.give(policy.target.id, order)
    return None


def _unblocked(world: "Wiring", policy: Policy, by: str) -> None:
    """Take a block off, so that the step it stopped is tried anew; it comes back if nothing was mended."""

    def tried_anew() -> Change:
        state = world.ledger.secret(policy.target.id)
        assert state is not None, "a secret is never forgotten"
        event = Event(policy.target.id, "unblocked", f"{by} has it tried again", data={"policy": policy.name})
        return Change(replace(state, block=None), events=(event,))

    session.change(world.ledger, world.clock, policy.target.id, tried_anew)


# --- working ---------------------------------------------------------------------------------------------


def watch(
    world: "Wiring", worker: "Worker", policies: Sequence[Policy], asked: Asked, wait: timedelta
) -> None:
    """Make passes over these secrets until each has an outcome, a person stops us, or the wait is over."""
    ids = frozenset(policy.target.id for policy in policies)
    end = world.clock.monotonic() + wait.total_seconds()
    with Progress() as progress:
        while not world.stopping() and world.clock.monotonic() < end:
            worker.run_pass(only=ids)
            found = [look(world.ledger, policy, asked) for policy in policies]
            progress.show(found)
            if all(one.ended for one in found):
                return
            world.clock.sleep(LOOK)


def look(ledger: Ledger, policy: Policy, asked: Asked) -> Outcome:
    """How the order for one policy stands, by the ledger: whoever carries it out."""
    known = read_one(ledger, policy.target.id)
    assert known is not None, "a secret is never forgotten"
    last = next(iter(ledger.rotations(policy.target.id, 1)), None)
    debts = ledger.debts(policy.target.id, ended=True)
    return outcome(policy, known, last, debts, asked=asked, now=ledger.now())


def final(one: Outcome) -> Outcome:
    """The outcome when nobody watches any more: what still goes on is not covered."""
    if one.ended:
        return one
    return replace(one, state=Coverage.UNCOVERED, why=f"not done yet ({one.why}); the order stands")


@contextmanager
def stopped_by_signal(world: "Wiring") -> Iterator[None]:
    """From the first Ctrl-C or SIGTERM on no new effect begins. The handler sets a flag, and nothing else."""

    def stop(*_: object) -> None:
        world.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
