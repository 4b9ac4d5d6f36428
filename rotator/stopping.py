"""A person's stop: nothing outside is changed by any worker until it is taken back or its time is over.

It is an order to EVERYBODY, so it is read with a secret's own orders before every effect.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from rotator import backoff
from rotator.interfaces import Ledger
from rotator.model import EVERYBODY, Event, Level, Order, stop_in_force
from rotator.records import Codec

_TOLD = "told:stop"


@dataclass(frozen=True, slots=True)
class Told:
    """Of which stop, by when it was given, people were told how often, and when last."""

    stop: datetime
    times: int
    at: datetime


_NEWS = Codec("told stop", TypeAdapter(Told))


def stop_of(ledger: Ledger) -> Order | None:
    """The stop that is in force now, read anew."""
    return stop_in_force(ledger.orders(EVERYBODY), ledger.now())


def sentence(stop: Order) -> str:
    """Who stopped everything, since when, for how long, and why."""
    until = f"until {stop.until:%Y-%m-%d %H:%M} UTC" if stop.until else "until somebody resumes"
    return f"Stopped by {stop.by} at {stop.at:%Y-%m-%d %H:%M} UTC, {until}: {stop.reason}"


def news(ledger: Ledger) -> Event | None:
    """What people must be told of a stop: when it begins, after a day, then later each time, and its end.

    Whoever gets it is the one to tell it.
    """
    text, stop = ledger.fact(_TOLD), stop_of(ledger)
    before = _NEWS.decode(text) if text else None
    if stop is None:
        over = "The stop is over: rotations and revocations go on."
        return _event("resumed", over, level=Level.ALARM) if before and ledger.forget(_TOLD) else None
    times = 0
    if before and before.stop == stop.at:
        times = before.times
        if not backoff.passed(before.at, backoff.until_reminder(times), ledger.now()):
            return None
    after = Told(stop.at, times + 1, ledger.now())
    ours = ledger.swap(_TOLD, text, _NEWS.encode(after))
    text = f"{sentence(stop)} To go on: rotator resume --all"
    return _event("stopped", text, level=Level.ALARM) if ours else None


def _event(kind: str, text: str, *, level: Level) -> Event:
    """An event of no secret: it is told, and the order itself is the record."""
    return Event(secret="", kind=kind, text=text, level=level, data={"step": "stop", "error": kind})
