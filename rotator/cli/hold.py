"""``pause``, ``stop`` and ``resume``: a person holds a policy, or everything."""

import secrets
from datetime import datetime, timedelta

import click

from rotator.cli import output, session
from rotator.cli.options import Options, Wrong, duration, json_option, kept
from rotator.cli.reading import read_one
from rotator.cli.select import named
from rotator.interfaces import Clock, Ledger
from rotator.model import EVERYBODY, Change, Debt, Event, Order, Policy, SecretState, locked_out
from rotator.stopping import sentence, stop_of

LONGEST = timedelta(days=30)


@click.command(
    short_help="Hold a policy for a while.",
    epilog='Example: rotator pause market-maker --for 2h --reason "release freeze"',
)
@click.argument("name")
@click.option(
    "--for", "long", default="24h", show_default=True, metavar="D", callback=duration, help="How long."
)
@click.option(
    "--reason", default="", metavar="TEXT", callback=kept, help="Why, for those who read the history."
)
@json_option
@click.pass_obj
def pause(options: Options, *, name: str, long: timedelta, reason: str, as_json: bool) -> None:
    """Hold a policy: nothing is issued, promoted or revoked for it until the time is over.

    A token is not held: it would expire, and its users be locked out.
    """
    if not timedelta(0) < long <= LONGEST:
        raise Wrong("--for takes a duration above zero and of at most 30d, such as 2h.")
    policy = named(session.book(options).policies, name)
    if policy.renew is not None:
        raise Wrong(
            f"{name} is a token: it is renewed before it expires, or its users would be locked out, so that "
            "no pause holds it. Nothing was changed. What holds tokens, and everything else: "
            "rotator stop --reason TEXT"
        )
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


@click.command(
    short_help="End a pause, or a stop.",
    epilog="\b\nExamples: rotator resume market-maker\n          rotator resume --all",
)
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="End a stop; policies that are paused stay so.")
@json_option
@click.pass_obj
def resume(options: Options, *, name: str | None, everything: bool, as_json: bool) -> None:
    """End a policy's pause, or with --all the stop of everything."""
    if (name is None) is not everything:
        raise Wrong("Either a policy, whose pause ends, or --all, which ends a stop.")
    if name is None:
        _resume_all(options, as_json=as_json)
        return
    policy = named(session.book(options).policies, name)
    with session.world(options) as world:
        was_paused = world.ledger.withdraw(policy.target.id, "pause")
        if was_paused:
            _recorded(world.ledger, world.clock, policy, "resumed", f"{session.person()} ended the pause")
    if as_json:
        output.document({"policy": name, "paused": False, "was_paused": was_paused})
        return
    click.echo(f"{name} goes on." if was_paused else f"{name} was not paused.")


@click.command(
    short_help="Stop everything, at once, until somebody resumes.",
    epilog='\b\nExamples: rotator stop --reason "keys die that should not"\n          rotator resume --all',
)
@click.option(
    "--reason",
    metavar="TEXT",
    callback=kept,
    help="Why, for everybody who sees that nothing happens. Needed.",
)
@click.option("--for", "long", metavar="D", callback=duration, help="How long; left out: until resumed.")
@json_option
@click.pass_obj
def stop(options: Options, *, reason: str | None, long: timedelta | None, as_json: bool) -> None:
    """Let no worker change anything outside from now on: no issue, no write, no promotion, no revocation.

    It needs no policy file. Workers go on running, and what is under way ends: a call that was sent, and a
    key that was just issued is still stored. Nothing overrides it, run-now neither. What expires meanwhile:
    tokens, which are not renewed, so that their users are locked out; they are listed, and so are secrets
    whose key died before there was another one (run-now --revoke-first), which get none. Keys that are due
    grow older, and replaced ones live beyond their grace.
    """
    text = output.printable((reason or "").strip())
    if not text:
        raise Wrong('Say why: --reason "…". Everybody who wonders why nothing happens sees it.')
    if long is not None and not timedelta(0) < long <= LONGEST:
        raise Wrong("--for takes a duration above zero and of at most 30d, such as 2h.")
    with session.world(options) as world:
        ledger = world.ledger
        before, now = stop_of(ledger), ledger.now()
        order = Order("stop", session.person(), text, now, until=now + long if long else None)
        if before is not None and not _outlasts(order, before):
            order = before
        if order is not before:
            ledger.give(EVERYBODY, order)
        tokens, shut = _expiring(ledger, order), _locked_out(ledger)
    if as_json:
        already = before is not None
        output.document({"stopped": order, "already": already, "tokens": tokens, "locked_out": shut})
        return
    _say_stopped(order, now, before)
    if shut:
        names = output.printable(", ".join(shut))
        click.echo(f"Their key is dead and they get no other one: whoever reads them is locked out: {names}")
    if tokens:
        click.echo("Tokens that are not renewed meanwhile, and lock their users out when they expire:")
        output.table(("policy", "expires"), [(name, output.moment(at, now)) for name, at in tokens])


def _outlasts(order: Order, before: Order) -> bool:
    """Whether a stop ends later than the one that holds: who asks for it must not be let down by that one."""
    return before.until is not None and (order.until is None or order.until > before.until)


def _expiring(ledger: Ledger, order: Order) -> list[tuple[str, datetime]]:
    """Tokens that expire while everything is stopped, the first one first."""
    found = [
        (state.policy, state.current.expires_at)
        for state, _ in ledger.secrets()
        if state.current and state.current.expires_at and not state.gone
    ]
    return sorted(
        (one for one in found if order.until is None or one[1] < order.until), key=lambda one: one[1]
    )


def _locked_out(ledger: Ledger) -> list[str]:
    """Policies whose secret has no living key."""
    debts: dict[str, list[Debt]] = {}
    for debt in ledger.debts():
        debts.setdefault(debt.secret, []).append(debt)
    states = [state for state, _ in ledger.secrets() if not state.gone]
    return [state.policy for state in states if locked_out(state, debts.get(state.id, ()))]


def _say_stopped(order: Order, now: datetime, before: Order | None) -> None:
    changed = " It was stopped already; nothing was changed." if order is before else ""
    if before is not None and order is not before:
        changed = f" It was stopped already, until {output.moment(before.until, now)}; now it is for longer."
    click.echo(f"{output.printable(sentence(order))}{changed} -> rotator resume --all")


def _resume_all(options: Options, *, as_json: bool) -> None:
    with session.world(options) as world:
        stopped = world.ledger.withdraw(EVERYBODY, "stop")
    if as_json:
        output.document({"stopped": None, "was_stopped": stopped})
        return
    click.echo("Everything goes on." if stopped else "Nothing was stopped.")


def known_to(ledger: Ledger, policy: Policy) -> None:
    """See that the ledger knows a policy's secret, so that orders can be given to it."""
    if ledger.secret(policy.target.id) is None:
        drawn = secrets.randbelow(2**32) / 2**32
        target, principal = policy.target, policy.provider.principal
        ledger.enroll(
            [SecretState(target.id, policy.name, principal, ledger.now(), jitter=drawn, target=target)]
        )


def _recorded(ledger: Ledger, clock: Clock, policy: Policy, kind: str, text: str) -> None:
    """Write into the history what a person did; it holds already."""

    def said() -> Change:
        known = read_one(ledger, policy.target.id)
        assert known is not None, "it was enrolled a moment ago"
        event = Event(policy.target.id, kind, text, data={"policy": policy.name, "by": session.person()})
        return Change(known.state, events=(event,))

    session.change(ledger, clock, policy.target.id, said)
