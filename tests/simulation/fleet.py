"""Many policies of one provider and one store, for what holds more than one secret."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from rotator.ledger import open_ledger
from rotator.model import CurrentKey, Event, Policy, Provenance, SecretState, Target, Traits
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeProvider, FakeStore, FakeWorld, Told
from tests.simulation.sim import GRACE, PROVIDER, STORE

DAY = timedelta(days=1)


class Recording(FakeProvider):
    """A provider without a limit that notes when it was asked for what, and fails as it is told to."""

    traits: ClassVar[Traits] = replace(FakeProvider.traits, key_limit=None)
    fails: Exception | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[tuple[str, Any]] = []

    def issue(self, label: str, wanted: Any) -> Any:
        """Counted; it fails before anything is made."""
        self.asked.append(("issue", self._clock.now()))
        if self.fails is not None:
            raise self.fails
        return super().issue(label, wanted)

    def revoke(self, key_id: str) -> None:
        """Counted."""
        self.asked.append(("revoke", self._clock.now()))
        super().revoke(key_id)

    def times(self, call: str) -> list[Any]:
        """When it was asked for this."""
        return [at for name, at in self.asked if name == call]


@dataclass
class Fleet:
    """So many secrets, each with an adopted key that is as old as its policy allows."""

    folder: Path
    size: int
    every: timedelta = timedelta(days=30)
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.clock, self.rng = ManualClock(), Random(5)
        self.provider, self.store = Recording(self.clock, self.rng), FakeStore(self.clock)
        self.ledger = open_ledger("sqlite://", self.clock)
        self.policies = tuple(self._policy(f"p{number}") for number in range(self.size))
        self.worker = self.restarted()

    def _policy(self, name: str) -> Policy:
        key, now = self.provider.add("made by hand"), self.clock.now()
        self.store.put(name, "v0", {"key_id": key.key_id, "secret": key.secret}, current=True)
        target = Target(FakeStore.canonical({}, name), STORE, name)
        current = CurrentKey("v0", key.key_id, Provenance.ADOPTED, now - self.every)
        state = SecretState(target.id, name, PROVIDER.principal, now, looked_at=now, current=current)
        self.ledger.enroll([replace(state, rotated_at=now - self.every)])
        return Policy(name, PROVIDER, target, every=self.every, grace=GRACE)

    def restarted(self) -> Worker:
        """Another process: it knows nothing but the ledger."""
        world = FakeWorld(self.ledger, self.provider, self.store, self.rng)
        self.worker = Worker(world, Book(policies=self.policies), self.told, holder="fleet", threads=1)
        return self.worker

    def run(self, span: timedelta) -> None:
        """Work what is due for so long, one secret after the other."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            found = self.ledger.due(1)
            if found:
                self.worker.work(found[0])
            else:
                soon = self.clock.now() + timedelta(seconds=1)
                self.clock.advance_to(min(end, max(soon, self.ledger.next_due() or end)))

    def kinds(self, kind: str) -> list[Event]:
        """The events of a kind, of all secrets."""
        return [event for event in self.ledger.events(limit=10_000) if event.kind == kind]
