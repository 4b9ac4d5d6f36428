"""``run-now``: rotate now, whatever the schedule says, and say what is covered."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from rotator.cli import containing, output, session
from rotator.cli.forecast import Forecast, forecast, show_forecast
from rotator.cli.giving import Wish
from rotator.cli.incident import HTML_HELP, can_be_written, show_report, write_page
from rotator.cli.leaked import NOTHING, Search, brought, told, words
from rotator.cli.options import (
    NotDone,
    Options,
    Wrong,
    duration,
    json_option,
    kept,
    provider_option,
    tag_option,
)
from rotator.cli.ordering import carry_out
from rotator.cli.searching import field, search
from rotator.cli.select import Choice, moment, select
from rotator.cli.sought import Sought
from rotator.incident.record import Incident
from rotator.incident.report import report
from rotator.model import Policy
from rotator.telemetry.redaction import scrub

LONGEST_REASON = 500


@click.command(
    short_help="Rotate now, whatever the schedule says.",
    name="run-now",
    epilog='\b\nExamples: rotator run-now market-maker --reason "new employee saw it"\n'
    '          rotator run-now --provider build --revoke-now --reason "leaked in a public log"\n'
    '          rotator run-now --all --issued-before 2026-11-20 --reason "laptop lost"',
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@tag_option
@provider_option
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="S",
    help="Only policies whose secrets are in this store; given again, in either.",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="WHO",
    help="Only policies of this owner; given again, of either.",
)
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
@click.option(
    "--reason", metavar="TEXT", callback=kept, help="Why; it stands in the history for ever. Needed."
)
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
    providers: tuple[str, ...],
    stores: tuple[str, ...],
    owners: tuple[str, ...],
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
    least = timedelta(0) if revoke_now or revoke_first or (leaked and grace is None) else grace
    how = _How(reason, least, revoke_first, leaked, dry_run, yes, as_json)
    choice = Choice(names, tag, providers, stores, owners, issued_before, everything)
    return _asked(options, choice, how, wait, html)


@dataclass(frozen=True, slots=True)
class _How:
    """How a person wants it done; ``grace`` is None for each policy's own."""

    text: str | None  # of the reason, as it was typed
    grace: timedelta | None
    revoke_first: bool
    leaked: bool
    dry_run: bool
    yes: bool
    as_json: bool

    @property
    def reason(self) -> str:
        """Why, as it is kept. Raises Wrong where it is needed and not there: asked for once it is known whom
        the order is about.
        """
        return reasoned(self.text, dry_run=self.dry_run)


def _asked(options: Options, choice: Choice, how: _How, wait: timedelta, html: Path | None) -> int:
    """Find whom it is about, show the plan, ask, carry it out, and say what came of it."""
    book = session.book(options)
    can_be_written(html)
    if how.leaked:
        _can_be_asked(dry_run=how.dry_run, yes=how.yes)
        reasoned(how.text, dry_run=how.dry_run)  # before a person types the key
        selected, found = _holders(options, book.policies, choice, how)
        if not selected:
            return _not_held(options, found, how, html)
    else:
        selected, found = select(book.policies, choice), Search()
    planned = forecast(
        options, book, selected, choice, found,
        grace=how.grace, revoke_first=how.revoke_first, reason=how.reason,
    )  # fmt: skip
    _fit_for_tokens(planned.policies, choice.names, how)
    if how.dry_run or not how.as_json:
        show_forecast(planned, found, as_json=how.as_json)
    if how.dry_run:
        return 1 if found.left else 0
    _confirmed(planned.left, yes=how.yes)
    if not how.yes:
        containing.agreed(planned.contained)
    came, why_ended = carry_out(options, book, _wish(planned, found, choice, how, wait))
    code = show_report(came, why_ended, as_json=how.as_json)
    if html is not None:
        write_page(html, came)
    return code


def _wish(planned: Forecast, found: Search, choice: Choice, how: _How, wait: timedelta) -> Wish:
    return Wish(
        policies=planned.policies,
        reason=how.reason,
        grace=how.grace,
        paused_too=how.yes or how.leaked,  # a key that leaked is owed at once, whatever is paused
        wait=wait,
        revoke_first=how.revoke_first,
        contain=planned.contained.ids,
        refused=planned.contained.refused,
        leaked=found.versions,
        leaked_fields=found.fields,
        besides=(*found.left, *(planned.besides.words if _must_die(planned, how) else ())),
        ends=planned.besides.ends,
        issued_before=choice.issued_before,
        choice=choice.words,
    )


def _must_die(planned: Forecast, how: _How) -> bool:
    """Whether an order is about keys that others may know: then what it does not touch is not covered. One
    that leaves them their grace is routine, and may end well though there is more than policies rotate.
    """
    return how.revoke_first or how.grace == timedelta(0) or planned.issued_before is not None


def _possible(*, revoke_first: bool, revoke_now: bool, grace: timedelta | None) -> None:
    if revoke_first and (revoke_now or grace is not None):
        raise Wrong("With --revoke-first there is no grace: leave --grace and --revoke-now out.")
    if revoke_now and grace is not None:
        raise Wrong("Either --grace or --revoke-now, not both: --revoke-now means no grace.")


def _fit_for_tokens(chosen: Sequence[Policy], names: Sequence[str], how: _How) -> None:
    """A token has no grace: nothing revokes it. Where others are meant too, or it leaked, the closing table
    says so.
    """
    if how.grace is None or how.leaked or how.revoke_first:
        return
    tokens = [policy.name for policy in chosen if policy.renew is not None]
    meant = [name for name in tokens if name in names] or (tokens if len(tokens) == len(chosen) else [])
    if meant:
        option = "--grace" if how.grace else "--revoke-now"
        raise Wrong(
            f"{option} is not for tokens ({', '.join(meant)}): nothing revokes a token, it dies when it "
            "expires. Leave the option out, and the token is renewed at once."
        )


def reasoned(reason: str | None, *, dry_run: bool = False) -> str:
    """A reason as it is kept. Raises Wrong where there is none, too much of it, or a secret in it."""
    text = output.printable((reason or "").strip())
    if not text and not dry_run:
        raise Wrong('Say why: --reason "…". It stands in the history, for those who ask later.')
    if len(text) > LONGEST_REASON:
        raise Wrong(f"--reason has {len(text)} characters; at most {LONGEST_REASON} are kept.")
    if scrub(text) != text:
        raise Wrong("--reason holds what looks like a secret, and is kept for ever. Leave that out.")
    return text


# --- a key that leaked -----------------------------------------------------------------------------------


def _holders(
    options: Options, policies: Sequence[Policy], choice: Choice, how: _How
) -> tuple[tuple[Policy, ...], Search]:
    """The policies whose secrets hold the key on standard input, of those that were chosen, or of all; where
    it was found is told on standard error. Raises Wrong where the reason would keep it.
    """
    everywhere = replace(choice, everything=not choice.names) if choice.empty else choice
    chosen, sought = select(policies, everywhere), Sought(brought())
    with session.outside(options) as world:
        where = field(world.ledger, policies, chosen, choice)
        found = search(world, where, sought)
    if sought.told_in(how.text or ""):
        raise Wrong(
            "--reason repeats what was given as the key, or a part of it, and is kept for ever. Leave that "
            f"out. {NOTHING}"
        )
    told(found)
    dying = (one for one in where.deleted if not found.in_service(one.target.id))
    return tuple(one for one in (*chosen, *dying) if one.target.id in found.versions), found


def _not_held(options: Options, found: Search, how: _How, html: Path | None) -> int:
    """Nothing is to be rotated; 0 only where the key is proven dead, and all was looked at."""
    if html is not None and not how.dry_run:
        with session.reading(options) as ledger:
            now = ledger.now() if ledger else datetime.now(UTC)
        incident = Incident("-", session.person(), how.reason, now, (), besides=tuple(words(found)))
        write_page(html, report(incident, (), now))
    if how.as_json:
        output.document({"dry_run": how.dry_run, "leaked": found, "policies": []})
    return 0 if found.dead and not found.left else 1


# --- a yes -----------------------------------------------------------------------------------------------


def _can_be_asked(*, dry_run: bool, yes: bool) -> None:
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Wrong("Nobody can be asked here: give --yes to rotate, or --dry-run to only see the plan.")


def _confirmed(count: int, *, yes: bool) -> None:
    """Go on only with a yes; where nobody can be asked, it must have been given."""
    if yes or not count:
        return
    _can_be_asked(dry_run=False, yes=yes)
    if not click.confirm(f"Rotate {count} {'policy' if count == 1 else 'policies'} now?", err=True):
        raise NotDone("Nothing was done.")
