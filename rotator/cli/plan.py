"""``plan``: what is due and why, what it would do and cost; nothing is changed."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from rotator import safe_mode
from rotator.cli import output, overall, session
from rotator.cli.options import Options, json_option
from rotator.cli.planning import PlanRow, plan_rows, traits_of
from rotator.cli.reading import read_all
from rotator.cli.select import named


@click.command(short_help="What is due and why, what it would do and cost.", epilog="Example: rotator plan")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
@click.pass_obj
def plan(options: Options, *, names: tuple[str, ...], as_json: bool) -> None:
    """Show what is due and why, what each rotation would do and cost, and what blocks it.

    Nothing is changed, and no provider or store is called: this is read from the policies and the ledger.
    """
    book = session.book(options)
    wanted = {named(book.policies, name).name for name in names}
    with session.reading(options, tell=True) as ledger:
        now = ledger.now() if ledger else datetime.now(UTC)
        doubt = safe_mode.current(ledger) if ledger else None
        rows = plan_rows(book.policies, read_all(ledger) if ledger else {}, traits_of, now)
        holds = overall.overall(ledger)
    chosen = [row for row in rows if not wanted or row.policy in wanted]
    if as_json:
        output.document({"now": now, "holds": holds, "policies": chosen, "safe_mode": doubt})
        return
    overall.show(holds, now)
    show(chosen, now)
    output.doubted(doubt)


def show(rows: Sequence[PlanRow], now: datetime) -> None:
    """Print a plan for people."""
    output.table(
        ("policy", "due", "why", "does", "calls: store", "provider", "slots"),
        [
            (
                row.policy,
                "now" if row.due_now else output.moment(row.due_at, now),
                row.why,
                row.does,
                str(row.store_calls),
                str(row.provider_calls),
                row.slots,
            )
            for row in rows
        ],
    )
    for row in rows:
        if row.blocked:
            click.echo(f"{row.policy} is blocked: {output.printable(row.blocked)}")
    ready = sum(row.due_now and not row.blocked for row in rows)
    click.echo(f"{ready} of {len(rows)} due now.")
