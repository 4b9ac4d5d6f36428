"""The comparison of every day: strays become debts, and people are told of what they must see to.

One worker makes it, and a fact says when it was made. What people were told is a fact as well: of one kind of
finding they hear when there is a new one, and after a day, two, four, then every week while it stays.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator import backoff, safe_mode, stamps
from rotator.interfaces import Ledger, World
from rotator.model import Level, Policy
from rotator.reconcile import examine, fix, seen
from rotator.reconcile.mending import claimed
from rotator.reconcile.values import Finding, Kind, Records
from rotator.records import Codec

DAY = timedelta(days=1)
MADE = "reconcile:made"  # the fact: when the last one was made
TOLD = "reconcile:told:"  # facts: of which findings of a kind people were told, how often, when
ALARMS = (Kind.BEHIND, Kind.DRIFT, Kind.KEY_GONE, Kind.UNDYING, Kind.OVERDUE, Kind.MARKED, Kind.LEFT)
"""What waits for people otherwise has reminders of its own; what did not answer is asked again tomorrow."""
_LOCK = timedelta(hours=1)  # a worker that died with it holds up nobody for longer
_FEW = 5  # findings in an alarm

log = logging.getLogger("rotator.reconcile")


@dataclass(frozen=True, slots=True)
class Made:
    """When the last comparison was made, how many findings it left to somebody, and how many it mended."""

    at: datetime
    left: int = 0
    mended: int = 0


@dataclass(frozen=True, slots=True)
class ToldOf:
    """Of which findings of a kind people were told, how often, and when last."""

    names: tuple[str, ...]
    told: int
    at: datetime


_MADE = Codec("comparison", TypeAdapter(Made))
_TOLD = Codec("told findings", TypeAdapter(ToldOf))


class Daily:
    """Makes the comparison where a day has passed since the last, whoever made that. ``holder`` names this
    process; ``policies`` are those in force.
    """

    def __init__(self, world: World, policies: Callable[[], Sequence[Policy]], holder: str) -> None:
        self._world = world
        self._policies = policies
        self._holder = holder

    def __call__(self) -> int | None:
        """Make it if it is due; how many findings need somebody, None where it is not due or another worker
        makes it. Raises LedgerUnusable.
        """
        ledger = self._world.ledger
        if not due(ledger) or self._world.stopping() or not ledger.lock(MADE, self._holder, _LOCK):
            return None
        try:
            return self._made() if due(ledger) else None
        finally:
            ledger.unlock(MADE, self._holder)

    def _made(self) -> int:
        policies, ledger = self._policies(), self._world.ledger
        view = seen(self._world, policies, self._holder)
        ledger.nudge(_ahead(view.records))
        found = examine(self._world, view)
        mended = fix(self._world, policies, found, self._holder)
        left = [one for one in found if one.needs_somebody and one not in mended]
        if self._world.stopping():  # it is made anew by the next process
            return len(left)
        tell(self._world, left, self._holder)
        _write(ledger, MADE, _MADE.encode(Made(ledger.now(), len(left), len(mended))))
        log.info("reconciled: %d findings need somebody, %d were mended", len(left), len(mended))
        return len(left)


def due(ledger: Ledger) -> bool:
    """Whether a day has passed since the last comparison, or since a new ledger was asked first."""
    made = ledger.fact(MADE)
    if made is None:
        _write(ledger, MADE, _MADE.encode(Made(ledger.now())))
        return False
    return backoff.passed(_MADE.decode(made).at, DAY, ledger.now())


def _ahead(known: Records) -> Iterator[str]:
    """Secrets of which a record was written by a clock that was ahead: they are looked at, and put right."""
    now = known.now
    yield from (state.id for state in known.states.values() if stamps.of_state(state, now) != state)
    yield from (one.secret for one in known.rotations.values() if stamps.of_rotation(one, now) != one)
    yield from (debt.secret for debt in known.debts if stamps.of_debt(debt, now) != debt)


def tell(world: World, found: Iterable[Finding], holder: str) -> None:
    """An alarm for each kind of which people must hear now; what is over is forgotten."""
    found = list(found)
    for kind in ALARMS:
        theirs = [one for one in found if one.kind is kind and one.token is None]
        if not theirs:
            world.ledger.forget(TOLD + kind)
        elif kind is Kind.BEHIND and safe_mode.current(world.ledger) and not world.ledger.fact(TOLD + kind):
            _write(
                world.ledger, TOLD + kind, _TOLD.encode(_first(world.ledger, theirs))
            )  # told when it was found
        elif (told := _news(world.ledger, kind, theirs)) is not None and _told(world, kind, theirs, holder):
            _write(world.ledger, TOLD + kind, _TOLD.encode(told))


def _news(ledger: Ledger, kind: Kind, theirs: Sequence[Finding]) -> ToldOf | None:
    """What to write where people must hear of these findings: one is new, or a reminder is due."""
    first, text = _first(ledger, theirs), ledger.fact(TOLD + kind)
    before = _TOLD.decode(text) if text else None
    if before is None or not set(first.names) <= set(before.names):
        return first
    if not backoff.passed(before.at, backoff.until_reminder(before.told), ledger.now()):
        return None
    return replace(first, told=before.told + 1)


def _first(ledger: Ledger, theirs: Sequence[Finding]) -> ToldOf:
    """What is written when people hear of findings for the first time."""
    names = sorted({f"{one.subject} {one.key_id or ''}".strip() for one in theirs})
    return ToldOf(tuple(names), 1, ledger.now())


def _told(world: World, kind: Kind, theirs: Sequence[Finding], holder: str) -> bool:
    """Write the alarm with one of the secrets that it concerns, or any; whether one was free for it."""
    some = "; ".join(f"{one.subject}: {one.text} To do: {one.todo}." for one in theirs[:_FEW])
    more = f"; and {len(theirs) - _FEW} more: rotator reconcile" if len(theirs) > _FEW else ""
    secrets = [one.secret for one in theirs if one.secret] or [
        state.id for state, _ in world.ledger.secrets()
    ]
    for secret in secrets:
        with claimed(world, secret, holder) as desk:
            if desk is not None:
                text, step = some + more, "reconcile"
                alarm = desk.event("found", text, level=Level.ALARM, step=step, error=str(kind))
                desk.write(events=[alarm])
                return True
    return False


def _write(ledger: Ledger, key: str, value: str) -> None:
    ledger.forget(key)
    ledger.remember(key, value)
