"""``audit``: is the ledger's trail whole, what is in it, and how did each key die."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from rotator.audit import anchors
from rotator.audit.certificates import Certificate, Death
from rotator.audit.chain import OWN
from rotator.audit.keys import KeyRing
from rotator.audit.verify import Agreed, Finding, Report, judged
from rotator.audit.verify import verify as verified
from rotator.cli import exporting, output, session
from rotator.cli.options import NotDone, Once, Options, Wrong, json_option
from rotator.cli.show import secret_of
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.model import Anchor, Chain


@click.group(
    cls=Once,
    short_help="Is the record of what was done whole? Print it; how did each key die?",
    epilog="Example: rotator audit verify",
)
def audit() -> None:
    """The audit trail: every change of the ledger, in a chain that no one alters unnoticed."""


@audit.command(
    short_help="Name the first record that is not as it was written.",
    epilog="Example: rotator audit verify --anchors /mnt/worm/anchors",
)
@click.option(
    "--anchors",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The anchors that were given outside. Left out: the file that the daemon writes.",
)
@click.option(
    "--anchor", "lines", multiple=True, metavar="LINE", help="One anchor, as in the log. May be repeated."
)
@json_option
@click.pass_obj
def verify(options: Options, *, file: Path | None, lines: tuple[str, ...], as_json: bool) -> int:
    """Tell whether every record is there as it was written, and whether the ledger holds what they say.

    The exit code is 1 if anything was changed, removed, reordered, inserted or cut off. An anchor tells
    as well whether the ledger was put back to an older state, or written anew as a whole; one to which a
    person agreed since (`reconcile --trust-ledger`) is named, and is no fault.
    """
    with _ledger(options) as ledger:
        known = _anchors(options, file, lines, ledger.id)
        report = verified(ledger, _keys(options), known)
        names = _names(ledger) if report.findings else {}
    if as_json:
        output.document({"good": not report.findings, **_as_json(report)})
    else:
        _say(report, names)
    return 1 if report.findings else 0


def _as_json(report: Report) -> dict[str, object]:
    findings = [
        {"secret": one.secret, "record": one.number, "flaw": one.flaw, "what": one.text}
        for one in report.findings
    ]
    counts = {"chains": report.chains, "records": report.records, "anchors": report.anchors}
    agreed = report.agreed
    told = (
        {"at": agreed.at, "by": agreed.by, "record": agreed.number, "anchors": agreed.anchors}
        if agreed
        else None
    )
    return {**counts, "findings": findings, "agreed": told}


def _say(report: Report, names: dict[str, str]) -> None:
    if not report.anchors:
        click.echo(
            "There is no anchor to compare with, so a ledger that was put back whole would not be noticed: "
            "give --anchors FILE, or --anchor LINE out of the log.",
            err=True,
        )
    if report.agreed is not None:
        click.echo(_agreed(report.agreed), err=True)
    if not report.findings:
        click.echo(
            f"The audit trail is whole: {report.records} records in {report.chains} chains, "
            f"{report.anchors} anchors."
        )
        return
    output.table(
        ("policy", "record", "flaw", "what"),
        [(_whose(one, names), str(one.number or "-"), one.flaw, one.text) for one in report.findings],
    )
    click.echo("Do not trust what the ledger says of these until you know why. See the log of that time.")


def _agreed(agreed: Agreed) -> str:
    """A cut that a person agreed to, as a sentence."""
    return (
        f"Records were lost before {agreed.at:%Y-%m-%d %H:%M}Z, of which {agreed.anchors} anchors tell; "
        f"{agreed.by} agreed to that then (record {agreed.number} of the ledger itself). What is there now "
        "is verified, and compared with the anchors since."
    )


def _names(ledger: Ledger) -> dict[str, str]:
    """The policies of secrets, up to the first one that cannot be read: it is among the findings."""
    names = {}
    with suppress(LedgerUnusable):
        for state, _ in ledger.secrets():
            names[state.id] = state.policy
    return names


def _whose(finding: Finding, names: dict[str, str]) -> str:
    return names.get(finding.secret, finding.secret) if finding.secret else "(the ledger itself)"


def _anchors(options: Options, file: Path | None, lines: Sequence[str], ledger_id: str) -> list[Anchor]:
    """What was given outside: the lines, and the file that is named; without either the daemon's file."""
    found = []
    for text in lines:
        try:
            found.append(anchors.parsed(text))
        except ValueError as error:
            raise Wrong(f"--anchor: {error} Copy the whole line.") from None
    if any(one.ledger != ledger_id for one in found):
        raise Wrong(f"--anchor: this anchor is of another ledger; the id of this one is {ledger_id}.")
    path = file or session.anchors(options)
    if file is None and (lines or not path.exists()):
        return found
    try:
        return found + list(anchors.read(path, ledger_id))
    except OSError as error:
        raise Wrong(f"The anchors in {path} cannot be read: {error.strerror}.") from None


@audit.command(
    short_help="Print every record, one JSON object a line.",
    epilog="Example: rotator audit export --since 2026-01-01 > trail.jsonl",
)
@click.argument("name", required=False)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    metavar="TIME",
    help="Only what was recorded then or later, in UTC.",
)
@click.pass_obj
def export(options: Options, *, name: str | None, since: datetime | None) -> int:
    """Print the audit trail as JSON Lines: records, chain by chain, and after each chain its certificates.

    No record holds a secret. It prints the records that the ledger holds, as they are; the exit code is 1
    if they are not as they were written, and there are no certificates of a chain that is not.
    """
    begin = since.replace(tzinfo=UTC) if since else None
    code = 0
    with _ledger(options) as ledger:
        for chain, finding in _judged(options, ledger, name):
            code = _tell(finding) or code
            if name is None or chain.secret != OWN:
                for line in exporting.lines(ledger, chain, begin, certified=finding is None):
                    click.echo(line)
    return code


@audit.command(
    "certificates",
    short_help="How each key that had to die died, and by which proof.",
    epilog="Example: rotator audit certificates market-maker",
)
@click.argument("name", required=False)
@json_option
@click.pass_obj
def certify(options: Options, *, name: str | None, as_json: bool) -> int:
    """Show for each key that had to die when it was issued, in use, revoked, and how its death is known.

    They are made of records that are as they were written: where a chain is not, that is told instead, and
    the exit code is 1.
    """
    found, code = list[Certificate](), 0
    with _ledger(options) as ledger:
        for chain, finding in _judged(options, ledger, name):
            code = _tell(finding) or code
            if finding is None:
                found += exporting.made_of(ledger, chain.secret)
    found.sort(key=lambda one: one.record)
    if as_json:
        output.document({"certificates": found})
    elif not found:
        click.echo("No key has had to die yet." if not code else "There is no certificate that holds.")
    else:
        for one in found:
            _show(one)
    return code


def _judged(options: Options, ledger: Ledger, name: str | None) -> Iterator[tuple[Chain, Finding | None]]:
    """The chains that a command is about, after the ledger's own, and what is wrong with each."""
    secret = None if name is None else _secret(options, ledger, name)
    return judged(ledger, _keys(options), _anchors(options, None, (), ledger.id), secret)


def _tell(finding: Finding | None) -> int:
    """Say that a chain is not whole; the exit code."""
    if finding is None:
        return 0
    click.echo(
        f"No certificate is made of the records of {output.printable(_whose(finding, {}))}: "
        f"{output.printable(finding.text)}. See `rotator audit verify`.",
        err=True,
    )
    return 1


def _show(one: Certificate) -> None:
    dead = _at(one.died_at, "not yet: it may live") + (f": {one.proof}" if one.proof else "")
    lines = {
        "key": f"{one.key_id or 'of unknown id'} of {one.policy}",
        "issued": _at(one.issued_at, "not by rotator, or before its records"),
        "current": _at(one.current_at, "never, or before its records"),
        "had to die": f"{_at(one.owed_at, 'before its records')}: {one.why}",
        "revoked": _at(one.revoked_at, "not by rotator"),
        _ENDS[one.death]: dead,
        "debt": one.debt,
    }
    for label, text in lines.items():
        click.echo(f"{label:<13} {output.printable(text)}")
    click.echo()


_ENDS = {
    None: "dead",
    Death.PROVEN: "proven dead",
    Death.EXPIRED: "expired",
    Death.DECLARED: "declared",
}


def _at(at: datetime | None, otherwise: str) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else otherwise


@contextmanager
def _ledger(options: Options) -> Iterator[Ledger]:
    """The ledger, which must be there."""
    with session.reading(options, tell=True) as ledger:
        if ledger is None:
            raise NotDone("So there is no audit trail either.")
        yield ledger


def _keys(options: Options) -> KeyRing:
    from rotator import ledger as ledgers  # noqa: PLC0415

    return ledgers.audit_keys(options.ledger or ledgers.default_url())


def _secret(options: Options, ledger: Ledger, name: str) -> str:
    return secret_of(session.book(options).policies, ledger, name)
