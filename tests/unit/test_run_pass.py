"""The worker: side by side, each secret apart, and an end that loses nothing."""

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rotator.ledger import open_ledger
from rotator.model import Level, Order, Policy, ProviderRef, StoreRef, Target, Traits
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeProvider, FakeStore, FakeWorld, Told

SOON = timedelta(seconds=20)  # real time that nothing here should take


class Rig:
    """Some secrets, taken on and rotated long ago, and a worker with threads."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        rng = random.Random(1)
        self.clock = ManualClock()
        self.provider = FakeProvider(self.clock, rng)
        self.store = FakeStore(self.clock)
        self.told = Told()
        self.ledger = open_ledger(f"sqlite:///{folder}/ledger.sqlite", self.clock)
        self.world = FakeWorld(self.ledger, self.provider, self.store, rng)
        self.policies = tuple(self._policy(name) for name in names)
        self.worker = self.start()
        self.settle()

    def _policy(self, name: str) -> Policy:
        key = self.provider.add("by hand")
        self.store.put(name, "v0", {"key_id": key.key_id, "secret": key.secret}, current=True)
        store = StoreRef("fake", "fake")
        target = Target(FakeStore.canonical({}, name), store, name)
        ref = ProviderRef("fake", "fake", "https://fake.invalid")
        return Policy(name, ref, target, every=timedelta(days=30), grace=timedelta(hours=1))

    def start(self, holder: str = "rig") -> Worker:
        """One more process on the same ledger."""
        return Worker(self.world, Book(policies=self.policies), self.told, holder=holder, threads=4)

    def settle(self) -> None:
        """One pass, to its end."""
        self.worker.run_pass()
        assert self.worker.drain(SOON)

    def order(self, name: str) -> None:
        """Rotate now."""
        self.ledger.give(f"fake|{name}", Order("run", "a person", "drill", self.clock.now()))

    def kinds(self, name: str) -> list[str]:
        """What happened to one secret, oldest first."""
        return [event.kind for event in reversed(self.ledger.events(f"fake|{name}"))]

    def close(self) -> None:
        """End the threads and let go of the file."""
        self.worker.close()
        self.ledger.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Two secrets."""
    made = Rig(tmp_path, ("one", "two"))
    yield made
    made.close()


def test_one_that_hangs_holds_up_no_other(rig: Rig) -> None:
    """While one secret's store does not answer, the other is worked, and a pass returns at once."""
    hanging, free, look = threading.Event(), threading.Event(), rig.store.look

    def slow(target: Target) -> Any:
        if target.secret == "one":
            hanging.set()
            assert free.wait(20)
        return look(target)

    rig.store.look = slow  # type: ignore[method-assign]
    rig.order("one")
    assert rig.worker.run_pass() == 1
    assert hanging.wait(20)
    rig.order("two")
    assert rig.worker.run_pass() == 1
    while "staged" not in rig.kinds("two"):
        threading.Event().wait(0.01)
    assert rig.worker.busy()
    assert "staged" not in rig.kinds("one")
    free.set()
    rig.worker.stop()
    assert rig.worker.drain(SOON)


def test_a_fault_of_the_program_is_an_alarm_of_that_secret_alone(rig: Rig) -> None:
    """The other one goes on; the alarm names the place and no value."""
    look = rig.store.look

    def broken(target: Target) -> Any:
        if target.secret == "one":
            raise ZeroDivisionError("value-that-must-not-leak")
        return look(target)

    rig.store.look = broken  # type: ignore[method-assign]
    rig.order("one")
    rig.order("two")
    rig.worker.run_pass()
    while not {"fault"} <= set(rig.kinds("one")) or "staged" not in rig.kinds("two"):
        threading.Event().wait(0.01)
    rig.worker.stop()
    assert rig.worker.drain(SOON)
    (alarm,) = [event for event in rig.ledger.events() if event.level is Level.ALARM]
    assert "ZeroDivisionError at test_run_pass.py" in alarm.text
    assert "must-not-leak" not in alarm.text
    assert rig.worker.trouble


def test_what_is_due_again_soon_is_taken_up_without_a_pass(rig: Rig) -> None:
    """A key that is being verified is looked at when its time comes, not when the next tick does."""
    rig.order("one")
    rig.worker.run_pass()
    while "promoted" not in rig.kinds("one"):
        threading.Event().wait(0.01)
        rig.clock.advance(timedelta(milliseconds=50))
    rig.worker.stop()
    assert rig.worker.drain(SOON)


def test_a_worker_that_was_stopped_drains_at_once(rig: Rig) -> None:
    """What is due again soon is for whoever comes next."""
    rig.order("one")
    rig.worker.run_pass()
    while "staged" not in rig.kinds("one"):
        threading.Event().wait(0.01)
    rig.worker.stop()
    assert rig.worker.drain(SOON)
    assert rig.worker.run_pass() == 0
    assert rig.ledger.rotation("fake|one") is not None


def test_only_the_chosen_are_worked(rig: Rig) -> None:
    """A command works the secrets that it was asked for."""
    rig.order("one")
    rig.order("two")
    assert rig.worker.run_pass(only={"fake|two"}) == 1
    rig.worker.stop()
    assert rig.worker.drain(SOON)
    assert "began" not in rig.kinds("one")


def test_an_account_with_a_low_rate_limit_is_spoken_for_by_one_worker(rig: Rig) -> None:
    """While the principal's lock is held elsewhere, its secrets wait a moment; nothing is called."""

    class Exclusive(FakeProvider):
        traits: ClassVar[Traits] = replace(FakeProvider.traits, exclusive=True)

    rig.world._provider = Exclusive(rig.clock, random.Random(2))
    principal = rig.policies[0].provider.principal
    assert rig.ledger.lock(f"principal:{principal}", "another", timedelta(minutes=1))
    rig.order("one")
    again = rig.worker.work("fake|one")
    assert again is not None
    assert timedelta(0) < again - rig.clock.now() < timedelta(seconds=10)
    assert "began" not in rig.kinds("one")


def test_an_alarm_is_told_once_and_forgotten_when_it_was_taken(rig: Rig) -> None:
    """Not taken yet: not told again by this process, but by the next one."""
    rig.store.secrets.pop("one")
    rig.order("one")
    rig.worker.work("fake|one")
    taken = [False]
    rig.told.flush = lambda timeout: taken[0]  # type: ignore[method-assign]
    rig.worker.tell_alarms()
    rig.worker.tell_alarms()
    assert [event.kind for event in rig.told.events] == ["blocked"]
    rig.start().tell_alarms()
    assert len(rig.told.events) == 2
    taken[0] = True
    rig.worker.tell_alarms()
    assert rig.ledger.untold() == []


def test_of_several_workers_one_tells_an_alarm(rig: Rig) -> None:
    """While one worker hands an alarm over, no other tells it; if nobody takes it, another does later."""
    rig.store.secrets.pop("one")
    rig.order("one")
    rig.worker.work("fake|one")
    rig.told.flush = lambda timeout: False  # type: ignore[method-assign]
    for worker in (rig.worker, rig.start("other")):
        worker.tell_alarms()
    assert [event.kind for event in rig.told.events] == ["blocked"]
    rig.clock.advance(timedelta(minutes=1))
    rig.start("other").tell_alarms()
    assert [event.kind for event in rig.told.events] == ["blocked", "blocked"]


def test_a_fleet_that_is_known_costs_nothing_at_the_next_start(rig: Rig) -> None:
    """A worker that starts with policies which have not changed makes nothing due."""
    again = rig.start()
    assert rig.ledger.due(10) == []
    again.use(Book(policies=(replace(rig.policies[0], every=timedelta(days=1)), rig.policies[1])))
    assert rig.ledger.due(10) == ["fake|one"]


def test_a_queue_longer_than_the_pool_is_worked_without_another_pass(tmp_path: Path) -> None:
    """What one pass had no room for is taken up as soon as there is some, not at the clock's next tick."""
    names = tuple(f"secret-{number:02d}" for number in range(40))
    many = Rig(tmp_path, names)  # its one pass has room for sixteen
    assert all("taken-on" in many.kinds(name) for name in names)
    many.close()
