"""How a call across the boundary can end, and who decides it: a list of strikes, or a seeded draw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import Protocol


class Outcome(StrEnum):
    """What becomes of one call."""

    OK = "ok"
    NOT_SENT = "not sent"
    REFUSED = "refused"
    FOR_GOOD = "refused for good"
    PERSON = "a person must act"
    LOST = "done, answer lost"
    LATE = "no answer, done later"
    GARBAGE = "done, garbage in a 200"
    SLOW = "slow"
    FLAP = "refused once by a probe"
    FROZEN_BEFORE = "frozen before"
    FROZEN_AFTER = "frozen after"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


READS = ("provider.find", "store.look", "store.read", "store.shown")
WRITES = (
    "provider.issue", "provider.revoke", "store.seed", "store.stage", "store.promote", "store.keep",
    "store.discard", "consumer.tell",
)  # fmt: skip
PROBE, COMMIT = "provider.probe", "ledger.commit"
STRUCK = (*READS, *WRITES, PROBE, COMMIT)  # the calls that strikes count

_GONE = (Outcome.CRASH_BEFORE, Outcome.CRASH_AFTER, Outcome.FROZEN_BEFORE, Outcome.FROZEN_AFTER)
_READ = (Outcome.LOST, Outcome.REFUSED, Outcome.SLOW, Outcome.CRASH_BEFORE, Outcome.FROZEN_AFTER)
_PROBE = (Outcome.LOST, Outcome.FLAP, Outcome.SLOW, Outcome.CRASH_BEFORE, Outcome.FROZEN_AFTER)
_WRITE = (
    Outcome.NOT_SENT, Outcome.REFUSED, Outcome.FOR_GOOD, Outcome.PERSON, Outcome.LOST, Outcome.LATE,
    Outcome.GARBAGE, Outcome.SLOW, *_GONE,
)  # fmt: skip
_COMMIT = (Outcome.NOT_SENT, Outcome.LOST, *_GONE)


def possible(call: str) -> tuple[Outcome, ...]:
    """The faults that differ for a call: before or after a read is the same, and only writes come late."""
    if call.startswith("ledger."):
        return _COMMIT
    if call == PROBE:
        return _PROBE
    return _READ if call in READS else _WRITE


class Plan(Protocol):
    """Decides what becomes of each call."""

    def outcome(self, call: str) -> Outcome:
        """Of the call that is made now."""
        ...

    def late(self) -> timedelta:
        """When a late effect lands."""
        ...

    def frozen(self) -> timedelta:
        """How long a process is frozen."""
        ...

    def restarted(self) -> timedelta:
        """When another process is started for one that is gone."""
        ...


@dataclass
class Strikes:
    """These faults at these calls, counted from 1 among those that can be struck; all others go well."""

    at: Mapping[int, Outcome]
    lands: timedelta = timedelta(minutes=3)
    calls: list[str] = field(default_factory=list)

    def outcome(self, call: str) -> Outcome:
        """The strike at this number."""
        if call not in STRUCK:
            return Outcome.OK
        self.calls.append(call)
        return self.at.get(len(self.calls), Outcome.OK)

    def late(self) -> timedelta:
        """As told."""
        return self.lands

    def frozen(self) -> timedelta:
        """Until its claim is over, and a little more."""
        return timedelta(seconds=130)

    def restarted(self) -> timedelta:
        """Soon."""
        return timedelta(seconds=10)


@dataclass
class Storm:
    """Faults drawn from a seed: each kind of outcome as often as this storm likes it."""

    rng: Random
    rate: float
    ledger_rate: float
    likes: tuple[Outcome, ...]

    def outcome(self, call: str) -> Outcome:
        """Mostly well."""
        if call.startswith("ledger."):
            if self.rng.random() >= self.ledger_rate:
                return Outcome.OK
        elif self.rng.random() >= self.rate:
            return Outcome.OK
        liked = [one for one in possible(call) if one in self.likes]
        return self.rng.choice(liked) if liked else Outcome.OK

    def late(self) -> timedelta:
        """Seconds, minutes, hours or days later."""
        return timedelta(seconds=self.rng.choice((3, 40, 200, 1800, 4000, 20_000, 200_000)))

    def frozen(self) -> timedelta:
        """Mostly until its claim is over."""
        return timedelta(seconds=self.rng.choice((20, 70, 100, 100, 200, 1000, 8000)))

    def restarted(self) -> timedelta:
        """Sooner or later."""
        return timedelta(seconds=self.rng.choice((1, 20, 100, 900)))


CALM = Strikes({})
