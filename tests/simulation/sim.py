"""The real stories, pass and ledger against a provider, a store and a consumer in memory, with faults.

A fault strikes one call across the boundary: the n-th. The checker looks at the truth, after every call:
what the store holds must be accepted by the provider; and at the end, what is alive.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, cast

from rotator.errors import EffectError, LedgerUnusable, Refused, Unknown
from rotator.interfaces import Consumer, Ledger, Provider, SecretStore
from rotator.ledger import open_ledger
from rotator.model import (
    ConsumerRef,
    CurrentKey,
    Order,
    Policy,
    Probe,
    Provenance,
    ProviderRef,
    SecretState,
    StoreRef,
    Target,
    Verdict,
    token_in,
)
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeConsumer, FakeKey, FakeProvider, FakeStore, FakeWorld, Told

SECRET = "prod/one"
GRACE = timedelta(hours=1)
STORE = StoreRef("fake", "fake")
TARGET = Target(FakeStore.canonical({}, SECRET), STORE, SECRET)
PROVIDER = ProviderRef("fake", "fake", "https://fake.invalid")
APP = ConsumerRef("app", "fake")
POLICY = Policy("one", PROVIDER, TARGET, every=timedelta(days=30), grace=GRACE, consumers=(APP,))

EFFECTS = {
    "provider": ("issue", "find", "probe", "revoke"),
    "store": ("look", "read", "seed", "stage", "promote", "shown", "keep", "discard"),
    "consumer": ("tell",),
    "ledger": ("commit",),
}


class Crash(BaseException):
    """The process is gone: nothing of it runs any more."""


class Fault(StrEnum):
    """What strikes a call."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    LOST = "answer lost"
    REFUSED = "refused"
    GARBAGE = "garbage in a 200"


@dataclass
class Strike:
    """One fault at one call, counted from 1; ``hit`` tells which call it was, once it came."""

    nth: int
    fault: Fault
    hit: str | None = None


class Violation(BaseException):
    """A rule was broken; the message says which. Nothing that runs may swallow it."""


class Struck:
    """An adapter or ledger whose calls may be struck; after a crash none of them does anything."""

    def __init__(self, room: str, inner: Any, sim: "Sim") -> None:
        self._room = room
        self._inner = inner
        self._sim = sim

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not callable(inner):
            return inner

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._sim.crashed:
                raise Crash
            if name not in EFFECTS[self._room]:
                return inner(*args, **kwargs)
            return self._sim.call(f"{self._room}.{name}", lambda: inner(*args, **kwargs), args)

        return call


@dataclass
class Sim:
    """One world, its ledger file, and what happened. ``strikes`` are the faults still to come."""

    folder: Path
    seed: int = 1
    strikes: list[Strike] = field(default_factory=list)
    policy: Policy = POLICY
    adopted: bool = True
    calls: list[str] = field(default_factory=list)
    crashed: bool = False
    instant: Counter[tuple[datetime, str]] = field(default_factory=Counter)
    held_elsewhere: set[str] = field(default_factory=set)  # keys that another secret holds as well
    given: list[timedelta] = field(default_factory=list)  # graces that a person ordered
    contained: str | None = None  # a person said that this key may die while the secret holds it
    left_at: dict[str, datetime] = field(default_factory=dict)
    heard_at: dict[str | None, datetime] = field(default_factory=dict)  # when a consumer heard of a key
    outside: Callable[["Sim", str], None] = lambda _sim, _name: None
    first: ClassVar[str] = "v0"  # the version that was there before us

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = ManualClock()
        self.provider = FakeProvider(self.clock, self.rng)
        self.store = self.make_store()
        self.consumer = FakeConsumer()
        self.others: dict[str, FakeConsumer] = {}
        self.excused = False  # a person, or the policy, said that nobody must be told first
        self.told = Told()
        self.old = self.provider.add("made by hand")
        self.foreign = self.provider.add("of somebody else")
        held = {"key_id": self.old.key_id, "secret": self.old.secret, "note": "theirs"}
        self.store.put(SECRET, self.first, held, current=True)
        self.current_key: str | None = self.old.key_id
        self.ledger = self._opened()
        self._enroll()

    def make_store(self) -> FakeStore:
        """Where the secret is."""
        return FakeStore(self.clock)

    def _opened(self) -> Ledger:
        return open_ledger(f"sqlite:///{self.folder / 'ledger.sqlite'}", self.clock)

    def _enroll(self) -> None:
        now = self.clock.now()
        state = SecretState(TARGET.id, "one", PROVIDER.principal, now, looked_at=now, rotated_at=now)
        if self.adopted:
            known = CurrentKey(self.first, self.old.key_id, Provenance.ADOPTED, now)
            state = replace(state, current=known)
        self.ledger.enroll([state])

    # processes

    def start(self) -> Worker:
        """A new process: it knows nothing but the ledger."""
        self.crashed = False
        world = FakeWorld(
            cast("Ledger", Struck("ledger", self.ledger, self)),
            cast("Provider", Struck("provider", self.provider, self)),
            cast("SecretStore", Struck("store", self.store, self)),
            self.rng,
            {
                name: cast("Consumer", Struck("consumer", consumer, self))
                for name, consumer in {APP.name: self.consumer, **self.others}.items()
            },
        )
        return Worker(world, Book(policies=(self.policy,)), self.told, holder="sim", threads=1)

    def order(
        self,
        grace: timedelta | None = None,
        *,
        leaked: str | tuple[str, ...] | None = None,
        contain: bool = False,
        issued_before: datetime | None = None,
    ) -> None:
        """A person asks to rotate now; a version holds a key that others know, the key is to die first, or
        younger ones stay.
        """
        self.given += [grace] if grace is not None else []
        if contain:
            self.contained = self.store.value(SECRET).get("key_id")
        now = self.clock.now()
        order = Order(
            "run",
            "a person",
            "drill",
            now,
            grace=grace,
            leaked_versions=(leaked,) if isinstance(leaked, str) else leaked or (),
            contain=contain,
            issued_before=issued_before,
        )
        self.ledger.give(TARGET.id, order)

    def run(self, steps: int = 400) -> None:
        """Work until nothing is left to do, starting again after every crash; checks at each step."""
        worker: Worker | None = None
        for _ in range(steps):
            try:
                worker = worker or self.start()
                due = self.ledger.due(1)
                if due:
                    worker.work(due[0])
                elif self._quiet():
                    return
                else:
                    self._wait()
            except Crash:
                worker = None
                self.clock.advance(timedelta(seconds=95))  # until the dead worker's claim is over
            except (LedgerUnusable, EffectError):
                self.clock.advance(timedelta(seconds=5))
        raise Violation(f"not ended after {steps} steps: {self.where()}")

    def _quiet(self) -> bool:
        busy = self.ledger.rotation(TARGET.id) or self.ledger.debts() or self.ledger.orders(TARGET.id)
        return not busy

    def _wait(self) -> None:
        """Nothing is due: let time pass until something is, or until a claim is over."""
        at = self.ledger.next_due()
        later = self.clock.now() + timedelta(seconds=1)
        self.clock.advance_to(max(later, min(at or later, later + timedelta(days=1))))

    # calls and faults

    def call(self, name: str, act: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        """One call across the boundary, struck or not."""
        self.calls.append(name)
        self.outside(self, name)
        strike = next((s for s in self.strikes if s.nth == len(self.calls) and s.hit is None), None)
        if strike is None:
            return self._done(name, act, args)
        strike.hit = name
        if strike.fault is Fault.CRASH_BEFORE:
            self._crash()
        if strike.fault is Fault.REFUSED:
            return self._failed(name, Refused("struck", "refused by the simulation"))
        self._done(name, act, args)
        if strike.fault is Fault.CRASH_AFTER:
            self._crash()
        return self._failed(name, Unknown("struck", f"{strike.fault} in the simulation"))

    def _done(self, name: str, act: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        self._seen()
        current = self.store.secrets[SECRET].current
        self._paced(name)
        if name == "provider.revoke":
            self._revocable(str(args[0]))
        if name == "provider.issue":
            self._issuable()
        if name == "consumer.tell" and not self.store.replicas_show:
            raise Violation("a consumer was told while a replica shows the old key")
        answer = act()
        if name == "consumer.tell":
            self.heard_at.setdefault(args[0].key_id, self.clock.now())
        self._seen()
        published = self.store.secrets[SECRET].current != current
        if published and name not in ("store.promote", "store.seed"):
            raise Violation(f"{name} published a version that was not promoted")
        self.check()
        return answer

    def _crash(self) -> None:
        self.crashed = True
        raise Crash

    def _failed(self, name: str, error: EffectError) -> Any:
        if name == "provider.probe":
            return Probe(Verdict.UNKNOWN, error.message)
        if name.startswith("ledger."):
            raise LedgerUnusable(error.message)
        raise error

    # the checker

    def where(self) -> str:
        """Where things stand, for a failing test."""
        rotation = self.ledger.rotation(TARGET.id)
        debts = [(d.key_id, d.reason, d.phase, d.block and d.block.kind) for d in self.ledger.debts()]
        state = self.ledger.secret(TARGET.id)
        return (
            f"rotation {rotation and (rotation.phase, rotation.error, rotation.looks)}, debts {debts}, "
            f"block {state and state.block}, now {self.clock.now()}, next {self.ledger.next_due()}"
        )

    def _revocable(self, key_id: str) -> None:
        """A key that consumers read, or read a moment ago, or that is not ours, is not revoked."""
        value = self.store.value(SECRET)
        contained = key_id == self.contained == value.get("key_id")
        held = self.held_elsewhere if contained else {value.get("key_id"), *self.held_elsewhere}
        if key_id in held:
            raise Violation(f"revoke of key {key_id}, which a secret holds")
        if key_id == self.old.key_id and not self.adopted:
            raise Violation(f"revoke of {key_id}, which nobody adopted")
        if contained or key_id != self.old.key_id:
            return
        grace = min([self.policy.grace, *self.given])
        left = self.left_at.get(key_id, self.clock.now() - grace)
        if self.clock.now() < left + grace or not self.store.replicas_show:
            raise Violation(f"revoke of {key_id} before its grace was over")
        if value.get("key_id") == self.foreign.key_id:
            raise Violation(f"revoke of {key_id} while the secret holds somebody else's key")
        self._known(key_id, value.get("key_id"))

    def _known(self, key_id: str, successor: str | None) -> None:
        """Consumers were told of a key's successor, a grace ago."""
        heard = self.heard_at.get(successor)
        if heard is None and not self.excused:
            raise Violation(f"revoke of {key_id} while a consumer was not told of its successor")
        if (
            heard is not None
            and self.clock.now() < heard + min([self.policy.grace, *self.given])
            and not self.excused
        ):
            raise Violation(f"revoke of {key_id} within its grace after a consumer was told")

    def _seen(self) -> None:
        """Note when a key left the secret: its grace is counted from then."""
        key_id = self.store.value(SECRET).get("key_id")
        if key_id != self.current_key:
            if self.current_key is not None:
                self.left_at[self.current_key] = self.clock.now()
            self.current_key = key_id
            self.contained = None  # it was allowed until there is another one, and no longer

    def _issuable(self) -> None:
        """No key is asked for where the principal has no room."""
        live = sum(key.live for key in self.provider.keys.values())
        if live >= (self.provider.traits.key_limit or live + 1):
            raise Violation("issue beyond the principal's limit")

    def _paced(self, name: str) -> None:
        """Nothing is tried again and again in the same instant."""
        self.instant[self.clock.now(), name] += 1
        if name != "ledger.commit" and self.instant[self.clock.now(), name] > 12:
            raise Violation(f"{name} is repeated without a back-off")

    def check(self) -> None:
        """At every instant: what the store holds is accepted; no foreign key was touched; no label twice."""
        value = self.store.value(SECRET)
        contained = value.get("key_id") == self.contained
        if "secret" in value and not contained and not self.provider.accepts(value["secret"]):
            raise Violation(f"the store's current key {value.get('key_id')} is not accepted")
        if not self.foreign.live or self.foreign.key_id in self.provider.revoked:
            raise Violation("a foreign key was touched")
        labels = [key.label for key in self.provider.keys.values() if token_in(key.label)]
        if len(labels) != len(set(labels)):
            raise Violation("two keys carry one label")
        history = self.store.secrets[SECRET].history
        if len(history) != len(set(history)):
            raise Violation("a version that was current became current again")

    def ended_well(self) -> None:
        """At the end: rotated, exactly one of our keys alive, the old one dead, every debt paid."""
        self.ended_well_beside()

    def ended_well_beside(self, *others: FakeKey) -> None:
        """The same, beside keys of others."""
        self.check()
        foreign = (self.foreign, *others)
        live = [key.key_id for key in self.provider.keys.values() if key.live and key not in foreign]
        if live != [self.store.value(SECRET).get("key_id")]:
            raise Violation(f"alive: {live}; the secret holds {self.store.value(SECRET).get('key_id')}")
        if self.old.live:
            raise Violation("the old key is alive")
        if self.store.value(SECRET).get("note") != "theirs":
            raise Violation("other fields of the secret were lost")
        state = self.ledger.secret(TARGET.id)
        if state is None or state.current is None or state.current.key_id not in live:
            raise Violation("the ledger does not know the current key")
