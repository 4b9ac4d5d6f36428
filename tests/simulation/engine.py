"""The real pass, stories and ledger, in as many processes as told, against a world that is struck."""

import copy
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

from rotator.errors import Fenced, LedgerUnusable
from rotator.interfaces import Consumer, Ledger, Provider, SecretStore
from rotator.ledger import open_ledger
from rotator.ledger.rows import Written
from rotator.ledger.times import HostTime
from rotator.model import (
    ConsumerRef,
    CurrentKey,
    Order,
    Policy,
    Provenance,
    ProviderRef,
    SecretState,
    StoreRef,
    Target,
    WhenNotTold,
)
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeConsumer, FakeSecret, Told
from tests.simulation import facts
from tests.simulation.baton import Baton, Task
from tests.simulation.history import Act, Did, History
from tests.simulation.outcomes import Plan
from tests.simulation.outside import NOTHING, SimProvider, SimStore, SimWorld
from tests.simulation.reach import Process, Reach

STORE = StoreRef("fake", "fake")
APP = ConsumerRef("app", "fake")
ADOPTED, UNADOPTED, EMPTY, UNVERSIONED = "adopted", "unadopted", "empty", "unversioned"
SECOND = timedelta(seconds=1)
LONG = timedelta(hours=30)


@dataclass(frozen=True)
class Place:
    """One secret of a run: its policy's name, its provider's, and what is in it at the beginning."""

    name: str
    provider: str = "alpha"
    grace: timedelta = timedelta(hours=1)
    holds: str = ADOPTED
    when_not_told: WhenNotTold | None = WhenNotTold.HOLD  # None: it has no consumer


@dataclass(frozen=True)
class Setup:
    """What a run begins with. ``switch`` is how likely the baton is passed at a boundary; with ``latency``
    calls take time; ``foreign`` keys at each provider are somebody else's.
    """

    places: tuple[Place, ...] = (Place("one"),)
    limits: Mapping[str, int] = field(default_factory=lambda: {"alpha": 4})
    foreign: int = 1
    switch: float = 0.0
    latency: bool = False
    replicated: bool = False


class LedgerClock(ManualClock):
    """The ledger's clock: the true one, and how far it is off."""

    def __init__(self, true: ManualClock) -> None:
        super().__init__()
        self.true = true
        self.off = timedelta(0)

    def now(self) -> datetime:
        """As the ledger tells it."""
        return self.true.now() + self.off


class Sim:
    """One run. ``plan`` decides how calls end; the checker reads ``history`` afterwards."""

    def __init__(self, setup: Setup, seed: int, plan: Plan) -> None:
        self.setup = setup
        self.rng = Random(seed)
        self.plan = plan
        self.clock = ManualClock()
        self.ledger_clock = LedgerClock(self.clock)
        self.baton = Baton(self.clock, self.rng, setup.switch)
        self.history = History()
        self.told = Told()
        self.effects = 0
        self.started = 0
        self.settling = False  # nobody is started in place of those that are gone
        self.idle = False  # nothing is left to do for long
        self.processes: list[Process] = []
        self.providers = {
            name: _provider(name, self.clock, self.rng, limit) for name, limit in setup.limits.items()
        }
        self.store = SimStore(self.clock)
        self.store.replicated = setup.replicated
        self.consumer = FakeConsumer()
        self.ledger = _fresh(self.ledger_clock)
        self.policies = {place.name: policy_of(place) for place in setup.places}
        for provider in self.providers.values():
            for _ in range(setup.foreign):
                provider.add("of somebody else")
        self.ledger.enroll([self._filled(place) for place in setup.places])
        self.book = Book(policies=tuple(self.policies.values()))
        self._keys: dict[str, bool] = {}
        self._current: dict[str, str | None] = {}
        self.truth("outside")
        for place in setup.places:
            if place.holds == ADOPTED:
                key_id = self.store.value(place.name)["key_id"]
                self.note("outside", Did.OUTSIDE, "adopted", place.name, key=key_id)

    def _filled(self, place: Place) -> SecretState:
        """The secret as somebody made it by hand, and what the ledger knows of it."""
        now, policy = self.clock.now(), self.policies[place.name]
        principal = policy.provider.principal
        state = SecretState(policy.target.id, place.name, principal, now, looked_at=now, rotated_at=now)
        if place.holds == UNVERSIONED:
            self.store.secrets[place.name] = FakeSecret()
            return state
        if place.holds == EMPTY:
            self.store.put(place.name, "v0", {"note": "theirs"}, current=True)
            return state
        old = self.providers[place.provider].add("made by hand")
        held = {"key_id": old.key_id, "secret": old.secret, "note": "theirs"}
        self.store.put(place.name, "v0", held, current=True)
        known = CurrentKey("v0", old.key_id, Provenance.ADOPTED, now)
        return replace(state, current=known) if place.holds == ADOPTED else state

    # the history

    def note(
        self, by: str, did: Did, name: str, secret: str | None = None, effect: int | None = None, **data: Any
    ) -> None:
        """Add a line."""
        now = self.clock.now()
        seq = len(self.history)
        ledger_at = now + self.ledger_clock.off
        self.history.acts.append(Act(seq, now, ledger_at, by, did, name, secret, effect, data))

    def truth(self, by: str, effect: int | None = None) -> None:
        """Note what has changed outside: keys born and dead, versions that became current."""
        for provider in self.providers.values():
            for key in provider.keys.values():
                if self._keys.get(key.key_id) != key.live:
                    self._keys[key.key_id] = key.live
                    name = "born" if key.live else "died"
                    told = {"key": key.key_id, "label": facts.brief(key.label), "provider": provider.name}
                    self.note(by, Did.TRUTH, name, None, effect, **told)
        for secret, kept in self.store.secrets.items():
            if self._current.get(secret) != kept.current:
                self._current[secret] = kept.current
                key_id = self.store.value(secret).get("key_id")
                version = facts.brief(kept.current)
                self.note(by, Did.TRUTH, "current", secret, effect, version=version, key=key_id)

    # processes

    def start(self) -> Process:
        """A new process; it is given the baton in its turn."""
        self.started += 1
        name = f"worker-{self.started}"
        process = Process(name, Task(name, self.clock.now()))
        self.processes.append(process)
        self.note(name, Did.PROCESS, "began")
        self.baton.spawn(process.task, lambda: self._live(process))
        return process

    def replace(self, process: Process) -> None:
        """A process is gone or does not answer: whatever watches over it starts another."""
        if not (process.replaced or self.settling):
            process.replaced = True
            self.baton.at(self.clock.now() + self.plan.restarted(), self._next_one)

    def _next_one(self) -> None:
        if not self.settling:
            self.start()

    def _live(self, process: Process) -> None:
        """What the clock makes a worker do: look, work what is due, look again."""
        book, pause = self.book, SECOND
        worker = None
        while not process.leaves:
            try:
                if worker is None:
                    worker = self._worker(process)
                if book is not self.book:
                    book = self.book
                    worker.use(book)
                worker.tell_alarms()
                due = worker.world.ledger.due(3)
                if due:
                    pause = SECOND
                    self._work(process, worker, due[0] if len(due) == 1 else self.rng.choice(due))
                else:
                    pause = min(pause * 2, timedelta(minutes=5))
                    self._wait(process, worker, pause)
            except LedgerUnusable:
                self.baton.wait(process.task, self.clock.now() + 5 * SECOND)
        self.note(process.name, Did.PROCESS, "ended")
        process.dead = True

    def _worker(self, process: Process) -> Worker:
        """The pass of a process that knows nothing yet."""
        ledger = _as_new(self.ledger, self.ledger_clock)
        reach = Reach(self, process)
        providers = {
            name: cast("Provider", reach.to("provider", provider))
            for name, provider in self.providers.items()
        }
        store = cast("SecretStore", reach.to("store", self.store))
        consumer = cast("Consumer", reach.to("consumer", self.consumer))
        world = SimWorld(cast("Ledger", reach.to("ledger", ledger)), providers, store, consumer, self.rng)
        process.world = world
        return Worker(world, self.book, self.told, holder=process.name, threads=1)

    def _work(self, process: Process, worker: Worker, secret: str) -> None:
        """One claim, as the pass's threads work it."""
        process.secret = secret
        try:
            worker.work(secret)
        except Fenced:
            self.note(process.name, Did.PROCESS, "fenced", secret)
        finally:
            process.secret = None

    def _wait(self, process: Process, worker: Worker, pause: timedelta) -> None:
        """Nothing is due: until something is, or something is given."""
        now = self.clock.now()
        at = worker.world.ledger.next_due()
        due = at - self.ledger_clock.off if at else now + timedelta(days=1)
        self.idle = due > now + LONG
        until = now + pause if due <= now else min(due, now + timedelta(days=1))
        self.baton.wait(process.task, until, idle=True)

    def stop(self, process: Process) -> None:
        """SIGTERM."""
        self.note(process.name, Did.PROCESS, "stopping")
        if process.world is not None:
            process.world.stop()
        process.leaves = True
        self.baton.wake_idle()

    def holds_values(self) -> bool:
        """Whether the ledger holds the value of any key."""
        held = _connection(self.ledger).serialize()
        keys = (key for provider in self.providers.values() for key in provider.keys.values())
        return any(key.secret.encode() in held for key in keys)

    def slots(self) -> tuple[str, ...]:
        """The attempts for which the ledger holds a slot."""
        rows = _connection(self.ledger).execute("SELECT token FROM slots ORDER BY token").fetchall()
        return tuple(str(facts.brief(token)) for (token,) in rows)

    # what people do

    def order(
        self,
        name: str,
        grace: timedelta | None = None,
        *,
        leaked: str | None = None,
        contain: bool = False,
        issued_before: datetime | None = None,
    ) -> None:
        """A person asks to rotate now; ``leaked`` is a version, with ``contain`` the key dies first, and keys
        that were issued at ``issued_before`` or later stay.
        """
        now, grace = self.ledger_clock.now(), NOTHING if contain else grace
        order = Order(
            "run",
            "a person",
            "drill",
            now,
            grace=grace,
            leaked_versions=(leaked,) if leaked else (),
            contain=contain,
            issued_before=issued_before,
        )
        self.ledger.give(self.policies[name].target.id, order)
        told = facts.brief(leaked)
        self.note(
            "outside",
            Did.OUTSIDE,
            "run-now",
            name,
            grace=grace,
            leaked=told,
            contain=contain or None,
            before=issued_before,
        )
        self.baton.wake_idle()

    def roll_back(self, name: str, grace: timedelta | None = None) -> None:
        """A person wants the key before."""
        now = self.ledger_clock.now()
        order = Order("rollback", "a person", "drill", now, grace=grace, until=now + timedelta(hours=24))
        self.ledger.withdraw(self.policies[name].target.id, "pause")
        self.ledger.give(self.policies[name].target.id, order)
        self.note("outside", Did.OUTSIDE, "rollback", name, grace=grace)
        self.baton.wake_idle()

    def drill(self, name: str) -> None:
        """A person wants to know whether the path works."""
        order = Order("drill", "a person", "before the audit", self.ledger_clock.now())
        self.ledger.give(self.policies[name].target.id, order)
        self.note("outside", Did.OUTSIDE, "drill", name)
        self.baton.wake_idle()

    def use(self, policies: Mapping[str, Policy]) -> None:
        """Policy files were changed: workers take them over at their next look."""
        self.book = Book(policies=tuple(policies.values()))
        self.baton.wake_idle()


_KEPT: list[tuple[Ledger, bytes]] = []


def _fresh(clock: LedgerClock) -> Ledger:
    """An empty ledger in memory. Opened once in a process and emptied for each run: what is dear is not
    the database, but compiling its statements anew.
    """
    if not _KEPT:
        made = open_ledger("sqlite://", ManualClock())
        _KEPT.append((made, _connection(made).serialize()))
    ledger, empty = _KEPT[0]
    _connection(ledger).deserialize(empty)
    return _as_new(ledger, clock)


def _connection(ledger: Ledger) -> sqlite3.Connection:
    """The one connection of a ledger in memory."""
    database = vars(ledger)["_database"]
    connection: sqlite3.Connection = database.engine.raw_connection().driver_connection
    return connection


def _as_new(ledger: Ledger, clock: LedgerClock) -> Ledger:
    """The same ledger as another process opens it: nothing is remembered but what the database holds."""
    opened = copy.copy(ledger)
    vars(opened).update(_time=HostTime(clock), _written=Written())
    return opened


def _provider(name: str, clock: ManualClock, rng: Random, limit: int) -> SimProvider:
    """A provider with a limit of its own."""
    traits = replace(SimProvider.traits, key_limit=limit)
    kind: type[SimProvider] = type("Limited", (SimProvider,), {"traits": traits})
    return kind(name, clock, rng, limit)


def policy_of(place: Place) -> Policy:
    """The policy of a place."""
    provider = ProviderRef(place.provider, "fake", f"https://{place.provider}.invalid")
    target = Target(SimStore.canonical({}, place.name), STORE, place.name)
    policy = Policy(place.name, provider, target, every=timedelta(days=30), grace=place.grace)
    if place.when_not_told is None:
        return policy
    return replace(policy, consumers=(APP,), when_not_told=place.when_not_told)
