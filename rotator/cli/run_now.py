"""``run-now``: rotate now, whatever the schedule says, and say what is covered."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from rotator.cli import output, session
from rotator.cli.coverage import Coverage, Outcome
from rotator.cli.options import NotDone, Options, Wrong, duration, json_option, tags
from rotator.cli.ordering import Wish, carry_out
from rotator.cli.overall import Overall, overall, show
from rotator.cli.planning import PlanRow, plan_rows, traits_of
from rotator.cli.reading import read_some
from rotator.cli.select import select
from rotator.model import Policy

LONGEST_REASON = 500


@click.command(
    short_help="Rotate now, whatever the schedule says.",
    name="run-now",
    epilog='\b\nExamples: rotator run-now market-maker --reason "new employee saw it"\n'
    '          rotator run-now --provider build --revoke-now --reason "leaked in a public log"',
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--tag", "tag", multiple=True, metavar="K=V", callback=tags, help="Only policies with this tag."
)
@click.option("--provider", metavar="P", help="Only policies of this provider.")
@click.option("--all", "everything", is_flag=True, help="Every policy.")
@click.option("--reason", metavar="TEXT", help="Why; it stands in the history for ever. Needed.")
@click.option(
    "--grace", metavar="D", callback=duration, help="How long the old key lives on, not the policy's."
)
@click.option(
    "--revoke-now", is_flag=True, help="No grace: the old key dies as soon as the new one is in use."
)
@click.option("--revoke-first", is_flag=True, hidden=True)
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
@json_option
@click.pass_obj
def run_now(
    options: Options,
    *,
    names: tuple[str, ...],
    tag: tuple[tuple[str, str], ...],
    provider: str | None,
    everything: bool,
    reason: str | None,
    grace: timedelta | None,
    revoke_now: bool,
    revoke_first: bool,
    dry_run: bool,
    yes: bool,
    wait: timedelta,
    as_json: bool,
) -> int:
    """Rotate policies now, whatever the schedule says, until each is done or its grace has begun.

    Name them, or select them by --tag, --provider or --all. A new key is verified before consumers see
    it, also with --revoke-now. Works together with a daemon. The exit code is 0 if all are covered.
    """
    from jobs.harden import harden  # noqa: PLC0415

    harden()
    _possible(revoke_first=revoke_first, revoke_now=revoke_now, grace=grace)
    book = session.book(options)
    chosen = select(book.policies, names, tag, provider, everything=everything)
    _fit_for_tokens(chosen, names, revoke_now=revoke_now, grace=grace)
    wish = Wish(
        policies=chosen,
        reason=_reasoned(reason, dry_run=dry_run),
        grace=timedelta(0) if revoke_now else grace,
        paused_too=yes,
        wait=wait,
    )
    rows, holds, now = _planned(options, chosen, wish.grace)
    if dry_run or not as_json:
        _show_plan(rows, holds, now, as_json=as_json)
    if dry_run:
        return 0
    _confirmed(len(chosen), yes=yes)
    outcomes = carry_out(options, book, wish)
    return _told(outcomes, as_json=as_json)


def _possible(*, revoke_first: bool, revoke_now: bool, grace: timedelta | None) -> None:
    if revoke_first:
        raise Wrong(
            "--revoke-first is not in this version. --revoke-now is: the new key comes first, is verified, "
            "and the old one dies at once."
        )
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


def _reasoned(reason: str | None, *, dry_run: bool) -> str:
    text = output.printable((reason or "").strip())
    if not text and not dry_run:
        raise Wrong('Say why: --reason "…". It stands in the history, for those who ask later.')
    if len(text) > LONGEST_REASON:
        raise Wrong(f"--reason has {len(text)} characters; at most {LONGEST_REASON} are kept.")
    return text


def _planned(
    options: Options, chosen: Sequence[Policy], grace: timedelta | None
) -> tuple[list[PlanRow], Overall, datetime]:
    """What the order would do, from the ledger as it is; nothing is made or changed."""
    from dataclasses import replace  # noqa: PLC0415

    asked = [
        policy if grace is None or policy.renew is not None else replace(policy, grace=grace)
        for policy in chosen
    ]
    with session.reading(options) as ledger:
        now = ledger.now() if ledger else datetime.now(UTC)
        known = read_some(ledger, [policy.target.id for policy in chosen]) if ledger else {}
        holds = overall(ledger)
    return plan_rows(asked, known, traits_of, now), holds, now


def _show_plan(rows: Sequence[PlanRow], holds: Overall, now: datetime, *, as_json: bool) -> None:
    if as_json:
        output.document({"dry_run": True, "now": now, "holds": holds, "policies": rows})
        return
    show(holds, now)
    output.table(
        ("policy", "provider", "does", "calls: store", "provider", "slots"),
        [
            (row.policy, row.provider, row.does, str(row.store_calls), str(row.provider_calls), row.slots)
            for row in rows
        ],
    )
    for row in rows:
        if row.blocked:
            click.echo(f"{row.policy} is blocked: {output.printable(row.blocked)}")


def _confirmed(count: int, *, yes: bool) -> None:
    """Go on only with a yes; where nobody can be asked, it must have been given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Wrong("Nobody can be asked here: give --yes to rotate, or --dry-run to only see the plan.")
    if not click.confirm(f"Rotate {count} {'policy' if count == 1 else 'policies'} now?", err=True):
        raise NotDone("Nothing was done.")


def _told(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """The closing table; 0 only if all are covered."""
    covered = [one for one in outcomes if one.state is Coverage.ROTATED]
    counts = {str(state): sum(one.state is state for one in outcomes) for state in Coverage}
    if as_json:
        counts.pop(str(Coverage.WORKING))
        output.document({"dry_run": False, "policies": outcomes, "counts": counts})
    else:
        output.table(
            ("policy", "coverage", "new key", "why"),
            [(one.policy, str(one.state), one.key_id or "-", one.why) for one in outcomes],
        )
        click.echo(f"{len(covered)} of {len(outcomes)} covered.")
    return 0 if len(covered) == len(outcomes) else 1
