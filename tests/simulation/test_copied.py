"""One key in several secrets of an account: what is known of it in one is so for all."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator import caseload
from rotator.desk import Desk
from rotator.errors import NeedsPerson, Unknown
from rotator.memory import Memory
from rotator.model import (
    Attempt,
    Back,
    Change,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    Phase,
    Provenance,
    Rotation,
    SecretState,
    Target,
)
from rotator.testing.fakes import FakeWorld
from tests.simulation.sim import POLICY, PROVIDER, SECRET, STORE, TARGET, Fault, Sim, Strike, Violation
from tests.simulation.test_stories import kinds, until

OTHER = replace(POLICY, name="other", target=Target("fake|other", STORE, "prod/other"))
NONE = timedelta(0)


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, of whose key nobody said whose it is."""
    return Sim(tmp_path, adopted=False)


def elsewhere(sim: Sim, *, current: CurrentKey | None = None, debt: Debt | None = None) -> None:
    """What the ledger knows of another secret of the account."""
    state = SecretState(OTHER.target.id, "other", PROVIDER.principal, sim.clock.now())
    sim.ledger.enroll([state])
    claim = sim.ledger.claim(state.id, "test", timedelta(seconds=90))
    assert claim is not None
    sim.ledger.commit(claim, Change(replace(state, current=current), debts=(debt,) if debt else ()))
    sim.ledger.release(claim, None)


def holding(sim: Sim, provenance: Provenance) -> CurrentKey:
    """The key of our secret, as another one holds it."""
    return CurrentKey("o0", sim.old.key_id, provenance, sim.clock.now())


def owed(sim: Sim, **more: object) -> Debt:
    """A debt of the other secret for the key of ours."""
    debt = Debt(
        "d0", OTHER.target.id, OTHER, DebtReason.LEAKED, sim.old.key_id, Provenance.ADOPTED, sim.clock.now()
    )
    return replace(debt, **more)  # type: ignore[arg-type]


def ours(sim: Sim) -> Debt:
    """The one debt of our secret."""
    (debt,) = sim.ledger.debts(TARGET.id, ended=True)
    return debt


def test_a_leaked_key_that_is_proven_dead_by_another_debt_needs_no_adoption(sim: Sim) -> None:
    """Nobody must say whose a dead key was; its proof names the other debt, and nothing is revoked again."""
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    sim.old.live = False
    dead = owed(sim, phase=DebtPhase.DEAD, ended_at=sim.clock.now(), proof="no longer listed as live")
    elsewhere(sim, debt=dead)
    until(sim, lambda: ours(sim).phase.ended)
    assert ours(sim).phase is DebtPhase.DEAD
    assert ours(sim).proof == "it is the key of other (debt d0): no longer listed as live"
    assert sim.provider.revoked == []


@pytest.mark.parametrize(
    "debt",
    [
        {"phase": DebtPhase.SETTLED, "proof": "declared dead by ann, never proven"},
        {"phase": DebtPhase.DEAD, "policy": replace(OTHER, provider=replace(PROVIDER, base_url="https://b"))},
        {"phase": DebtPhase.DEAD, "key_id": "key-99"},
    ],
    ids=["declared", "another-account", "another-key"],
)
def test_only_a_proof_of_the_very_key_counts(sim: Sim, debt: dict[str, object]) -> None:
    """A person's word, another account's key of that id and another key prove nothing of this one."""
    elsewhere(sim, debt=owed(sim, **debt))
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).phase is DebtPhase.OWED
    assert sim.old.live


def test_an_id_that_several_keys_share_tells_nothing_of_another_secret(sim: Sim) -> None:
    """What is known of one user's key says nothing of another key of that user."""
    shared = replace(sim.provider.traits, shared_id=True)
    setattr(sim.provider, "traits", shared)  # noqa: B010
    elsewhere(sim, debt=owed(sim, phase=DebtPhase.DEAD, proof="refused"))
    sim.order(NONE, leaked="v0")
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).phase is DebtPhase.OWED


def test_a_key_that_a_person_adopts_for_another_secret_dies_once_neither_holds_it(sim: Sim) -> None:
    """Its debt here takes over whose it is, and waits while the other secret holds it."""
    sim.order(NONE)
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: not sim.ledger.due(1))
    elsewhere(sim, current=holding(sim, Provenance.ADOPTED))
    sim.adopted = True
    sim.held_elsewhere.add(sim.old.key_id)
    until(sim, lambda: ours(sim).provenance is Provenance.ADOPTED)
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.old.live
    debt = ours(sim).block
    assert debt is not None
    assert "the secret of other holds it as well" in debt.reason
    state = sim.ledger.secret(OTHER.target.id)
    claim = sim.ledger.claim(OTHER.target.id, "test", timedelta(seconds=90))
    assert state is not None
    assert claim is not None
    sim.ledger.commit(claim, Change(replace(state, current=None)))
    sim.ledger.release(claim, None)
    sim.held_elsewhere.clear()
    sim.run()
    assert ours(sim).phase is DebtPhase.DEAD


def test_a_key_that_nobody_knows_elsewhere_stays_nobodys(sim: Sim) -> None:
    """Another secret that holds it as a key of unknown origin tells nothing."""
    elsewhere(sim, current=holding(sim, Provenance.UNKNOWN))
    sim.order(NONE)
    until(sim, lambda: "promoted" in kinds(sim))
    sim.clock.advance(timedelta(days=2))
    until(sim, lambda: not sim.ledger.due(1))
    assert ours(sim).provenance is Provenance.UNKNOWN
    assert sim.old.live


# --- secrets of whose key no id is known ------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path) -> Sim:
    """A world with one secret, whose key a person adopted."""
    return Sim(tmp_path)


def beside(sim: Sim, held: Mapping[str, str], **more: object) -> SecretState:
    """Another secret of the account, which holds this, and of whose key the ledger knows no id."""
    sim.store.put(OTHER.target.secret, "o0", held, current=True)
    now = sim.clock.now()
    current = CurrentKey("o0", None, Provenance.UNKNOWN, now)
    fresh = SecretState(OTHER.target.id, "other", PROVIDER.principal, now, looked_at=now, target=OTHER.target)
    state = replace(fresh, **{"current": current, **more})  # type: ignore[arg-type]
    sim.ledger.enroll([state])
    claim = sim.ledger.claim(state.id, "test", timedelta(seconds=90))
    assert claim is not None
    sim.ledger.release(claim, None)
    return state


def copy_without_id(sim: Sim) -> Mapping[str, str]:
    """The value of our key, as a policy writes it that keeps no id."""
    sim.held_elsewhere.add(sim.old.key_id)
    return {"secret": sim.old.secret}


def replaced_for_days(sim: Sim, days: int = 2) -> None:
    """Rotate, and work for so long what is due of our secret."""
    sim.order(NONE)
    until(sim, lambda: "promoted" in kinds(sim))
    for _ in range(days):
        until(sim, lambda: not sim.ledger.due(1))
        sim.clock.advance(timedelta(days=1))
    until(sim, lambda: not sim.ledger.due(1))


def told(sim: Sim) -> str:
    """What people are asked about the key that is to die."""
    (debt,) = sim.ledger.debts(TARGET.id)
    assert debt.block is not None
    return f"{debt.block.reason} {debt.block.todo}"


@pytest.mark.parametrize(
    "known",
    [{}, {"current": None}, {"current": None, "looked_at": None}, {"holds": ""}, {"gone": True}],
    ids=["no-id", "no-key-seen", "never-looked-at", "written-by-somebody", "policy-deleted"],
)
def test_a_key_that_another_secret_holds_without_its_id_is_not_revoked(
    mine: Sim, known: dict[str, object]
) -> None:
    """Where no id is known values are compared: the key dies when no secret holds it any more."""
    named = CurrentKey("o0", "key-77", Provenance.ISSUED, mine.clock.now())
    more = {"current": named, **known} if "holds" in known else known
    state = beside(mine, copy_without_id(mine), **more)
    replaced_for_days(mine)
    assert mine.old.live
    assert "the secret of other holds it as well" in told(mine)
    assert "rotator run-now other" in told(mine)
    mine.store.put(OTHER.target.secret, "o1", {"secret": "of-another-key"}, current=True)
    mine.held_elsewhere.clear()
    mine.run()
    mine.ended_well()
    assert state.unnamed


def test_a_key_of_unknown_id_that_is_another_one_holds_up_nothing(mine: Sim) -> None:
    """It is compared, and found to be another one."""
    beside(mine, {"secret": mine.foreign.secret})
    mine.order()
    mine.run()
    mine.ended_well_beside(mine.foreign)


@pytest.mark.parametrize("held", [{"note": "no key yet"}, None], ids=["empty", "missing"])
def test_a_secret_without_a_key_holds_up_nothing(mine: Sim, held: Mapping[str, str] | None) -> None:
    """A secret that holds no key, or does not exist, is no reason against a death."""
    beside(mine, held or {}, current=None)
    if held is None:
        del mine.store.secrets[OTHER.target.secret]
    mine.order()
    mine.run()
    mine.ended_well()


def test_a_policy_that_was_deleted_before_its_secret_was_looked_at_holds_up_nothing(mine: Sim) -> None:
    """It was a mistake in a file: nobody can say of it what it holds."""
    beside(mine, {}, current=None, looked_at=None, gone=True)
    del mine.store.secrets[OTHER.target.secret]
    refuses(mine, "access-denied")
    mine.order()
    mine.run()
    mine.ended_well()


def test_a_retired_secret_that_is_marked_for_deletion_holds_up_nothing(mine: Sim) -> None:
    """Nobody can read it any more: whatever it holds is in service nowhere."""
    beside(mine, {"secret": "of-another-key"}, gone=True)
    refuses(mine, "not-allowed-now")
    mine.order()
    mine.run()
    mine.ended_well()


def test_a_key_that_never_served_dies_whatever_cannot_be_compared(mine: Sim) -> None:
    """Nobody could copy it: it would fill the room that its successor needs."""
    beside(mine, {"secret": "of-another-key"})
    refuses(mine, "access-denied")
    mine.order()
    until(mine, lambda: "staged" in kinds(mine))
    rotation = mine.ledger.rotation(TARGET.id)
    assert rotation is not None
    mine.order(NONE, leaked=rotation.attempt.version)
    until(mine, lambda: "dead" in kinds(mine))
    assert (mine.provider.keys[rotation.attempt.key_id or ""].live, mine.old.live) == (False, True)


def refuses(sim: Sim, kind: str) -> None:
    """The store lets nobody read the other secret."""
    read = sim.store.read

    def refused(target: Target, version: str | None = None) -> object:
        if target.id == OTHER.target.id:
            raise NeedsPerson(kind, "reading it is not allowed.", todo="allow it")
        return read(target, version)

    setattr(sim.store, "read", refused)  # noqa: B010


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (NeedsPerson("access-denied", "Reading it is not allowed.", todo="allow it"), "allow it"),
        (Unknown("timeout", "no answer in time"), "it is tried again meanwhile"),
    ],
    ids=["denied", "away"],
)
def test_a_secret_that_cannot_be_compared_keeps_the_key_alive_and_people_hear(
    mine: Sim, error: Exception, asked: str
) -> None:
    """While nobody knows whether a key is in service it lives; it dies once that can be told."""
    beside(mine, {"secret": "of-another-key"})
    read, broken = mine.store.read, [True]

    def fails(target: Target, version: str | None = None) -> object:
        if target.id == OTHER.target.id and broken:
            raise error
        return read(target, version)

    setattr(mine.store, "read", fails)  # noqa: B010
    mine.held_elsewhere.add(mine.old.key_id)
    replaced_for_days(mine)
    assert mine.old.live
    assert asked in told(mine)
    assert any("the secret of other holds" in event.text for event in mine.ledger.events(TARGET.id))
    broken.clear()
    mine.held_elsewhere.clear()
    mine.run()
    mine.ended_well()


def test_a_key_whose_value_cannot_be_read_any_more_is_not_compared_and_lives(mine: Sim) -> None:
    """Nothing tells then that the other secret holds another key: people are told how that can be known."""
    beside(mine, copy_without_id(mine))
    mine.order(NONE)
    until(mine, lambda: "promoted" in kinds(mine))
    worker_forgets(mine)
    until(mine, lambda: not mine.ledger.due(1))
    assert mine.old.live
    assert "its value" not in told(mine)
    assert "cannot be read any more" in told(mine)
    assert "rotator run-now other" in told(mine)


def worker_forgets(sim: Sim) -> None:
    """The version that held the old key is gone from the store, and from memory."""
    del sim.store.secrets[TARGET.secret].versions["v0"]
    sim.clock.advance(timedelta(minutes=10))


@pytest.mark.parametrize("alike", [True, False], ids=["one-account", "two-accounts"])
def test_a_second_admin_credential_of_one_account_makes_no_other_key(mine: Sim, alike: bool) -> None:
    """The same id at the same address is the same key where the value is: two accounts may share an id."""
    second = replace(PROVIDER, account="fake|second-admin")
    value = mine.old.secret if alike else "of-another-key"
    held = {"key_id": mine.old.key_id, "secret": value}
    named = CurrentKey("o0", mine.old.key_id, Provenance.UNKNOWN, mine.clock.now())
    beside(mine, held, principal=second.principal, current=named)
    mine.held_elsewhere |= {mine.old.key_id} if alike else set()
    replaced_for_days(mine)
    assert mine.old.live is alike
    if alike:
        assert "the secret of other holds it as well" in told(mine)


def test_a_leaked_key_that_both_secrets_give_up_needs_neither(mine: Sim) -> None:
    """Where the other secret owes what it holds as leaked, too, the key dies though no id is known there."""
    state = beside(mine, {"secret": mine.old.secret})
    claim = mine.ledger.claim(state.id, "test", timedelta(seconds=90))
    assert claim is not None
    assert state.current is not None
    unknown = replace(owed(mine), key_id=None, version="o0", contain=True, provenance=Provenance.UNKNOWN)
    mine.ledger.commit(claim, Change(state, debts=(unknown,)))
    mine.ledger.release(claim, None)
    mine.order(NONE, contain=True)
    until(mine, lambda: "promoted" in kinds(mine))
    assert not mine.old.live


def busy(sim: Sim) -> None:
    """A worker that has the other secret's policy acts on it: ours, which lacks it, marks nothing."""
    assert sim.ledger.claim(OTHER.target.id, "another", timedelta(days=90)) is not None


@pytest.mark.parametrize(
    ("known", "kind"),
    [({"current": None, "looked_at": None}, "access-denied"), ({}, "not-allowed-now")],
    ids=["never-looked-at", "marked-for-deletion"],
)
def test_a_secret_of_a_policy_that_cannot_be_read_keeps_the_key_alive(
    mine: Sim, known: dict[str, object], kind: str
) -> None:
    """Only of a policy that is gone is a secret that nobody can read no reason: others may be read again."""
    beside(mine, copy_without_id(mine), **known)
    busy(mine)
    refuses(mine, kind)
    replaced_for_days(mine)
    assert mine.old.live
    assert "allow it" in told(mine)


def test_a_secret_of_which_nobody_noted_where_it_is_keeps_the_key_alive(mine: Sim) -> None:
    """A worker that has its policy notes that at its first look; until then nobody can compare it."""
    beside(mine, copy_without_id(mine), current=None, target=None)
    busy(mine)
    replaced_for_days(mine)
    assert mine.old.live
    assert "waiting for a first look at the secret of other" in waits_for(mine)


def test_the_record_alone_tells_of_a_secret_of_which_nobody_noted_where_it_is(mine: Sim) -> None:
    """Where the same id is known at the account's second admin credential, the key lives."""
    named = CurrentKey("o0", mine.old.key_id, Provenance.UNKNOWN, mine.clock.now())
    second = replace(PROVIDER, account="fake|second-admin").principal
    beside(mine, copy_without_id(mine), principal=second, current=named, target=None)
    replaced_for_days(mine)
    assert mine.old.live


def test_an_id_that_stands_in_a_secret_tells_where_no_value_can_be_compared(mine: Sim) -> None:
    """Our copy of the key is gone, but the other secret names the id of the key that it holds."""
    beside(mine, {"key_id": mine.old.key_id, **copy_without_id(mine)}, holds="")
    mine.order(NONE)
    until(mine, lambda: "promoted" in kinds(mine))
    worker_forgets(mine)
    until(mine, lambda: not mine.ledger.due(1))
    assert mine.old.live
    assert "the secret of other holds it as well" in told(mine)


def test_a_key_that_is_to_die_first_lives_while_another_secret_is_to_keep_it_until_it_is_replaced(
    mine: Sim,
) -> None:
    """Who ordered an outage of one secret ordered none of another that holds the key."""
    state = beside(mine, copy_without_id(mine))
    leaked = replace(owed(mine), key_id=None, version="o0", provenance=Provenance.UNKNOWN)
    commit(mine, Change(state, debts=(leaked,)))
    mine.order(NONE, contain=True)
    until(mine, lambda: "promoted" in kinds(mine))
    until(mine, lambda: not mine.ledger.due(1))
    assert mine.old.live
    assert "waiting for a new key in the secret of other, as ordered" in waits_for(mine)


def test_people_hear_of_a_leaked_key_that_another_secret_holds_without_an_order(mine: Sim) -> None:
    """Nothing is under way that would end it: it is not waited for in silence."""
    beside(mine, copy_without_id(mine))
    mine.order(NONE, leaked="v0")
    until(mine, lambda: "promoted" in kinds(mine))
    until(mine, lambda: not mine.ledger.due(1))
    assert mine.old.live
    assert "the secret of other holds it as well" in told(mine)


def test_what_the_ledger_knows_to_be_in_service_lives_though_the_secret_does_not_name_it(mine: Sim) -> None:
    """A ledger that somebody wrote to owes the key in service, of which no version is named."""
    mine.store.secrets[SECRET].versions["v0"] = {"secret": mine.old.secret}
    state = mine.ledger.secret(TARGET.id)
    assert state is not None
    wrong = owed(mine, secret=TARGET.id, policy=POLICY, reason=DebtReason.STRAY, not_before=mine.clock.now())
    commit(mine, Change(state, debts=(replace(wrong, urgent=True),)))
    until(mine, lambda: not mine.ledger.due(1))
    assert mine.old.live
    assert "the secret holds it" in told(mine)


# --- policies that move, keys that come back --------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["with-its-id", "without-its-id"])
def test_a_key_that_a_moved_policys_secret_still_holds_is_not_revoked(mine: Sim, named: bool) -> None:
    """A policy that moves to another account leaves the key where it is until it is replaced."""
    stays_behind(mine, named=named)
    replaced_for_days(mine)
    assert mine.old.live
    assert "the secret of other holds it as well" in told(mine)
    mine.store.put(OTHER.target.secret, "o1", {"secret": "of-another-account"}, current=True)
    mine.held_elsewhere.clear()
    mine.run()
    mine.ended_well()


def test_a_key_of_the_same_id_that_a_moved_policy_brought_along_holds_up_nothing(mine: Sim) -> None:
    """It is another account's, where it stays until it is replaced."""
    there = replace(OTHER, provider=replace(PROVIDER, base_url="https://elsewhere.invalid"))
    theirs = CurrentKey("o0", mine.old.key_id, Provenance.ISSUED, mine.clock.now(), under=there)
    beside(mine, {"key_id": mine.old.key_id, "secret": "of-another-key"}, current=theirs)
    mine.order()
    mine.run()
    mine.ended_well()


def stays_behind(sim: Sim, *, named: bool = True) -> None:
    """Another secret holds our key; its policy moves to another account, and nothing is rotated there yet."""
    held = {**copy_without_id(sim), **({"key_id": sim.old.key_id} if named else {})}
    key = CurrentKey("o0", held.get("key_id"), Provenance.UNKNOWN, sim.clock.now())
    state = beside(sim, held, current=key, provider=PROVIDER)
    moved = replace(OTHER, provider=replace(PROVIDER, base_url="https://elsewhere.invalid"))
    claim = sim.ledger.claim(state.id, "test", timedelta(seconds=90))
    assert claim is not None
    world = FakeWorld(sim.ledger, sim.provider, sim.store, sim.rng)
    caseload.acquainted(Desk(world, Memory(), claim, state), moved)
    sim.ledger.release(claim, None)


@pytest.mark.parametrize(
    ("key_id", "principal"),
    [(True, None), (False, None), (True, "fake|second-admin")],
    ids=["with-its-id", "without-its-id", "second-admin"],
)
def test_a_key_that_another_secrets_rollback_brings_back_is_not_revoked(
    mine: Sim, key_id: bool, principal: str | None
) -> None:
    """It was verified for that: it would be dead when it comes into service."""
    ended = comes_back(mine, key_id=key_id, account=principal or "")
    replaced_for_days(mine)
    assert mine.old.live
    assert "waiting for the rollback of other" in waits_for(mine)
    ended()
    mine.held_elsewhere.clear()
    mine.run(steps=600)
    assert not mine.old.live


def test_a_rollback_to_another_key_of_unknown_id_holds_up_nothing(mine: Sim) -> None:
    """It is compared, and found to be another one."""
    comes_back(mine, key_id=False, value="of-another-key")
    mine.held_elsewhere.clear()
    replaced_for_days(mine)
    assert not mine.old.live


def comes_back(
    sim: Sim, *, key_id: bool = True, account: str = "", value: str | None = None
) -> Callable[[], None]:
    """Another secret, which a worker is rolling back to a copy of our key; what ends that, with nothing
    changed.
    """
    now, provider = sim.clock.now(), replace(PROVIDER, account=account)
    policy = replace(OTHER, provider=provider)
    serving = CurrentKey("o1", "key-77", Provenance.ISSUED, now)
    state = beside(sim, {"secret": "of-key-77"}, current=serving, principal=provider.principal)
    before = {**copy_without_id(sim), **({"secret": value} if value else {})}
    sim.store.put(OTHER.target.secret, "before", before, current=False)
    its = sim.old.key_id if key_id else None
    later = now + timedelta(days=90)
    kept = {"version": "before", "served": now, "not_before": later}
    debt = owed(sim, policy=policy, reason=DebtReason.REPLACED, key_id=its, **kept)
    attempt = Attempt("token", 1, "token", its, version="o2", staged_at=now)
    live = Rotation("r1", state.id, policy, "rollback", now, Phase.STAGED, attempt, {}, "o1", serving)
    live = replace(live, back=Back(debt.id, "ann", timedelta(hours=1), now))
    claim = sim.ledger.claim(state.id, "test", timedelta(days=90))
    assert claim is not None
    sim.ledger.commit(claim, Change(state, live, debts=(debt,)))

    def ended() -> None:
        over = replace(live, phase=Phase.FAILED, ended_at=now)
        sim.ledger.commit(
            claim, Change(state, over, debts=(replace(debt, phase=DebtPhase.DEAD, ended_at=now),))
        )

    return ended


def commit(sim: Sim, change: Change) -> None:
    """Write this to the ledger, as a worker would."""
    claim = sim.ledger.claim(change.secret.id, "test", timedelta(seconds=90))
    assert claim is not None
    sim.ledger.commit(claim, change)
    sim.ledger.release(claim, sim.clock.now())


def waits_for(sim: Sim) -> str:
    """What the history says that our key's death waits for."""
    return " ".join(event.text for event in sim.ledger.events(TARGET.id))


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST])
def test_no_fault_of_a_comparison_revokes_what_is_in_service(tmp_path: Path, fault: Fault) -> None:
    """Whichever call after the promotion is struck, the key lives while a secret holds it without its id."""
    quiet = started(tmp_path / "quiet")
    until(quiet, lambda: "blocked" in kinds(quiet))
    first = quiet.calls.index("store.promote") + 2
    for nth in range(first, len(quiet.calls) + 1):
        sim = started(tmp_path / str(nth), Strike(nth, fault))
        with contextlib.suppress(Violation):  # it does not end
            sim.run(steps=12)
        assert sim.strikes[0].hit is not None
        assert sim.old.live
        sim.ledger.close()


def started(folder: Path, *strikes: Strike) -> Sim:
    """A rotation beside a secret that holds our key without its id."""
    folder.mkdir()
    sim = Sim(folder, strikes=list(strikes))
    beside(sim, copy_without_id(sim))
    sim.order(NONE)
    return sim
