"""``pause`` and ``resume``: a person holds a policy."""

import secrets
from datetime import timedelta

import click

from rotator.cli import output, session
from rotator.cli.options import Options, Wrong, duration, json_option
from rotator.cli.reading import read_one
from rotator.cli.select import named
from rotator.interfaces import Clock, Ledger
from rotator.model import Change, Event, Order, Policy, SecretState

LONGEST = timedelta(days=30)


@click.command(
    short_help="Hold a policy for a while.",
    epilog='Example: rotator pause market-maker --for 2h --reason "release freeze"',
)
@click.argument("name")
@click.option(
    "--for", "long", default="24h", show_default=True, metavar="D", callback=duration, help="How long."
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the history.")
@json_option
@click.pass_obj
def pause(options: Options, *, name: str, long: timedelta, reason: str, as_json: bool) -> None:
    """Hold a policy: nothing is issued, promoted or revoked for it until the time is over."""
    if not timedelta(0) < long <= LONGEST:
        raise Wrong("--for takes a duration above zero and of at most 30d, such as 2h.")
    policy = named(session.book(options).policies, name)
    with session.world(options) as world:
        known_to(world.ledger, policy)
        now = world.ledger.now()
        by = session.person()
        order = Order(kind="pause", by=by, reason=reason or "no reason given", at=now, until=now + long)
        world.ledger.give(policy.target.id, order)
        text = f"{by} paused it for {output.span(long)}: {order.reason}"
        _recorded(world.ledger, world.clock, policy, "paused", text)
    if as_json:
        output.document({"policy": name, "paused": True, "until": order.until})
        return
    click.echo(
        f"{name} is paused until {output.moment(order.until, now)}. `rotator resume {name}` ends it sooner."
    )


@click.command(short_help="End a pause.", epilog="Example: rotator resume market-maker")
@click.argument("name")
@json_option
@click.pass_obj
def resume(options: Options, *, name: str, as_json: bool) -> None:
    """End a pause."""
    policy = named(session.book(options).policies, name)
    with session.world(options) as world:
        was_paused = world.ledger.withdraw(policy.target.id, "pause")
        if was_paused:
            _recorded(world.ledger, world.clock, policy, "resumed", f"{session.person()} ended the pause")
    if as_json:
        output.document({"policy": name, "paused": False, "was_paused": was_paused})
        return
    click.echo(f"{name} goes on." if was_paused else f"{name} was not paused.")


def known_to(ledger: Ledger, policy: Policy) -> None:
    """See that the ledger knows a policy's secret, so that orders can be given to it."""
    if ledger.secret(policy.target.id) is None:
        drawn = secrets.randbelow(2**32) / 2**32
        ledger.enroll(
            [
                SecretState(
                    policy.target.id, policy.name, policy.provider.principal, ledger.now(), jitter=drawn
                )
            ]
        )


def _recorded(ledger: Ledger, clock: Clock, policy: Policy, kind: str, text: str) -> None:
    """Write into the history what a person did; it holds already."""

    def said() -> Change:
        known = read_one(ledger, policy.target.id)
        assert known is not None, "it was enrolled a moment ago"
        event = Event(policy.target.id, kind, text, data={"policy": policy.name, "by": session.person()})
        return Change(known.state, events=(event,))

    session.change(ledger, clock, policy.target.id, said)
