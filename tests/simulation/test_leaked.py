"""A key that others know: it is owed before there is another one, and dies first where a person says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from rotator import blocks, budgets
from rotator.desk import NO_LIVING_KEY
from rotator.errors import NeedsPerson, Refused, Unknown
from rotator.model import (
    EVERYBODY,
    Block,
    Change,
    Debt,
    DebtPhase,
    DebtReason,
    Level,
    Order,
    Phase,
    Traits,
    Verdict,
)
from rotator.notices import Severity, severity_of
from rotator.people import Known, acts
from rotator.testing.fakes import FakeProvider
from tests.simulation.sim import GRACE, SECRET, TARGET, Fault, Sim, Strike, Violation
from tests.simulation.test_holds import Forgetful, work

NONE = timedelta(0)


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, whose key was adopted."""
    return Sim(tmp_path)


def until(sim: Sim, done: Callable[[], bool], steps: int = 300) -> None:
    """Work, time passing, until something is so."""
    worker = sim.start()
    for _ in range(steps):
        if done():
            return
        due = sim.ledger.due(1)
        if due:
            worker.work(due[0])
        else:
            sim._wait()
    pytest.fail(f"never came: {sim.where()}")


def kinds(sim: Sim) -> list[str]:
    """What happened, oldest first."""
    return [event.kind for event in reversed(sim.ledger.events())]


def only_debt(sim: Sim) -> Debt:
    """The one debt that there ever was."""
    (debt,) = sim.ledger.debts(ended=True)
    return debt


def phase(sim: Sim) -> Phase | None:
    """Where the rotation stands that is under way."""
    rotation = sim.ledger.rotation(TARGET.id)
    return rotation.phase if rotation else None


def nothing_issued(sim: Sim) -> None:
    """The provider issues no key."""

    def refuse(*_: object) -> None:
        raise Refused("full", "refused.", permanent=False)

    setattr(sim.provider, "issue", refuse)  # noqa: B010


# --- continuity first ------------------------------------------------------------------------------------


def test_a_leaked_key_is_owed_in_the_commit_that_takes_the_order_up(sim: Sim) -> None:
    """Before anything is issued its debt is there, it waits without asking anybody, and ends as the replaced
    one, at once.
    """
    sim.order(NONE, leaked="v0")
    sim.clock.advance(timedelta(seconds=1))
    until(sim, lambda: phase(sim) is Phase.STAGED)
    debt = only_debt(sim)
    assert (debt.reason, debt.key_id, debt.not_before, debt.block) == (DebtReason.LEAKED, "key-1", None, None)
    sim.run()
    sim.ended_well()
    dead = only_debt(sim)
    assert (dead.id, dead.phase, dead.served) == (debt.id, DebtPhase.DEAD, debt.served)
    assert kinds(sim).count("owed") == 1
    assert sim.calls.index("store.promote") < sim.calls.index("provider.revoke")


def test_a_leaked_key_dies_after_the_grace_that_was_given_or_a_shorter_one(sim: Sim) -> None:
    """Its own grace counts, not that of a rotation on schedule which comes to replace it."""
    nothing_issued(sim)
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "failed" in kinds(sim) or phase(sim) is Phase.PLANNED)
    vars(sim.provider).pop("issue")
    sim.run()
    assert only_debt(sim).grace == NONE
    sim.ended_well()


def test_a_rotation_that_fails_leaves_the_debt_and_people_are_told(sim: Sim) -> None:
    """The leaked key lives on in service, a person is asked, and the next rotation pays."""
    useless = sim.provider.probe
    setattr(sim.provider, "probe", lambda key: replace(useless(key), verdict=Verdict.UNKNOWN))  # noqa: B010
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "failed" in kinds(sim), steps=2000)
    until(sim, lambda: any(debt.block for debt in leaked(sim)))
    (debt,) = leaked(sim)
    assert debt.block is not None
    assert "still in service" in debt.block.reason
    assert "run-now one" in debt.block.todo
    assert sim.old.live
    vars(sim.provider).pop("probe")
    sim.order(NONE)
    sim.run()
    sim.ended_well()
    assert [one.id for one in sim.ledger.debts(ended=True) if one.key_id == "key-1"] == [debt.id]


def leaked(sim: Sim) -> list[Debt]:
    """The open debts of keys that leaked."""
    return [debt for debt in sim.ledger.debts() if debt.reason is DebtReason.LEAKED]


def test_a_candidate_that_leaked_never_comes_into_service(sim: Sim) -> None:
    """It is given up and dies, and the next attempt goes on."""
    sim.order()
    until(sim, lambda: phase(sim) is Phase.STAGED)
    rotation = sim.ledger.rotation(TARGET.id)
    assert rotation is not None
    sim.order(NONE, leaked=rotation.attempt.version)
    sim.run()
    first = sim.provider.keys[rotation.attempt.key_id or ""]
    assert not first.live
    assert "given-up" in kinds(sim)
    assert sim.store.value(SECRET)["key_id"] not in (first.key_id, sim.old.key_id)


def test_of_two_leaked_keys_of_a_secret_both_die(sim: Sim) -> None:
    """The one in service and the one on its way there: neither serves, both are dead without grace."""
    sim.order()
    until(sim, lambda: phase(sim) is Phase.STAGED)
    rotation = sim.ledger.rotation(TARGET.id)
    assert rotation is not None
    sim.order(NONE, leaked=("v0", rotation.attempt.version or ""))
    sim.run()
    assert [sim.provider.keys[key].live for key in ("key-1", rotation.attempt.key_id or "")] == [False, False]
    (old,) = [debt for debt in sim.ledger.debts(ended=True) if debt.key_id == "key-1"]
    assert (old.reason, old.grace, old.phase) == (DebtReason.LEAKED, NONE, DebtPhase.DEAD)
    assert sim.provider.keys[sim.store.value(SECRET)["key_id"]].live
    assert sim.ledger.orders(TARGET.id) == {}


@pytest.mark.parametrize("call", ["provider.issue", "store.stage", "provider.probe", "store.promote"])
def test_what_was_issued_too_early_does_not_stay(sim: Sim, call: str) -> None:
    """An order for all that was issued before a time replaces a key too that is on its way into service, or
    comes into it meanwhile.
    """

    def ordered(_sim: Sim, name: str) -> None:
        if name == call and sim.calls.count(call) == 1:
            sim.clock.advance(timedelta(seconds=1))
            sim.order(NONE, issued_before=sim.clock.now())

    before = set(sim.provider.keys)
    sim.order()
    sim.outside = ordered
    sim.run()
    sim.ended_well()
    first, second = (key for name, key in sim.provider.keys.items() if name not in before)
    assert [sim.old.live, first.live, second.live] == [False, False, True]
    assert sim.ledger.orders(TARGET.id) == {}


@pytest.mark.parametrize("grace", [NONE, timedelta(seconds=30)])
def test_a_younger_key_stays_and_the_older_one_lives_no_longer_than_is_said(
    sim: Sim, grace: timedelta
) -> None:
    """A harder order after the rotation of a softer one issues nothing, and ends the old key's grace."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    serving = sim.ledger.secret(TARGET.id)
    assert serving is not None
    assert serving.current is not None
    sim.order(grace, issued_before=serving.current.issued_at)
    sim.run()
    sim.ended_well()
    assert sim.calls.count("provider.issue") == 1
    debt = only_debt(sim)
    assert (debt.reason, debt.grace) == (DebtReason.REPLACED, grace)
    assert debt.ended_at is not None
    assert grace <= debt.ended_at - debt.since < GRACE
    assert sim.ledger.orders(TARGET.id) == {}


def test_a_key_that_came_back_is_as_old_as_it_was(sim: Sim) -> None:
    """Since when a secret holds it tells nothing of its age: an order about older keys replaces it."""
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.current is not None
    claim = sim.ledger.claim(TARGET.id, "a test", timedelta(minutes=1))
    assert claim is not None
    before, now = sim.clock.now() - timedelta(days=1), sim.clock.now()
    back = replace(state.current, since=now, issued_at=None)
    sim.ledger.commit(claim, Change(replace(state, current=back, rotated_at=before)))
    sim.ledger.release(claim, None)
    sim.order(NONE, issued_before=now - timedelta(hours=1))
    sim.run()
    sim.ended_well()
    assert not sim.old.live


def test_a_key_for_which_nobody_vouched_is_not_taken_for_young(tmp_path: Path) -> None:
    """Its secret may have been written anew for another field: an order about older keys replaces it."""
    sim = Sim(tmp_path, adopted=False)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.rotated_at is not None
    sim.order(NONE, issued_before=state.rotated_at)
    until(sim, lambda: "promoted" in kinds(sim))
    assert sim.store.value(SECRET)["key_id"] != sim.old.key_id


def test_an_order_to_rotate_is_not_over_where_an_older_key_leaked(sim: Sim) -> None:
    """Two people's orders in one: the older key loses its grace, and the one in service is replaced."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    serving = sim.store.value(SECRET)["key_id"]
    now = sim.clock.now()
    sim.given.append(NONE)
    sim.ledger.give(
        TARGET.id, Order("run", "ann", "both", now, grace=NONE, leaked_versions=("v0",), rotates=True)
    )
    sim.run()
    sim.ended_well()
    assert sim.store.value(SECRET)["key_id"] != serving
    assert not sim.old.live


def test_a_leaked_key_in_its_grace_loses_it_and_nothing_is_rotated(sim: Sim) -> None:
    """The key in service is another one, and stays."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    serving = sim.store.value(SECRET)["key_id"]
    sim.order(NONE, leaked="v0")
    sim.run()
    sim.ended_well()
    assert sim.store.value(SECRET)["key_id"] == serving
    assert sim.calls.count("provider.issue") == 1
    debt = only_debt(sim)
    assert debt.ended_at is not None
    assert debt.ended_at - debt.since < GRACE


# --- contain first ---------------------------------------------------------------------------------------


def test_a_contained_key_is_dead_before_another_one_is_issued(sim: Sim) -> None:
    """Its death is proven while the secret still holds it, and is not owed once more when it is replaced."""
    sim.order(NONE, contain=True)
    sim.run()
    sim.ended_well()
    assert sim.calls.index("provider.revoke") < sim.calls.index("provider.issue")
    debt = only_debt(sim)
    assert debt.phase is DebtPhase.DEAD
    assert debt.proof == "accepted before, refused after, no longer listed as live"


def test_a_key_that_nobody_adopted_is_not_contained_by_guess(tmp_path: Path) -> None:
    """A person is asked, the rotation goes on, and the old key lives."""
    sim = Sim(tmp_path, adopted=False)
    sim.order(NONE, contain=True)
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.old.live
    debt = only_debt(sim)
    assert debt.block is not None
    assert debt.block.todo == f"rotator adopt one --key-id {sim.old.key_id}"


class Silent(FakeProvider):
    """Lists nothing."""

    traits: ClassVar[Traits] = replace(FakeProvider.traits, lists=False, key_limit=None)


def test_without_a_list_the_death_is_proven_once_the_next_key_works(sim: Sim) -> None:
    """A refusal alone proves nothing, but is enough to go on: the proof compares with the new key."""
    sim.provider.__class__ = Silent
    sim.order(NONE, contain=True)
    until(sim, lambda: "issued" in kinds(sim))
    debt = only_debt(sim)
    assert debt.refused_at is not None
    assert debt.phase is DebtPhase.REVOKING
    sim.run()
    sim.ended_well()
    assert "while the current key works" in (only_debt(sim).proof or "")


def test_a_key_that_will_not_die_holds_the_next_one_up_for_minutes_only(sim: Sim) -> None:
    """The old key lives then, a new one is needed all the more, and the debt goes on."""
    revoke = sim.provider.revoke
    setattr(sim.provider, "revoke", lambda _: None)  # noqa: B010
    begun = sim.clock.now()
    sim.order(NONE, contain=True)
    until(sim, lambda: "promoted" in kinds(sim))
    assert timedelta(minutes=9) < sim.clock.now() - begun < timedelta(minutes=20)
    assert not only_debt(sim).contain
    setattr(sim.provider, "revoke", revoke)  # noqa: B010
    sim.run()
    sim.ended_well()


def test_what_was_contained_once_may_not_die_when_a_person_puts_it_back(sim: Sim) -> None:
    """The order was for the key that the secret held then; from the next promotion on none may die so."""
    put_back(sim)
    until(sim, lambda: any(debt.block for debt in sim.ledger.debts()), steps=600)
    assert sim.old.live


def put_back(sim: Sim) -> None:
    """A key that will not die is replaced, and comes back by a person's hand."""
    revoke = sim.provider.revoke
    setattr(sim.provider, "revoke", lambda _: None)  # noqa: B010
    sim.order(NONE, contain=True)
    until(sim, lambda: "promoted" in kinds(sim))
    held = sim.store.secrets[SECRET].versions["v0"]
    sim.store.put(SECRET, "by-hand", held, current=True)
    setattr(sim.provider, "revoke", revoke)  # noqa: B010


def test_an_order_to_contain_joins_a_rotation_that_is_under_way(sim: Sim) -> None:
    """The old key dies next, whatever the new one waits for."""
    sim.order()
    until(sim, lambda: phase(sim) is Phase.STAGED)
    sim.order(NONE, contain=True)
    sim.run()
    sim.ended_well()
    assert sim.calls.index("provider.revoke") < sim.calls.index("store.promote")
    assert sim.calls.count("provider.issue") == 1
    assert only_debt(sim).phase is DebtPhase.DEAD


def test_the_successor_of_a_contained_key_is_asked_with_its_settings(sim: Sim) -> None:
    """They are read while the provider tells them: a key that is gone is in no list."""
    find, wanted = sim.provider.find, list[object]()
    setattr(sim.provider, "find", lambda: [one for one in find() if one.live])  # noqa: B010
    sim.old.granted = {"scopes": ["read"]}
    setattr(  # noqa: B010
        sim.provider, "wanted", lambda key, old: {**(dict(old.granted) if old else {}), **key}
    )
    issue = sim.provider.issue

    def issued(label: str, asked: object) -> object:
        wanted.append(asked)
        return issue(label, {})

    setattr(sim.provider, "issue", issued)  # noqa: B010
    sim.order(NONE, contain=True)
    sim.run()
    assert wanted == [{"scopes": ["read"]}]


def test_a_rotation_that_fails_after_its_key_was_contained_says_that_nothing_works(sim: Sim) -> None:
    """The alarm says first that the key in service is dead, and wakes somebody."""
    sim.order(NONE, contain=True)
    until(sim, lambda: phase(sim) is Phase.STAGED)
    setattr(sim.provider, "accepts", lambda _: False)  # noqa: B010
    vars(sim.store)["value"] = lambda _: {}  # the checker's own look is not asked here
    until(sim, lambda: "failed" in kinds(sim), steps=2000)
    (failed,) = [event for event in sim.ledger.events() if event.kind == "failed"]
    assert failed.text.startswith(NO_LIVING_KEY)
    assert (failed.level, severity_of(failed)) == (Level.ALARM, Severity.CRITICAL)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    (first, *_) = acts(sim.policy, Known(state))
    assert "whoever reads the secret is locked out" in first.why


def test_people_hear_at_once_that_nothing_is_issued_after_a_key_was_contained(sim: Sim) -> None:
    """Where consumers are locked out, the second look that fails is told, and not the tenth."""
    nothing_issued(sim)
    sim.order(NONE, contain=True)
    ordered = sim.ledger.now()
    until(sim, lambda: "stuck" in kinds(sim))
    assert sim.ledger.now() - ordered < timedelta(minutes=3)


def test_a_secret_without_a_living_key_is_tried_again_by_itself(sim: Sim) -> None:
    """What failed after its key was contained begins anew within minutes, not at its next time."""
    sim.order(NONE, contain=True)
    until(sim, lambda: phase(sim) is Phase.STAGED)
    setattr(sim.provider, "accepts", lambda _: False)  # noqa: B010
    vars(sim.store)["value"] = lambda _: {}  # the checker's own look is not asked here
    until(sim, lambda: "failed" in kinds(sim), steps=2000)
    del vars(sim.provider)["accepts"]
    failed = sim.ledger.now()
    until(sim, lambda: "promoted" in kinds(sim), steps=2000)
    assert sim.ledger.now() - failed < timedelta(minutes=20)
    del vars(sim.store)["value"]
    sim.run()
    sim.ended_well()


def test_a_stop_holds_what_was_ordered_to_die(sim: Sim) -> None:
    """Nothing is revoked and nothing is issued; taken back, both go on, the death first."""
    sim.order(NONE, contain=True)
    sim.outside = lambda sim, name: stop(sim) if name == "provider.find" else None
    worker = sim.start()
    for _ in range(20):
        if sim.ledger.due(1):
            worker.work(TARGET.id)
        sim.clock.advance(timedelta(minutes=1))
    assert not {"provider.revoke", "provider.issue"} & set(sim.calls)
    sim.outside = lambda _sim, _name: None
    sim.ledger.withdraw(EVERYBODY, "stop")
    sim.run()
    sim.ended_well()


def written(sim: Sim, times: int) -> None:
    """So many versions of the secret were written a minute ago."""
    claim, state = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=9)), sim.ledger.secret(TARGET.id)
    assert claim is not None
    assert state is not None
    ago = sim.ledger.now() - timedelta(minutes=1)
    sim.ledger.commit(claim, Change(replace(state, pushes=(ago,) * times)))
    sim.ledger.release(claim, sim.ledger.now())


def test_a_secret_without_a_living_key_has_room_for_a_few_versions_more(sim: Sim) -> None:
    """The budget is against loops; whoever reads the secret is locked out until the next one is written."""
    written(sim, budgets.PUSHES[0].most)
    ordered = sim.ledger.now()
    sim.order(NONE, contain=True)
    until(sim, lambda: "promoted" in kinds(sim))
    assert not sim.old.live
    assert sim.ledger.now() - ordered < timedelta(minutes=2)
    sim.run()
    sim.ended_well()


def test_a_key_does_not_die_first_while_no_version_could_be_written_after_it(sim: Sim) -> None:
    """Where that room is used up as well it lives until there is some, and then dies first."""
    crowded(sim)
    sim.run()
    sim.ended_well()
    assert sim.calls.index("provider.revoke") < sim.calls.index("provider.issue")
    (debt,) = sim.ledger.debts(ended=True)
    assert debt.revoked_at is not None
    assert debt.revoked_at - debt.since > timedelta(minutes=50)


def test_a_key_whose_successor_is_being_promoted_does_not_die_first(sim: Sim) -> None:
    """Nobody knows which of both is in service, and no other one has to be issued."""

    def unanswered(*_: object) -> None:
        raise Unknown("timeout", "no answer in time")

    promote = sim.store.promote
    setattr(sim.store, "promote", unanswered)  # noqa: B010
    sim.order()
    until(sim, lambda: phase(sim) is Phase.PROMOTING)
    sim.order(NONE, contain=True)
    until(sim, lambda: not sim.ledger.orders(TARGET.id))
    until(sim, lambda: not sim.ledger.due(1))
    assert (only_debt(sim).contain, sim.old.live) == (False, True)
    setattr(sim.store, "promote", promote)  # noqa: B010
    sim.run()
    assert not sim.old.live


def crowded(sim: Sim) -> None:
    """A key is to die first whose secret has had all the versions that it may have; seen if it does."""
    written(sim, budgets.LOCKED_OUT[0].most)
    begun = sim.clock.now()

    def outside(sim: Sim, name: str) -> None:
        if name == "provider.revoke" and sim.clock.now() < begun + timedelta(minutes=50):
            raise Violation("a key dies first, and no successor of it may be written")

    sim.outside = outside
    sim.order(NONE, contain=True)


def test_a_key_does_not_die_first_where_its_store_would_take_no_other(sim: Sim) -> None:
    """What a person must mend is found by a look just before; then it dies, and another one comes."""
    unfit(sim)
    until(sim, lambda: any(event.kind == "blocked" for event in sim.ledger.events()))
    work(sim, timedelta(hours=2))
    assert sim.old.live
    assert "provider.revoke" not in sim.calls
    vars(sim.store).pop("look")
    sim.outside = lambda _sim, _name: None
    sim.run()
    sim.ended_well()


def unfit(sim: Sim) -> None:
    """A key is to die first in a secret that belongs to a service of the store's; seen if it does."""

    def refuse(*_: object) -> None:
        raise NeedsPerson("owned", "Secret one is managed by a service.", todo="let that rotate it")

    def outside(_: Sim, name: str) -> None:
        if name == "provider.revoke":
            raise Violation("a key dies first, and its store takes no successor")

    setattr(sim.store, "look", refuse)  # noqa: B010
    sim.outside = outside
    sim.order(NONE, contain=True)


def test_a_key_does_not_die_first_where_its_secret_is_blocked(sim: Sim) -> None:
    """It dies when another one is in use, as any that leaked."""
    blocked(sim)
    sim.run()
    sim.ended_well()
    assert sim.calls.index("store.promote") < sim.calls.index("provider.revoke")


def blocked(sim: Sim) -> None:
    """A key is to die first in a secret that waits for a person, who has mended what it waits for."""
    sim.start().work(TARGET.id)
    sim.order(NONE, contain=True)
    claim, state = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=9)), sim.ledger.secret(TARGET.id)
    assert claim is not None
    assert state is not None
    block = Block("written-over", "the pending version holds another key.", "see who", sim.ledger.now())
    sim.ledger.commit(claim, Change(replace(state, block=block)))
    sim.ledger.release(claim, sim.ledger.now())


def test_a_key_does_not_die_first_where_its_provider_issues_none(sim: Sim) -> None:
    """That the admin credential lists keys does not tell that it may issue one."""
    error = NeedsPerson("admin-forbidden", "the admin credential may not issue", todo="grant it")
    error.call = "issue"
    blocks.block(sim.ledger, sim.policy, error)
    blocks.lift(sim.ledger, sim.policy)
    sim.order(NONE, contain=True)
    sim.run()
    sim.ended_well()
    assert sim.calls.index("provider.issue") < sim.calls.index("provider.revoke")


def test_a_key_that_was_to_die_first_lives_once_nothing_brings_another_one(sim: Sim) -> None:
    """A pause held its death, and its rotation ended meanwhile: a person is asked."""
    freeze = Order("pause", "ben", "freeze", sim.clock.now(), until=sim.clock.now() + timedelta(days=1))
    sim.outside = lambda sim, name: sim.ledger.give(TARGET.id, freeze) if name == "provider.find" else None
    sim.order(NONE, contain=True)
    until(sim, lambda: "pause" in sim.ledger.orders(TARGET.id) and not sim.ledger.due(1))
    sim.outside = lambda _sim, _name: None
    claim, live = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=9)), sim.ledger.rotation(TARGET.id)
    state = sim.ledger.secret(TARGET.id)
    assert claim is not None
    assert live is not None
    assert state is not None
    failed = replace(live, phase=Phase.FAILED, ended_at=sim.ledger.now())
    sim.ledger.commit(claim, Change(state, failed))
    sim.ledger.release(claim, sim.ledger.now())
    sim.ledger.withdraw(TARGET.id, "pause")
    until(sim, lambda: any(debt.block for debt in sim.ledger.debts()))
    (debt,) = sim.ledger.debts()
    assert debt.block is not None
    assert "still in service" in debt.block.reason
    assert sim.old.live


def stop(sim: Sim) -> None:
    """A person stops everything."""
    sim.ledger.give(EVERYBODY, Order("stop", "ann", "drill", sim.clock.now()))


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.LOST])
def test_a_fault_at_any_call_loses_nothing_where_a_key_leaked(fault: Fault, tmp_path: Path) -> None:
    """Each call of a rotation after a leak, struck once: one debt for the old key, and all ends well."""
    quiet = Forgetful(tmp_path)
    quiet.order(NONE, leaked="v0")
    quiet.run()
    quiet.ledger.close()
    for nth in range(1, len(quiet.calls) + 1):
        sim = Forgetful(tmp_path, strikes=[Strike(nth, fault)])
        sim.order(NONE, leaked="v0")
        sim.run()
        sim.order(NONE)  # where the fault made the rotation fail, the next one pays
        sim.run()
        sim.ended_well()
        old = [debt for debt in sim.ledger.debts(ended=True) if debt.key_id == sim.old.key_id]
        assert [(one.reason, one.phase) for one in old] == [(DebtReason.LEAKED, DebtPhase.DEAD)]
        sim.ledger.close()
