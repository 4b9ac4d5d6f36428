import json
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from rotator import wiring
from rotator.lab.fintechstudios import FintechStudios
from rotator.ledger import open_ledger
from rotator.model import Change, Debt, DebtReason, Provenance
from rotator.policies import load
from rotator.run_pass import CLAIM
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from tests.unit.cli.conftest import PeopleRig


def test_what_a_person_brings_comes_into_service(people: PeopleRig) -> None:
    """A good credential is verified and promoted, the old one stays, and the person is told what is next."""
    before = people.read("prod/client")
    fresh = people.figure.issue_by_hand("fresh")
    said = people.bring(fresh)
    assert said.code == 0
    assert people.read("prod/client") == fresh
    assert people.figure.accepts(before)
    assert f"credential {fresh['client_id']} is in service; grace: the old key lives until" in said.out
    assert (
        "once its grace is over a person revokes the old one. Sign in to the Figure Markets web app"
        in said.out
    )
    (row,) = people.say("status", "client", "--json").json()["policies"]
    assert (row["state"], row["act"], row["asks_for"]) == ("in grace", [], None)


def test_without_waiting_it_ends_once_the_store_holds_it(people: PeopleRig) -> None:
    """--no-wait ends when it is staged; a pass brings what is left into service."""
    fresh = people.figure.issue_by_hand()
    said = people.bring(fresh, "--no-wait", "--json")
    assert said.code == 0
    assert "revoke it" in said.json()["next"]
    people.say("tick")
    assert people.read("prod/client") == fresh


def wrong(case: str, rig: PeopleRig) -> str:
    """What a person may bring by mistake."""
    fresh: dict[str, Any] = rig.figure.issue_by_hand()
    return {
        "not-json": "hunter2",
        "a-list": "[]",
        "a-field-missing": json.dumps({"client_id": fresh["client_id"]}),
        "a-field-too-many": json.dumps({**fresh, "hunter2": "x"}),
        "not-text": json.dumps({**fresh, "client_secret": 7}),
        "blanks": json.dumps({**fresh, "client_secret": "hunter2 hunter2"}),
        "the-same-twice": json.dumps({**fresh, "client_secret": fresh["client_id"]}),
        "too-long": " " * 70_000,
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "not-json",
        "a-list",
        "a-field-missing",
        "a-field-too-many",
        "not-text",
        "blanks",
        "the-same-twice",
        "too-long",
    ],
)
def test_a_wrong_shape_is_refused_before_anything_is_asked(people: PeopleRig, case: str) -> None:
    """What has not the form of a credential is exit code 2: no call, no ledger, no word of it."""
    said = people.say("submit", "client", stdin=wrong(case, people))
    assert said.code == 2
    assert "Nothing was written" in said.err
    assert "hunter2" not in said.err
    assert people.figure.calls == ()
    assert not (people.folder / "l.db").exists()


def test_a_credential_that_is_refused_changes_nothing(people: PeopleRig) -> None:
    """A dead credential, or the one in service, is not taken: exit code 1, and the secret is as it was."""
    before = people.read("prod/client")
    dead = people.figure.issue_by_hand()
    people.figure.revoke_by_hand(dead["client_id"])
    refused, same = people.bring(dead), people.bring(before)
    assert (refused.code, same.code) == (1, 1)
    assert "Not taken: figure refuses it" in refused.err
    assert "in service already" in same.err
    assert people.read("prod/client") == before
    assert people.service.calls["put_secret_value"] == 0
    assert people.say("tick").code == 0  # nothing waits for a person: nobody else had asked for it
    assert people.say("status", "client", "--json").json()["policies"][0]["state"] == "current"


def test_a_credential_that_the_store_does_not_take_is_brought_again(people: PeopleRig) -> None:
    """While the store refuses, the old credential stays; the same one, brought again, is taken."""
    before, fresh = people.read("prod/client"), people.figure.issue_by_hand()
    people.service.fail("put_secret_value", "AccessDeniedException")
    failed = people.bring(fresh)
    assert failed.code == 1
    assert people.read("prod/client") == before
    assert people.bring(fresh).code == 0
    assert people.read("prod/client") == fresh


def test_a_submit_that_was_killed_late_is_brought_again_and_goes_on(
    people: PeopleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once the store holds the value: the same credential, brought again, comes into service."""
    fresh, stage = people.figure.issue_by_hand(), AwsSecretsManager.stage

    def killed(self: AwsSecretsManager, *given: Any) -> Any:
        stage(self, *given)
        raise SystemExit(137)

    monkeypatch.setattr(AwsSecretsManager, "stage", killed)
    with pytest.raises(SystemExit):
        people.bring(fresh)
    monkeypatch.setattr(AwsSecretsManager, "stage", stage)
    said = people.bring(fresh)
    assert said.code == 0
    assert people.read("prod/client") == fresh
    assert "is in service; grace" in said.out


def test_after_three_wrong_logins_a_person_says_once_more(people: PeopleRig) -> None:
    """Each submit is a process: the ledger counts. --once-more sends one, and a good one ends the count."""
    dead = people.figure.issue_by_hand()
    people.figure.revoke_by_hand(dead["client_id"])
    said = [people.bring(dead) for _ in range(5)]
    assert [one.code for one in said] == [1] * 5
    assert people.figure.token_calls == 3
    assert "rotator submit client --once-more" in said[-1].err
    assert "refuses it" in people.bring(dead, "--once-more").err
    assert people.figure.token_calls == 4
    assert "--once-more" in people.bring(dead).err
    assert people.figure.token_calls == 4
    fresh = people.figure.issue_by_hand()
    assert people.bring(fresh, "--once-more").code == 0
    assert people.read("prod/client") == fresh


def test_a_paused_policy_takes_nothing(people: PeopleRig) -> None:
    """A pause holds a submitted credential too: the person is told who paused, and what to type."""
    people.say("pause", "client", "--reason", "freeze")
    said = people.bring(people.figure.issue_by_hand())
    assert said.code == 1
    assert "rotator resume client" in said.err
    assert people.figure.calls == ()


def test_on_a_terminal_each_field_is_asked_for_unseen(
    people: PeopleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts name the fields, hide what is typed, and come in the order of the provider's pages."""
    fresh, asked = people.figure.issue_by_hand(), []

    def prompt(name: str, *, hide_input: bool, err: bool) -> str:
        asked.append((name, hide_input, err))
        return fresh[name]

    class Terminal:
        def isatty(self) -> bool:
            return True

    say = people.say
    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("rotator.cli.credentials.sys", type("S", (), {"stdin": Terminal()}))
    assert say("submit", "client").code == 0
    assert sys.stdin is not None
    assert asked == [("client_id", True, True), ("client_secret", True, True)]
    assert people.read("prod/client") == fresh


def test_run_now_says_what_a_person_must_do(people: PeopleRig) -> None:
    """Where a person issues, run-now gives no order: it waits for a person, with what to do."""
    said = people.say("run-now", "client", "--reason", "leak", "--yes", "--json")
    (row,) = said.json()["policies"]
    assert (said.code, row["state"]) == (1, "waiting for a person")
    assert "Create a new key, do not regenerate" in row["why"]
    assert row["why"].endswith("Then: rotator submit client")
    assert people.figure.calls == ()


def test_run_now_renews_a_token_at_once(tokens: PeopleRig) -> None:
    """A token is renewed by one token call; the old one lives until it expires, and status says when."""
    said = tokens.say("run-now", "token", "--reason", "leak", "--yes")
    assert said.code == 0
    assert tokens.figure.token_calls == 1
    before = tokens.read("prod/token")
    again = tokens.say("run-now", "token", "--reason", "leak", "--yes")
    assert again.code == 0
    assert "the old token lives until it expires" in again.out
    assert tokens.figure.token_calls == 2
    assert tokens.read("prod/token") != before
    rows = {row["policy"]: row for row in tokens.say("status", "--json").json()["policies"]}
    assert rows["token"]["expires_at"]
    assert "Tokens:" in tokens.say("status").out


@pytest.mark.parametrize("option", [("--revoke-now",), ("--grace", "1h")])
def test_a_token_has_no_grace(tokens: PeopleRig, option: tuple[str, ...]) -> None:
    """Grace options for a token are refused: nothing revokes it."""
    said = tokens.say("run-now", "token", "--reason", "leak", "--yes", *option)
    assert said.code == 2
    assert "not for tokens (token)" in said.err


def test_a_plan_counts_one_token_call(tokens: PeopleRig) -> None:
    """Plan says that a renewal is one token call, and that a client waits for a person."""
    rows = {row["policy"]: row for row in tokens.say("plan", "--json").json()["policies"]}
    assert rows["token"]["does"].startswith("one token call at figure")
    assert rows["token"]["store_calls"] < rows["client"]["store_calls"]
    assert rows["client"]["does"].endswith("rotator submit client")


def test_a_death_that_no_probe_proves_is_settled_on_a_persons_word(people: PeopleRig) -> None:
    """Where nothing can prove it, the closing sentence says on whose word a key counts as dead."""
    with FintechStudios() as provider:
        path = people.folder / "rotator.yaml"
        text = path.read_text().replace("figure: {type: figure", "ft: {type: fintechstudios")
        text = text.replace(people.figure.url, provider.url).replace(
            "provider: figure, kind: client", "provider: ft"
        )
        path.write_text(text.replace("grace: 24h", "grace: 0s"))
        people.service.client().put_secret_value(
            SecretId="prod/client", SecretString=json.dumps(provider.admin), ClientRequestToken="x" * 40
        )
        assert people.bring(provider.issue_by_hand(), "--no-wait").code == 0
        people.say("tick")
        row = people.say("status", "client", "--json").json()["policies"][0]
        assert row["state"] == "old key waits"
        assert "rotator settle" in row["act"][0]["todo"]
        said = people.say("settle", row["debts"][0]["debt"], "--reason", "confirmed by mail")
    assert said.code == 0
    assert "on your word alone: no probe can prove it" in said.out


def given_up(people: PeopleRig) -> Callable[[], bool]:
    """A debt ``d1`` of a credential that waits pending in the store; whether it does still."""
    people.say("tick")
    client, version = people.service.client(), "given-up".ljust(40, "-")
    client.put_secret_value(
        SecretId="prod/client",
        SecretString=json.dumps(people.figure.issue_by_hand()),
        ClientRequestToken=version,
        VersionStages=["AWSPENDING"],
    )
    policy = load(people.folder / "rotator.yaml").by_name["client"]
    ledger = open_ledger(f"sqlite:///{people.folder}/l.db", wiring.SystemClock())
    claim, state = ledger.claim(policy.target.id, "test", CLAIM), ledger.secret(policy.target.id)
    assert claim is not None
    assert state is not None
    key_id, now = "given-up-id", ledger.now()
    abandoned, ours = DebtReason.ABANDONED, Provenance.ISSUED
    debt = Debt("d1", policy.target.id, policy, abandoned, key_id, ours, now, version=version)
    ledger.commit(claim, Change(state, debts=(debt,)))
    ledger.release(claim, None)
    ledger.close()
    return lambda: (
        "AWSPENDING" in client.describe_secret(SecretId="prod/client")["VersionIdsToStages"].get(version, [])
    )


def test_what_is_settled_leaves_no_copy_behind(people: PeopleRig) -> None:
    """A credential that was given up waits pending in the store for its proof: a person's word ends that."""
    waits = given_up(people)
    assert people.say("settle", "d1", "--reason", "revoked there").code == 0
    people.say("tick")
    assert not waits()


def test_a_debt_that_is_settled_during_a_stop_changes_nothing_outside_before_its_end(
    people: PeopleRig,
) -> None:
    """The record comes first, and what the store kept goes at the next look after the stop."""
    waits = given_up(people)
    people.say("stop", "--reason", "incident")
    said = people.say("settle", "d1", "--reason", "revoked there")
    assert (said.code, "a stop holds that" in said.out) == (0, True)
    people.say("tick")
    assert waits()
    people.say("resume", "--all")
    people.say("tick")
    assert not waits()


def test_what_a_pause_keeps_in_the_store_goes_after_it(people: PeopleRig) -> None:
    """A paused secret is looked at, and its store is left alone until somebody resumes."""
    waits = given_up(people)
    people.say("pause", "client", "--for", "30d", "--reason", "exchange migrates")
    people.say("settle", "d1", "--reason", "revoked there")
    people.say("tick")
    assert waits()
    people.say("resume", "client")
    people.say("tick")
    assert not waits()


def test_a_kill_before_its_tokens_are_told_leaves_none_behind(
    tokens: PeopleRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once the secret holds it, before its tokens are due: they are renewed all the same, and the
    same credential, brought again and again, is what is in service: exit code 0.
    """
    tokens.say("tick")
    before, fresh = tokens.read("prod/token"), tokens.figure.issue_by_hand()

    def killed(*_: Any) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr("rotator.promotion.renew_children", killed)
        with pytest.raises(SystemExit):
            tokens.bring(fresh, "--no-wait")
    assert tokens.read("prod/client") == fresh
    said = [tokens.bring(fresh) for _ in "12"]
    assert [one.code for one in said] == [0, 0]
    tokens.say("tick")
    assert tokens.read("prod/token") != before


def test_what_is_in_service_may_be_brought_again_though_another_was_refused_since(people: PeopleRig) -> None:
    """Whoever did not see the end of a submit repeats it: a wrong credential in between changes nothing."""
    fresh = people.figure.issue_by_hand()
    assert people.bring(fresh).code == 0
    assert people.bring({**fresh, "client_secret": "mistyped-by-hand"}).code == 1
    assert people.bring(fresh).code == 0
