"""``notify``: a test message to channels, so that nobody learns in an incident that an address is wrong."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from rotator.capabilities import Finding, Grade
from rotator.cli import output, session
from rotator.cli.options import Options, Wrong, json_option
from rotator.cli.select import near
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Event, Level
from rotator.notices import Channel, fields_of, message

if TYPE_CHECKING:
    from rotator.telemetry.services import Service
    from rotator.wiring import Wiring

Ask = Callable[["Service", Channel], str]

_SIDE_BY_SIDE = 8
_SUBJECT = "channel "
_AGAIN = "See that it is up, then ask again."


@click.command(
    short_help="Send a test message to the channels that alarms go to.",
    epilog="\b\nExamples: rotator notify\n          rotator notify pager --json",
)
@click.argument("names", metavar="[CHANNEL]...", nargs=-1)
@json_option
@click.pass_obj
def notify(options: Options, *, names: tuple[str, ...], as_json: bool) -> int:
    """Send a test message to these channels of the policies, or to all.

    Routes do not matter here. The exit code is 1 if a channel did not take the message.
    """
    channels = session.book(options).notices.channels
    if not channels:
        raise Wrong("The policies name no channel: their section notify says who is told, and how.")
    unknown = next((name for name in names if name not in channels), None)
    if unknown is not None:
        raise Wrong(f"There is no channel {unknown!r}. {near(unknown, sorted(channels))}")
    with session.outside(options) as world:
        found = tried(world, [channels[name] for name in dict.fromkeys(names or channels)])
    if as_json:
        told = [
            {"channel": _name(one), "taken": _taken(one), "text": one.text, "todo": one.todo} for one in found
        ]
        output.document({"channels": told})
    else:
        _show(found)
    return 0 if all(map(_taken, found)) else 1


def _taken(one: Finding) -> bool:
    return one.level is Grade.OK


def _name(one: Finding) -> str:
    return one.subject.removeprefix(_SUBJECT)


def _show(found: Sequence[Finding]) -> None:
    output.table(
        ("channel", "taken", "what happened"),
        [(_name(one), "yes" if _taken(one) else "no", one.text) for one in found],
    )
    for one in found:
        if one.todo:
            click.echo(output.printable(f"{_name(one)}: {one.todo}"))


# --- asking channels -------------------------------------------------------------------------------------


def tried(world: "Wiring", channels: Sequence[Channel]) -> list[Finding]:
    """What became of a test message to each channel. Where it was taken, what waits is sent soon."""
    from rotator.telemetry.outbox import Outbox  # noqa: PLC0415

    def sent(service: "Service", channel: Channel) -> str:
        kind = service.kind()
        text = f"A test by {session.person()}: alarms of rotator that are meant for {channel.name} come here."
        service.send(message(channel, fields_of(Event("", "test", text, Level.ALARM))))
        Outbox(world.ledger, channel.name, "").fails(None)
        return f"taken by {kind}: see whether it came"

    return _each(world, channels, sent)


def looked_at(world: "Wiring", channels: Iterable[Channel]) -> list[Finding]:
    """Whether each channel's address can be read and is understood, and what waits. Sends nothing."""
    from rotator.telemetry.outbox import Outbox  # noqa: PLC0415

    now = world.clock.now()

    def checked(service: "Service", channel: Channel) -> str:
        outbox, kind = Outbox(world.ledger, channel.name, ""), service.kind()
        failing, waiting = outbox.failing(), len(outbox.waiting(now))
        if failing is not None:
            since = f"{failing.since:%Y-%m-%d %H:%M} UTC"
            said = f"it has taken no alarm since {since} ({failing.why}); {waiting} wait."
            raise NeedsPerson(failing.why, said, todo=f"rotator notify {channel.name}")
        return f"its address is known, of {kind}; nothing was sent" + (f"; {waiting} wait" if waiting else "")

    return _each(world, list(channels), checked)


def _each(world: "Wiring", channels: Sequence[Channel], ask: Ask) -> list[Finding]:
    """A finding for each channel; one that hangs holds up no other."""
    from rotator.wiring import service  # noqa: PLC0415

    def found(channel: Channel) -> Finding:
        subject = f"{_SUBJECT}{channel.name}"
        try:
            return Finding(Grade.OK, subject, ask(service(world, channel), channel))
        except NeedsPerson as error:
            return Finding(Grade.ERROR, subject, error.message, error.todo)
        except EffectError as error:
            return Finding(Grade.ERROR, subject, error.message, _AGAIN)

    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="notify") as pool:
        return list(pool.map(found, channels))
