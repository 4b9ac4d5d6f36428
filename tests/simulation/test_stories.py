"""What the two stories do when the world is not as it should be: one rule each."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import LedgerUnusable, NeedsPerson, Scope, Unknown
from rotator.interfaces import Stored
from rotator.model import (
    Credential,
    CurrentKey,
    DebtPhase,
    DebtReason,
    Issued,
    KeyRecord,
    Level,
    Order,
    Phase,
    Policy,
    Probe,
    Provenance,
    ProviderRef,
    SecretState,
    Verdict,
    Window,
)
from rotator.owing import tells_of
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.testing.fakes import FakeProvider, FakeWorld
from tests.simulation.sim import GRACE, POLICY, SECRET, TARGET, Fault, Sim, Strike

UNCLEAR = 6  # looks, the last of which goes on without a baseline


@pytest.fixture
def sim(tmp_path: Path) -> Sim:
    """A world with one secret, whose key was adopted."""
    return Sim(tmp_path)


def bend(adapter: object, method: str, behave: Callable[..., object]) -> None:
    """Let one method of a fake behave otherwise."""
    setattr(adapter, method, behave)


def kinds(sim: Sim) -> list[str]:
    """What happened, oldest first."""
    return [event.kind for event in reversed(sim.ledger.events())]


def alarms(sim: Sim) -> list[str]:
    """What people were told, oldest first."""
    return [event.kind for event in reversed(sim.ledger.events()) if event.level is Level.ALARM]


def ours(sim: Sim) -> list[str]:
    """Ids of the keys that rotator issued and that live."""
    keys = sim.provider.keys.values()
    return [key.key_id for key in keys if key.live and key not in (sim.old, sim.foreign)]


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


def live(sim: Sim) -> Phase | None:
    """Where the rotation stands that is under way."""
    rotation = sim.ledger.rotation(TARGET.id)
    return rotation.phase if rotation else None


# --- where a secret comes from ---------------------------------------------------------------------------


def test_a_secret_without_a_version_gets_an_empty_one_and_then_its_first_key(sim: Sim) -> None:
    """The first version of a secret is current whatever its label, so it must not be the new key."""
    sim.store.secrets[SECRET].versions.clear()
    sim.store.secrets[SECRET].current = None
    sim.store.secrets[SECRET].history.clear()
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    assert sim.provider.accepts(sim.store.value(SECRET)["secret"])
    assert len(sim.store.secrets[SECRET].history) == 2


def test_a_key_that_was_there_before_us_is_never_revoked_by_guess(tmp_path: Path) -> None:
    """Without a person's word the old key lives, its debt is open, and the block says what to do."""
    sim = Sim(tmp_path, adopted=False)
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    sim.clock.advance(timedelta(days=3))
    until(sim, lambda: not sim.ledger.due(1))
    (debt,) = sim.ledger.debts()
    assert sim.old.live
    assert debt.provenance is Provenance.UNKNOWN
    assert debt.block is not None
    assert debt.block.todo == f"rotator adopt one --key-id {sim.old.key_id}"


def test_a_first_look_changes_nothing_and_spreads_what_is_overdue(tmp_path: Path) -> None:
    """A fleet that is taken on is not all due at once."""
    sim = Sim(tmp_path)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    sim.store.secrets[SECRET].times["v0"] = sim.clock.now() - timedelta(days=400)
    claim = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=90))
    assert claim is not None
    from rotator.model import Change  # noqa: PLC0415

    sim.ledger.commit(claim, Change(replace(state, looked_at=None, rotated_at=None, current=None)))
    sim.ledger.release(claim, sim.clock.now())
    until(sim, lambda: "taken-on" in kinds(sim))
    taken = sim.ledger.secret(TARGET.id)
    assert taken is not None
    assert taken.spread_until is not None
    assert sim.clock.now() < taken.spread_until <= sim.clock.now() + timedelta(days=7)
    assert not [call for call in sim.calls if call in ("provider.issue", "store.stage", "store.promote")]


# --- a candidate that must not come into service ---------------------------------------------------------


def test_a_key_that_is_never_accepted_is_given_up_and_the_old_one_stays(sim: Sim) -> None:
    """Three attempts, each candidate proven dead, one alarm, and the secret as it was."""
    probe = sim.provider.probe
    old = sim.old.secret
    bend(sim.provider, "probe", lambda c: probe(c) if c.get("secret") == old else Probe(Verdict.DEAD))
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    until(sim, lambda: not sim.ledger.debts())
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id
    assert ours(sim) == []
    assert alarms(sim) == ["failed"]
    assert sim.old.live


def test_a_rotation_that_failed_says_what_the_provider_said_and_what_to_do(sim: Sim) -> None:
    """The alarm, and the rotation after it, hold the cause in words, with the answer that led there, and what
    to do; what follows a sentence follows it without its full stop.
    """

    def overloaded(*_: object) -> Issued:
        raise Unknown("http-503", "build: create a key: the server answered 503.")

    bend(sim.provider, "issue", overloaded)
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    told = {event.kind: event.text for event in sim.ledger.events()}
    cause = "it is unknown whether the provider issued a key (build: create a key: the server answered 503)"
    todo = "see each step: rotator history one; once the cause is mended: rotator run-now one --reason TEXT"
    assert told["failed"] == f"rotation failed, the old key stays in service: {cause}. To do: {todo}"
    assert told["retry"] == "build: create a key: the server answered 503; looking again"
    (failed,) = sim.ledger.rotations(TARGET.id)
    assert (failed.phase, failed.error, failed.why, failed.todo) == (Phase.FAILED, "answer-lost", cause, todo)


def test_a_step_that_went_well_is_no_cause_of_a_later_failure(sim: Sim) -> None:
    """What a step met before it succeeded is not told as the reason why a later one failed."""
    stage, probe, old, met = sim.store.stage, sim.provider.probe, sim.old.secret, iter([True])

    def late(*given: Any) -> Stored:
        if next(met, False):
            raise Unknown("timeout", "the store did not answer")
        return stage(*given)

    bend(sim.store, "stage", late)
    bend(sim.provider, "probe", lambda c: probe(c) if c.get("secret") == old else Probe(Verdict.DEAD, "no"))
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    (failed,) = sim.ledger.rotations(TARGET.id)
    assert failed.why == "the key was not accepted within 5m: no"


def test_a_key_that_is_refused_until_it_has_spread_is_waited_for(sim: Sim) -> None:
    """A first refusal gives up no key: one that works in time is promoted, and no other is issued."""
    probe, spread = sim.provider.probe, sim.clock.now() + timedelta(minutes=2)

    def spreads(credential: Credential) -> Probe:
        known = credential.get("secret") == sim.old.secret or sim.clock.now() >= spread
        return probe(credential) if known else Probe(Verdict.DEAD, "refused: it has not spread yet")

    bend(sim.provider, "probe", spreads)
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    assert sim.clock.now() >= spread
    assert sim.calls.count("provider.issue") == 1
    assert not {"given-up", "failed"} & set(kinds(sim))
    sim.run()
    sim.ended_well()


def test_a_key_that_flaps_is_counted_from_its_last_refusal(sim: Sim) -> None:
    """A refusal between two successes begins the count anew."""
    answers = iter([Verdict.LIVE, Verdict.DEAD, Verdict.DEAD, Verdict.LIVE, Verdict.DEAD])
    probe = sim.provider.probe
    bend(sim.provider, "probe", lambda c: Probe(next(answers, None) or probe(c).verdict))
    sim.order()
    sim.run()
    sim.ended_well()
    assert sim.calls.count("provider.probe") > 10


@pytest.mark.parametrize("later", [3, 600])
def test_a_refusal_that_could_not_be_written_counts_all_the_same(sim: Sim, later: float) -> None:
    """The ledger fails when a refusal is to be noted, or when that ends the attempt, since its time is over:
    the successes before it are not counted on.
    """
    worker = sim.start()
    sim.order()
    worker.work(TARGET.id)
    assert live(sim) is Phase.STAGED
    probe, commit = sim.provider.probe, sim.ledger.commit

    def away(*_: object) -> None:
        raise LedgerUnusable("away [test]")

    bend(sim.provider, "probe", lambda _: Probe(Verdict.DEAD, "refused once"))
    bend(sim.ledger, "commit", away)
    sim.clock.sleep(later)
    with pytest.raises(LedgerUnusable):
        worker.work(TARGET.id)
    bend(sim.provider, "probe", probe)
    bend(sim.ledger, "commit", commit)
    before = sim.calls.count("provider.probe")
    while "promoted" not in kinds(sim):
        sim.clock.sleep(3)
        worker.work(TARGET.id)
    assert sim.calls[: sim.calls.index("store.promote")].count("provider.probe") == before + 3


def test_a_count_of_probes_does_not_outlive_its_process(sim: Sim) -> None:
    """Whoever goes on with a key that another process was verifying, verifies it from the beginning."""
    worker = sim.start()
    sim.order()
    while sim.calls.count("provider.probe") < 3:  # one of them is the control
        worker.work(TARGET.id)
        sim.clock.sleep(3)
    worker.close()
    rotation = sim.ledger.rotation(TARGET.id)
    assert rotation is not None
    assert (rotation.phase, rotation.attempt.successes) == (Phase.STAGED, 0)
    before = sim.calls.count("provider.probe")
    until(sim, lambda: "promoted" in kinds(sim))
    assert sim.calls[: sim.calls.index("store.promote")].count("provider.probe") == before + 3


def test_a_key_with_wider_scopes_than_asked_never_becomes_current(tmp_path: Path) -> None:
    """What the provider granted is compared with what was asked, before anything is stored."""
    sim = Sim(tmp_path, policy=replace(POLICY, key={"scopes": ["read"]}))
    issue = sim.provider.issue

    def wider(label: str, wanted: object) -> Issued:
        issued = issue(label, {})
        return replace(issued, granted={"scopes": ["read", "trade"]})

    bend(sim.provider, "issue", wider)
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    until(sim, lambda: not sim.ledger.debts())
    assert ours(sim) == []
    assert "store.stage" not in sim.calls


def test_a_key_of_another_account_never_becomes_current(sim: Sim) -> None:
    """The right key of the wrong account is a failure."""
    sim.order()
    sim.run()
    probe = sim.provider.probe
    bend(sim.provider, "probe", lambda c: replace(probe(c), account="another"))
    before = sim.store.value(SECRET)
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    assert sim.store.value(SECRET) == before


def test_a_probe_that_accepts_anything_proves_nothing(sim: Sim) -> None:
    """The negative control ends the rotation at once: more attempts would prove no more."""
    bend(sim.provider, "probe", lambda _: Probe(Verdict.LIVE))
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    assert sim.calls.count("provider.issue") == 1
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id


def test_an_answer_with_the_id_of_a_known_key_is_garbage(sim: Sim) -> None:
    """A provider that answers with an older key's id has issued something that we do not know: sweep."""
    issue = sim.provider.issue
    answers = iter([Issued(sim.old.key_id, Credential({"secret": "x"}), {})])
    bend(sim.provider, "issue", lambda label, wanted: next(answers, None) or issue(label, wanted))
    sim.order()
    sim.run()
    sim.ended_well()
    assert "given-up" in kinds(sim)


def test_a_new_id_for_the_value_in_service_is_not_revoked_by_guess(sim: Sim) -> None:
    """A new key whose value is the old one's never comes into service; it is owed, and a person decides."""
    issue = sim.provider.issue

    def same(label: str, wanted: object) -> Issued:
        return replace(issue(label, {}), credential=Credential({"key_id": "x", "secret": sim.old.secret}))

    bend(sim.provider, "issue", same)
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    debt = sim.ledger.debts()[0]
    assert (debt.provenance, debt.reason) == (Provenance.UNKNOWN, DebtReason.ABANDONED)
    assert debt.block is not None
    assert f"--key-id {debt.key_id}" in debt.block.todo
    sim.start().work(TARGET.id)
    assert sim.calls.count("provider.revoke") == 0
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id


def test_a_create_that_lands_after_the_sweep_dies_at_the_next_rotation(sim: Sim) -> None:
    """A late key carries our label: the next look at the provider finds it."""
    from rotator.errors import Unknown  # noqa: PLC0415

    issue = sim.provider.issue
    late: list[str] = []

    def lost(label: str, wanted: object) -> Issued:
        if not late:
            late.append(label)
            raise Unknown("timeout", "no answer")
        return issue(label, {})

    bend(sim.provider, "issue", lost)
    sim.order()
    sim.run()
    sim.provider.add(late[0])
    sim.order()
    sim.run()
    sim.ended_well()


def test_a_worker_that_was_away_during_verification_does_not_waste_the_candidate(sim: Sim) -> None:
    """The deadline ends keys that are not accepted, not keys that nobody probed meanwhile."""
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    sim.clock.advance(timedelta(hours=3))
    sim.run()
    sim.ended_well()
    assert sim.calls.count("provider.issue") == 1


def test_a_policy_that_moves_to_another_provider_revokes_the_old_key_where_it_was_issued(sim: Sim) -> None:
    """A debt names the provider that issued its key, whatever the policy says now."""
    sim.order()
    sim.run()
    first = sim.store.value(SECRET)["key_id"]
    moved = replace(POLICY.provider, base_url="https://elsewhere.invalid")
    sim.policy = replace(POLICY, provider=moved)
    sim.order()
    worker = sim.start()
    for _ in range(200):
        for secret in sim.ledger.due(1):
            worker.work(secret)
        if not sim.ledger.debts() and sim.provider.keys[first].live is False:
            break
        if sim.ledger.debts():
            (debt,) = sim.ledger.debts()
            assert debt.policy.provider.base_url == POLICY.provider.base_url
        sim._wait()
    sim.ended_well()


@pytest.mark.parametrize("noted", [True, False])
def test_an_adopted_key_dies_where_it_was_adopted_or_nowhere(sim: Sim, noted: bool) -> None:
    """A policy that moves to another account takes no key with it: none of that name is revoked there, and
    that the other account does not list it is no death. Where nobody noted whose it was, a person is asked.
    """
    two = TwoAccounts(sim, noted=noted)
    two.work(timedelta(days=3))
    (debt,) = sim.ledger.debts(TARGET.id, ended=True)
    assert two.second.revoked == []
    assert (sim.provider.revoked, sim.old.live) == ([sim.old.key_id], False) if noted else ([], True)
    assert debt.phase is (DebtPhase.DEAD if noted else DebtPhase.OWED)
    assert (debt.block is None) is noted


def test_a_key_dies_where_it_is_though_its_policy_moved_back(sim: Sim) -> None:
    """The key in service is another account's then, whose absence from the list tells nothing."""
    two = TwoAccounts(sim)
    sim.ledger.withdraw(TARGET.id, "run")
    sim.order(timedelta(hours=12))
    two.work(timedelta(hours=3))
    two.policy = POLICY
    two.work(timedelta(days=1))
    (debt,) = sim.ledger.debts(TARGET.id, ended=True)
    assert (debt.phase, debt.block, debt.looks) == (DebtPhase.DEAD, None, 0)
    assert (sim.provider.revoked, two.second.revoked) == ([sim.old.key_id], [])


class TwoAccounts(FakeWorld):
    """The policy moves to a second account before its secret is rotated for the first time."""

    def __init__(self, sim: Sim, *, noted: bool = True) -> None:
        super().__init__(sim.ledger, sim.provider, sim.store, sim.rng, {"app": sim.consumer})
        self.second = FakeProvider(sim.clock, sim.rng)
        for name in ("theirs", "theirs too", "and this"):  # ids that the first account has as well
            self.second.add(name)
        self._sim, sim.excused = sim, True
        if noted:
            self._worker(POLICY).work(TARGET.id)
        self.policy = replace(POLICY, provider=replace(POLICY.provider, base_url="https://elsewhere.invalid"))
        sim.order(timedelta(0))

    def provider(self, ref: ProviderRef) -> FakeProvider:
        """Which account an address leads to."""
        return self._sim.provider if ref.base_url == POLICY.provider.base_url else self.second

    def work(self, span: timedelta) -> None:
        """Work by the policy for so long."""
        worker, end = self._worker(self.policy), self._sim.clock.now() + span
        while self._sim.clock.now() < end:
            for secret in self._sim.ledger.due(1):
                worker.work(secret)
            self._sim._wait()

    def _worker(self, policy: Policy) -> Worker:
        return Worker(self, Book(policies=(policy,)), self._sim.told, holder="sim", threads=1)


# --- somebody else writes the secret ---------------------------------------------------------------------


def written_by_hand(sim: Sim, name: str) -> None:
    """Just before promote, somebody puts the foreign key into the secret."""
    if name == "store.promote" and "by-hand" not in sim.store.secrets[SECRET].versions:
        value = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret, "note": "theirs"}
        sim.store.put(SECRET, "by-hand", value, current=True)


def test_a_secret_that_somebody_else_wrote_is_a_conflict_and_nothing_is_revoked(sim: Sim) -> None:
    """A person is told; the candidate and the old key live on."""
    sim.outside = written_by_hand
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    sim.clock.advance(timedelta(days=2))
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.store.value(SECRET)["key_id"] == sim.foreign.key_id
    assert sim.old.live
    assert len(ours(sim)) == 1
    assert alarms(sim) == ["conflict", "conflict"]  # told, and after a day reminded


def test_a_person_ends_a_conflict_by_rotating_again(sim: Sim) -> None:
    """Then the candidate and our old key die; the key that the person wrote is not ours to revoke."""
    sim.outside = written_by_hand
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    until(sim, lambda: all(debt.provenance is Provenance.UNKNOWN for debt in sim.ledger.debts()))
    assert ours(sim) == [sim.store.value(SECRET)["key_id"]]
    assert sim.foreign.live
    assert not sim.old.live


def test_an_order_that_came_before_a_conflict_does_not_end_it(sim: Sim) -> None:
    """Who asked did not know of it, so that the order joins: nothing is given up until a person was told."""

    def asked(sim: Sim, name: str) -> None:
        if name == "store.promote":
            sim.order()
        written_by_hand(sim, name)

    sim.outside = asked
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    until(sim, lambda: not sim.ledger.due(1))
    assert kinds(sim)[-2:] == ["joined", "conflict"]
    assert live(sim) is Phase.CONFLICT
    assert len(ours(sim)) == 1
    sim.order()
    until(sim, lambda: "superseded" in kinds(sim))


def label_moved_back(sim: Sim) -> None:
    """Somebody makes the version current that was so before."""
    kept = sim.store.secrets[SECRET]
    kept.current, kept.previous = kept.previous, kept.current


def value_written_back(sim: Sim) -> None:
    """Somebody writes what the version before held."""
    sim.store.put(SECRET, "back", sim.store.secrets[SECRET].versions["v0"], current=True)


@pytest.mark.parametrize("back", [label_moved_back, value_written_back])
def test_what_somebody_put_back_is_not_promoted_again(sim: Sim, back: Callable[[Sim], None]) -> None:
    """Though nobody heard that it was current: a person is told, and it dies after a grace of its own."""
    promote = sim.store.promote

    def landed(*args: object) -> str:
        promote(*args)  # type: ignore[arg-type]
        sim.store.promote = promote  # type: ignore[method-assign]
        back(sim)
        raise Unknown("timeout", "no answer")

    bend(sim.store, "promote", landed)
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    assert alarms(sim) == ["conflict"]
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id
    (candidate,), asked_at = ours(sim), sim.clock.now()
    sim.order()
    until(sim, lambda: candidate not in ours(sim))
    assert sim.clock.now() - asked_at >= GRACE
    sim.run()
    sim.ended_well()


def test_other_fields_that_change_meanwhile_are_kept(sim: Sim) -> None:
    """The candidate is staged again on the fresh object, verified again, and promoted."""

    def note(sim: Sim, name: str) -> None:
        if name == "store.promote" and "noted" not in sim.store.secrets[SECRET].versions:
            sim.store.put(SECRET, "noted", {**sim.store.value(SECRET), "more": "new"}, current=True)

    sim.outside = note
    sim.order()
    sim.run()
    sim.ended_well()
    assert sim.store.value(SECRET)["more"] == "new"
    assert sim.calls.count("provider.issue") == 1


def test_a_rollback_by_hand_during_grace_keeps_the_old_key_alive(sim: Sim) -> None:
    """The re-check sees that the key which is to die is what consumers read."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    held = {"key_id": sim.old.key_id, "secret": sim.old.secret, "note": "theirs"}
    sim.store.put(SECRET, "back", held, current=True)
    sim.clock.advance(timedelta(hours=2))
    until(sim, lambda: "blocked" in kinds(sim))
    assert sim.old.live
    assert sim.provider.revoked == []


def test_a_key_that_was_seen_in_service_again_gets_a_grace_of_its_own(sim: Sim) -> None:
    """What was put back by hand, and replaced by hand, has had consumers again until then."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    promoted = sim.store.value(SECRET)
    held = {"key_id": sim.old.key_id, "secret": sim.old.secret, "note": "theirs"}
    sim.store.put(SECRET, "back", held, current=True)
    sim.clock.advance(timedelta(hours=2))
    until(sim, lambda: "blocked" in kinds(sim))
    sim.store.put(SECRET, "forth", promoted, current=True)
    until(sim, lambda: kinds(sim).count("visible") > 0 and kinds(sim)[-1] == "visible")
    left_at = sim.clock.now()
    until(sim, lambda: not sim.old.live)
    assert sim.clock.now() - left_at >= sim.ledger.rotations(TARGET.id)[0].grace > timedelta(0)


def noted_before_promote(sim: Sim, name: str) -> None:
    """Just before promote, somebody changes another field of the object."""
    if name == "store.promote" and "noted" not in sim.store.secrets[SECRET].versions:
        sim.store.put(SECRET, "noted", {**sim.store.value(SECRET), "more": "new"}, current=True)


def test_a_candidate_that_fails_its_second_verification_is_never_promoted(sim: Sim) -> None:
    """Staged anew on a changed object, it is verified anew; if it died meanwhile, another one is issued."""

    def outside(sim: Sim, name: str) -> None:
        noted_before_promote(sim, name)
        if name == "provider.probe" and "noted" in sim.store.secrets[SECRET].versions and not killed:
            (candidate,) = [sim.provider.keys[key_id] for key_id in ours(sim)]
            candidate.live = False
            killed.append(candidate.key_id)

    killed: list[str] = []
    sim.outside = outside
    sim.order()
    sim.run()
    sim.ended_well()
    assert killed
    assert sim.store.value(SECRET)["key_id"] not in killed


def test_out_of_a_conflict_nothing_unproven_is_promoted(sim: Sim) -> None:
    """The label comes back days later, but the candidate is dead by then: a person is told, no more."""
    sim.outside = written_by_hand
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    sim.clock.advance(timedelta(days=3))
    for key_id in ours(sim):
        sim.provider.keys[key_id].live = False
    sim.store.secrets[SECRET].current = "v0"
    until(sim, lambda: sim.calls.count("provider.probe") > 10)
    sim.clock.advance(timedelta(hours=9))
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id
    sim.order()
    sim.run()
    assert ours(sim) == [sim.store.value(SECRET)["key_id"]]


def test_a_pause_holds_what_is_sent_again(sim: Sim) -> None:
    """A conflict that ends by itself is still work that a pause holds."""
    sim.outside = written_by_hand
    sim.order()
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    pause = Order("pause", "a person", "freeze", sim.clock.now(), until=sim.clock.now() + timedelta(days=30))
    sim.ledger.give(TARGET.id, pause)
    sim.store.secrets[SECRET].current = "v0"
    sim.clock.advance(timedelta(days=3))
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.store.value(SECRET)["key_id"] == sim.old.key_id


# --- death ------------------------------------------------------------------------------------------------


def test_a_revoke_that_is_said_but_not_done_is_no_death(sim: Sim) -> None:
    """The debt stays, people are told once, and it ends when the key is really dead."""
    revoke = sim.provider.revoke
    bend(sim.provider, "revoke", lambda _: None)
    sim.order()
    until(sim, lambda: "will-not-die" in kinds(sim), steps=600)
    assert sim.old.live
    assert [debt.phase for debt in sim.ledger.debts()] == [DebtPhase.REVOKING]
    bend(sim.provider, "revoke", revoke)
    sim.run()
    sim.ended_well()
    assert alarms(sim) == ["will-not-die"]


@pytest.mark.parametrize("how", ["revoke does nothing", "probe is silent"])
def test_people_are_reminded_of_a_key_that_will_not_die(sim: Sim, how: str) -> None:
    """After an hour, a day, and two more, over restarts; a revoke that is sent again tells nothing anew."""
    probe = sim.provider.probe

    def silent(credential: Credential) -> Probe:
        if credential.get("secret") == sim.old.secret:
            return Probe(Verdict.UNKNOWN, "no answer")
        return probe(credential)

    bend(sim.provider, "revoke", lambda _: None)
    if how == "probe is silent":
        bend(sim.provider, "probe", silent)
    sim.order()
    until(sim, lambda: "will-not-die" in kinds(sim), steps=600)
    since = sim.clock.now()
    until(sim, lambda: sim.clock.now() >= since + timedelta(days=3, hours=1), steps=900)
    assert [event.kind for event in sim.ledger.untold()] == ["will-not-die"] * 3
    (debt,) = sim.ledger.debts()
    assert debt.block is not None
    assert "rotator history one" in debt.block.todo


def test_no_answer_is_no_death(sim: Sim) -> None:
    """A probe that is silent after the revoke proves nothing, though the list says gone."""
    probe, revoked = sim.provider.probe, sim.provider.revoked
    silent = lambda c: Probe(Verdict.UNKNOWN) if revoked else probe(c)  # noqa: E731
    bend(sim.provider, "probe", silent)
    sim.order()
    until(sim, lambda: bool(revoked))
    sim.clock.advance(timedelta(minutes=5))
    until(sim, lambda: not sim.ledger.due(1))
    assert len(sim.ledger.debts()) == 1
    bend(sim.provider, "probe", probe)
    sim.run()
    sim.ended_well()


def test_grace_begins_when_the_last_replica_shows_the_new_version(sim: Sim) -> None:
    """Until then the old key is not even counted down."""
    sim.store.replicated, sim.store.replicas_show = True, False
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    sim.clock.advance(timedelta(days=2))
    until(sim, lambda: not sim.ledger.due(1))
    assert sim.old.live
    sim.store.replicas_show = True
    shown_at = sim.clock.now()
    sim.run()
    sim.ended_well()
    assert sim.clock.now() >= shown_at + POLICY.grace


def test_a_key_that_another_secret_holds_as_well_is_not_revoked(sim: Sim) -> None:
    """Somebody copied the secret: its key dies when no secret of ours holds it any more."""
    copied = CurrentKey("c0", sim.old.key_id, Provenance.UNKNOWN, sim.clock.now())
    copy = SecretState("fake|copy", "copy", POLICY.provider.principal, sim.clock.now(), current=copied)
    sim.ledger.enroll([copy])
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    assert sim.old.live
    (debt,) = sim.ledger.debts()
    assert debt.block is not None
    assert "the secret of copy holds it as well" in debt.block.reason


def test_a_list_of_another_account_proves_no_death(sim: Sim) -> None:
    """A key is gone from a list only if that list shows the key that we know to live."""
    sim.strikes = [Strike(7, Fault.LOST)]
    find, strays = sim.provider.find, list[str]()

    def outside(sim: Sim, name: str) -> None:
        if name == "provider.revoke" and not strays:
            strays.extend(ours(sim)[:1])
            bend(sim.provider, "find", list)
            bend(sim.provider, "revoke", lambda _: None)

    sim.outside = outside
    sim.order()
    until(sim, lambda: bool(strays))
    sim.clock.advance(timedelta(minutes=30))
    until(sim, lambda: not sim.ledger.due(1))
    assert not [debt for debt in sim.ledger.debts(ended=True) if debt.phase is DebtPhase.DEAD]
    bend(sim.provider, "find", find)


def test_a_list_tells_of_no_death_where_no_key_in_service_is_known(sim: Sim) -> None:
    """Where the id of the key in service is not known, a list must show another key that we issued there."""
    sim.order()
    sim.run()
    debt = replace(sim.ledger.debts(ended=True)[0], key_id="key-9")
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.current is not None
    unknown = replace(state, current=replace(state.current, key_id=None))
    theirs, ours = KeyRecord("a", "theirs"), KeyRecord("b", f"x {state.current.token}")
    elsewhere = replace(debt.policy, provider=replace(debt.policy.provider, base_url="https://other.invalid"))
    assert not tells_of(sim.ledger, unknown, debt, [theirs])
    assert tells_of(sim.ledger, unknown, debt, [theirs, ours])
    assert tells_of(sim.ledger, unknown, debt, [KeyRecord("key-9", "")])
    assert not tells_of(sim.ledger, unknown, replace(debt, policy=elsewhere), [ours])
    assert not tells_of(sim.ledger, state, debt, [ours])


def test_a_key_that_is_seen_to_work_is_not_dead_whatever_a_list_says(sim: Sim) -> None:
    """Where its value can be read and is accepted, no list proves a death."""
    bend(sim.provider, "revoke", lambda _: None)
    find, probe, probed = sim.provider.find, sim.provider.probe, list[str]()

    def once_unclear(credential: Credential) -> Probe:
        old = credential.get("secret") == sim.old.secret
        probed.extend(["old"] if old else [])
        return Probe(Verdict.UNKNOWN) if old and len(probed) <= UNCLEAR else probe(credential)

    bend(sim.provider, "probe", once_unclear)
    bend(sim.provider, "find", lambda: [key for key in find() if key.key_id != sim.old.key_id])
    sim.order()
    until(sim, lambda: "will-not-die" in kinds(sim), steps=600)
    assert sim.old.live
    assert not [debt for debt in sim.ledger.debts(ended=True) if debt.phase is DebtPhase.DEAD]


def test_replicas_that_never_follow_are_told(sim: Sim) -> None:
    """The old key lives on, and somebody hears of it, though nobody is to be told of the new one."""
    sim.policy, sim.excused = replace(POLICY, consumers=()), True
    sim.store.replicated, sim.store.replicas_show = True, False
    sim.order()
    until(sim, lambda: "will-not-die" in kinds(sim), steps=600)
    assert sim.old.live


def test_a_key_of_ours_that_moved_to_another_secret_is_known_by_its_label(sim: Sim) -> None:
    """The ledger made it, and the provider's list says so: no adoption is needed."""
    sim.order()
    sim.run()
    moved = sim.provider.keys[sim.store.value(SECRET)["key_id"]]
    claim = sim.ledger.claim(TARGET.id, "test", timedelta(seconds=90))
    state = sim.ledger.secret(TARGET.id)
    assert claim is not None
    assert state is not None
    from rotator.model import Change  # noqa: PLC0415

    sim.ledger.commit(claim, Change(replace(state, current=None)))
    sim.ledger.release(claim, sim.clock.now())
    sim.order()
    sim.run()
    assert not moved.live


def test_an_order_without_grace_kills_older_keys_at_once(sim: Sim) -> None:
    """Verified before the old key dies, but nothing waits: neither this grace nor one that was running."""
    sim.policy = replace(POLICY, grace=timedelta(0))
    sim.order(grace=timedelta(hours=20))
    until(sim, lambda: "promoted" in kinds(sim))
    began = sim.clock.now()
    sim.order(grace=timedelta(0))
    sim.run()
    sim.ended_well()
    assert sim.clock.now() < began + timedelta(minutes=5)


def test_a_second_rotation_during_grace_keeps_the_older_debt(sim: Sim) -> None:
    """Debts are kept apart; each old key dies after its own grace."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    sim.clock.advance(timedelta(minutes=30))
    sim.order()
    sim.run()
    sim.ended_well()
    replaced = [
        debt for debt in sim.ledger.debts(TARGET.id, ended=True) if debt.reason is DebtReason.REPLACED
    ]
    assert len(replaced) == 2
    assert sim.calls.count("store.keep") == 1


def test_a_deleted_policy_still_pays_its_debts(sim: Sim) -> None:
    """The file no longer names it; the old key dies all the same, and nothing is rotated."""
    sim.order()
    until(sim, lambda: "promoted" in kinds(sim))
    worker = sim.start()
    worker.use(Book())
    sim.clock.advance(timedelta(days=60))
    for _ in range(40):
        for secret in sim.ledger.due(1):
            worker.work(secret)
        sim.clock.advance(timedelta(minutes=10))
    sim.ended_well()
    assert sim.calls.count("provider.issue") == 1


# --- what holds work back --------------------------------------------------------------------------------


def test_a_refused_admin_credential_is_one_block_of_the_provider(sim: Sim) -> None:
    """Told once, looked at again now and then, and over when the credential works."""
    sim.provider.admin_works = False
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    sim.clock.advance(timedelta(hours=5))
    until(sim, lambda: not sim.ledger.due(1))
    assert alarms(sim) == ["blocked"]
    assert len(sim.ledger.facts("block:")) == 1
    sim.provider.admin_works = True
    sim.run()
    sim.ended_well()
    assert sim.ledger.facts("block:") == {}


def test_a_revoke_that_the_admin_credential_is_refused_for_stays_owed(sim: Sim) -> None:
    """The debt stays and the provider is blocked and told once; the new key stays in service, and no other is
    issued; once the credential works the old key dies.
    """

    def refused(sim: Sim, name: str) -> None:
        sim.provider.admin_works = name != "provider.revoke" and sim.provider.admin_works

    sim.outside = refused
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    assert sim.calls[-2:].count("provider.revoke") == 1
    sim.outside = Sim.outside
    sim.clock.advance(timedelta(hours=5))
    until(sim, lambda: not sim.ledger.due(1))
    (debt,) = sim.ledger.debts()
    assert (debt.phase, sim.old.live) == (DebtPhase.REVOKING, True)
    assert alarms(sim) == ["blocked"]
    assert len(sim.ledger.facts("block:")) == 1
    assert sim.calls.count("provider.issue") == 1
    assert sim.provider.accepts(sim.store.value(SECRET)["secret"])
    sim.provider.admin_works = True
    sim.run()
    sim.ended_well()


def test_a_missing_secret_blocks_its_policy_in_clear_words(sim: Sim) -> None:
    """No key is issued for a secret that is not there."""
    kept = sim.store.secrets.pop(SECRET)
    bend(sim.store, "look", missing)
    sim.store.secrets[SECRET] = kept
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert state.block is not None
    assert state.block.todo == "create it"
    assert "provider.issue" not in sim.calls


def missing(*_: object) -> None:
    """Answer as a store does that lacks the secret."""
    raise NeedsPerson("missing", "the secret does not exist.", todo="create it", scope=Scope.SECRET)


def test_a_store_that_refuses_the_version_ends_the_rotation_with_the_candidate_dead(sim: Sim) -> None:
    """What only a person can mend is not tried three times: each try would issue a key."""
    bend(sim.store, "stage", missing)
    sim.order()
    until(sim, lambda: "failed" in kinds(sim))
    until(sim, lambda: not sim.ledger.debts())
    assert sim.calls.count("provider.issue") == 1
    assert ours(sim) == []


def test_a_principal_without_a_free_slot_is_told_and_nothing_is_deleted(sim: Sim) -> None:
    """Foreign keys fill the limit: a person decides which one may go."""
    fill = [sim.provider.add("theirs"), sim.provider.add("theirs too")]
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    assert sim.provider.revoked == []
    fill[0].live = False
    sim.run()
    sim.ended_well_beside(fill[1])


def test_a_pause_is_looked_at_before_every_effect(sim: Sim) -> None:
    """A paused policy goes no further than the step that it is in."""
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    until_at = sim.clock.now() + timedelta(hours=12)
    sim.ledger.give(TARGET.id, Order("pause", "a person", "looking", sim.clock.now(), until=until_at))
    until(sim, lambda: sim.clock.now() >= until_at - timedelta(minutes=1))
    assert "promoted" not in kinds(sim)
    sim.ledger.withdraw(TARGET.id, "pause")
    sim.run()
    sim.ended_well()


def test_a_worker_that_stops_begins_no_effect(sim: Sim) -> None:
    """SIGTERM during a rotation: the next step is another worker's."""
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    worker = sim.start()
    worker.stop()
    sim.clock.advance(timedelta(seconds=20))
    before = len(sim.calls)
    worker.work(TARGET.id)
    assert not set(sim.calls[before:]) & {"store.promote", "provider.issue", "provider.revoke"}
    sim.run()
    sim.ended_well()


def test_scheduled_work_happens_only_inside_its_windows(tmp_path: Path) -> None:
    """Issue, promotion and revocation wait for the window; an order does not."""
    window = Window((0, 1, 2, 3, 4, 5, 6), time(2), time(4))
    sim = Sim(tmp_path, policy=replace(POLICY, windows=(window,)))
    sim.clock.advance(timedelta(days=40))
    effects: list[int] = []
    sim.outside = lambda s, name: effects.append(s.clock.now().hour) if name in EFFECTFUL else None
    until(sim, lambda: "dead" in kinds(sim))
    assert effects
    assert set(effects) <= {2, 3}


EFFECTFUL = ("provider.issue", "store.promote", "provider.revoke")


def test_an_order_joins_the_rotation_that_is_under_way(sim: Sim) -> None:
    """Asked twice, rotated once."""
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    sim.order()
    sim.run()
    sim.ended_well()
    assert sim.calls.count("provider.issue") == 1
    assert "joined" in kinds(sim)


def test_a_renamed_policy_keeps_its_state(sim: Sim) -> None:
    """State belongs to the secret: nothing is rotated because of a name."""
    worker = sim.start()
    renamed: Policy = replace(POLICY, name="another")
    worker.use(Book(policies=(renamed,)))
    worker.work(TARGET.id)
    state = sim.ledger.secret(TARGET.id)
    assert state is not None
    assert (state.policy, state.current and state.current.key_id) == ("another", sim.old.key_id)
    assert "provider.issue" not in sim.calls


def test_changed_key_settings_make_a_policy_due(sim: Sim) -> None:
    """What a key may do is part of the policy: a change is not left until the schedule comes round."""
    sim.order()
    sim.run()
    sim.policy = replace(POLICY, key={"scopes": ["read"]})
    sim.start()
    until_promoted = lambda: sim.calls.count("provider.issue") == 2  # noqa: E731
    began = sim.clock.now()
    until(sim, until_promoted)
    assert sim.clock.now() < began + timedelta(hours=1)


def test_corrected_key_settings_let_a_rotation_go_on_that_waits(sim: Sim) -> None:
    """Nothing was issued with the wrong ones: nobody has to take the policy away first."""
    issue = sim.provider.issue

    def refused(label: str, wanted: Mapping[str, object]) -> Issued:
        if "scopes" not in wanted:
            raise NeedsPerson("no-such-scope", "the provider knows no such scope.", todo="correct it")
        return issue(label, wanted)

    bend(sim.provider, "issue", refused)
    sim.order()
    until(sim, lambda: "blocked" in kinds(sim))
    assert live(sim) is Phase.PLANNED
    sim.policy = replace(POLICY, key={"scopes": ["read"]})
    sim.start()
    until(sim, lambda: "promoted" in kinds(sim))
    assert kinds(sim).count("began") == 1
    sim.run()
    sim.ended_well()


def test_the_place_that_a_policy_left_does_not_keep_its_key_alive(sim: Sim) -> None:
    """A policy's secret moved: what the old place still holds is no reason against the key's death."""
    copied = CurrentKey("c0", sim.old.key_id, Provenance.ADOPTED, sim.clock.now())
    left = SecretState(
        "fake|left", POLICY.name, POLICY.provider.principal, sim.clock.now(), current=copied, gone=True
    )
    sim.ledger.enroll([left])
    sim.order()
    sim.run()
    sim.ended_well()


def test_a_candidate_that_the_store_did_not_show_is_owed_with_its_version(sim: Sim) -> None:
    """It may be there all the same: where no id is written, its value tells whether the secret holds it."""
    read, stage = sim.store.read, sim.store.stage

    def unanswered(*args: object) -> None:
        stage(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    bend(sim.store, "stage", unanswered)
    sim.order()
    with pytest.raises(KeyboardInterrupt):
        until(sim, lambda: False)
    bend(sim.store, "read", lambda where, name=None: None if str(name)[:3] == "r1-" else read(where, name))
    sim.clock.advance(timedelta(minutes=2))
    until(sim, lambda: "given-up" in kinds(sim))
    (debt,) = sim.ledger.debts()
    assert debt.version is not None
    assert debt.version in sim.store.secrets[SECRET].versions
