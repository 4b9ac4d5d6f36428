"""``run-now``: rotate now, whatever the schedule says, and say what is covered."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from rotator.cli import containing, output, session
from rotator.cli.containing import Contained
from rotator.cli.giving import Wish
from rotator.cli.incident import HTML_HELP, show_report, write_page
from rotator.cli.leaked import Search, brought, search, told
from rotator.cli.options import NotDone, Options, Wrong, duration, json_option, tags
from rotator.cli.ordering import carry_out, everybody
from rotator.cli.overall import Overall, overall, show
from rotator.cli.planning import PlanRow, plan_rows, traits_of
from rotator.cli.reading import read_some
from rotator.cli.select import Choice, issued_before, moment, select
from rotator.incident.plan import Cost, Plan, plan
from rotator.incident.record import going_on
from rotator.model import Policy

LONGEST_REASON = 500
LONGEST_TABLE = 50  # rows of a plan that a person reads before a yes


@click.command(
    short_help="Rotate now, whatever the schedule says.",
    name="run-now",
    epilog='\b\nExamples: rotator run-now market-maker --reason "new employee saw it"\n'
    '          rotator run-now --provider build --revoke-now --reason "leaked in a public log"\n'
    '          rotator run-now --all --issued-before 2026-11-20 --reason "laptop lost"',
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--tag", "tag", multiple=True, metavar="K=V", callback=tags, help="Only policies with this tag."
)
@click.option("--provider", metavar="P", help="Only policies of this provider.")
@click.option("--store", metavar="S", help="Only policies whose secrets are in this store.")
@click.option("--owner", metavar="WHO", help="Only policies of this owner.")
@click.option(
    "--issued-before",
    metavar="TIME",
    callback=moment,
    help="Only keys that are older: 2026-11-20, 2026-11-20T09:00Z, or how long ago, 30d.",
)
@click.option("--all", "everything", is_flag=True, help="Every policy.")
@click.option(
    "--leaked",
    is_flag=True,
    help="Those that hold a key which is given on standard input, never as an argument. It dies at once.",
)
@click.option("--reason", metavar="TEXT", help="Why; it stands in the history for ever. Needed.")
@click.option(
    "--grace", metavar="D", callback=duration, help="How long the old key lives on, not the policy's."
)
@click.option(
    "--revoke-now", is_flag=True, help="No grace: the old key dies as soon as the new one is in use."
)
@click.option(
    "--revoke-first",
    is_flag=True,
    help="Contain: the old key dies before a new one is issued. What uses it fails meanwhile; asks again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and end.")
@click.option("--yes", is_flag=True, help="Do not ask; also rotate policies that are paused.")
@click.option(
    "--wait",
    default="1h",
    show_default=True,
    metavar="D",
    callback=duration,
    help="How long to watch at most.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=HTML_HELP)
@json_option
@click.pass_obj
def run_now(
    options: Options,
    *,
    names: tuple[str, ...],
    tag: tuple[tuple[str, str], ...],
    provider: str | None,
    store: str | None,
    owner: str | None,
    issued_before: datetime | None,
    everything: bool,
    leaked: bool,
    reason: str | None,
    grace: timedelta | None,
    revoke_now: bool,
    revoke_first: bool,
    dry_run: bool,
    yes: bool,
    wait: timedelta,
    html: Path | None,
    as_json: bool,
) -> int:
    """Rotate policies now, whatever the schedule says, until each is done or its grace has begun.

    Name them, or select them by what they have in common; options narrow each other. Of each account one
    goes first, then a few, then as many as its limits bear. A new key is verified before consumers see it,
    also with --revoke-now. Works together with a daemon. Stopped or killed, the same command goes on within a
    day. The exit code is 0 if all are covered.
    """
    from jobs.harden import harden  # noqa: PLC0415

    harden()
    _possible(revoke_first=revoke_first, revoke_now=revoke_now, grace=grace)
    book = session.book(options)
    choice = Choice(names, tag, provider, store, owner, issued_before, everything)
    none = revoke_now or revoke_first or (leaked and grace is None)
    least = timedelta(0) if none else grace
    if leaked:
        _can_be_asked(dry_run=dry_run, yes=yes)
        reasoned(reason, dry_run=dry_run)
        selected = select(book.policies, replace(choice, everything=not names) if choice.empty else choice)
        found = _found(options, selected)
        if not found.held:
            return _not_held(found, dry_run=dry_run, as_json=as_json)
        selected = tuple(one for one in selected if one.target.id in {each.secret for each in found.held})
    else:
        selected, found = select(book.policies, choice), Search()
    planned = _planned(
        options,
        selected,
        choice,
        least,
        found if leaked else None,
        revoke_first=revoke_first,
        reason=reasoned(reason, dry_run=dry_run),
    )
    chosen, first = planned.policies, planned.contained
    if not (revoke_first or leaked):
        _fit_for_tokens(chosen, names, revoke_now=revoke_now, grace=grace)
    wish = Wish(
        policies=chosen,
        reason=reasoned(reason, dry_run=dry_run),
        grace=least,
        paused_too=yes,
        wait=wait,
        contain=first.ids,
        refused=first.refused,
        leaked={one.secret: one.version for one in found.held},
        besides=(*found.admins, *(f"not looked at: {one}" for one in found.unread)),
    )
    if dry_run or not as_json:
        _show_plan(planned, found, as_json=as_json)
    if dry_run:
        return 1 if wish.besides else 0
    _confirmed(len(chosen), yes=yes)
    if not yes:
        containing.agreed(first)
    report = carry_out(options, book, wish)
    if html is not None:
        write_page(html, report)
    return show_report(report, as_json=as_json)


def _possible(*, revoke_first: bool, revoke_now: bool, grace: timedelta | None) -> None:
    if revoke_first and (revoke_now or grace is not None):
        raise Wrong("With --revoke-first there is no grace: leave --grace and --revoke-now out.")
    if revoke_now and grace is not None:
        raise Wrong("Either --grace or --revoke-now, not both: --revoke-now means no grace.")


def _fit_for_tokens(
    chosen: Sequence[Policy], names: Sequence[str], *, revoke_now: bool, grace: timedelta | None
) -> None:
    """A token has no grace: nothing revokes it. Where others are meant as well, the closing table says so."""
    tokens = [policy.name for policy in chosen if policy.renew is not None]
    meant = [name for name in tokens if name in names] or (tokens if len(tokens) == len(chosen) else [])
    if meant and (revoke_now or grace is not None):
        option = "--revoke-now" if revoke_now else "--grace"
        raise Wrong(
            f"{option} is not for tokens ({', '.join(meant)}): nothing revokes a token, it dies when it "
            "expires. Leave the option out, and the token is renewed at once."
        )


def reasoned(reason: str | None, *, dry_run: bool = False) -> str:
    """A reason as it is kept. Raises Wrong where there is none, or too much of it."""
    text = output.printable((reason or "").strip())
    if not text and not dry_run:
        raise Wrong('Say why: --reason "…". It stands in the history, for those who ask later.')
    if len(text) > LONGEST_REASON:
        raise Wrong(f"--reason has {len(text)} characters; at most {LONGEST_REASON} are kept.")
    return text


@dataclass(frozen=True, slots=True)
class _Planned:
    """What the order would do, from the ledger as it is: nothing was made or changed for it."""

    policies: tuple[Policy, ...]
    rows: list[PlanRow]
    plan: Plan
    holds: Overall
    now: datetime
    contained: Contained = containing.NOTHING


def _planned(
    options: Options,
    selected: Sequence[Policy],
    choice: Choice,
    grace: timedelta | None,
    leaked: Search | None,
    *,
    revoke_first: bool,
    reason: str,
) -> _Planned:
    """The plan for the policies that were selected, in the order in which they are rotated."""
    with session.reading(options) as ledger:
        now = ledger.now() if ledger else datetime.now(UTC)
        known = read_some(ledger, [policy.target.id for policy in selected]) if ledger else {}
        holds = overall(ledger)
        again = going_on(ledger, reason) if ledger and reason else frozenset()
    chosen = issued_before(selected, known, choice, again)
    asked = [
        policy if grace is None or policy.renew is not None else replace(policy, grace=grace)
        for policy in chosen
    ]
    found = everybody(chosen)
    rows = {row.policy: row for row in plan_rows(asked, known, traits_of, now)}
    costs = {
        policy.target.id: Cost(row.provider_calls, row.store_calls, row.by_hand)
        for policy in chosen
        if (row := rows[policy.name])
    }
    rates = {policy.provider.principal: _pace(policy) for policy in chosen}
    ordered = [rows[one.policy.name] for one in found]
    policies, whole = tuple(one.policy for one in found), plan(found, costs, rates, few=not revoke_first)
    traits = {policy.target.id: traits_of(policy.provider) for policy in policies}
    serving = [one for one in policies if leaked is None or leaked.in_service(one.target.id)]
    first = containing.contained(serving, known, traits) if revoke_first else containing.NOTHING
    ordered = [
        replace(row, does=(leaked and leaked.does(one.target.id)) or first.does(one, row.does))
        for row, one in zip(ordered, policies, strict=True)
    ]
    return _Planned(policies, ordered, whole, holds, now, first)


def _pace(policy: Policy) -> float | None:
    from rotator.wiring import pace  # noqa: PLC0415 - as heavy as the adapters

    return pace(policy.provider)


def _show_plan(planned: _Planned, found: Search, *, as_json: bool) -> None:
    rows, now, whole = planned.rows, planned.now, planned.plan
    if as_json:
        output.document(
            {
                "dry_run": True,
                "now": now,
                "holds": planned.holds,
                "policies": rows,
                "plan": whole,
                "dies_first": [policy.name for policy in planned.contained.policies],
                "refused": list(planned.contained.refused.values()),
                "leaked": found,
            }
        )
        return
    show(planned.holds, now)
    output.table(
        ("policy", "owner", "provider", "does", "calls: store", "provider", "slots"),
        [
            (
                row.policy,
                row.owner or "-",
                row.provider,
                row.does,
                str(row.store_calls),
                str(row.provider_calls),
                row.slots,
            )
            for row in rows[:LONGEST_TABLE]
        ],
    )
    if len(rows) > LONGEST_TABLE:
        click.echo(f"... and {len(rows) - LONGEST_TABLE} more: --dry-run --json shows each.")
    for row in rows:
        if row.blocked:
            click.echo(f"{row.policy} is blocked: {output.printable(row.blocked)}")
    for line in (
        *_in_words(whole, at_once=bool(found.held)),
        *containing.words(planned.contained, whole, now),
    ):
        click.echo(output.printable(line))


def _in_words(whole: Plan, *, at_once: bool) -> Iterator[str]:
    """The plan in a few lines: the order, the pace, the time, and what is left to people."""
    for one in whole.accounts:
        pace = (
            f"{one.requests_per_second:g} requests a second" if one.requests_per_second else "no known limit"
        )
        more = f", then up to {one.side_by_side} side by side" if one.secrets > 1 else ""
        order = "all at once" if at_once else f"{one.first} first{more}"
        yield f"{one.provider}: {_some(one.secrets)}, {order}; {pace}"
    if whole.last:
        yield f"Last, since they manage the others: {', '.join(whole.last)}"
    if whole.by_hand:
        yield f"Not by machine, a person issues the key: {', '.join(whole.by_hand)}"
    owners = (
        f" of {len(whole.owners)} {'owner' if len(whole.owners) == 1 else 'owners'}" if whole.owners else ""
    )
    yield (
        f"{_some(whole.secrets)}{owners}: {whole.provider_calls} calls to providers, "
        f"{whole.store_calls} to stores, "
        f"about {output.span(whole.takes)} until new keys are in use."
    )


def _some(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"


def _found(options: Options, selected: Sequence[Policy]) -> Search:
    """Which of these policies' secrets hold the key on standard input; told on standard error."""
    key = brought()
    with session.outside(options) as world:
        found = search(world, selected, key)
    told(found)
    return found


def _not_held(found: Search, *, dry_run: bool, as_json: bool) -> int:
    """Nothing is to be rotated; 0 only where the key is proven dead, and all was looked at."""
    if as_json:
        output.document({"dry_run": dry_run, "leaked": found, "policies": []})
    return 0 if found.dead and not (found.unread or found.admins) else 1


def _can_be_asked(*, dry_run: bool, yes: bool) -> None:
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Wrong("Nobody can be asked here: give --yes to rotate, or --dry-run to only see the plan.")


def _confirmed(count: int, *, yes: bool) -> None:
    """Go on only with a yes; where nobody can be asked, it must have been given."""
    if yes:
        return
    _can_be_asked(dry_run=False, yes=yes)
    if not click.confirm(f"Rotate {count} {'policy' if count == 1 else 'policies'} now?", err=True):
        raise NotDone("Nothing was done.")
