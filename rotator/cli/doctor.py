"""``doctor``: can everybody be reached, with the rights that are needed and no more."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from rotator import safe_mode
from rotator.capabilities import Finding, Grade
from rotator.cli import output, session
from rotator.cli.channels import looked_at, tried
from rotator.cli.options import Options, Wrong, json_option
from rotator.cli.overall import overall, show
from rotator.cli.reading import read_all
from rotator.cli.select import near
from rotator.model import Policy


@click.command(
    short_help="Reach every provider and store, and say what is missing.",
    epilog="\b\nExamples: rotator doctor\n          rotator doctor --provider build --json\n"
    "          rotator doctor --notify",
)
@click.option("--provider", metavar="P", help="Only this provider.")
@click.option("--store", metavar="S", help="Only this store.")
@click.option("--channel", metavar="C", help="Only this channel for alarms.")
@click.option("--notify", is_flag=True, help="Send channels a test message.")
@json_option
@click.pass_obj
def doctor(
    options: Options,
    *,
    provider: str | None,
    store: str | None,
    channel: str | None,
    notify: bool,
    as_json: bool,
) -> int:
    """Reach every provider, store and channel of the policies, and change nothing; no consumer is told
    anything.

    It says which rights are missing or more than needed, whether clocks agree, whether there is room for
    new keys, which secrets cannot be rotated and why, and which admin credentials will expire too early.
    Of a credential that a person issued, one login may be tried. Channels of alarms are sent a message only
    with --notify. The exit code is 1 if there is an error.
    """
    from rotator.doctor import examine  # noqa: PLC0415 - the whole machine

    book = session.book(options)
    policies = book.policies
    _known_to_policies("provider", provider, sorted({policy.provider.name for policy in policies}))
    _known_to_policies("store", store, sorted({name for policy in policies for name in _stores(policy)}))
    channels = book.notices.channels
    if channel is not None and channel not in channels:
        raise Wrong(f"There is no channel {channel!r}. {near(channel, sorted(channels))}")
    if notify and not channels:
        raise Wrong("The policies name no channel; their section notify does.")
    asked = [each for name, each in channels.items() if channel in (None, name)]
    whole = provider is None and store is None
    with session.reading(options) as ledger:
        known, now = (read_all(ledger), ledger.now()) if ledger else ({}, datetime.now(UTC))
        holds = overall(ledger)
    with session.outside(options) as world:
        found = []
        if channel is None or not whole:
            found += examine(world, policies, known, now, provider=provider, store=store)
        if channel is not None or whole:
            found += (tried if notify else looked_at)(world, asked)
        doubt = safe_mode.current(world.ledger)
    if doubt is not None:
        found.append(Finding(Grade.ERROR, "ledger", str(doubt), doubt.todo))
    if as_json:
        output.document({"now": now, "holds": holds, "findings": found, "counts": _counts(found)})
    else:
        show(holds, now)
        _show(found)
    return 1 if _counts(found)["error"] else 0


def _stores(policy: Policy) -> set[str]:
    """The names of the stores that a policy needs."""
    admin = policy.provider.admin
    return {policy.target.store.name, *({admin.store.name} if admin else ())}


def _known_to_policies(what: str, name: str | None, names: Sequence[str]) -> None:
    if name is not None and name not in names:
        raise Wrong(f"No policy uses a {what} {name!r}. {near(name, names)}")


def _counts(found: Sequence[Finding]) -> dict[str, int]:
    counted = Counter(str(one.level) for one in found)
    return {level: counted[level] for level in ("ok", "warning", "error")}


def _show(found: Sequence[Finding]) -> None:
    """The table, what to do, and the sum."""
    output.table(("level", "about", "found"), [(str(one.level), one.subject, one.text) for one in found])
    for one in found:
        if one.todo:
            click.echo(output.printable(f"{one.level}: {one.subject}: {one.todo}"))
    counts = _counts(found)
    errors, warnings = (_counted(counts[each], each) for each in ("error", "warning"))
    click.echo(f"{errors}, {warnings}, {counts['ok']} ok.")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
