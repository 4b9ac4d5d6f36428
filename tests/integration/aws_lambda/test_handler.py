"""Lambda's three events, through the function's own entry."""

import json
import threading
from datetime import timedelta

import pytest

from jobs.lambda_handler import Failed
from rotator.cli import run
from rotator.testing.fake_secrets_manager import Answer, Request
from rotator.testing.fakes import Told
from tests.integration.aws_lambda.conftest import STEPS, Stage

TICK = {"rotator": "tick"}
RUN = {"rotator": "run-now", "names": ["ours"], "reason": "drill", "yes": True}


# --- a schedule ------------------------------------------------------------------------------------------


def test_a_tick_does_what_is_due_and_leaves_nothing_running(stage: Stage) -> None:
    """One pass: the secret that has no key yet gets one; no thread outlives the answer."""
    stage.empty("prod/ours")
    before = set(threading.enumerate())
    answer = stage.send(TICK)
    assert (answer["good"], answer["cut_short"], answer["stopped"]) == (True, False, None)
    assert {"api_key", "api_secret"} < set(stage.read("prod/ours"))
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("w")}
    assert left == set()


def test_with_twenty_seconds_left_nothing_begins_and_the_next_event_goes_on(stage: Stage) -> None:
    """An effect may take 25 seconds: what cannot be ended is not begun."""
    stage.empty("prod/ours")
    answer = stage.send(TICK, seconds=20)
    assert answer["cut_short"]
    assert stage.issued() == 0
    assert not stage.send(TICK)["cut_short"]
    assert stage.issued() == 1


@pytest.mark.parametrize("source", ["aws.events", "aws.scheduler"])
def test_eventbridge_needs_no_input(stage: Stage, source: str) -> None:
    """What it, or its Scheduler, sends by itself is a tick."""
    sent = {"source": source, "detail-type": "Scheduled Event", "detail": {}, "id": "1"}
    assert stage.send(sent)["rotator"] == "tick"


def test_changed_policies_are_taken_over_and_wrong_ones_change_nothing(stage: Stage) -> None:
    """A warm function is no other than a fresh one; a file must not stop the revocations."""
    assert stage.send(TICK)["good"]
    path = stage.folder / "rotator.yaml"
    good = path.read_text()
    path.write_text("version: 2\n")
    assert stage.send(TICK)["good"]
    more = '  - {name: third, secret: prod/third, every: 1d, key: {scopes: ["accounts:read"]}}\n'
    stage.service.client().create_secret(Name="prod/third", SecretString=json.dumps(stage.read("prod/ours")))
    path.write_text(good + more)
    assert stage.send(TICK)["good"]
    with stage.ledger() as ledger:
        assert "third" in [state.policy for state, _ in ledger.secrets()]


def test_a_person_s_stop_holds_the_function_too(stage: Stage) -> None:
    """The answer says who, so that nobody looks for another reason."""
    stage.empty("prod/ours")
    assert run(["stop", "--reason", "drill"]) == 0
    assert "drill" in stage.send(TICK)["stopped"]
    assert stage.issued() == 0


# --- an order --------------------------------------------------------------------------------------------


def test_an_order_answers_with_the_command_s_own_document(stage: Stage) -> None:
    """The options of the command as keys, its report as the answer, and who asked as far as is known."""
    stage.empty("prod/ours")
    answer = stage.send(RUN)
    assert (answer["exit_code"], answer["counts"]["rotated"]) == (0, 1)
    assert answer["policies"][0]["policy"] == "ours"
    assert answer["by"] == "rotator-function (request 00000000-0000-4000-8000-000000000001)"
    with stage.ledger() as ledger:
        (state,) = [state for state, _ in ledger.secrets() if state.policy == "ours"]
        rotation = ledger.rotations(state.id)[0]
    assert rotation.reason.startswith("rotator-function (request ")


def test_a_plan_changes_nothing(stage: Stage) -> None:
    """``dry-run`` is an option as any other."""
    answer = stage.send({"rotator": "run-now", "all": True, "dry-run": True})
    assert answer["dry_run"]
    of = answer["policies"][0]["provider"]
    for provider in (of, [of]):  # what may be given again may be one text
        assert stage.send({"rotator": "run-now", "provider": provider, "dry-run": True})["policies"]
    assert stage.issued() == 0


def test_everything_that_is_wrong_with_an_order_is_told_at_once(stage: Stage) -> None:
    """By key; and nothing is done."""
    wrong = {"grase": "1h", "grace": "soon", "names": "ours", "yes": "true", "tag": ["a"], "reason": 1}
    with pytest.raises(Failed) as caught:
        stage.send({"rotator": "run-now", **wrong})
    for said in (
        "grase: unknown; known are names, tag,",
        "grace: ",
        "names: it is a list of texts",
        "yes: it is true or false",
        "tag: 'a' is not of the form key=value",
        "reason: it is a text",
    ):
        assert said in str(caught.value)


def test_what_the_command_refuses_is_told_in_its_words(stage: Stage) -> None:
    """Nobody can be asked in a function, so that a yes must be in the event."""
    with pytest.raises(Failed, match="give --yes"):
        stage.send({**RUN, "yes": False})


def test_an_order_for_what_secrets_manager_rotates_names_its_command(stage: Stage) -> None:
    """That takes a right which no worker has."""
    answer = stage.send({**RUN, "names": ["native"]})
    assert answer["exit_code"] == 1
    assert "aws secretsmanager rotate-secret --secret-id prod/native" in answer["policies"][0]["why"]


# --- Secrets Manager's own rotation ----------------------------------------------------------------------


def test_the_four_steps_rotate_and_a_tick_pays_the_old_key_s_debt(stage: Stage) -> None:
    """Each step in a process of its own, or in a warm one: the ledger knows."""
    stage.empty("prod/native")
    held = []
    for _ in range(2):
        token = stage.rotate()
        for number, step in enumerate(STEPS):
            assert stage.step(step, token) == {"rotator": step, "policy": "native", "done": True}
            if number % 2:
                stage.cool()
        held.append(stage.read("prod/native"))
    assert stage.provider.accepts(held[0])
    assert stage.send(TICK)["good"]
    assert [stage.provider.accepts(one) for one in held] == [False, True]
    with stage.ledger() as ledger:
        assert ledger.debts() == []


def test_a_step_is_not_done_where_the_time_is_short(stage: Stage) -> None:
    """Secrets Manager hears of an error, and calls again."""
    token = stage.rotate()
    arn = stage.service.client().describe_secret(SecretId="prod/native")["ARN"]
    event = {"Step": "createSecret", "SecretId": arn, "ClientRequestToken": token}
    with pytest.raises(Failed, match="createSecret of native: not done yet"):
        stage.send(event, seconds=20)
    assert stage.issued() == 0
    assert stage.send(event)["done"]


def test_a_step_waits_for_a_worker_that_acts_on_the_secret(stage: Stage) -> None:
    """A pass may be at it in another process: one claim covers both."""
    stage.send(TICK)
    token = stage.rotate()
    with stage.ledger() as ledger:
        (state,) = [state for state, _ in ledger.secrets() if state.policy == "native"]
        assert ledger.claim(state.id, "another", timedelta(seconds=20)) is not None
    assert stage.step("createSecret", token)["done"]


def test_alarms_are_handed_over_before_the_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in a frozen process is told by nobody."""
    heard = Heard()
    monkeypatch.setattr("rotator.wiring.notifier", lambda *_: heard)
    stage.service.client().delete_secret(SecretId="prod/ours")
    assert not stage.send(TICK)["good"]
    assert [alarm.kind for alarm in heard.alarms] == ["blocked"]
    assert heard.flushed[-1] == 1


class Heard(Told):
    """Who tells people, and how many alarms it had when it was to hand them over."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms = self.events
        self.flushed: list[int] = []

    def flush(self, timeout: timedelta) -> bool:
        self.flushed.append(len(self.alarms))
        return True

    def checkin(self, status: str, duration: timedelta) -> None:
        """Nobody watches."""

    def vouch(self, anchor: str) -> None:
        """Nobody keeps it."""

    def close(self) -> None:
        """Nothing is held."""


def test_a_secret_whose_policy_keeps_its_own_schedule_is_refused(stage: Stage) -> None:
    """Two rotators would fight: the policy says which one it is."""
    with pytest.raises(Failed, match="Policy ours keeps its own schedule"):
        stage.step("createSecret", "1" * 36, "prod/ours")
    stage.service.client().create_secret(Name="prod/nobody", SecretString="{}")
    with pytest.raises(Failed, match="no policy here"):
        stage.step("createSecret", "1" * 36, "prod/nobody")


def test_what_a_call_from_another_account_is_proven_with_is_shown_at_the_write(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And stands nowhere else: neither in the ledger nor in an answer."""
    shown, put = [], stage.service._put_secret_value

    def noted(region: str, request: Request) -> Answer:
        shown.append(request.get("RotationToken"))
        return put(region, request)

    monkeypatch.setattr(stage.service, "_put_secret_value", noted)
    proof = "proof-" + "0" * 40
    assert stage.step("createSecret", stage.rotate(), RotationToken=proof)["done"]
    assert shown == [proof]
    assert all(proof.encode() not in path.read_bytes() for path in stage.folder.iterdir())


# --- what is wrong from the start ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [None, [], {}, {"rotator": "rotate"}, {"rotator": "tick", "all": True}, {"Step": "createSecret"}],
)
def test_an_event_that_is_none_of_the_three_is_refused(stage: Stage, event: object) -> None:
    """With what may be sent."""
    with pytest.raises(Failed, match=r"Send \{|send \{|SecretId"):
        stage.send(event)


def test_a_function_that_cannot_begin_says_why(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time anew: the next start may find what is missing."""
    (stage.folder / "rotator.yaml").write_text("version: 2\n")
    with pytest.raises(Failed, match=r"rotator\.yaml:1: .*version"):
        stage.send(TICK)
    monkeypatch.delenv("ROTATOR_LEDGER")
    with pytest.raises(Failed, match="Set ROTATOR_LEDGER"):
        stage.send(TICK)


def test_a_fault_of_ours_shows_its_place_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception's text may hold anything, a secret too."""

    def fails(_event: object) -> None:
        raise KeyError(next(iter(stage.provider.values())))

    monkeypatch.setattr("jobs.lambda_events.understood", fails)
    with pytest.raises(Failed, match=r"KeyError at .*: this is a fault in rotator"):
        stage.send(TICK)
