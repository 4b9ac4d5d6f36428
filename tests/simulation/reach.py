"""What stands between a process and the world: each call is written down, and ends as the plan says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from rotator.errors import (
    EffectError,
    Fenced,
    LedgerUnusable,
    NeedsPerson,
    NotSent,
    Refused,
    Scope,
    Unknown,
)
from rotator.interfaces import EFFECT_SECONDS
from rotator.model import Probe, Verdict
from tests.simulation import facts
from tests.simulation.baton import Gone, Task
from tests.simulation.history import Did
from tests.simulation.outcomes import PROBE, Outcome, possible
from tests.simulation.outside import SimWorld

if TYPE_CHECKING:
    from tests.simulation.engine import Sim

_RESTLESS = 2000
PURE = ("wanted", "excess", "canonical", "now", "holder", "secrets")
DEADLINE = timedelta(seconds=EFFECT_SECONDS)


class Process:
    """One worker process: dead once it was killed."""

    def __init__(self, name: str, task: Task) -> None:
        self.name = name
        self.task = task
        self.dead = False
        self.leaves = False  # it was told to stop
        self.replaced = False  # another one was started for it
        self.secret: str | None = None  # the one that it works now
        self.world: SimWorld | None = None
        self.instant: datetime | None = None
        self.calls = 0  # at this instant


class Restless(BaseException):
    """A worker does not rest."""


class Reach:
    """The way of one process to the ledger, the providers and the store."""

    def __init__(self, sim: "Sim", process: Process) -> None:
        self._sim = sim
        self._process = process

    def to(self, room: str, inner: object) -> "Door":
        """The same object, every call of it going through here."""
        return Door(self, room, inner)

    def call(self, room: str, name: str, act: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """One call across the boundary."""
        self._alive()
        self._sim.baton.boundary(self._process.task)
        self._alive()
        self._must_rest(name)
        call = f"{room}.{name}"
        drawn = self._sim.plan.outcome(call)
        outcome = drawn if drawn in possible(call) else Outcome.OK
        if room == "ledger":
            return self._remembered(name, act, args, outcome)
        return self._effect(call, act, args, outcome)

    # the ledger

    def _remembered(self, name: str, act: Callable[[], Any], args: tuple[Any, ...], outcome: Outcome) -> Any:
        self._before(outcome)
        told = facts.of_ledger(name, args)
        if outcome is Outcome.NOT_SENT:
            self._note(Did.LEDGER, name, None, **told, error="not done")
            raise LedgerUnusable("the ledger is down in the simulation")
        try:
            answer = act()
        except Fenced:
            self._note(Did.LEDGER, name, None, **told, error="fenced")
            raise
        if told or name in ("claim", "reserve"):
            self._note(Did.LEDGER, name, None, **told, **facts.of_ledger_answer(name, answer))
        self._after(outcome)
        if outcome is Outcome.LOST:
            raise LedgerUnusable("the ledger's answer was lost in the simulation")
        return answer

    # effects

    def _effect(self, call: str, act: Callable[[], Any], args: tuple[Any, ...], outcome: Outcome) -> Any:
        self._sim.effects += 1
        number = self._sim.effects
        self._note(Did.SENT, call, number, **facts.of_effect(self._sim, call, args), plan=str(outcome))
        try:
            answer = self._carried_out(call, act, outcome, number)
        except (EffectError, NeedsPerson) as error:
            self._note(Did.ANSWERED, call, number, error=error.kind, raised=type(error).__name__)
            if call == PROBE:
                return Probe(Verdict.UNKNOWN, error.message)
            raise
        self._note(Did.ANSWERED, call, number, **facts.of_answer(call, answer))
        return answer

    def _carried_out(self, call: str, act: Callable[[], Any], outcome: Outcome, number: int) -> Any:
        """Do it or not, now or later, and say so or not."""
        self._takes(outcome)
        self._before(outcome)
        _refused(outcome)
        if outcome is Outcome.LATE:
            self._later(call, act, number)
        if outcome is Outcome.FLAP:
            return Probe(Verdict.DEAD, "refused once")
        answer = act()
        self._applied(call, number)
        self._after(outcome)
        if outcome in (Outcome.LOST, Outcome.GARBAGE):
            raise Unknown("struck", f"{outcome} in the simulation")
        return answer

    def _applied(self, call: str, number: int) -> None:
        self._note(Did.APPLIED, call, number)
        self._sim.truth(self._process.name, number)

    def _takes(self, outcome: Outcome) -> None:
        """Time goes by: a moment, or nearly all that an effect may take."""
        sim = self._sim
        if outcome is Outcome.SLOW:
            sim.baton.wait(self._process.task, sim.clock.now() + DEADLINE * sim.rng.choice((0.5, 0.98)))
        elif sim.setup.latency:
            moment = timedelta(milliseconds=sim.rng.choice((1, 20, 200, 800)))
            sim.baton.wait(self._process.task, sim.clock.now() + moment)

    def _later(self, call: str, act: Callable[[], Any], number: int) -> NoReturn:
        """It lands when it lands; who asked hears nothing."""
        sim, name = self._sim, self._process.name

        def land() -> None:
            try:
                act()
            except (EffectError, NeedsPerson) as error:
                sim.note(name, Did.APPLIED, call, None, number, error=error.kind, late=True)
                return
            sim.note(name, Did.APPLIED, call, None, number, late=True)
            sim.truth(name, number)

        sim.baton.at(sim.clock.now() + sim.plan.late(), land)
        sim.baton.wait(self._process.task, sim.clock.now() + DEADLINE)
        raise Unknown("timeout", "no answer in the simulation")

    # processes

    def _alive(self) -> None:
        if self._process.dead:
            raise Gone

    def _must_rest(self, name: str) -> None:
        """Calls without end, while no time goes by: the run would never end."""
        process, now = self._process, self._sim.clock.now()
        if process.instant != now:
            process.instant, process.calls = now, 0
        process.calls += 1
        if process.calls > _RESTLESS:
            raise Restless(f"{self._process.name} calls {name} without end at {now}, on {process.secret}")

    def _before(self, outcome: Outcome) -> None:
        if outcome is Outcome.CRASH_BEFORE:
            self._crash()
        if outcome is Outcome.FROZEN_BEFORE:
            self._freeze()

    def _after(self, outcome: Outcome) -> None:
        if outcome is Outcome.CRASH_AFTER:
            self._crash()
        if outcome is Outcome.FROZEN_AFTER:
            self._freeze()

    def _crash(self) -> NoReturn:
        self._process.dead = True
        self._sim.note(self._process.name, Did.PROCESS, "crashed")
        self._sim.replace(self._process)
        raise Gone

    def _freeze(self) -> None:
        sim = self._sim
        span = sim.plan.frozen()
        sim.note(self._process.name, Did.PROCESS, "frozen", span=span)
        sim.replace(self._process)
        sim.baton.wait(self._process.task, sim.clock.now() + span)
        sim.note(self._process.name, Did.PROCESS, "thawed")

    def _note(self, did: Did, name: str, number: int | None, **data: Any) -> None:
        secret = data.pop("secret", None) or self._process.secret
        self._sim.note(self._process.name, did, name, facts.short(secret), number, **data)


class Door:
    """An adapter or a ledger as one process sees it."""

    def __init__(self, reach: Reach, room: str, inner: object) -> None:
        self._reach = reach
        self._room = room
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not callable(inner) or name in PURE:
            return inner

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._reach.call(self._room, name, lambda: inner(*args, **kwargs), args)

        return call


def _refused(outcome: Outcome) -> None:
    """Nothing happens, and the answer says so."""
    if outcome is Outcome.NOT_SENT:
        raise NotSent("struck", "not sent in the simulation")
    if outcome in (Outcome.REFUSED, Outcome.FOR_GOOD):
        raise Refused("struck", "refused by the simulation", permanent=outcome is Outcome.FOR_GOOD)
    if outcome is Outcome.PERSON:
        raise NeedsPerson("struck", "not allowed in the simulation.", todo="allow it", scope=Scope.SECRET)
