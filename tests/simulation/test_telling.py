"""Who uses a secret is told of its new key, and until then no replaced key dies: one rule each."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli import declaring
from rotator.cli.declaring import Declaration
from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.model import (
    EVERYBODY,
    Change,
    ConsumerRef,
    Credential,
    DebtReason,
    Order,
    SecretState,
    Untold,
    WhenNotTold,
)
from rotator.policies import Book
from rotator.testing.fakes import FakeConsumer
from tests.simulation.sim import APP, GRACE, POLICY, SECRET, TARGET, Fault, Sim, Strike
from tests.simulation.test_stories import alarms, kinds, until

DOWN = Unknown("http-503", "app: the server answered 503.")
SITE = ConsumerRef("site", "fake")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, whose key was adopted, and which one consumer uses."""
    return Sim(tmp_path)


def state(sim: Sim) -> SecretState:
    """What the ledger knows of the secret."""
    found = sim.ledger.secret(TARGET.id)
    assert found is not None
    return found


def untold(sim: Sim) -> tuple[Untold, ...]:
    """Who is still to be told."""
    telling = state(sim).telling
    return telling.untold if telling else ()


def promoted(sim: Sim, times: int = 1) -> None:
    """A rotation up to its promotion."""
    sim.order()
    until(sim, lambda: kinds(sim).count("promoted") == times)


def work(sim: Sim, span: timedelta) -> None:
    """Whatever is due in this time."""
    end, worker = sim.clock.now() + span, sim.start()
    worker.use(Book(policies=(sim.policy,)))
    while sim.clock.now() < end:
        due = sim.ledger.due(1)
        if due:
            worker.work(due[0])
        else:
            sim.clock.advance_to(min(end, max(sim.clock.now() + MINUTE / 60, sim.ledger.next_due() or end)))


def declare(sim: Sim, *names: str) -> None:
    """A person says that they need no telling."""
    claim = sim.ledger.claim(TARGET.id, "person", MINUTE)
    assert claim is not None
    said = Declaration("ann", "restarted by hand", sim.ledger.now())
    change = declaring.telling(state(sim), names, said)
    sim.ledger.commit(claim, change)
    sim.ledger.release(claim, sim.ledger.now())
    sim.excused = True


# --- what is told ----------------------------------------------------------------------------------------


def test_news_names_the_key_and_holds_no_value(sim: Sim) -> None:
    """Consumers learn which version of which secret holds which key, since when, and no part of any value."""
    promoted(sim)
    until(sim, lambda: bool(sim.consumer.heard))
    (news,) = sim.consumer.heard
    current = state(sim).current
    assert current is not None
    assert (news.version, news.key_id, news.previous) == (current.version, current.key_id, "v0")
    assert (news.policy, news.store, news.secret, news.replaced) == ("one", "fake", SECRET, sim.old.key_id)
    assert (news.promoted_at, news.not_before) == (current.since, current.since + GRACE)
    assert news.reason == "a person: drill"
    values = {key.secret for key in sim.provider.keys.values()} | set(Credential.live_values())
    assert not any(value in repr(news) for value in values if len(value) > len("theirs"))


def test_a_first_key_is_told_of(sim: Sim) -> None:
    """Where no key was replaced, consumers learn that there is one now."""
    kept = sim.store.secrets[SECRET]
    kept.versions["v0"] = {"note": "theirs"}
    known = replace(state(sim), current=None)
    claim = sim.ledger.claim(TARGET.id, "test", MINUTE)
    assert claim is not None
    sim.ledger.commit(claim, Change(known))
    sim.ledger.release(claim, sim.ledger.now())
    promoted(sim)
    until(sim, lambda: bool(sim.consumer.heard))
    assert (sim.consumer.heard[0].replaced, sim.consumer.heard[0].not_before) == (None, None)


def test_grace_begins_when_a_consumer_was_told(sim: Sim) -> None:
    """Who restarts hours late reads the new key hours late: the old one lives a whole grace from then."""
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 5 * HOUR)
    assert sim.old.live
    sim.consumer.fails = None
    until(sim, lambda: bool(sim.consumer.heard))
    told = sim.clock.now()
    sim.run()
    sim.ended_well()
    assert sim.clock.now() >= told + GRACE


def test_a_second_key_is_told_in_place_of_the_first(sim: Sim) -> None:
    """Who did not hear of a key is told of the next one alone; until then both old keys live."""
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 2 * HOUR)
    promoted(sim, 2)
    work(sim, 2 * HOUR)
    assert len([debt for debt in sim.ledger.debts() if debt.reason is DebtReason.REPLACED]) == 2
    assert sim.provider.revoked == []
    sim.consumer.fails = None
    sim.run()
    sim.ended_well()
    current = state(sim).current
    assert current is not None
    assert [news.key_id for news in sim.consumer.heard] == [current.key_id]


def test_a_key_in_its_grace_lives_on_while_its_successors_successor_is_not_known(sim: Sim) -> None:
    """A second promotion that a consumer does not hear of stops the grace of the first one's old key."""
    promoted(sim)
    work(sim, HOUR / 2)
    sim.consumer.fails = DOWN
    promoted(sim, 2)
    work(sim, 3 * HOUR)
    assert sim.old.live
    sim.consumer.fails = None
    sim.run()
    sim.ended_well()


# --- what can be read ------------------------------------------------------------------------------------


def test_nobody_is_told_before_every_replica_shows_the_new_key(sim: Sim) -> None:
    """Who is told reads its own replica, once: told too early it would keep the old key, and lose it."""
    sim.store.replicated, sim.store.replicas_show = True, False
    promoted(sim)
    work(sim, 5 * MINUTE)
    assert (sim.consumer.heard, alarms(sim)) == ([], [])
    assert 3 < sim.calls.count("store.shown") < 12
    sim.store.replicas_show = True
    until(sim, lambda: bool(sim.consumer.heard))
    told = sim.clock.now()
    sim.run()
    sim.ended_well()
    assert len(sim.consumer.heard) == 1
    assert sim.clock.now() >= told + GRACE


def test_replicas_that_stay_behind_keep_a_consumer_untold_and_people_hear(sim: Sim) -> None:
    """They learn which secret's replica it is, and the old key lives on."""
    sim.store.replicated, sim.store.replicas_show = True, False
    promoted(sim)
    work(sim, 3 * HOUR)
    assert (alarms(sim), sim.old.live) == (["not-told"], True)
    event = next(event for event in sim.ledger.events() if event.level == "alarm")
    assert f"a replica of {SECRET} does not show the new version yet" in event.text
    assert "see why the replica is behind" in event.text


def test_a_secret_without_replicas_is_told_of_at_once(sim: Sim) -> None:
    """The store is not asked first where it has nothing else to show."""
    promoted(sim)
    until(sim, lambda: bool(sim.consumer.heard))
    assert "store.shown" not in sim.calls[: sim.calls.index("consumer.tell")]


# --- who cannot be told ----------------------------------------------------------------------------------


def test_who_is_away_for_a_moment_is_told_again_and_nobody_hears(sim: Sim) -> None:
    """A failure that passes is tried again, later each time, and is no alarm."""
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 5 * MINUTE)
    assert 3 < untold(sim)[0].tries < 12
    sim.consumer.fails = None
    sim.run()
    sim.ended_well()
    assert alarms(sim) == []


def test_people_hear_once_of_who_cannot_be_told_and_are_reminded(sim: Sim) -> None:
    """After ten minutes, with what to do, then after a day: however the failure varies."""
    sim.policy = replace(POLICY, owner="desk-a")
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 3 * HOUR)
    sim.consumer.fails = NotSent("connect", "app: no connection.")
    work(sim, 15 * HOUR)
    assert alarms(sim) == ["not-told"]
    event = next(event for event in sim.ledger.events() if event.kind == "not-told")
    assert "rotator settle one --consumer app --reason TEXT" in event.text
    assert "the key that it used lives on" in event.text
    assert (event.data["owner"], event.data["consumer"]) == ("desk-a", "app")
    work(sim, 24 * HOUR)
    assert alarms(sim) == ["not-told"] * 2


@pytest.mark.parametrize(
    "error",
    [
        Refused("http-404", "app: the server answered 404.", permanent=True),
        NeedsPerson("access-denied", "app: not allowed.", todo="allow it"),
    ],
    ids=["for good", "a person"],
)
def test_what_will_not_pass_is_told_at_once(sim: Sim, error: Refused | NeedsPerson) -> None:
    """A refusal that trying again will not change is an alarm at its first try, and is tried seldom."""
    sim.consumer.fails = error
    promoted(sim)
    work(sim, 4 * HOUR)
    assert alarms(sim) == ["not-told"]
    assert untold(sim)[0].tries < 8
    assert sim.old.live


def test_a_consumer_that_asks_to_wait_is_left_alone(sim: Sim) -> None:
    """What it says of when to try again is kept."""
    sim.consumer.fails = Refused("http-429", "app: slow down.", retry_at=sim.clock.now() + 3 * HOUR)
    promoted(sim)
    work(sim, 2 * HOUR)
    assert untold(sim)[0].tries == 1


def test_each_consumer_is_told_apart(sim: Sim) -> None:
    """One that fails keeps no other from being told, and the key from dying."""
    sim.policy = replace(POLICY, consumers=(APP, SITE))
    sim.others["site"] = site = FakeConsumer()
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 3 * HOUR)
    assert (len(site.heard), len(sim.consumer.heard), sim.old.live) == (1, 0, True)
    assert [one.consumer.name for one in untold(sim)] == ["app"]


# --- killed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "times"), [(Fault.CRASH_BEFORE, 1), (Fault.CRASH_AFTER, 2), (Fault.LOST, 2), (Fault.GARBAGE, 2)]
)
def test_whoever_is_killed_leaves_it_to_be_told(tmp_path: Path, fault: Fault, times: int) -> None:
    """Killed before or after: it is told all the same; for the second time, with the same id."""
    quiet = Sim(tmp_path)
    quiet.order()
    quiet.run()
    nth = quiet.calls.index("consumer.tell") + 1
    quiet.ledger.close()
    (tmp_path / "again").mkdir()
    sim = Sim(tmp_path / "again", strikes=[Strike(nth, fault)])
    sim.order()
    sim.run()
    sim.ended_well()
    assert len(sim.consumer.heard) == times
    assert len({news.id for news in sim.consumer.heard}) == 1
    assert sim.consumer.heard == [sim.consumer.heard[0]] * times


# --- what people and policies say ------------------------------------------------------------------------


def test_a_policy_may_go_on_without(sim: Sim) -> None:
    """With go-on the old key dies when its grace is over, and the consumer is still told."""
    sim.policy = replace(POLICY, when_not_told=WhenNotTold.GO_ON)
    sim.consumer.fails, sim.excused = DOWN, True
    promoted(sim)
    work(sim, 3 * HOUR)
    assert not sim.old.live
    sim.consumer.fails = None
    work(sim, HOUR)
    assert len(sim.consumer.heard) == 1


def test_a_persons_word_lets_the_old_key_die(sim: Sim) -> None:
    """Declared told, by whom and why: then its grace begins, and nothing is sent any more."""
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 3 * HOUR)
    declare(sim, "app")
    declared = sim.clock.now()
    sim.run()
    sim.ended_well()
    assert sim.clock.now() >= declared + GRACE
    said = next(event for event in sim.ledger.events() if event.kind == "told")
    assert said.text.startswith("ann declares that consumer app needs no telling")
    with pytest.raises(declaring.Impossible, match="nobody waits to be told"):
        declare(sim, "app")


def test_a_person_declares_only_who_waits(sim: Sim) -> None:
    """A name that is not waited for is refused, with who is."""
    sim.consumer.fails = DOWN
    promoted(sim)
    with pytest.raises(declaring.Impossible, match="still to be told: app"):
        declare(sim, "site")


def test_revoke_now_waits_until_consumers_know(sim: Sim) -> None:
    """A key that leaked dies at once when they were told, and not before: it would be an outage."""
    sim.consumer.fails = DOWN
    sim.order(grace=timedelta(0))
    until(sim, lambda: "promoted" in kinds(sim))
    work(sim, HOUR)
    assert sim.old.live
    sim.policy = replace(POLICY, grace=timedelta(0))
    sim.consumer.fails = None
    began = sim.clock.now()
    sim.run()
    sim.ended_well()
    assert sim.clock.now() < began + 15 * MINUTE


def test_a_corrected_address_is_tried_at_once(sim: Sim) -> None:
    """What a changed policy says of a consumer, and of whether its telling is waited for, counts at once."""
    sim.consumer.fails = Refused("http-404", "app: the server answered 404.", permanent=True)
    promoted(sim)
    work(sim, 3 * HOUR)
    sim.consumer.fails = None
    moved = ConsumerRef("app", "fake", {"url": "https://there.example"})
    sim.policy = replace(POLICY, consumers=(moved,))
    work(sim, 10 * timedelta(seconds=1))
    assert len(sim.consumer.heard) == 1


def test_a_policy_that_goes_on_later_lets_the_key_die(sim: Sim) -> None:
    """Changed to go-on while a consumer is not told, it holds nothing any more."""
    sim.consumer.fails = DOWN
    promoted(sim)
    work(sim, 3 * HOUR)
    sim.policy, sim.excused = replace(POLICY, when_not_told=WhenNotTold.GO_ON), True
    work(sim, 2 * HOUR)
    assert not sim.old.live


def test_a_consumer_that_a_policy_lost_is_still_told(sim: Sim) -> None:
    """Another worker's older file, or a slip of the pen, frees no key: a person says that it needs none."""
    sim.consumer.fails = DOWN
    promoted(sim)
    sim.policy = replace(POLICY, consumers=())
    work(sim, 3 * HOUR)
    assert sim.old.live
    sim.consumer.fails = None
    sim.run()
    sim.ended_well()


def test_a_deleted_policy_still_tells(sim: Sim) -> None:
    """Its debts are paid, and who must hear of its last key first does."""
    sim.consumer.fails = DOWN
    promoted(sim)
    worker = sim.start()
    worker.use(Book())
    for minutes in range(90):
        sim.consumer.fails = DOWN if minutes < 30 else None
        for secret in sim.ledger.due(1):
            worker.work(secret)
        sim.clock.advance(5 * MINUTE)
    assert len(sim.consumer.heard) == 1
    sim.ended_well()


@pytest.mark.parametrize("kind", ["stop", "pause"])
def test_a_stop_and_a_pause_hold_news(sim: Sim, kind: str) -> None:
    """Nobody is made to restart while a person holds everything, or this policy; the old key lives on."""
    sim.consumer.fails = DOWN
    promoted(sim)
    whom, now = EVERYBODY if kind == "stop" else TARGET.id, sim.clock.now()
    sim.ledger.give(whom, Order(kind, "ann", "freeze", now, until=now + 5 * HOUR))
    tries = untold(sim)[0].tries
    work(sim, 4 * HOUR)
    assert untold(sim)[0].tries == tries
    sim.consumer.fails = None
    work(sim, 4 * HOUR)
    assert len(sim.consumer.heard) == 1
