"""Secrets Manager's own rotation, step by step, over the real adapter and the service in memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.model import EVERYBODY, DebtReason, Order, Phase, Probe, Verdict
from rotator.native import DONE, Step
from tests.simulation.native import NATIVE, NativeSim
from tests.simulation.sim import POLICY, SECRET, TARGET, Fault, Strike
from tests.simulation.test_stories import alarms, bend, kinds, live, ours, until


@pytest.fixture
def sim(tmp_path: Path) -> NativeSim:
    """A secret whose rotation Secrets Manager began."""
    return begun(tmp_path)


# --- the four steps --------------------------------------------------------------------------------------


def test_each_step_goes_as_far_as_it_is_called_for(sim: NativeSim) -> None:
    """A key is staged, then nothing, then verified, then promoted: no step does the next one's work."""
    seen = []
    for step in Step:
        assert sim.invoke(step) == DONE
        seen.append((live(sim), sim.store.secrets[SECRET].current == sim.token))
    assert seen == [
        (Phase.STAGED, False),
        (Phase.STAGED, False),
        (Phase.VERIFIED, False),
        (None, True),
    ]


def test_the_version_is_the_one_that_was_named_and_the_label_is_ours(sim: NativeSim) -> None:
    """Secrets Manager looks for its own token, and the sweep for ours."""
    assert sim.all_steps()
    (key,) = [key for key in sim.provider.keys.values() if key.key_id in ours(sim)]
    assert sim.store.value(SECRET)["key_id"] == key.key_id
    assert sim.ledger.id in key.label
    assert sim.token not in key.label


def test_the_old_key_lives_through_its_grace_and_then_a_pass_revokes_it(sim: NativeSim) -> None:
    """The debt is kept as after any rotation; no step of Secrets Manager's waits for it."""
    assert sim.all_steps()
    (debt,) = sim.ledger.debts()
    assert (debt.key_id, debt.reason, debt.grace) == (sim.old.key_id, DebtReason.REPLACED, NATIVE.grace)
    assert sim.old.live
    sim.run()
    sim.ended_well()


@pytest.mark.parametrize("step", list(Step))
def test_each_step_may_be_repeated(sim: NativeSim, step: Step) -> None:
    """Called for a second time at once, and from the beginning: nothing is done twice."""
    for one in Step:
        assert sim.invoke(one) == DONE
        if one is step:
            for again in list(Step)[: list(Step).index(step) + 1]:
                assert sim.invoke(again) == DONE
    assert sim.calls.count("provider.issue") == 1
    sim.run()
    sim.ended_well()


def test_a_pass_begins_nothing_and_promotes_nothing_by_itself(sim: NativeSim) -> None:
    """However old the key: Secrets Manager keeps the schedule."""
    sim.clock.advance(timedelta(days=400))
    sim.passes()
    assert "provider.issue" not in sim.calls
    sim.rotate_anew()
    assert sim.invoke(Step.CREATE) == DONE
    assert sim.invoke(Step.TEST) == DONE
    sim.passes()
    assert live(sim) is Phase.VERIFIED
    assert "store.promote" not in sim.calls


# --- what is refused -------------------------------------------------------------------------------------


def test_a_token_that_secrets_manager_never_named_is_refused(sim: NativeSim) -> None:
    """Who may call the function cannot have a version written that nobody asked for."""
    sim.token = "11111111-1111-4111-8111-111111111111"
    for step in Step:
        answer = sim.invoke(step)
        assert (answer.done, answer.at) == (False, None)
    assert "is not one that Secrets Manager has named" in answer.why
    assert "provider.issue" not in sim.calls


@pytest.mark.parametrize("step", [Step.SET, Step.FINISH])
def test_a_step_before_the_first_is_refused(sim: NativeSim, step: Step) -> None:
    """What was not created is not finished."""
    assert "came before createSecret" in sim.invoke(step).why


def test_a_try_of_the_configuration_changes_nothing(sim: NativeSim) -> None:
    """RotateSecret with RotateImmediately false calls for testSecret alone."""
    assert sim.invoke(Step.TEST) == DONE
    assert {"provider.find", "provider.probe"} <= set(sim.calls)
    assert not {"provider.issue", "store.stage", "store.promote"} & set(sim.calls)
    sim.provider.keys[sim.old.key_id].secret = "another"
    sim.check = lambda: None  # type: ignore[method-assign]
    assert "was not accepted" in sim.invoke(Step.TEST).why


def test_a_rotation_that_is_switched_off_needs_a_person(sim: NativeSim) -> None:
    """The policy says that Secrets Manager calls, so somebody must see that it does."""
    sim.aws.client.cancel_rotate_secret(SecretId=SECRET)
    answer = sim.invoke(Step.CREATE)
    assert "switched off, so nothing ever rotates it. To do: Switch it on" in answer.why


# --- another token ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("so_far", [0, 1, 2])
def test_a_new_token_ends_what_an_old_one_left(sim: NativeSim, so_far: int) -> None:
    """Secrets Manager began anew, since a person took the label back: the candidate is owed, and dies."""
    for step in (Step.CREATE, Step.TEST)[:so_far]:
        assert sim.invoke(step) == DONE
    sim.rotate_anew()
    assert sim.all_steps()
    sim.run()
    sim.ended_well()
    assert len(ours(sim)) == 1


@pytest.mark.parametrize("lands", [False, True], ids=["never landed", "landed late"])
def test_a_new_token_ends_what_may_have_been_promoted(tmp_path: Path, *, lands: bool) -> None:
    """What was sent, is not current and is verified anew gives way to a new token: people hear of nothing.
    If it lands all the same it is in service, and the rotation of the new token replaces it.
    """
    sim = begun(tmp_path, Strike(nth(tmp_path, "store.promote"), Fault.CRASH_BEFORE))
    assert [sim.tried(step) == DONE for step in Step] == [True, True, True, False]
    sim.clock.advance(timedelta(minutes=10))
    probe, promote, late = sim.provider.probe, sim.aws.adapter.promote, (sim.token, sim.first)
    bend(sim.provider, "probe", lambda _: Probe(Verdict.UNKNOWN, "away"))
    assert not sim.step(Step.FINISH).done
    bend(sim.provider, "probe", probe)
    assert live(sim) is Phase.STAGED
    sent = sim.ledger.rotation(TARGET.id)
    assert sent is not None
    assert sent.attempt.promoted_at is not None
    if lands:
        promote(TARGET, *late)
    sim.rotate_anew()
    assert sim.all_steps()
    assert alarms(sim) == []
    sim.run()
    sim.ended_well()
    assert len(ours(sim)) == 1


def test_a_rotation_that_secrets_manager_forgets_is_given_up(sim: NativeSim) -> None:
    """A key that nobody will put into service does not live for ever; its label is free for the next."""
    assert sim.invoke(Step.CREATE) == DONE
    sim.clock.advance(timedelta(hours=25))
    sim.run()
    assert ours(sim) == []
    assert "failed" in alarms(sim)
    assert sim.pending() is None


# --- failures --------------------------------------------------------------------------------------------


def test_a_key_that_is_not_accepted_ends_the_rotation_and_its_token(sim: NativeSim) -> None:
    """The version holds it for ever, so that token is told so until its label is off; the next one heals."""
    assert sim.invoke(Step.CREATE) == DONE
    (candidate,) = ours(sim)
    sim.provider.keys[candidate].live = False
    assert "the rotation failed, the old key stays in service: not-verified" in sim.test_to_the_end().why
    assert "a version never changes" in sim.invoke(Step.CREATE).why
    assert sim.pending() == sim.token  # its debt is to read the value there
    sim.passes()
    assert sim.pending() is None
    sim.rotated()
    sim.ended_well()
    assert sim.store.value(SECRET)["key_id"] != candidate


def test_a_lost_answer_heals_under_the_same_token(tmp_path: Path) -> None:
    """Nothing was written under the token yet: the stray is owed, and the next call issues anew."""
    sim = begun(tmp_path, Strike(nth(tmp_path, "provider.issue"), Fault.LOST))
    assert not sim.all_steps()
    token = sim.token
    sim.clock.advance(timedelta(minutes=1))
    assert sim.all_steps()
    assert sim.store.secrets[SECRET].current == token
    sim.run()
    sim.ended_well()


def test_other_fields_that_changed_meanwhile_are_kept(sim: NativeSim) -> None:
    """The version has one name and never changes: the rotation begins anew on what was written."""
    assert sim.invoke(Step.CREATE) == DONE
    assert sim.invoke(Step.TEST) == DONE
    held = {**sim.store.value(SECRET), "note": "changed"}
    sim.store.put(SECRET, "22222222-2222-4222-8222-222222222222", held, current=True)
    assert not sim.invoke(Step.FINISH).done
    assert "superseded" in kinds(sim)
    sim.passes()
    sim.rotated()
    assert sim.store.value(SECRET)["note"] == "changed"
    assert ours(sim) == [sim.store.value(SECRET)["key_id"]]
    assert not sim.old.live


def test_a_write_that_lands_late_burns_the_token_and_the_next_one_heals(tmp_path: Path) -> None:
    """The value of a key that was given up stands under the name: the key issued since is owed as well."""
    sim = landed_late(tmp_path)
    assert "a version never changes" in sim.invoke(Step.CREATE).why
    assert sim.pending() is None
    sim.rotated()
    sim.ended_well()
    assert "safe-mode" not in alarms(sim)


def test_a_label_that_is_in_the_way_stays_while_a_stop_holds_everything(tmp_path: Path) -> None:
    """To take it off is an effect as any other, though Secrets Manager itself asked."""
    sim = landed_late(tmp_path)
    sim.ledger.give(EVERYBODY, Order("stop", "ann", "drill", sim.clock.now()))
    assert "a version never changes" in sim.invoke(Step.CREATE).why
    assert sim.pending() == sim.token
    sim.ledger.withdraw(EVERYBODY, "stop")
    assert "a version never changes" in sim.invoke(Step.CREATE).why
    assert sim.pending() is None


def landed_late(tmp_path: Path) -> NativeSim:
    """A write of a rotation that failed lands in the version that the next one was to write."""
    sim = begun(tmp_path, Strike(nth(tmp_path, "store.stage"), Fault.CRASH_BEFORE))
    assert not sim.all_steps()
    (lost,) = ours(sim)
    assert "the rotation failed" in sim.invoke(Step.CREATE).why

    def lands(sim: NativeSim, name: str) -> None:
        if name == "store.stage" and len(sim.provider.keys) > 3:
            held = {**sim.store.value(SECRET), "key_id": lost, "secret": sim.provider.keys[lost].secret}
            sim.store.put(SECRET, sim.token, held, current=False)
            sim.outside = lambda _sim, _name: None

    sim.outside = lands  # type: ignore[assignment]
    assert "token-taken" in sim.invoke(Step.CREATE).why
    return sim


def test_somebody_else_s_key_is_a_conflict_until_a_person_asks_anew(sim: NativeSim) -> None:
    """Nothing is overwritten, the step says so; once the label is off, the next rotation goes over it."""
    assert sim.invoke(Step.CREATE) == DONE
    assert sim.invoke(Step.TEST) == DONE
    other = sim.provider.add("made by hand meanwhile")
    held = {"key_id": other.key_id, "secret": other.secret, "note": "theirs"}
    sim.store.put(SECRET, "33333333-3333-4333-8333-333333333333", held, current=True)
    assert "somebody else wrote the secret" in sim.invoke(Step.FINISH).why
    assert alarms(sim) == ["conflict"]
    assert sim.store.value(SECRET)["key_id"] == other.key_id
    sim.rotate_anew()
    assert "no-slot" in sim.invoke(Step.CREATE).why, "the account is full until the candidate is dead"
    assert "superseded" in kinds(sim)
    sim.clock.advance(timedelta(minutes=10))
    sim.passes()
    assert sim.all_steps()
    sim.clock.advance(timedelta(days=2))
    sim.passes()
    assert sim.store.value(SECRET)["key_id"] in ours(sim)
    assert other.live, "nobody adopted it"


def test_a_policy_that_takes_its_schedule_back_goes_on_with_what_was_begun(sim: NativeSim) -> None:
    """Then rotator says when, and nobody waits for a step that will not be called for."""
    assert sim.invoke(Step.CREATE) == DONE
    sim.policy = POLICY
    sim.aws.client.cancel_rotate_secret(SecretId=SECRET)
    sim.run()
    assert sim.store.secrets[SECRET].current == sim.token
    sim.ended_well()


def test_a_policy_that_gives_its_schedule_away_gives_way(tmp_path: Path) -> None:
    """What our own schedule had begun is ended by the first call, whatever it had come to."""
    sim = NativeSim(tmp_path)
    sim.policy = POLICY
    sim.aws.client.cancel_rotate_secret(SecretId=SECRET)
    sim.order()
    until(sim, lambda: live(sim) is Phase.STAGED)
    sim.policy = NATIVE
    sim.aws.client.rotate_secret(SecretId=SECRET, RotateImmediately=False)
    sim.rotate_anew()
    assert sim.all_steps()
    sim.run()
    sim.ended_well()


def begun(tmp_path: Path, *strikes: Strike) -> NativeSim:
    """A rotation that Secrets Manager began, with faults to come."""
    sim = NativeSim(tmp_path, strikes=list(strikes))
    sim.rotate()
    return sim


def nth(tmp_path: Path, name: str) -> int:
    """Which call of a whole rotation is the first of this name, in a world of its own."""
    other = begun(tmp_path)
    assert other.all_steps()
    return other.calls.index(name) + 1


# --- every call struck -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", list(Fault))
def test_one_fault_at_every_call_of_the_steps_loses_nothing(tmp_path: Path, fault: Fault) -> None:
    """Whatever strikes whichever call of the four steps, and of the passes after them: it ends well."""
    dry = NativeSim(tmp_path / "dry")
    dry.rotated()
    dry.ended_well()
    for nth in range(1, len(dry.calls) + 1):
        sim = NativeSim(tmp_path / str(nth), strikes=[Strike(nth, fault)])
        sim.rotated()
        sim.ended_well()
