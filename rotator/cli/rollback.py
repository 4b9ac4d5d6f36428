"""``rollback NAME``: back to the key before, while it lives; any worker carries the order out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from rotator.budgets import FLOOD
from rotator.cli import output, session
from rotator.cli.hold import LONGEST
from rotator.cli.options import NotDone, Options, Wrong, duration, json_option, kept
from rotator.cli.ordering import GOES_ON, LOOK, Tells, final, stopped_by_signal
from rotator.cli.overall import must_not_be_stopped
from rotator.cli.progress import Progress
from rotator.cli.reading import read_one
from rotator.cli.run_now import reasoned
from rotator.cli.select import named
from rotator.incident.coverage import Coverage, Outcome, met
from rotator.incident.record import Incident, incidents
from rotator.interfaces import Ledger
from rotator.model import Debt, Order, Phase, Policy, Rotation
from rotator.owing import MANY
from rotator.people import paused_until, stands

if TYPE_CHECKING:
    from rotator.policies import Book

NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Wish:
    """Why, how long the newer key lives on, how long the policy is paused then, and how long to watch."""

    reason: str
    grace: timedelta | None  # None: the policy's
    pause: timedelta
    wait: timedelta


@click.command(
    short_help="Back to the key before, while it lives.",
    epilog='Example: rotator rollback market-maker --reason "orders are refused since the rotation"',
)
@click.argument("name")
@click.option(
    "--reason", metavar="TEXT", callback=kept, help="Why; it stands in the history for ever. Needed."
)
@click.option(
    "--grace", metavar="D", callback=duration, help="How long the newer key lives on, not the policy's."
)
@click.option("--revoke-now", is_flag=True, help="No grace: the newer key dies once the old one is in use.")
@click.option(
    "--for",
    "long",
    default="24h",
    show_default=True,
    metavar="D",
    callback=duration,
    help="How long the policy is paused then.",
)
@click.option("--yes", is_flag=True, help="Do not ask; also where the policy is paused.")
@click.option(
    "--wait", default="15m", show_default=True, metavar="D", callback=duration, help="How long to watch."
)
@json_option
@click.pass_obj
def rollback(
    options: Options,
    *,
    name: str,
    reason: str | None,
    grace: timedelta | None,
    revoke_now: bool,
    long: timedelta,
    yes: bool,
    wait: timedelta,
    as_json: bool,
) -> int:
    """Bring the key back that the last rotation replaced, while it still lives.

    It is verified first, then written into a fresh version. The newer key becomes a debt, with the policy's
    grace, and the policy is paused, since its schedule would replace the old key at once; what is owed dies
    all the same. Works together with a daemon. Stopped or killed, any worker goes on with it.
    """
    from jobs.harden import harden  # noqa: PLC0415

    harden()
    if revoke_now and grace is not None:
        raise Wrong("Either --grace or --revoke-now, not both: --revoke-now means no grace.")
    if not NONE < long <= LONGEST:
        raise Wrong("--for takes a duration above zero and of at most 30d, such as 2h.")
    why = reasoned(reason)
    book = session.book(options)
    policy = named(book.policies, name)
    lives_on = NONE if revoke_now else grace
    debt, replaced_by = _found(options, policy, yes=yes)
    _confirmed(policy, debt, replaced_by, lives_on, long, yes=yes)
    found = _carried_out(options, book, policy, Wish(why, lives_on, long, wait))
    if as_json:
        output.document({"policy": name, "outcome": found})
    else:
        click.echo(output.printable(_sentence(found)))
    return 0 if found.state is Coverage.ROTATED else 1


# --- before anything is written --------------------------------------------------------------------------


def _found(options: Options, policy: Policy, *, yes: bool) -> tuple[Debt, Incident | None]:
    """The debt of the key before, and the order by which it was replaced. Raises NotDone where there is no
    way back, as far as the ledger tells.
    """
    from rotator import rollback as story  # noqa: PLC0415 - the whole machine

    with session.reading(options) as ledger:
        known = read_one(ledger, policy.target.id) if ledger else None
        if ledger is None or known is None:
            raise NotDone(f"{policy.name} was never rotated by this ledger, so that there is no way back.")
        until, now = paused_until(known, ledger.now()), ledger.now()
        rotations = ledger.rotations(policy.target.id, MANY)
        debts = ledger.debts(policy.target.id, ended=True)
        every = incidents(ledger)
    try:
        debt = story.previous(policy, known.state, rotations, debts)
    except story.NotPossible as error:
        raise NotDone(f"{policy.name} is not rolled back: {output.printable(str(error))}") from None
    if until is not None and not yes:
        raise Wrong(
            f"{policy.name} is paused until {output.moment(until, now)} by {known.orders['pause'].by}, and "
            "nothing was done. --yes rolls it back all the same."
        )
    return debt, _replaced_by(policy, rotations, every)


def _replaced_by(policy: Policy, rotations: Sequence[Rotation], every: Sequence[Incident]) -> Incident | None:
    """The newest order of a person between the last two promotions, both newest first; None: a schedule's."""
    ended = [one.ended_at for one in rotations if one.phase is Phase.PROMOTED and one.ended_at is not None]
    asked = (one for one in every if policy.target.id in one.secrets and one.at <= ended[0])
    found = next(asked, None)
    return found if found and (len(ended) == 1 or found.at > ended[1]) else None


def _confirmed(
    policy: Policy,
    debt: Debt,
    replaced_by: Incident | None,
    grace: timedelta | None,
    long: timedelta,
    *,
    yes: bool,
) -> None:
    """Say what happens; go on only with a yes."""
    if replaced_by is not None:
        click.echo(output.printable(_suspect(debt, replaced_by)), err=True)
    lives = policy.grace if grace is None else grace
    newer = f"lives on for {output.span(lives)}, then dies" if lives else "dies at once"
    click.echo(
        output.printable(
            f"{policy.name}: key {debt.key_id or 'of unknown id'} comes back into service; the newer one "
            f"{newer}; the policy is paused for {output.span(long)}."
        ),
        err=True,
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise Wrong("Nobody can be asked here: give --yes to roll back.")
    if not click.confirm(f"Roll {policy.name} back now?", err=True):
        raise NotDone("Nothing was done.")


def _suspect(debt: Debt, replaced_by: Incident) -> str:
    """What is to be known of a key that was not replaced by its schedule."""
    return (
        f"BEWARE: key {debt.key_id or 'of unknown id'} was replaced since {replaced_by.by} asked for that at "
        f"{replaced_by.at:%Y-%m-%d %H:%M}Z: {replaced_by.reason} (incident {replaced_by.id}). Brought back "
        "it is not revoked. If others may know it leave it, and have a new one: rotator run-now "
        f"{debt.policy.name} --reason TEXT"
    )


# --- carrying it out -------------------------------------------------------------------------------------


def _carried_out(options: Options, book: "Book", policy: Policy, wish: Wish) -> Outcome:
    """Give the order, and work until it has an outcome, a person stops us, or the wait is over."""
    from rotator.run_pass import Worker  # noqa: PLC0415 - the whole machine
    from rotator.wiring import holder  # noqa: PLC0415

    with session.world(options) as world, session.notifier(world, book) as notifier:
        ledger = world.ledger
        must_not_be_stopped(ledger)
        worker, now = Worker(world, book, notifier, holder=holder()), ledger.now()
        until = now + wish.pause
        order = Order("rollback", session.person(), wish.reason, now, grace=wish.grace, until=until)
        ledger.give(policy.target.id, order)
        end = world.clock.monotonic() + wish.wait.total_seconds()
        found, tells = look(ledger, policy, order), Tells(worker, world.clock)
        try:
            with stopped_by_signal(world), Progress(1) as progress:
                while not (found.ended or world.stopping()) and world.clock.monotonic() < end:
                    worker.run_pass(only={policy.target.id})
                    tells.now_and_then()
                    world.clock.sleep(LOOK)
                    found = look(ledger, policy, order)
                    progress.show([found])
                stopped = world.stopping()
        finally:
            worker.stop()
            worker.close()
        worker.tell_alarms()
    if stopped:
        click.echo(GOES_ON, err=True)
    return final(found)


def look(ledger: Ledger, policy: Policy, order: Order) -> Outcome:
    """How the order stands, by the ledger: whoever carries it out."""
    known = read_one(ledger, policy.target.id)
    assert known is not None, "the worker has enrolled it"
    name, live = policy.name, known.rotation
    if "rollback" in known.orders:
        return Outcome(name, Coverage.WORKING, "waiting for its turn")
    if live is not None and live.back is not None:
        if live.error == FLOOD:
            return Outcome(name, Coverage.UNCOVERED, f"held back: {live.why}; the order stands")
        if known.state.block is None:
            return Outcome(name, Coverage.WORKING, f"{stands(known, ledger.now())}{met(live)}")
        return Outcome(name, Coverage.WAITING, f"{known.state.block.reason} To do: {known.state.block.todo}")
    newest = ledger.rotations(policy.target.id)
    mine = next((one for one in newest if one.back is not None and one.began_at >= order.at), None)
    if mine is None or mine.phase is not Phase.PROMOTED:
        return Outcome(name, Coverage.FAILED, _why_not(ledger, policy, order))
    return _back_in_service(ledger, policy, mine)


def _why_not(ledger: Ledger, policy: Policy, order: Order) -> str:
    """Why a rollback was refused or given up, from the history."""
    events = [one for one in ledger.events(policy.target.id) if one.at and one.at >= order.at]
    told = next((one.text for one in events if one.kind in ("not-rolled-back", "failed")), "")
    return told or f"the order was withdrawn; see rotator history {policy.name}"


def _back_in_service(ledger: Ledger, policy: Policy, mine: Rotation) -> Outcome:
    """The old key is in service: what became of the newer one."""
    newer = mine.old.key_id if mine.old else None
    key_id = mine.attempt.key_id
    debts = ledger.debts(policy.target.id, ended=True)
    owed = next((one for one in reversed(debts) if one.key_id == newer), None)
    if owed is None or owed.phase.ended:
        dead = f"key {newer} {'proven dead' if owed and owed.phase == 'dead' else 'is owed no more'}"
        return Outcome(policy.name, Coverage.ROTATED, dead, key_id)
    if owed.block is not None:
        why = f"rolled back, but key {newer} lives: {owed.block.reason} To do: {owed.block.todo}"
        return Outcome(policy.name, Coverage.WAITING, why, key_id)
    if mine.grace == NONE:
        return Outcome(policy.name, Coverage.WORKING, f"old key in service, revoking {newer}", key_id)
    until = f"until {owed.not_before:%Y-%m-%d %H:%M}Z" if owed.not_before else "for its grace"
    return Outcome(policy.name, Coverage.ROTATED, f"key {newer} lives {until}", key_id)


def _sentence(found: Outcome) -> str:
    if found.state is Coverage.ROTATED:
        return (
            f"{found.policy}: key {found.key_id or ''} is in service again; {found.why}. The policy is "
            f"paused: rotator resume {found.policy} ends that, and its schedule brings a new key."
        )
    return f"{found.policy}: {found.state}: {found.why}"
