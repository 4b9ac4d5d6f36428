"""What ``doctor`` asks of the channels that alarms go to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rotator.capabilities import Finding, Grade
from rotator.cli import session
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Event
from rotator.notices import Channel, fields_of, message

if TYPE_CHECKING:
    from rotator.telemetry.services import Service
    from rotator.wiring import Wiring

Ask = Callable[["Service", Channel], str]

_SIDE_BY_SIDE = 8
_AGAIN = "See that its address is right and its service up, then ask again."


def tried(world: "Wiring", channels: Sequence[Channel]) -> list[Finding]:
    """What became of a test message to each channel. Where it was taken, what waits is sent soon."""
    from rotator.telemetry.outbox import Outbox  # noqa: PLC0415

    def sent(service: "Service", channel: Channel) -> str:
        kind = service.kind()
        text = f"A test by {session.person()}: alarms of rotator that are meant for {channel.name} come here."
        service.send(message(channel, fields_of(Event("", "test", text))))
        Outbox(world.ledger, channel.name, "").fails(None)
        return f"{kind} took a test message: see whether it came"

    return _each(world, channels, sent)


def looked_at(world: "Wiring", channels: Sequence[Channel]) -> list[Finding]:
    """Whether each channel's address can be read and is understood, and what waits. Sends nothing."""
    from rotator.telemetry.outbox import Outbox  # noqa: PLC0415

    now = world.clock.now()

    def checked(service: "Service", channel: Channel) -> str:
        outbox, kind = Outbox(world.ledger, channel.name, ""), service.kind()
        failing, waiting = outbox.failing(), len(outbox.waiting(now))
        if failing is not None:
            since = f"{failing.since:%Y-%m-%d %H:%M} UTC"
            said = f"it has taken no alarm since {since} ({failing.why}); {waiting} wait."
            raise NeedsPerson(failing.why, said, todo=f"rotator doctor --notify --channel {channel.name}")
        return f"its address is that of {kind}; nothing was sent" + (f"; {waiting} wait" if waiting else "")

    return _each(world, channels, checked)


def _each(world: "Wiring", channels: Sequence[Channel], ask: Ask) -> list[Finding]:
    """A finding for each channel; one that hangs holds up no other."""
    from rotator.wiring import service  # noqa: PLC0415

    def found(channel: Channel) -> Finding:
        subject = f"channel {channel.name}"
        try:
            return Finding(Grade.OK, subject, ask(service(world, channel), channel))
        except NeedsPerson as error:
            return Finding(Grade.ERROR, subject, error.message, error.todo)
        except EffectError as error:
            return Finding(Grade.ERROR, subject, error.message, _AGAIN)

    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="channels") as pool:
        return list(pool.map(found, channels))
