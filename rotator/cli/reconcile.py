"""``reconcile``: providers, stores and ledger compared; what needs somebody, and what can be mended."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rotator.cli import output, session
from rotator.cli.options import NotDone, Options, Wrong, json_option, kept, provider_option
from rotator.cli.select import Choice, select
from rotator.model import Policy

if TYPE_CHECKING:
    from rotator.reconcile import Finding, Lost, View
    from rotator.wiring import Wiring

_TRIES, _PAUSE = 60, 0.5  # half a minute for workers that act on a secret


@click.command(
    short_help="Compare providers, stores and ledger; revoke orphans.",
    epilog="\b\nExamples: rotator reconcile\n          rotator reconcile --provider build --fix",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@provider_option
@click.option("--fix", is_flag=True, help="Make debts of proven orphans of ours: they are revoked.")
@click.option("--trust-ledger", is_flag=True, help="Agree to a ledger that is older than the world.")
@click.option(
    "--reason",
    metavar="TEXT",
    callback=kept,
    help="With --trust-ledger: why, for those who read the history.",
)
@click.option("--yes", is_flag=True, help="With --trust-ledger: agree without being asked.")
@json_option
@click.pass_obj
def reconcile(
    options: Options,
    *,
    names: tuple[str, ...],
    providers: tuple[str, ...],
    fix: bool,
    trust_ledger: bool,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Compare what providers list and stores hold with the ledger, and say what is not as it should be.

    --fix makes debts of keys that carry our label and that nobody needs; the daemon, or the next `rotator
    tick`, revokes them and proves them dead. Everything else is only named, with what to do. Daemon and tick
    compare once a day by themselves. The exit code is 0 if nothing needs somebody, and 1 otherwise.
    """
    policies = session.book(options).policies
    everything = not (names or providers)
    chosen = select(policies, Choice(names, providers=providers, everything=everything))
    if trust_ledger:
        _only_the_whole(narrowed=len(chosen) < len(policies), fix=fix, reason=reason)
    with session.world(options, create=False) as world:
        view, found = _found(world, policies, None if everything else chosen)
        if trust_ledger:
            return _trust(world, chosen, view, found, reason or "", yes=yes, as_json=as_json)
        mended = _mended(world, policies, found) if fix else []
    left = [one for one in found if one.needs_somebody and one not in mended]
    if as_json:
        output.document({"now": view.records.now, "findings": found, "mended": mended, "left": len(left)})
    else:
        _show(found, mended)
    return 1 if left else 0


def _found(
    world: "Wiring", policies: Sequence[Policy], chosen: Sequence[Policy] | None
) -> "tuple[View, list[Finding]]":
    """What is seen, and what is found of it: of everything, or of the chosen policies' secrets alone."""
    from rotator import reconcile as compared  # noqa: PLC0415 - the whole machine
    from rotator.wiring import holder  # noqa: PLC0415

    view = compared.seen(world, policies, holder(), chosen=chosen)
    found, ids = compared.examine(world, view), {policy.target.id for policy in chosen or ()}
    return view, [one for one in found if chosen is None or one.secret is None or one.secret in ids]


def _mended(world: "Wiring", policies: Sequence[Policy], found: "Sequence[Finding]") -> "list[Finding]":
    from rotator import reconcile as compared  # noqa: PLC0415
    from rotator.wiring import holder  # noqa: PLC0415

    return compared.fix(world, policies, found, holder())


def _show(found: "Sequence[Finding]", mended: "Sequence[Finding]" = ()) -> None:
    """The table, what to do, and the sum."""
    if found:
        output.table(("kind", "about", "found"), [(str(one.kind), one.subject, one.text) for one in found])
    for one in found:
        if one.todo and one.needs_somebody and one not in mended:
            click.echo(output.printable(f"{one.kind}: {one.subject}: {one.todo}"))
    left = sum(one.needs_somebody and one not in mended for one in found)
    notes = sum(not one.needs_somebody for one in found)
    fixed = f"{len(mended)} mended: what must die is a debt now. " if mended else ""
    click.echo(f"{fixed}{left} to see to, {notes} to know.")


# --- a ledger that is older than the world ---------------------------------------------------------------


def _only_the_whole(*, narrowed: bool, fix: bool, reason: str | None) -> None:
    if narrowed or fix:
        raise Wrong("--trust-ledger concerns every policy at once, and comes before --fix.")
    if not (reason or "").strip():
        raise Wrong('Say why: --reason "…". It stands in the history, for those who ask later.')


def _trust(
    world: "Wiring",
    policies: Sequence[Policy],
    view: "View",
    found: "Sequence[Finding]",
    reason: str,
    *,
    yes: bool,
    as_json: bool,
) -> int:
    """Show what is seen, ask, and take over what the ledger lost."""
    from rotator import reconcile as compared  # noqa: PLC0415

    if world.ledger.fact(compared.SAFE_MODE) is None:
        if any(one.kind is compared.Kind.BEHIND for one in found):
            raise NotDone("Workers act on every secret. Nothing was changed; try again in a minute.")
        raise Wrong("The ledger is trusted: it is not in safe mode, and nothing was changed.")
    lost, obstacles = compared.lost(view)
    if not as_json:
        _show([*found, *(one for one in obstacles if one not in found)])
    if obstacles:
        names = "; ".join(f"{one.subject}: {one.text}" for one in obstacles)
        raise NotDone(f"Nothing was changed. First see to this: {output.printable(names)}")
    if not (yes or _agreed(len(lost))):
        return 1
    _take_over(world, policies, lost, output.printable(reason.strip()))
    if as_json:
        output.document({"trusted": True, "taken_over": lost, "by": session.person()})
    else:
        click.echo(
            f"The ledger is trusted again; {len(lost)} tokens were taken over. No key dies sooner than its "
            "grace from now. Then see what is left: rotator reconcile"
        )
    return 0


def _agreed(count: int) -> bool:
    """Whether the person at the terminal agrees; where nobody can be asked, no."""
    if not sys.stdin.isatty():
        click.echo("Nothing was changed. --yes agrees.", err=True)
        return False
    return click.confirm(f"Take over {count} tokens, and revoke again from now on?", err=True)


def _take_over(world: "Wiring", policies: Sequence[Policy], lost: "Sequence[Lost]", reason: str) -> None:
    """Under each secret's claim; waits half a minute for workers. Raises NotDone."""
    from rotator import reconcile as compared  # noqa: PLC0415
    from rotator.wiring import holder  # noqa: PLC0415

    why, name = f"{session.person()} trusts the ledger as it is now: {reason}", holder()
    for _ in range(_TRIES):
        left = compared.take_over(world, policies, lost, name, why)
        if not left:
            return
        world.clock.sleep(_PAUSE)
    raise NotDone(f"Workers act on {', '.join(left)}. Safe mode is still on; try again in a minute.")
