"""Keys that people issue and revoke: what is owed for them, which is meant, and how a debt of them ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.memory import Memory
from rotator.model import Credential, DebtPhase, DebtReason, Order, Phase, Probe, Target, Verdict
from rotator.submitting import NotTaken
from rotator.testing.fakes import FakeKey
from tests.simulation.test_kinds import Rig, ask


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A parent secret that a person fills, and a token of it, known to the ledger."""
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


def refuse_staging(rig: Rig, times: int) -> None:
    """The store does not let the worker write what waits."""
    stage, left = rig.store.stage, [None] * times

    def refused(target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        if left:
            left.pop()
            raise NeedsPerson("access-denied", "writing is not allowed.", todo="allow it")
        return stage(target, credential, push, onto)

    rig.store.stage = refused  # type: ignore[method-assign]


@pytest.mark.parametrize("times", [1, 2])
def test_a_brought_key_that_the_store_refused_is_owed_by_nobody(rig: Rig, times: int) -> None:
    """It is still the person's: nobody is told to revoke it, and brought again it comes into service."""
    ask(rig)
    new = rig.hand.add("new")
    refuse_staging(rig, times)
    for _ in range(times):
        rig.submit(new)
        assert rig.ledger.debts(rig.parent.target.id) == []
    rig.submit(new)
    rig.until(timedelta(hours=5))
    assert rig.store.value("parent")["key_id"] == new.key_id
    assert [debt.key_id for debt in rig.ledger.debts(rig.parent.target.id)] == [rig.first.key_id]


def given_up(rig: Rig, after: timedelta = timedelta(minutes=20)) -> FakeKey:
    """A key that was brought, staged, and not accepted in time; ``after`` that the provider knows it."""
    new = rig.hand.add("new")
    with said_of(rig, new, Verdict.UNKNOWN):
        rig.submit(new)
        rig.until(after)
    return new


@contextmanager
def said_of(rig: Rig, key: FakeKey, verdict: Verdict) -> Iterator[None]:
    """From its second probe on the provider says this of a key."""
    probe, seen = rig.hand.probe, []

    def told(credential: Credential) -> Probe:
        if credential.get("secret") == key.secret:
            seen.append(1)
            if len(seen) > 1:
                return Probe(verdict, "as the test says", passing=verdict is Verdict.UNKNOWN)
        return probe(credential)

    rig.hand.probe = told  # type: ignore[method-assign]
    yield
    rig.hand.probe = probe  # type: ignore[method-assign]


def test_a_person_is_told_that_what_was_given_up_never_served(rig: Rig) -> None:
    """The words say of which key the person must rid themselves: not of one that was in service."""
    ask(rig)
    new = given_up(rig)
    rig.until(timedelta(minutes=10))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert new.key_id in debt.block.reason
    assert "never came into service" in debt.block.reason
    assert "was replaced" not in debt.block.reason


def test_a_kill_beside_a_death_asks_nobody_for_a_proof_that_was_there(rig: Rig) -> None:
    """A key's death is written before its value is let go: killed there, the next look takes it away."""

    class Killed(BaseException):
        pass

    versions, kills = rig.store.secrets["parent"].versions, [Killed]

    def taken_away(target: Target, version: str, mark: str | None) -> None:
        versions.pop(version, None)
        if kills:
            raise kills.pop()

    ask(rig)
    new = given_up(rig, timedelta(minutes=6))
    rig.until(timedelta(minutes=10))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    rig.store.discard = taken_away  # type: ignore[method-assign]
    new.live = False
    with pytest.raises(Killed):
        rig.until(timedelta(hours=2))
    assert debt.version not in versions
    rig.worker = rig.start()
    rig.until(timedelta(hours=2))
    (over,) = rig.ledger.debts(rig.parent.target.id, ended=True)
    state = rig.ledger.secret(rig.parent.target.id)
    assert over.phase is DebtPhase.DEAD
    assert state is not None
    assert state.copies == ()


def test_a_key_that_comes_into_service_after_all_is_owed_no_more(rig: Rig) -> None:
    """Given up, brought again and promoted: its debt is void, and only its predecessor must die."""
    ask(rig)
    new = given_up(rig)
    rig.submit(new)
    rig.until(timedelta(hours=5))
    assert rig.store.value("parent")["key_id"] == new.key_id
    assert [debt.key_id for debt in rig.ledger.debts(rig.parent.target.id)] == [rig.first.key_id]
    void = [debt for debt in rig.ledger.debts(rig.parent.target.id, ended=True) if debt.key_id == new.key_id]
    assert [debt.phase for debt in void] == [DebtPhase.VOID]


def test_the_old_key_brought_back_in_its_grace_lives(rig: Rig) -> None:
    """A rollback by submit: the old key's debt is void, the newer key is owed."""
    ask(rig)
    new = rig.hand.add("new")
    rig.submit(new)
    rig.until(timedelta(minutes=5))
    rig.submit(rig.first)
    rig.until(timedelta(hours=5))
    assert rig.store.value("parent")["key_id"] == rig.first.key_id
    assert [debt.key_id for debt in rig.ledger.debts(rig.parent.target.id)] == [new.key_id]


def test_while_a_person_is_awaited_looks_and_reminders_grow_rare(rig: Rig) -> None:
    """In a week: told after the grace, a day later, two days later; one probe of the old key for a look."""
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=50))
    probe, probes = rig.hand.probe, []

    def counted(credential: Credential) -> Probe:
        probes.append(credential.get("key_id"))
        return probe(credential)

    rig.hand.probe = counted  # type: ignore[method-assign]
    rig.until(timedelta(days=7))
    assert set(probes) == {rig.first.key_id}
    assert len(probes) <= 7 * 24 + 9  # hourly, after the first hour's doubling from ten seconds
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.told == 3
    assert "in service from" in debt.block.reason


@pytest.mark.parametrize("case", ["revoked-first", "value-gone", "no-clear-answer"])
def test_a_debt_that_no_probe_can_end_names_the_word_that_does(rig: Rig, case: str) -> None:
    """A key that was dead before it was replaced, or whose value is gone: a person settles it, unprobed."""
    ask(rig)
    new = rig.hand.add("new")
    rig.first.live = case != "revoked-first"
    probe, probes = rig.hand.probe, []

    def told(credential: Credential) -> Probe:
        probes.append(credential.get("key_id"))
        if case == "no-clear-answer" and credential.get("secret") == rig.first.secret:
            return Probe(Verdict.UNKNOWN, "http-403")
        return probe(credential)

    rig.hand.probe = told  # type: ignore[method-assign]
    rig.submit(new)
    rig.until(timedelta(minutes=5))
    if case == "value-gone":
        rig.store.secrets["parent"].versions.pop("p0")
        rig.memory = Memory()
    rig.until(timedelta(hours=2))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "cannot-be-proven"
    assert debt.block.todo.endswith(f"rotator settle {debt.id} --reason TEXT")
    before = len(probes)
    rig.until(timedelta(days=2))
    assert len(probes) == before


# --- submit, once more -----------------------------------------------------------------------------------


def held_up(rig: Rig) -> FakeKey:
    """A key that was brought and whose promotion the store did not answer; it died meanwhile: a conflict."""
    ask(rig)
    first, promote = rig.hand.add("first"), rig.store.promote

    def lost(*_: object) -> str:
        raise Unknown("lost", "no answer")

    rig.store.promote = lost  # type: ignore[method-assign, assignment]
    rig.submit(first)
    rig.until(timedelta(minutes=6))
    first.live = False
    rig.store.promote = promote  # type: ignore[method-assign]
    rig.until(timedelta(minutes=25))
    return first


def test_out_of_a_conflict_a_person_brings_another(rig: Rig) -> None:
    """The words name submit, not an issue that no request makes; a wrong one changes nothing."""
    first = held_up(rig)
    live = rig.ledger.rotation(rig.parent.target.id)
    state = rig.ledger.secret(rig.parent.target.id)
    assert live is not None
    assert state is not None
    assert state.block is not None
    assert live.phase is Phase.CONFLICT
    assert "rotator submit parent" in state.block.todo
    with pytest.raises(NotTaken):
        rig.submit({"key_id": "none", "secret": "wrong"})
    assert rig.ledger.rotation(rig.parent.target.id) == live
    second = rig.hand.add("second")
    rig.submit(second)
    rig.until(timedelta(minutes=10))
    assert rig.store.value("parent")["key_id"] == second.key_id
    owed = {debt.key_id: debt.reason for debt in rig.ledger.debts(rig.parent.target.id)}
    assert owed == dict.fromkeys((first.key_id, rig.first.key_id), DebtReason.REPLACED)  # it may have served


def test_what_is_on_its_way_goes_on_when_it_is_brought_again(rig: Rig) -> None:
    """A submit that was killed late may be repeated; another credential is refused until it is decided."""
    ask(rig)
    new, other, verdict = rig.hand.add("new"), rig.hand.add("other"), Verdict.UNKNOWN
    with said_of(rig, new, verdict):
        rig.submit(new)
        before = rig.ledger.rotation(rig.parent.target.id)
        assert before is not None
        assert before.phase is Phase.STAGED
        rig.submit(new)
        with pytest.raises(NotTaken, match="another credential"):
            rig.submit(other)
        assert rig.ledger.rotation(rig.parent.target.id) == before
    rig.until(timedelta(minutes=2))
    assert rig.store.value("parent")["key_id"] == new.key_id


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.DEAD])
def test_an_account_that_cannot_be_compared_is_not_taken_on_trust(rig: Rig, verdict: Verdict) -> None:
    """While the credential in service gives no clear answer nothing is taken; a dead one is replaced, and it
    is said that nobody compared their accounts.
    """
    new, probe = rig.hand.add("new"), rig.hand.probe

    def told(credential: Credential) -> Probe:
        mine = credential.get("secret") == new.secret
        return replace(probe(credential), account="one") if mine else Probe(verdict, "http-429")

    rig.hand.probe = told  # type: ignore[method-assign]
    if verdict is Verdict.UNKNOWN:
        with pytest.raises(NotTaken, match=r"no clear answer about the one in service \(http-429\)"):
            rig.submit(new)
        return
    rig.submit(new)
    rig.until(timedelta(minutes=2))
    assert rig.store.value("parent")["key_id"] == new.key_id
    assert any("its account was not compared" in event.text for event in rig.ledger.events(limit=100))


@pytest.mark.parametrize("known_from", ["the token", "the credential itself"])
def test_the_account_is_known_from_the_first_submit_on(rig: Rig, known_from: str) -> None:
    """A credential that was there before us tells its account, or its token does: another's is refused."""
    theirs, probe, tried = rig.hand.add("theirs"), rig.hand.probe, []

    def told(credential: Credential) -> Probe:
        tried.append(credential.get("key_id"))
        return replace(
            probe(credential), account="two" if credential.get("secret") == theirs.secret else "one"
        )

    rig.hand.probe = told  # type: ignore[method-assign]
    if known_from == "the token":
        rig.until(timedelta(minutes=5))
    with pytest.raises(NotTaken, match="it belongs to account two, the one in service to one"):
        rig.submit(theirs)
    assert (rig.first.key_id in tried) is (known_from == "the credential itself")


def test_a_leaked_key_of_a_person_is_owed_first_and_dies_without_grace(rig: Rig) -> None:
    """It is owed before there is another one; once there is, the person is at once asked to revoke it."""
    leaked = Order("run", "a person", "leak", rig.clock.now(), grace=timedelta(0), leaked_versions=("p0",))
    rig.ledger.give(rig.parent.target.id, leaked)
    rig.until(timedelta(minutes=5))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert (debt.reason, debt.key_id, debt.not_before) == (DebtReason.LEAKED, rig.first.key_id, None)
    assert rig.alarms() == ["blocked"]  # the person who is to issue another one
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=20))  # the grace of the policy is an hour
    (asked,) = rig.ledger.debts(rig.parent.target.id)
    assert asked.id == debt.id
    assert asked.block is not None
    assert asked.block.kind == "a-person-must-revoke"
    rig.first.live = False
    rig.until(timedelta(hours=2))
    (dead,) = rig.ledger.debts(rig.parent.target.id, ended=True)
    assert (dead.id, dead.phase) == (debt.id, DebtPhase.DEAD)
