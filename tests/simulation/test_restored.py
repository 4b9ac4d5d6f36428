"""A ledger that is older than the world: every commit of two rotations lost again, at several moments."""

import json
import sqlite3
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rotator import reconcile, safe_mode
from rotator.errors import Unknown
from rotator.model import DebtReason, Issued, Level, Phase, WhenNotTold, token_for
from rotator.reconcile.daily import MADE, Daily
from rotator.run_pass import Worker
from rotator.testing.clock import BEGINNING
from tests.simulation.sim import GRACE, POLICY, SECRET, TARGET, Sim, Violation

DAY = timedelta(days=1)
DOWN = Unknown("http-503", "app: the server answered 503.")


class Restored(Sim):
    """Keeps a copy of the ledger after each commit; judges the grace of every key that was ever current."""

    copies = 0
    keeps = True
    began = BEGINNING

    def call(self, name: str, act: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        answer = super().call(name, act, args)
        if name == "ledger.commit" and self.keeps:
            self.copy(self.folder / "ledger.sqlite", self.folder / f"copy-{self.copies}")
            self.copies += 1
        return answer

    @staticmethod
    def copy(source: Path, target: Path) -> None:
        """As SQLite makes a backup."""
        here, there = sqlite3.connect(source), sqlite3.connect(target)
        here.backup(there)
        here.close()
        there.close()

    def restored(self, folder: Path, copy: int) -> "Restored":
        """The same world, with an older copy in the ledger's place: what came after it is lost."""
        world = ("clock", "rng", "provider", "store", "old", "foreign", "current_key", "left_at", "heard_at")
        kept = deepcopy({name: getattr(self, name) for name in world})
        folder = folder / str(copy)
        folder.mkdir()
        self.copy(self.folder / f"copy-{copy}", folder / "ledger.sqlite")
        key = "ledger.sqlite.audit-key"  # not in the database, nor in its backup
        (folder / key).write_bytes((self.folder / key).read_bytes())
        other = Restored(folder)
        vars(other).update(kept)
        other.keeps, other.began = False, self.clock.now()
        other.ledger.close()
        other.ledger = other._opened()
        return other

    def at_rest(self) -> bool:
        """Nothing is under way, and what must die died or waits for a person's word."""
        waits = self.ledger.debts() and safe_mode.current(self.ledger) is None
        return (
            not (self.ledger.rotation(TARGET.id) or waits or self.ledger.orders(TARGET.id))
            and self.compared()
        )

    def insist(self) -> None:
        """A person orders again out of a conflict."""
        live = self.ledger.rotation(TARGET.id)
        if live is not None and live.phase is Phase.CONFLICT and not self.ledger.orders(TARGET.id):
            self.order()

    def doubted(self) -> bool:
        """The stories themselves have found that the ledger is too old."""
        return safe_mode.current(self.ledger) is not None or self.at_rest()

    def made(self) -> None:
        """No comparison is due for a day: the stories look first."""
        self.ledger.forget(MADE)
        self.ledger.remember(MADE, json.dumps({"at": self.began.isoformat()}))

    def compared(self) -> bool:
        """A comparison was made since the ledger was put back."""
        made = self.ledger.fact(MADE)
        return made is not None and datetime.fromisoformat(json.loads(made)["at"]) > self.began

    def _revocable(self, key_id: str) -> None:
        super()._revocable(key_id)
        if safe_mode.current(self.ledger) is not None:
            raise Violation(f"revoke of {key_id} in safe mode")
        if key_id in self.left_at and self.clock.now() < self.left_at[key_id] + GRACE:
            raise Violation(f"revoke of {key_id} within its grace")

    def promotions(self) -> int:
        return len(self.store.secrets["prod/one"].history) - 1

    def go_on(self, until: Callable[[], bool], days: int = 5) -> Worker:
        """Work, a comparison each day, until something is so or the days are over."""
        worker, end = self.start(), self.clock.now() + timedelta(days=days)
        daily = Daily(worker.world, lambda: [self.policy], "sim")
        while self.clock.now() < end and not until():
            daily()
            self.insist()
            due = self.ledger.due(1)
            if due:
                worker.work(due[0])
            else:
                self._wait()
        return worker


def history(sim: Restored, promotions: int, *, paid: bool) -> None:
    """Two rotations, or as much of them as is asked for."""
    for number in range(1, promotions + 1):
        sim.order()
        over = number < promotions or paid

        def done(number: int = number, over: bool = over) -> bool:
            return sim.promotions() >= number and (not over or not sim.ledger.debts())

        sim.go_on(done, days=90)


MOMENTS = {"in the first grace": (1, False), "after one": (1, True), "in the second grace": (2, False)}


@pytest.mark.parametrize(
    ("moment", "ordered"),
    [
        ("in the first grace", True),
        ("in the first grace", False),
        ("after one", False),
        ("in the second grace", True),
    ],
)
def test_a_ledger_that_lost_commits_revokes_nothing_wrongly(
    tmp_path: Path, moment: str, ordered: bool
) -> None:
    """Whichever commits are lost, whatever is in service or in its grace lives, and it all ends clean: by
    itself, or once a person has agreed. Where a rotation was ordered the stories find it out, else the
    comparison of the day does.
    """
    promotions, paid = MOMENTS[moment]
    (tmp_path / "history").mkdir()
    before = Restored(tmp_path / "history")
    history(before, promotions, paid=paid)
    doubted = 0
    for copy in range(before.copies):
        sim = before.restored(tmp_path, copy)
        try:
            if ordered:
                sim.order()
                sim.made()
            sim.go_on(sim.doubted if ordered else sim.at_rest)
            doubted += agreed(sim)
            sim.go_on(sim.at_rest)
            assert safe_mode.current(sim.ledger) is None
            sim.ended_well()
            assert not sim.ledger.debts()
        except (Violation, AssertionError) as wrong:
            pytest.fail(f"{moment}, copy {copy} of {before.copies}: {wrong}\n{told(sim)}")
        sim.ledger.close()
    assert doubted


def told(sim: Sim) -> str:
    """What happened, for a failing test."""
    events = reversed(sim.ledger.events())
    return "\n".join(f"{event.at:%d %H:%M:%S} {event.kind}: {event.text}" for event in events if event.at)


def agreed(sim: Restored) -> bool:
    """A person looks, and agrees where the ledger is in doubt; whether it was."""
    if safe_mode.current(sim.ledger) is None:
        return False
    worker = sim.start()
    worker.tell_alarms()
    assert "safe-mode" in [event.kind for event in sim.told.events]
    world = worker.world
    view = reconcile.seen(world, [sim.policy], "a person")
    found, obstacles = reconcile.lost(view)
    assert obstacles == []
    assert reconcile.take_over(world, [sim.policy], found, "a person", "drill") == []
    sim.began = sim.clock.now()
    return True


def test_a_ledger_is_not_trusted_while_a_worker_acts_on_a_secret(tmp_path: Path) -> None:
    """What that one holds was not learned again: nothing is revoked until it was."""
    sim = Sim(tmp_path)
    safe_mode.enter(sim.ledger, "a drill")
    claim = sim.ledger.claim(TARGET.id, "a worker", timedelta(seconds=90))
    assert claim is not None
    world = sim.start().world
    assert reconcile.take_over(world, [sim.policy], [], "a person", "drill") == [sim.policy.name]
    assert safe_mode.current(sim.ledger) is not None
    sim.ledger.release(claim, None)
    assert reconcile.take_over(world, [sim.policy], [], "a person", "drill") == []
    assert safe_mode.current(sim.ledger) is None


def test_nobody_agrees_to_a_living_key_that_belongs_to_no_policy(tmp_path: Path) -> None:
    """It carries our label and may be in service wherever its policy was: it is not taken over by guess."""
    sim = Sim(tmp_path)
    key = sim.provider.add(f"deleted {token_for(sim.ledger.id, 32 * 'e')}")
    found, (obstacle,) = reconcile.lost(reconcile.seen(sim.start().world, [sim.policy], "a person"))
    assert (found, obstacle.key_id) == ([], key.key_id)
    assert "belongs to no policy here" in obstacle.text


@pytest.mark.parametrize(("room", "call"), [("provider", "find"), ("store", "look")])
def test_nobody_agrees_to_what_was_not_read(tmp_path: Path, room: str, call: str) -> None:
    """A list, or a secret, that does not answer may hold what the ledger lost."""
    sim = Sim(tmp_path)

    def away(*_: object) -> NoReturn:
        raise DOWN

    setattr(getattr(sim, room), call, away)
    view = reconcile.seen(sim.start().world, [sim.policy], "a person")
    assert [str(one.kind) for one in reconcile.lost(view)[1]] == ["not-compared"]


@pytest.mark.parametrize("holds", [True, False])
def test_consumers_are_told_of_the_key_that_a_ledger_lost(tmp_path: Path, holds: bool) -> None:
    """Nobody knows any more whether they were, so that the key before lives until they are, and a grace from
    then; it waits for nobody where the policy says so.
    """
    (tmp_path / "history").mkdir()
    before = Restored(tmp_path / "history")
    before.consumer.fails = DOWN
    history(before, 1, paid=False)
    sim = before.restored(tmp_path, 0)
    sim.ledger.withdraw(TARGET.id, "run")
    if not holds:
        sim.policy, sim.excused = replace(POLICY, when_not_told=WhenNotTold.GO_ON), True
    sim.consumer.fails = DOWN
    sim.go_on(sim.at_rest)
    assert agreed(sim)
    sim.go_on(lambda: False, days=2)
    assert sim.old.live is holds
    sim.consumer.fails = None
    sim.go_on(lambda: bool(sim.consumer.heard))
    at = sim.clock.now()
    sim.go_on(sim.at_rest)
    sim.ended_well()
    assert not holds or sim.clock.now() >= at + GRACE
    (news,) = sim.consumer.heard
    assert (news.key_id, news.replaced) == (sim.store.value(SECRET)["key_id"], sim.old.key_id)


@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.ISSUING])
def test_a_key_that_by_the_ledger_was_never_sent_shows_that_commits_were_lost(
    tmp_path: Path, phase: Phase
) -> None:
    """The token is known, and its key is in service: it is neither issued again nor owed as a stray."""
    (tmp_path / "history").mkdir()
    before = Restored(tmp_path / "history")
    history(before, 1, paid=False)
    for copy in range(before.copies):
        sim = before.restored(tmp_path, copy)
        live = sim.ledger.rotation(TARGET.id)
        if live is not None and live.phase is phase:
            sim.made()
            sim.go_on(sim.doubted)
            assert safe_mode.current(sim.ledger) is not None
            assert [debt.reason for debt in sim.ledger.debts() if debt.reason is DebtReason.STRAY] == []
            return
    pytest.fail(f"no copy is {phase}")


def test_a_create_that_lands_late_dies_by_the_comparison_of_the_day(tmp_path: Path) -> None:
    """No rotation is due, no person looks: the key under the label of an attempt that is over dies."""
    sim = Restored(tmp_path)
    sim.keeps = False
    issue, labels = sim.provider.issue, list[str]()

    def lost(label: str, wanted: Any) -> Issued:
        labels.append(label)
        if len(labels) == 1:
            raise Unknown("timeout", "no answer")
        return issue(label, wanted)

    sim.provider.issue = lost  # type: ignore[method-assign]
    sim.order()
    sim.go_on(lambda: sim.promotions() == 1 and not (sim.ledger.rotation(TARGET.id) or sim.ledger.debts()))
    late = sim.provider.add(labels[0])
    sim.go_on(lambda: not late.live, days=3)
    sim.go_on(lambda: not sim.ledger.debts())
    assert not late.live
    sim.ended_well()
    assert [event.kind for event in sim.ledger.events() if event.level is Level.ALARM] == []
