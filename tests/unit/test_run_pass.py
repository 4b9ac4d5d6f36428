"""The worker: side by side, each secret apart, and an end that loses nothing."""

import queue
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rotator import safe_mode
from rotator.desk import Desk
from rotator.errors import Fenced
from rotator.ledger import open_ledger
from rotator.likeness import CHECK
from rotator.looking import doubt
from rotator.memory import Memory
from rotator.model import Level, Order, Policy, ProviderRef, SecretState, StoreRef, Target, Traits
from rotator.policies import Book
from rotator.run_pass import CLAIM, Worker
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


def test_safe_mode_is_told_once_wherever_the_worker_that_entered_it_was_killed(rig: Rig) -> None:
    """Whoever tells alarms tells it, until it is taken; and once more when the ledger is doubted again."""
    taken = [False]
    rig.told.flush = lambda timeout: taken[0]  # type: ignore[method-assign]
    for times in (1, 2):
        assert safe_mode.enter(rig.ledger, "a label that it never drew")  # and the worker is killed here
        rig.worker.tell_alarms()
        rig.worker.tell_alarms()
        assert [event.kind for event in rig.told.events] == ["safe-mode"] * times
        taken[0] = True
        for worker in (rig.worker, rig.start(), rig.start("other")):
            worker.tell_alarms()
        assert [event.kind for event in rig.told.events] == ["safe-mode"] * times
        assert safe_mode.TODO in rig.told.events[-1].text
        taken[0] = False
        assert safe_mode.leave(rig.ledger)
        rig.clock.advance(timedelta(minutes=1))


def test_a_kill_while_the_ledger_is_doubted_revokes_nothing(rig: Rig) -> None:
    """Safe mode is on before its reason is written into the history: a kill there loses that line alone."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    claim, state = rig.ledger.claim("fake|one", "rig", timedelta(minutes=1)), rig.ledger.secret("fake|one")
    assert claim
    assert state
    desk = Desk(rig.world, Memory(), claim, state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig.ledger, "commit", killed)
        with pytest.raises(Killed):
            doubt(desk, "a label that it never drew")
    assert desk.held(rig.policies[0], urgent=True, revokes=True)
    rig.worker.tell_alarms()
    assert [event.kind for event in rig.told.events] == ["safe-mode"]


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


class Accounts(Rig):
    """The first letter of a name is its account."""

    def _policy(self, name: str) -> Policy:
        made = super()._policy(name)
        return replace(made, provider=replace(made.provider, base_url=f"https://{name[0]}.invalid"))


def test_threads_are_shared_out_over_the_accounts(tmp_path: Path) -> None:
    """Where those of one account would take them all, the next thread that is free works for another one."""
    rig = Accounts(tmp_path, ("a1", "a2", "a3", "a4", "a5", "b1"))
    begun, free = queue.Queue[str](), threading.Semaphore(0)

    def slow(secret_id: str, *_: object) -> None:
        begun.put(secret_id)
        assert free.acquire(timeout=20)

    rig.worker.work = slow  # type: ignore[method-assign, assignment]
    for policy in rig.policies:
        rig.order(policy.name)
    assert rig.worker.run_pass() == 6
    first = {begun.get(timeout=20) for _ in range(4)}
    free.release()
    assert "fake|b1" in {*first, begun.get(timeout=20)}
    free.release(6)
    rig.worker.stop()
    assert rig.worker.drain(SOON)
    rig.close()


def only(policies: tuple[Policy, ...], rig: Rig, holder: str) -> Worker:
    """A worker with other policy files, that has made a pass."""
    worker = Worker(rig.world, Book(policies=policies), rig.told, holder=holder, threads=4)
    worker.run_pass()
    assert worker.drain(SOON)
    return worker


def state(rig: Rig, name: str) -> SecretState:
    """What the ledger says of one secret."""
    found = rig.ledger.secret(f"fake|{name}")
    assert found is not None
    return found


def test_a_worker_without_a_policy_switches_nothing_off_for_those_that_have_it(rig: Rig) -> None:
    """One pass with an older file marks a secret; a worker that has its policy takes it up, and people are
    told once.
    """
    planned = {known.id: at for known, at in rig.ledger.secrets()}
    for _ in range(2):
        only(rig.policies[1:], rig, "older files").close()
        assert state(rig, "one").gone
        rig.clock.advance(CHECK)
        rig.settle()
        assert not state(rig, "one").gone
    assert {known.id: at for known, at in rig.ledger.secrets()} == planned
    assert rig.kinds("one")[-2:] == ["policy-deleted", "policy-back"]
    (alarm,) = rig.told.events
    assert (alarm.kind, "one" in alarm.text) == ("unlike-policies", True)


def test_a_secret_without_a_policy_stays_in_sight(rig: Rig) -> None:
    """A worker that lacks a policy cannot know that nobody has it: it plans another look."""
    only((), rig, "no files").close()
    assert all(known.gone and at is not None for known, at in rig.ledger.secrets())


def test_workers_with_unlike_texts_of_a_policy_answer_each_other_ever_later(rig: Rig) -> None:
    """In a day each claims its own text a few times, not at every look, and people are told once."""
    theirs = only((replace(rig.policies[0], every=timedelta(days=90)), rig.policies[1]), rig, "other files")
    seen, changes = state(rig, "one").digest, 0
    for _ in range(100):
        rig.clock.advance(CHECK)
        for worker in (rig.worker, theirs):
            worker.run_pass()
            assert worker.drain(SOON)
            now = state(rig, "one").digest
            seen, changes = now, changes + (now != seen)
    theirs.close()
    assert 2 <= changes <= 2 * 12
    assert [event.kind for event in rig.told.events] == ["unlike-policies"]


def test_an_old_worker_that_looked_last_does_not_decide_the_next_look(rig: Rig) -> None:
    """In a deployment the old worker may look last; the new one plans by the new schedule all the same."""
    sooner = (replace(rig.policies[0], every=timedelta(days=10)), rig.policies[1])
    new = only(sooner, rig, "new files")
    only(rig.policies, rig, "old files").close()
    rig.clock.advance(CHECK)
    new.run_pass()
    assert new.drain(SOON)
    at = next(at for known, at in rig.ledger.secrets() if known.id == "fake|one")
    new.close()
    assert at is not None
    assert at <= rig.clock.now() + timedelta(days=10)


def test_what_waits_for_its_turn_is_not_taken_for_unlike(rig: Rig) -> None:
    """Changed policies that a full worker has not come to yet are no sign of another worker's files."""
    rig.worker.use(Book(policies=tuple(replace(each, every=timedelta(days=9)) for each in rig.policies)))
    rig.clock.advance(CHECK)
    rig.settle()
    assert rig.told.events == []


def test_who_was_frozen_beyond_its_claim_finds_out_though_the_clock_was_set_back(rig: Rig) -> None:
    """Others went on with the secret: what it read is old, so it neither acts nor doubts the ledger."""
    secret = "fake|one"
    claim, state = rig.ledger.claim(secret, "frozen", CLAIM), rig.ledger.secret(secret)
    assert claim is not None
    assert state is not None
    desk, before = Desk(rig.world, Memory(), claim, state), rig.clock.now()
    rig.clock.advance(CLAIM * 2)
    assert rig.ledger.claim(secret, "another", CLAIM) is not None
    rig.clock.advance(before - timedelta(minutes=5) - rig.clock.now())
    with pytest.raises(Fenced):
        desk.provider(rig.policies[0])
    with pytest.raises(Fenced):
        doubt(desk, "it looks older than the world")
    assert safe_mode.current(rig.ledger) is None
