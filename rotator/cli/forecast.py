"""What ``run-now`` would do, from the ledger as it is: nothing is made or changed for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from rotator.cli import containing, output, session
from rotator.cli.besides import NOTHING, Beside, besides
from rotator.cli.containing import Contained
from rotator.cli.leaked import Search
from rotator.cli.options import Options, Wrong
from rotator.cli.ordering import everybody, in_use_before
from rotator.cli.overall import Overall, overall, show
from rotator.cli.planning import PlanRow, plan_rows, traits_of
from rotator.cli.reading import read_some
from rotator.cli.select import Choice, issued_before
from rotator.incident import record
from rotator.incident.coverage import Outcome
from rotator.incident.plan import Cost, Plan, plan
from rotator.incident.record import Incident
from rotator.model import Policy
from rotator.people import Known

if TYPE_CHECKING:
    from rotator.policies import Book

LONGEST_TABLE = 50  # rows of a plan that a person reads before a yes


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an order comes to. ``policies`` are all that it is about, in the order in which they are rotated;
    ``done`` says of those, by secret, that the same command rotated before, how they stand.
    """

    policies: tuple[Policy, ...]
    rows: list[PlanRow]
    plan: Plan
    holds: Overall
    now: datetime
    contained: Contained = containing.NOTHING
    done: Mapping[str, Outcome] = field(default_factory=dict)
    over: Incident | None = None  # in which the very same was done: this is once more
    issued_before: datetime | None = None  # by which they were chosen
    besides: Beside = NOTHING

    @property
    def left(self) -> int:
        """How many are still to be rotated."""
        return len(self.policies) - len(self.done)


def forecast(
    options: Options,
    book: "Book",
    selected: Sequence[Policy],
    choice: Choice,
    leaked: Search,
    *,
    grace: timedelta | None,
    revoke_first: bool,
    reason: str,
) -> Forecast:
    """What the order would do. Raises Wrong where it is about nothing."""
    with session.reading(options) as ledger:
        now = ledger.now() if ledger else datetime.now(UTC)
        known = read_some(ledger, [policy.target.id for policy in selected]) if ledger else {}
        holds = overall(ledger)
        asked = Incident(
            "", "", reason, now, (), grace, revoke_first,
            leaked=leaked.versions, issued_before=choice.issued_before, choice=choice.words,
        )  # fmt: skip
        again = record.going_on(ledger, asked) if ledger and reason else frozenset()
        try:
            chosen = issued_before(selected, known, choice, again)
        except Wrong as none:
            beside = besides(ledger, book, choice, (), now).words
            told = [output.printable(f"Not by this order: {one}") for one in beside]
            raise Wrong("\n".join([none.message, *told])) from None
        asked = replace(asked, secrets=tuple(policy.target.id for policy in chosen))
        before = record.same(ledger, asked) if ledger else None
        done = in_use_before(ledger, chosen, before.merged(asked)) if ledger and before else {}
        over = record.covered_before(ledger, asked) if ledger and before is None else None
        since = before.at if before else now
        no_grace = grace is not None and not grace
        left_there = (
            NOTHING if leaked.held else besides(ledger, book, choice, asked.secrets, since, no_grace=no_grace)
        )
    left = tuple(one.policy for one in everybody([one for one in chosen if one.target.id not in done]))
    first = _dies_first(left, known, leaked, now) if revoke_first else containing.NOTHING
    rows, whole = _planned(left, known, grace, now, first, few=not revoke_first)
    rows = [
        replace(row, does=leaked.does(one.target.id) or first.does(one, row.does))
        for row, one in zip(rows, left, strict=True)
    ]
    finished = tuple(policy for policy in chosen if policy.target.id in done)
    policies, before_when = (*left, *finished), choice.issued_before
    return Forecast(policies, rows, whole, holds, now, first, done, over, before_when, left_there)


def _planned(
    left: Sequence[Policy],
    known: Mapping[str, Known],
    grace: timedelta | None,
    now: datetime,
    first: Contained,
    *,
    few: bool,
) -> tuple[list[PlanRow], Plan]:
    """A row for each policy that is still to be rotated, and the plan of those that will be."""
    asked = [policy if grace is None or policy.renew else replace(policy, grace=grace) for policy in left]
    rows = {row.policy: row for row in plan_rows(asked, known, traits_of, now)}
    costs = {
        policy.target.id: Cost(row.provider_calls, row.store_calls, row.by_hand)
        for policy in left
        if (row := rows[policy.name])
    }
    rates = {policy.provider.principal: _pace(policy) for policy in left}
    begun = [policy for policy in left if policy.target.id not in first.refused]
    return [rows[policy.name] for policy in left], plan(everybody(begun), costs, rates, few=few)


def _dies_first(
    left: Sequence[Policy], known: Mapping[str, Known], leaked: Search, now: datetime
) -> Contained:
    """Which keys die before others are issued; of a key that leaked, those that serve."""
    serving = [one for one in left if not leaked.held or leaked.in_service(one.target.id)]
    return containing.contained(
        serving, known, {policy.target.id: traits_of(policy.provider) for policy in left}, now
    )


def _pace(policy: Policy) -> float | None:
    from rotator.wiring import pace  # noqa: PLC0415 - as heavy as the adapters

    return pace(policy.provider)


# --- showing ---------------------------------------------------------------------------------------------


def show_forecast(found: Forecast, leaked: Search, *, as_json: bool) -> None:
    """The plan as a table with what is to be known before a yes, or as JSON."""
    if as_json:
        output.document(
            {
                "dry_run": True,
                "now": found.now,
                "holds": found.holds,
                "issued_before": found.issued_before,
                "policies": found.rows,
                "plan": found.plan,
                "done_before": list(found.done.values()),
                "covered_before": found.over,
                "dies_first": [policy.name for policy in found.contained.policies],
                "spared": found.contained.spared,
                "refused": list(found.contained.refused.values()),
                "leaked": leaked,
                "besides": found.besides.words,
            }
        )
        return
    show(found.holds, found.now)
    if found.over is not None:
        over = (
            f"The same was asked for at {found.over.at:%Y-%m-%d %H:%M}Z, and all of it is covered (incident "
        )
        click.echo(output.printable(f"{over}{found.over.id}): this does it once more."))
    if found.issued_before is not None:
        click.echo(f"Only keys that were issued before {found.issued_before:%Y-%m-%d %H:%M:%S} UTC:")
    for one in found.done.values():
        click.echo(output.printable(f"{one.policy} has its new key already: {one.why}"))
    if found.rows:
        _table(found.rows)
    lines = (
        *_in_words(found.plan, at_once=bool(leaked.held)),
        *containing.words(found.contained, found.plan, found.now),
    )
    for line in lines if found.rows else ("Nothing is left to be rotated. Another --reason begins anew.",):
        click.echo(output.printable(line))
    for what in found.besides.words:
        click.echo(output.printable(f"Not by this order: {what}"))


def _table(rows: Sequence[PlanRow]) -> None:
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
