"""What holds effects back: a stop, a pause, budgets, a provider that fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rotator import blocks, budgets, people
from rotator.budgets import HOUR, Budget
from rotator.errors import Fenced, NeedsPerson, Refused, Scope, Unknown
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import EVERYBODY, Change, Level, Order, Provenance
from tests.simulation.fleet import DAY, Fleet
from tests.simulation.sim import GRACE, SECRET, TARGET, Sim, Violation
from tests.simulation.test_stories import bend

EFFECTS = {
    "provider.issue",
    "provider.revoke",
    "store.seed",
    "store.stage",
    "store.promote",
    "store.keep",
    "store.discard",
}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Eight policies that are due."""
    made = Fleet(tmp_path, 8)
    yield made
    made.ledger.close()


# --- before every effect ----------------------------------------------------------------------------------


class Forgetful(Sim):
    """Its ledger is in memory: nothing here ends a process."""

    def _opened(self) -> Ledger:
        return open_ledger("sqlite://", self.clock)


def stop(sim: Sim) -> None:
    """A person stops everything."""
    sim.ledger.give(EVERYBODY, Order("stop", "ann", "drill", sim.clock.now()))


def pause(sim: Sim) -> None:
    """A person holds the policy."""
    until = sim.clock.now() + timedelta(days=9)
    sim.ledger.give(TARGET.id, Order("pause", "ann", "drill", sim.clock.now(), until=until))


def goes_on(sim: Sim) -> None:
    """Both are taken back."""
    for secret, kind in ((EVERYBODY, "stop"), (TARGET.id, "pause")):
        sim.ledger.withdraw(secret, kind)


def thrice(folder: Path, hold: Callable[[Sim], None] | None, nth: int) -> Sim:
    """Three rotations of a secret that had no version, each in the grace of the one before; held before the
    n-th call.
    """
    sim = Forgetful(folder, adopted=False)
    secret = sim.store.secrets[SECRET]
    secret.versions.clear()
    secret.history.clear()
    secret.current = sim.current_key = None
    sim.old.live = False

    def outside(sim: Sim, name: str) -> None:
        if hold is not None and len(sim.calls) == nth:
            hold(sim)
        if name == "store.promote" and len(again) < 2:
            again.append(name)
            sim.ledger.give(TARGET.id, Order("run", "ann", "again", sim.clock.now(), grace=GRACE))

    again: list[str] = []
    sim.outside = outside
    sim.order(grace=GRACE)
    return sim


def work(sim: Sim, span: timedelta) -> None:
    """Whatever is due, for so long."""
    worker, end = sim.start(), sim.clock.now() + span
    while sim.clock.now() < end and (sim.ledger.rotation(TARGET.id) or sim.ledger.debts() or due(sim)):
        if due(sim):
            worker.work(TARGET.id)
        else:
            sim._wait()


def due(sim: Sim) -> bool:
    """Whether there is something to do now."""
    return bool(sim.ledger.due(1))


def begun_after(calls: list[str], nth: int) -> list[str]:
    """The effects that began after the n-th call was about to be made: neither that call itself, nor the one
    that it announced, nor the writing of a key that had been issued by then.
    """
    announced = nth if calls[nth - 1] == "ledger.commit" else nth - 1
    begun = [(at, name) for at, name in enumerate(calls) if at >= nth and name in EFFECTS and at != announced]
    last = [name for name in calls[: announced + 1] if name in EFFECTS][-1:]
    if last == ["provider.issue"] and begun and begun[0][1] == "store.stage":
        begun.pop(0)
    return [name for _, name in begun]


def close_to_effects(calls: list[str]) -> list[int]:
    """The calls that are effects, announce one, or are what was last asked before that; counted from 1."""
    return [at + 1 for at in range(len(calls)) if EFFECTS & set(calls[at : at + 3])]


@pytest.mark.parametrize("hold", [stop, pause])
def test_no_effect_begins_once_it_is_held(hold: Callable[[Sim], None], tmp_path: Path) -> None:
    """Whenever a stop or a pause comes, no further effect begins but the writing of a key that was issued;
    once it is taken back, all goes on to its end.
    """
    free = thrice(tmp_path, None, 0)
    work(free, DAY)
    assert {name for name in free.calls if name in EFFECTS} == EFFECTS
    free.ledger.close()
    for nth in close_to_effects(free.calls):
        sim = thrice(tmp_path, hold, nth)
        work(sim, GRACE + timedelta(minutes=5))
        assert begun_after(sim.calls, nth) == [], f"held before call {nth}: {sim.calls[nth - 2 :]}"
        goes_on(sim)
        work(sim, DAY)
        live = [key.key_id for key in sim.provider.keys.values() if key.live and key is not sim.foreign]
        assert live == [sim.store.value(SECRET)["key_id"]], f"held before call {nth}"
        sim.ledger.close()


def test_nothing_is_staged_again_during_a_stop(tmp_path: Path) -> None:
    """Other fields of the secret changed just before the promotion, and a stop came with that."""

    def outside(sim: Sim, name: str) -> None:
        if name == "store.promote" and "theirs" not in sim.store.secrets[SECRET].versions:
            sim.store.put(SECRET, "theirs", {**sim.store.value(SECRET), "note": "new"}, current=True)
            stop(sim)

    sim = Forgetful(tmp_path)
    sim.outside = outside
    sim.order()
    work(sim, GRACE)
    assert begun_after(sim.calls, sim.calls.index("store.promote") + 2) == []
    goes_on(sim)
    work(sim, DAY)
    assert sim.store.value(SECRET)["note"] == "new"
    assert not sim.old.live


def test_a_stop_is_told_and_ends(fleet: Fleet) -> None:
    """No pass takes anything up; people hear of the stop once, of a long one again, and of its end."""
    fleet.ledger.give(EVERYBODY, Order("stop", "ann", "keys die", fleet.clock.now()))
    for _ in range(3):
        assert fleet.restarted().run_pass() == 0
        fleet.worker.tell_alarms()
    assert [event.kind for event in fleet.told.events] == ["stopped"]
    assert "ann" in fleet.told.events[0].text
    fleet.clock.advance(DAY)
    fleet.worker.tell_alarms()
    fleet.ledger.withdraw(EVERYBODY, "stop")
    for _ in range(2):
        fleet.restarted().tell_alarms()
    assert [event.kind for event in fleet.told.events] == ["stopped", "stopped", "resumed"]
    fleet.run(DAY)
    assert len(fleet.kinds("promoted")) == len(fleet.policies)


def test_a_stop_for_a_time_ends_by_itself(fleet: Fleet) -> None:
    """Nothing is issued until its time is over."""
    until = fleet.clock.now() + HOUR
    fleet.ledger.give(EVERYBODY, Order("stop", "ann", "drill", fleet.clock.now(), until=until))
    fleet.run(DAY)
    assert min(fleet.provider.times("issue")) >= until


# --- budgets ----------------------------------------------------------------------------------------------


def most_within(times: list[datetime], span: timedelta) -> int:
    """The most of these that lie within any such span."""
    return max((sum(at <= other < at + span for other in times) for at in times), default=0)


def restless(sim: Sim) -> list[datetime]:
    """Somebody changes another field of the secret before each promotion, so that all is staged again; when a
    version was written.
    """
    written: list[datetime] = []

    def outside(sim: Sim, name: str) -> None:
        if name == "store.promote":
            held = dict(sim.store.value(SECRET)) | {"note": f"theirs {len(sim.calls)}"}
            sim.store.put(SECRET, f"theirs {len(sim.calls)}", held, current=True)
        if name in ("store.stage", "store.seed"):
            written.append(sim.clock.now())
            if most_within(written, HOUR) > 6 or most_within(written, DAY) > 50:
                raise Violation("too many versions of one secret")

    sim.outside = outside
    return written


def test_versions_of_a_secret_are_bounded_whatever_others_write(tmp_path: Path) -> None:
    """Where all is staged again and again, it is at most 6 times an hour and 50 a day; it is told, and ends
    well when the others are quiet.
    """
    sim = Forgetful(tmp_path)
    written = restless(sim)
    sim.order()
    work(sim, 2 * DAY)
    assert most_within(written, DAY) == 50
    told = [event.text for event in sim.ledger.events(limit=1000) if event.kind == "held"]
    assert told
    assert "too many versions" in told[-1]
    sim.outside = lambda _sim, _name: None
    work(sim, 2 * DAY)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.current is not None
    assert state.current.provenance is Provenance.ISSUED


def test_a_key_that_was_not_issued_costs_no_version(tmp_path: Path) -> None:
    """A provider that refuses for hours is asked less and less often; the budget of versions stays as it was,
    and people are told.
    """
    fleet = Fleet(tmp_path, 1)
    fleet.provider.fails = Refused("http-429", "slow down")
    fleet.run(timedelta(hours=3))
    assert 10 < len(fleet.provider.times("issue")) < 30
    assert len(fleet.kinds("stuck")) == 1
    state = fleet.ledger.secret(fleet.policies[0].target.id)
    assert state is not None
    assert state.pushes == ()
    fleet.ledger.close()


def test_keys_that_the_schedule_lets_die_are_counted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all policies together so many an hour, across restarts; people are told once, and all die."""
    monkeypatch.setattr(budgets, "ALL_REVOCATIONS", (Budget(3, HOUR),))
    for _ in range(40):
        fleet.run(timedelta(minutes=15))
        fleet.restarted()
    times = fleet.provider.times("revoke")
    assert (len(times), most_within(times, HOUR)) == (len(fleet.policies), 3)
    (told,) = fleet.kinds("revocations-held")
    assert told.level is Level.ALARM


def test_what_a_person_ordered_is_not_counted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run-now over a fleet is not held up by the budget, and leaves it to the schedule."""
    monkeypatch.setattr(budgets, "ALL_REVOCATIONS", (Budget(3, HOUR),))
    for policy in fleet.policies:
        order = Order("run", "ann", "leaked", fleet.clock.now(), grace=timedelta(0))
        fleet.ledger.give(policy.target.id, order)
    fleet.run(HOUR)
    assert len(fleet.provider.times("revoke")) == len(fleet.policies)
    assert budgets.revocations_free_at(fleet.ledger) is None


def test_two_keys_of_one_policy_do_not_die_within_an_hour(tmp_path: Path) -> None:
    """The second one waits, a person is told why and what to do, and it dies when the hour is over."""
    fleet = queued(tmp_path, 1)
    fleet.run(timedelta(hours=9))
    first, other = fleet.provider.times("revoke")[:2]
    assert other - first >= HOUR
    assert "--revoke-now" in fleet.kinds("blocked")[-1].text
    fleet.ledger.close()


def test_a_queue_of_keys_dies_oldest_first_and_is_told_once(tmp_path: Path) -> None:
    """Keys that wait for their turn die in the order in which they were owed, one alarm for all of them."""
    fleet = queued(tmp_path, 4)
    owed = [debt.key_id for debt in fleet.ledger.debts()]
    fleet.run(timedelta(hours=10))
    assert [event.data["key_id"] for event in reversed(fleet.kinds("dead"))][: len(owed)] == owed
    assert len(fleet.kinds("blocked")) == 1
    fleet.ledger.close()


@pytest.mark.parametrize("every", [timedelta(minutes=15), timedelta(minutes=30), HOUR])
def test_keys_die_as_fast_as_a_schedule_issues_them(tmp_path: Path, every: timedelta) -> None:
    """A policy with a short schedule has one key in use and those in grace, and nobody is told of a queue."""
    fleet = Fleet(tmp_path, 1, every=every)
    fleet.run(timedelta(hours=12))
    assert len(fleet.ledger.debts()) <= 1 + GRACE // every
    assert fleet.kinds("blocked") == []
    fleet.ledger.close()


def queued(folder: Path, more: int) -> Fleet:
    """A paused policy, one key of which is in grace, and so many more that are owed since a minute later."""
    fleet = Fleet(folder, 1, every=timedelta(hours=2))
    policy = fleet.policies[0]
    fleet.run(timedelta(minutes=10))
    until = fleet.clock.now() + timedelta(hours=5)
    fleet.ledger.give(policy.target.id, Order("pause", "ann", "freeze", fleet.clock.now(), until=until))
    (debt,) = fleet.ledger.debts(policy.target.id)
    others = [
        replace(
            debt,
            id=f"other {number}",
            key_id=fleet.provider.add("older").key_id,
            version=None,
            since=debt.since + timedelta(minutes=number),
        )
        for number in range(1, more + 1)
    ]
    claim = fleet.ledger.claim(policy.target.id, "a person", timedelta(minutes=1))
    state = fleet.ledger.secret(policy.target.id)
    assert claim is not None
    assert state is not None
    fleet.ledger.commit(claim, Change(state, debts=tuple(others)))
    fleet.ledger.release(claim, fleet.clock.now())
    return fleet


# --- a provider that fails --------------------------------------------------------------------------------


def test_a_provider_that_fails_is_paused(fleet: Fleet) -> None:
    """Three secrets that fail alike pause it, across restarts; people are told once; one secret at a time is
    let through, later each time; the first that succeeds ends it.
    """
    fleet.provider.fails = Refused("http-503", "overloaded")
    fleet.run(timedelta(minutes=1))
    fleet.restarted()
    fleet.run(timedelta(hours=6))
    (told,) = fleet.kinds("provider-paused")
    assert (told.level, told.data["error"]) == (Level.ALARM, "http-503")
    late = [at for at in fleet.provider.times("issue") if at > fleet.clock.now() - timedelta(hours=3)]
    assert len(late) <= 4
    assert fleet.kinds("stuck") == []
    fleet.provider.fails = None
    fleet.run(timedelta(hours=2))
    assert len(fleet.kinds("promoted")) == len(fleet.policies)
    assert len(fleet.kinds("provider-resumed")) == 1
    assert fleet.ledger.facts("failing:") == {}


def test_a_provider_that_fails_is_tried_by_run_now(fleet: Fleet) -> None:
    """A person's order is not held by the pause, and where it succeeds the pause is over."""
    fleet.provider.fails = Unknown("http-503", "overloaded")
    fleet.run(timedelta(hours=2))
    fleet.provider.fails = None
    fleet.ledger.give(fleet.policies[5].target.id, Order("run", "ann", "try", fleet.clock.now()))
    fleet.run(timedelta(minutes=1))
    assert fleet.ledger.facts("failing:") == {}


@pytest.mark.parametrize(
    "met",
    [
        Unknown("timeout", "no answer"),
        NeedsPerson("admin-refused", "refused", todo="Bring another.", scope=Scope.PROVIDER),
    ],
    ids=lambda error: error.kind,
)
def test_what_a_worker_meets_that_was_frozen_holds_no_provider(fleet: Fleet, met: Exception) -> None:
    """Its own freeze cut its calls off: once its claim is over nothing is counted, and nothing blocked."""

    def frozen(*_: object) -> None:
        fleet.clock.advance(timedelta(minutes=10))
        raise met

    bend(fleet.provider, "issue", frozen)
    with pytest.raises(Fenced):
        fleet.run(timedelta(minutes=1))
    assert {**fleet.ledger.facts("failing:"), **fleet.ledger.facts("block:")} == {}


def test_one_secret_that_fails_pauses_nobody(fleet: Fleet) -> None:
    """One secret's own trouble is its own; and failures between which another succeeds are not in a row."""
    for name in ("a", "a", "b"):
        assert blocks.failed(fleet.ledger, fleet.policies[0], name, "timeout") is None
    assert blocks.failed(fleet.ledger, fleet.policies[0], "c", "not-as-asked") is None
    blocks.works(fleet.ledger, fleet.policies[0])
    for name in ("c", "d"):
        assert blocks.failed(fleet.ledger, fleet.policies[0], name, "not-as-asked") is None
    assert blocks.paused_until(fleet.ledger, fleet.policies[0]) is None
    assert blocks.failed(fleet.ledger, fleet.policies[0], "e", "not-as-asked") is not None


def test_one_secret_at_a_time_is_the_trial(fleet: Fleet) -> None:
    """Of those that ask when a pause is over one is let through; if it never answers, another one follows."""
    policy = fleet.policies[0]
    for name in "abc":
        blocks.failed(fleet.ledger, policy, name, "timeout")
    until = blocks.paused_until(fleet.ledger, policy)
    assert until is not None
    fleet.clock.advance_to(until)
    assert [blocks.paused_until(fleet.ledger, policy) is None for _ in "123"] == [True, False, False]
    fleet.clock.advance(timedelta(minutes=2))
    assert blocks.paused_until(fleet.ledger, policy) is None


# --- a whole account --------------------------------------------------------------------------------------

FORBIDDEN = NeedsPerson(
    "admin-forbidden", "create a key: may not (403).", todo="give it the right", scope=Scope.PROVIDER
)


def one_by_one(fleet: Fleet) -> None:
    """A person has each secret rotated now, one after the other, as an incident does."""
    for policy in fleet.policies:
        blocks.lift(fleet.ledger, policy)
        assert people.provider_blocks(fleet.ledger.facts("block:")) == {}
        fleet.ledger.give(policy.target.id, Order("run", "ann", "leak", fleet.clock.now()))
        fleet.run(timedelta(minutes=1))
        assert len(people.provider_blocks(fleet.ledger.facts("block:"))) == 1


def test_a_right_that_an_account_lacks_is_told_once_though_its_keys_can_be_listed(fleet: Fleet) -> None:
    """A refused create is one block and one alarm of the account, whatever number of secrets meets it and
    whoever orders them: that keys can be listed does not end it. Told again after a day; over when a key is
    issued.
    """
    fleet.provider.fails = FORBIDDEN
    fleet.run(timedelta(hours=2))
    one_by_one(fleet)
    assert len(fleet.kinds("blocked")) == 1
    fleet.run(DAY)
    assert len(fleet.kinds("blocked")) == 2
    fleet.provider.fails = None
    fleet.run(timedelta(hours=2))
    assert len(fleet.kinds("promoted")) == 8
    assert fleet.ledger.facts("block:") == {}


def test_two_rights_that_an_account_lacks_are_one_alarm(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where creating and revoking are refused alike, one asks the same of people as the other: told once."""
    fleet.run(timedelta(hours=2))
    fleet.provider.fails = FORBIDDEN

    def forbidden(key_id: str) -> None:
        raise NeedsPerson(
            "admin-forbidden", f"revoke {key_id}: 403.", todo=FORBIDDEN.todo, scope=Scope.PROVIDER
        )

    monkeypatch.setattr(fleet.provider, "revoke", forbidden)
    for policy in fleet.policies[:4]:
        fleet.ledger.give(policy.target.id, Order("run", "ann", "again", fleet.clock.now()))
    fleet.run(GRACE + timedelta(hours=12))
    assert len(fleet.kinds("blocked")) == 1


def test_a_credential_that_was_refused_and_is_accepted_again_is_told_anew(fleet: Fleet) -> None:
    """Any call that is answered ends the block of a refused credential: the next refusal is news."""
    for _ in range(2):
        fleet.provider.admin_works = False
        fleet.ledger.nudge(policy.target.id for policy in fleet.policies)
        fleet.run(timedelta(hours=1))
        fleet.provider.admin_works = True
        fleet.run(timedelta(hours=2))
        assert fleet.ledger.facts("block:") == {}
        for policy in fleet.policies:
            fleet.ledger.give(policy.target.id, Order("run", "ann", "again", fleet.clock.now()))
    assert len(fleet.kinds("blocked")) == 2
