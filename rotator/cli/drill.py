"""``drill``: try the path with a key that nobody uses; any worker carries the orders out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from rotator import drilling
from rotator.cli import output, session
from rotator.cli.options import Options, Wrong, duration, json_option, provider_option, tag_option
from rotator.cli.ordering import GOES_ON, LOOK, stopped_by_signal
from rotator.cli.overall import must_not_be_stopped
from rotator.cli.progress import MOST
from rotator.cli.reading import read_one
from rotator.cli.select import Choice, select
from rotator.interfaces import Ledger
from rotator.model import DebtPhase, Order, Policy
from rotator.people import Known, drilled, paused_until

if TYPE_CHECKING:
    from rotator.policies import Book
    from rotator.wiring import Wiring


class Stands(StrEnum):
    """How a drill stands; all but UNDER_WAY are final for the command that asked for it."""

    UNDER_WAY = "under way"
    WELL = "well"
    NOT_DRILLABLE = "not drillable"
    FAILED = "failed"
    WAITING = "waiting for a person"
    NOT_DONE = "not done"


@dataclass(frozen=True, slots=True)
class Drilled:
    """One policy's drill, with the step or the reason, for people."""

    policy: str
    state: Stands
    why: str

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state is not Stands.UNDER_WAY


@click.command(
    short_help="Try the path with a key that nobody uses.",
    epilog="\b\nExamples: rotator drill market-maker\n          rotator drill --provider build",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@tag_option
@provider_option
@click.option("--all", "everything", is_flag=True, help="Every policy.")
@click.option(
    "--wait", default="15m", show_default=True, metavar="D", callback=duration, help="How long to watch."
)
@json_option
@click.pass_obj
def drill(
    options: Options,
    *,
    names: tuple[str, ...],
    tag: tuple[tuple[str, str], ...],
    providers: tuple[str, ...],
    everything: bool,
    wait: timedelta,
    as_json: bool,
) -> int:
    """Issue a key as a rotation would, try it, revoke it and prove it dead; the secret is not touched.

    So the path, the rights and the times are known before they are needed. The key's value is in memory
    alone; a kill loses it, and the key is found by its label and revoked. What holds a rotation holds a
    drill. The exit code is 0 if each went well, or a person issues its keys.
    """
    from jobs.harden import harden  # noqa: PLC0415

    harden()
    book = session.book(options)
    if not (names or tag or providers or everything):
        raise Wrong("Which policies? Name them, or give --tag, --provider or --all.")
    chosen = select(book.policies, Choice(names, tag, providers, everything=everything))
    found = _carried_out(options, book, chosen, wait)
    if as_json:
        output.document({"drills": found})
    else:
        output.table(("policy", "drill", "what"), [(one.policy, str(one.state), one.why) for one in found])
    return 0 if all(one.state in (Stands.WELL, Stands.NOT_DRILLABLE) for one in found) else 1


class _Lines:
    """Tells on standard error what has changed; of many drills only how each ended."""

    def __init__(self, whole: int) -> None:
        self._few = whole <= MOST
        self._seen: dict[str, Drilled] = {}

    def show(self, found: Sequence[Drilled]) -> None:
        for one in found:
            if self._seen.get(one.policy) != one and (self._few or one.ended):
                self._seen[one.policy] = one
                click.echo(output.printable(f"{one.policy}: {one.state}: {one.why}"), err=True)


def _carried_out(options: Options, book: "Book", chosen: Sequence[Policy], wait: timedelta) -> list[Drilled]:
    """Give the orders, and work until each has an outcome, a person stops us, or the wait is over."""
    from rotator.run_pass import Worker  # noqa: PLC0415 - the whole machine
    from rotator.wiring import holder  # noqa: PLC0415

    with session.world(options) as world, session.notifier(world, book) as tells:
        ledger = world.ledger
        must_not_be_stopped(ledger)
        worker = Worker(world, book, tells, holder=holder())
        order = Order("drill", session.person(), "by hand", ledger.now())
        can = {policy.name for policy in chosen if _can_be_held(world, policy)}
        for policy in chosen:
            ledger.give(policy.target.id, order)
        only, end = {policy.target.id for policy in chosen}, world.clock.monotonic() + wait.total_seconds()
        found = [Drilled(policy.name, Stands.UNDER_WAY, "not begun") for policy in chosen]
        try:
            lines = _Lines(len(chosen))
            with stopped_by_signal(world):
                while (
                    not (world.stopping() or all(one.ended for one in found))
                    and world.clock.monotonic() < end
                ):
                    worker.run_pass(only=only)
                    world.clock.sleep(LOOK)
                    found = [look(ledger, one, can_be_held=one.name in can) for one in chosen]
                    lines.show(found)
                stopped = world.stopping()
        finally:
            worker.stop()
            worker.close()
        worker.tell_alarms()
    if stopped:
        click.echo(GOES_ON, err=True)
    return [_final(one) for one in found]


def _final(one: Drilled) -> Drilled:
    """A drill when nobody watches any more."""
    return (
        one if one.ended else replace(one, state=Stands.NOT_DONE, why=f"not done yet ({one.why}); it goes on")
    )


def _can_be_held(world: "Wiring", policy: Policy) -> bool:
    """Whether a drill of a policy can ever be held; where not, a worker says why."""
    return drilling.not_drillable(world.provider(policy.provider).traits, policy) is None


def look(ledger: Ledger, policy: Policy, *, can_be_held: bool = True) -> Drilled:
    """How a drill that was ordered stands, by the ledger: whoever holds it. Once the order was taken up it is
    the one that is under way, else the last one; an order that came while one was held has joined that.
    """
    known = read_one(ledger, policy.target.id)
    assert known is not None, "the worker has enrolled it"
    name, last = policy.name, known.state.drill
    if "drill" in known.orders:
        until = paused_until(known, ledger.now())
        if until is not None:
            return Drilled(name, Stands.NOT_DONE, f"paused by {known.orders['pause'].by}")
        stuck = _stuck(known) if can_be_held else None
        return stuck or Drilled(name, Stands.UNDER_WAY, "waiting for its turn")
    if last is None or (known.rotation is not None and known.rotation.drill):
        return Drilled(name, Stands.UNDER_WAY, "issuing and verifying a key")
    if last.ok is False:
        return Drilled(name, Stands.FAILED, last.why)
    if last.ok is None and last.debt is not None:
        return _dying(ledger, name, last.debt)
    state = Stands.WELL if last.ok else Stands.NOT_DRILLABLE
    return Drilled(name, state, drilled(last).removeprefix(f"{state}: "))


def _stuck(known: Known) -> Drilled | None:
    """A drill that cannot begin before a person acts: what goes before it waits for one."""
    block = known.state.block or known.provider_block
    live = known.rotation is not None and not known.rotation.drill
    if block is None or not (live or known.state.looked_at is None):
        return None
    before = "a rotation comes first" if live else "the secret was not looked at yet"
    why = f"{before}: {block.reason} To do: {block.todo}; the drill is held after that"
    return Drilled(known.state.policy, Stands.WAITING, why)


def _dying(ledger: Ledger, name: str, debt_id: str) -> Drilled:
    """A key that was verified and must die."""
    debt = ledger.debt(debt_id)
    if debt is not None and debt.block is not None:
        return Drilled(name, Stands.WAITING, f"{debt.block.reason} To do: {debt.block.todo}")
    if debt is not None and debt.phase is DebtPhase.DEAD:  # by the commit of its drill's end, not read yet
        return Drilled(name, Stands.UNDER_WAY, f"key {debt.key_id} is dead")
    if debt is None or debt.phase.ended:
        return Drilled(name, Stands.FAILED, "its key was declared dead, not proven")
    return Drilled(name, Stands.UNDER_WAY, f"revoking key {debt.key_id}")
