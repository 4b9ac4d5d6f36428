"""``incident``: what came of an order, as a table, as JSON, and as a page for the record."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from rotator.cli import output, session
from rotator.cli.options import NotDone, Options, Wrong, json_option
from rotator.cli.ordering import final, look, reported
from rotator.cli.reading import last_policy
from rotator.incident.coverage import Coverage
from rotator.incident.page import page
from rotator.incident.record import Incident, incidents
from rotator.incident.report import Line, Report, with_missing
from rotator.interfaces import Ledger
from rotator.model import Policy
from rotator.stopping import stop_of

HTML_HELP = "Also write the report as one HTML page, for the incident's record."


@click.command(
    short_help="What came of an incident: covered, not covered, contained when.",
    epilog="Example: rotator incident --html incident.html",
)
@click.argument("incident_id", required=False, metavar="[ID]")
@click.option("--list", "listing", is_flag=True, help="List every incident, the newest first.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=HTML_HELP)
@json_option
@click.pass_obj
def incident(
    options: Options, *, incident_id: str | None, listing: bool, html: Path | None, as_json: bool
) -> int:
    """Show what came of a run-now as it stands now: the newest one, or the one with this ID.

    Keys that were in their grace when run-now ended have died since: their death certificates are in it. The
    exit code is 0 if everything is covered.
    """
    with session.reading(options, tell=True) as ledger:
        if ledger is None:
            raise NotDone("So there was no incident either.")
        found = incidents(ledger)
        if listing:
            return _list(found, as_json=as_json)
        told = _told(options, ledger, _chosen(found, incident_id))
    code = show_report(told, as_json=as_json)
    if html is not None:
        write_page(html, told)
    return code


def _chosen(found: Sequence[Incident], incident_id: str | None) -> Incident:
    if not found:
        raise NotDone("There was no incident yet: `rotator run-now` begins one.")
    for one in found:
        if incident_id in (None, one.id):
            return one
    raise Wrong(f"There is no incident {incident_id!r}. `rotator incident --list` shows them.")


def _told(options: Options, ledger: Ledger, one: Incident) -> Report:
    """The report, by the records as they are now."""
    by_secret = session.book(options).by_secret
    policies = [_policy(ledger, by_secret, secret) for secret in one.secrets]
    known = [policy for policy in policies if policy is not None]
    stop = stop_of(ledger)
    outcomes = {
        policy.name: final(look(ledger, policy, one.asks(policy.target.id)), stop) for policy in known
    }
    told = reported(ledger, one, known, outcomes)
    missing = [secret for secret in one.secrets if secret not in {policy.target.id for policy in known}]
    return with_missing(told, missing)


def _policy(ledger: Ledger, by_secret: Mapping[str, Policy], secret: str) -> Policy | None:
    """The policy of a secret; of one that was deleted since, as it was known last."""
    if secret in by_secret:
        return by_secret[secret]
    return last_policy(ledger, secret)


def _list(found: Sequence[Incident], *, as_json: bool) -> int:
    if as_json:
        output.document({"incidents": found})
    else:
        output.table(
            ("incident", "begun", "by", "secrets", "covered", "reason"),
            [
                (
                    one.id,
                    f"{one.at:%Y-%m-%d %H:%M:%S}Z",
                    one.by,
                    str(len(one.secrets)),
                    f"{one.ended_at:%Y-%m-%d %H:%M:%S}Z" if one.ended_at else "not all",
                    one.reason,
                )
                for one in found
            ],
        )
    return 0


# --- showing ---------------------------------------------------------------------------------------------


def show_report(told: Report, why_ended: str = "", *, as_json: bool) -> int:
    """The report as a table or as JSON, and last why it ended early; 0 only if everything is covered."""
    if as_json:
        counts = {str(state): told.counts.get(str(state), 0) for state in Coverage}
        counts.pop(str(Coverage.WORKING))
        lines = [
            {**output.jsonable(line), "state": line.coverage, "key_id": line.new_key} for line in told.lines
        ]
        output.document(
            {
                "dry_run": False,
                "incident": told.incident,
                "now": told.now,
                "policies": lines,
                "counts": counts,
                "contained": told.contained,
                "longest": told.longest,
            }
        )
        if why_ended:
            click.echo(output.printable(why_ended), err=True)
        return 0 if told.covered else 1
    output.table(
        ("policy", "coverage", "new key", "contained", "why"),
        [(one.policy, str(one.coverage), one.new_key or "-", _contained(one), one.why) for one in told.lines],
    )
    for what in told.incident.besides:
        click.echo(output.printable(f"Besides: {what}"), err=True)
    covered = sum(line.covered for line in told.lines)
    left = f", {len(told.incident.besides)} besides not" if told.incident.besides else ""
    click.echo(f"{covered} of {len(told.lines)} covered{left}. Incident {told.incident.id}.")
    if not told.covered:
        text = "Not covered yet: see why above; the same command goes on, once that is mended."
        click.echo(output.printable(why_ended or text), err=True)
    return 0 if told.covered else 1


def _contained(line: Line) -> str:
    """How long until the old key was dead."""
    if line.contained_after is not None:
        return f"after {output.span(line.contained_after)}"
    return "not yet" if line.old_keys else "-"


def can_be_written(path: Path | None) -> None:
    """Find out before anything is rotated whether the page can be. Raises Wrong."""
    if path is None:
        return
    new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise Wrong(f"The report cannot be written to {path}: {error.strerror}. Nothing was done.") from None
    if new:
        path.unlink()


def write_page(path: Path, told: Report) -> None:
    """Write the page beside, for the owner alone. Raises NotDone where it cannot be."""
    try:
        path.write_text(page(told), encoding="utf-8")
        path.chmod(0o600)
    except OSError as error:
        raise NotDone(
            f"The report cannot be written to {path}: {error.strerror}. What was done stays done: "
            f"rotator incident {told.incident.id} --html FILE"
        ) from None
