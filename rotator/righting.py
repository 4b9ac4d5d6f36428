"""What a secret waits for, put right where a clock wrote it that was ahead; people are told of it."""

from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from rotator import backoff, stamps
from rotator.desk import Desk
from rotator.interfaces import Ledger
from rotator.model import Level
from rotator.records import Codec

_TOLD = "told:clock"  # the fact: when people were told last


@dataclass(frozen=True, slots=True)
class ToldAt:
    """When people were told last."""

    at: datetime


_AT = Codec("told clock", TypeAdapter(ToldAt))


def put_right(desk: Desk) -> None:
    """Write the secret's records anew where a time in them lies further ahead than it can."""
    now, live = desk.now(), desk.rotation()
    state = stamps.of_state(desk.state, now)
    rotation = None if live is None else stamps.of_rotation(live, now)
    debts = [right for debt in desk.debts() if (right := stamps.of_debt(debt, now)) != debt]
    if state == desk.state and rotation == live and not debts:
        return
    text = (
        "times in the ledger lie in the future, so its clock was ahead and was put right: they are counted "
        "from now. To do: see that the clock of the ledger's host is kept by a time service (rotator doctor)"
    )
    told = desk.event("clock-was-ahead", text, level=Level.ALARM, step="look", error="clock-was-ahead")
    if not _must_be_told(desk.world.ledger, now):
        told = replace(told, level=Level.WARNING)
    desk.write(state=state, rotation=rotation, debts=debts, events=[told])


def _must_be_told(ledger: Ledger, now: datetime) -> bool:
    """Whether it is for this secret's look to tell people: one of all does, once in a day."""
    before = ledger.fact(_TOLD)
    if before is not None and not backoff.passed(_AT.decode(before).at, backoff.until_reminder(1), now):
        return False
    return ledger.swap(_TOLD, before, _AT.encode(ToldAt(now)))
