"""``status`` and ``history``: what the ledger knows, for people and machines."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from rotator import safe_mode
from rotator.cli import output, session
from rotator.cli.options import Options, Wrong, json_option
from rotator.cli.overall import overall, show
from rotator.cli.planning import next_due
from rotator.cli.reading import read_all, read_some
from rotator.cli.select import near
from rotator.interfaces import Ledger
from rotator.model import Event, Policy
from rotator.people import Act, Known, StatusRow, UntoldRow, drilled, status_row


@click.command(
    short_help="Every policy: state, age, next due, who must act.", epilog="Example: rotator status"
)
@click.argument("name", required=False)
@json_option
@click.pass_obj
def status(options: Options, *, name: str | None, as_json: bool) -> None:
    """Show every policy: where it stands, its key's age, when it is due next, who must act."""
    book = session.book(options)
    one = book.by_name.get(name or "")
    policies = book.policies if one is None else (one,)
    with session.reading(options, tell=True) as ledger:
        now = ledger.now() if ledger else datetime.now(UTC)
        known, holds = _read(ledger, one), overall(ledger)
        doubt = safe_mode.current(ledger) if ledger else None
    rows = status_rows(policies, known, now)
    if name is not None:
        rows = [row for row in rows if row.policy == name] or _unknown(name, rows)
    if as_json:
        output.document({"now": now, "holds": holds, "policies": rows, "safe_mode": doubt})
        return
    show(holds, now)
    if name is None:
        _overview(rows, now)
    else:
        for row in rows:
            _details(row, now)
    output.doubted(doubt)


def _read(ledger: Ledger | None, one: Policy | None) -> dict[str, Known]:
    """What the ledger knows: of one policy, where one is asked for."""
    if ledger is None:
        return {}
    return read_all(ledger) if one is None else read_some(ledger, [one.target.id])


def status_rows(policies: Sequence[Policy], known: Mapping[str, Known], now: datetime) -> list[StatusRow]:
    """A row for every policy, and one for every secret whose policy is gone but which still has a key."""
    rows = [
        status_row(
            policy, known.get(policy.target.id), *next_due(policy, known.get(policy.target.id), now), now
        )
        for policy in policies
    ]
    ids = {policy.target.id for policy in policies}
    left = [one for secret, one in known.items() if secret not in ids and (one.debts or one.state.current)]
    return rows + [status_row(None, one, None, "its policy was deleted", now) for one in left]


def _unknown(name: str, rows: Sequence[StatusRow]) -> list[StatusRow]:
    raise Wrong(f"There is no policy {name!r}. {near(name, [row.policy for row in rows])}")


STUCK = ("blocked", "conflict")
_FEW = 3  # policies that one line names


def _overview(rows: Sequence[StatusRow], now: datetime) -> None:
    """The table of all policies, what waits for people, and which keys must still die."""
    output.table(
        ("policy", "provider", "state", "age", "next due", "must act"),
        [
            (
                row.policy,
                row.provider,
                row.state,
                output.span(row.age),
                "when mended" if row.state in STUCK else output.moment(row.paused_until or row.next_due, now),
                row.act[0].who if row.act else "-",
            )
            for row in rows
        ],
    )
    _acts(rows)
    for row in rows:
        if row.drill is not None and row.drill.ok is False:
            click.echo(output.printable(f"{row.policy}: last drill {_drill(row, now)}"))
    _tokens(rows, now)
    owed = [(row, debt) for row in rows for debt in row.debts]
    if owed:
        click.echo("\nKeys that must still die:")
        output.table(
            ("debt", "policy", "key", "because it was", "phase", "since", "not before"),
            [
                (
                    debt.debt,
                    row.policy,
                    debt.key_id or "unknown",
                    debt.reason,
                    debt.phase,
                    output.moment(debt.since, now),
                    output.moment(debt.not_before, now),
                )
                for row, debt in owed
            ],
        )


def _tokens(rows: Sequence[StatusRow], now: datetime) -> None:
    """When the tokens in use expire."""
    found = [row for row in rows if row.expires_at]
    if found:
        click.echo("\nTokens:")
        output.table(
            ("policy", "expires", "next due"),
            [
                (row.policy, output.moment(row.expires_at, now), output.moment(row.next_due, now))
                for row in found
            ],
        )


def _acts(rows: Sequence[StatusRow]) -> None:
    """What people must do, each thing once: what holds a whole account names the policies that wait."""
    waiting: dict[Act, list[str]] = {}
    for row in rows:
        for act in row.act:
            waiting.setdefault(act, []).append(row.policy)
    for act, policies in waiting.items():
        click.echo(output.printable(f"{_named(policies)}: {act.who}: {act.why} -> {act.todo}"))
    for row in rows:
        if row.asks_for:
            click.echo(output.printable(f"{row.policy} asks for: {row.asks_for}"))


def _named(policies: Sequence[str]) -> str:
    """Policies by their names, the first few of many."""
    if len(policies) == 1:
        return policies[0]
    more = f" and {len(policies) - _FEW} more" if len(policies) > _FEW else ""
    return f"{len(policies)} policies ({', '.join(policies[:_FEW])}{more})"


def _details(row: StatusRow, now: datetime) -> None:
    """One policy, line by line."""
    lines = {
        "policy": row.policy,
        "state": row.state,
        "provider": row.provider,
        "secret": row.secret,
        "key": row.key_id or "of unknown id",
        "age": output.span(row.age),
        **({"expires": output.moment(row.expires_at, now)} if row.expires_at else {}),
        "next due": f"{output.moment(row.next_due, now)}  {row.why}",
        "paused until": output.moment(row.paused_until, now),
        "failures": str(row.failures),
        "last drill": _drill(row, now),
    }
    for label, text in lines.items():
        click.echo(f"{label:<13} {output.printable(text)}")
    for debt in row.debts:
        click.echo(
            f"{'must die':<13} key {debt.key_id or 'of unknown id'}"
            f"{f' (version {debt.version})' if debt.version else ''}: {debt.reason}, {debt.phase}, "
            f"not before {output.moment(debt.not_before, now)}, debt {debt.debt}"
        )
    for one in row.untold:
        click.echo(output.printable(f"{'to be told':<13} {_of_untold(one, now, owed=bool(row.debts))}"))
    _acts([row])


def _of_untold(one: UntoldRow, now: datetime, *, owed: bool) -> str:
    """Since when a consumer should know, and what came of telling it."""
    lives = "; replaced keys live until then" if one.holds and owed else ""
    tries = f"{one.tries} {'try' if one.tries == 1 else 'tries'}"
    again = f", again {output.moment(one.next_try, now)}" if one.next_try else ""
    said = f": {one.error}" if one.error else ""
    return f"{one.consumer} since {output.moment(one.since, now)}, {tries}{again}{lives}{said}"


def _drill(row: StatusRow, now: datetime) -> str:
    """The last drill, with its day."""
    at = f"{output.moment(row.drill.at, now)}  " if row.drill else ""
    return f"{at}{drilled(row.drill)}"


@click.command(
    short_help="What happened to a secret, step by step.", epilog="Example: rotator history market-maker"
)
@click.argument("name")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How many steps."
)
@json_option
@click.pass_obj
def history(options: Options, *, name: str, limit: int, as_json: bool) -> None:
    """Show what happened to a policy's secret, step by step, the latest last."""
    policies = session.book(options).policies
    with session.reading(options, tell=True) as ledger:
        secret = secret_of(policies, ledger, name)
        events = list(reversed(ledger.events(secret, limit))) if ledger else []
    if as_json:
        output.document({"policy": name, "secret": secret, "events": events})
        return
    _steps(events, name)


def secret_of(policies: Sequence[Policy], ledger: Ledger | None, name: str) -> str:
    """The secret of a policy, also of one that is gone but that the ledger remembers. Raises Wrong."""
    ids = {policy.name: policy.target.id for policy in policies}
    if ledger is not None:
        ids = {state.policy: state.id for state, _ in ledger.secrets() if state.gone} | ids
    if name not in ids:
        raise Wrong(f"There is no policy {name!r}. {near(name, ids)}")
    return ids[name]


def _steps(events: Sequence[Event], name: str) -> None:
    if not events:
        click.echo(f"Nothing has happened to {name} yet.")
        return
    output.table(
        ("at", "step", "what"),
        [
            (
                event.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if event.at else "-",
                event.kind,
                event.text,
            )
            for event in events
        ],
    )
