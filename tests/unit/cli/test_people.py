from dataclasses import replace
from datetime import timedelta

import pytest

from rotator import blocks
from rotator.model import (
    Block,
    CurrentKey,
    DebtReason,
    Order,
    Phase,
    Provenance,
    ProviderRef,
)
from rotator.people import (
    Known,
    provider_blocks,
    stands,
    status_row,
)
from tests.unit.cli.records import NOW, debt, known, policy, rotation

POLICY = policy()
FOREIGN = CurrentKey("v1", None, Provenance.UNKNOWN, NOW)
LEAKED = debt(POLICY, reason=DebtReason.LEAKED, not_before=None)
BLOCK = Block("not-json", "it is not JSON", "make it JSON", NOW)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (None, "not taken on yet"),
        (known(POLICY, looked_at=None), "not taken on yet"),
        (known(POLICY), "current"),
        (known(POLICY, block=BLOCK), "blocked"),
        (known(POLICY, failures=2), "failed"),
        (known(POLICY, failures=2, debts=(LEAKED,)), "leaked"),
        (known(POLICY, debts=(debt(POLICY),)), "in grace"),
        (known(POLICY, debts=(debt(POLICY, not_before=NOW),)), "revoking"),
        (known(POLICY, debts=(debt(POLICY, reason=DebtReason.STRAY),)), "revoking"),
        (known(POLICY, debts=(debt(POLICY, provenance=Provenance.UNKNOWN),)), "old key waits"),
        (replace(known(POLICY), rotation=rotation(POLICY, Phase.STAGED)), "verifying"),
        (replace(known(POLICY), rotation=rotation(POLICY, Phase.CONFLICT)), "conflict"),
    ],
)
def test_a_secret_stands_where_its_records_say(given: Known | None, word: str) -> None:
    """The state is one word of the field, and what needs a person comes first."""
    assert stands(given, NOW) == word


def test_a_pause_is_shown_until_it_is_over() -> None:
    """A paused secret says so until the pause ends by itself."""
    order = Order("pause", "ann", "freeze", NOW, until=NOW + timedelta(hours=1))
    paused = replace(known(POLICY), orders={"pause": order})
    assert stands(paused, NOW) == "paused"
    assert stands(paused, NOW + timedelta(hours=2)) == "current"


def test_what_waits_for_a_person_is_told_with_what_to_do() -> None:
    """Each thing that waits is told once, with who and what to do; an unknown key names the command."""
    row = status_row(
        replace(POLICY, owner="desk@example.com"), known(POLICY, current=FOREIGN, block=BLOCK), None, "", NOW
    )
    assert [(act.who, act.todo) for act in row.act] == [
        ("desk@example.com", "make it JSON"),
        ("desk@example.com", "rotator adopt orders --key-id ID"),
    ]


def test_a_blocked_provider_blocks_its_policies() -> None:
    """The block of a provider is shown at each policy of its account."""
    block = blocks.Kept("refused", "r", "t", NOW, provider="build", look_at=NOW, looks=0)
    shown = provider_blocks({blocks.block_key(POLICY): blocks.BLOCK.encode(block)})
    held = replace(known(POLICY), provider_block=shown[POLICY.provider.principal])
    assert stands(held, NOW) == "blocked"
    assert status_row(POLICY, held, None, "", NOW).act[0].todo == "t"


def test_a_rotation_that_failed_is_named_with_its_cause_until_another_one_succeeds() -> None:
    """What failed, why and what to do is shown to whoever runs the policy; once: a block says it better."""
    ended = rotation(POLICY, Phase.FAILED, error="answer-lost", why="it is gone (503).", todo="mend it")
    failed = replace(known(POLICY, failures=1), failed=ended)
    (act,) = status_row(POLICY, failed, None, "", NOW).act
    assert (act.why, act.todo) == ("the last rotation failed: it is gone (503)", "mend it")
    early = replace(failed, failed=replace(ended, why="", todo=""))
    (act,) = status_row(POLICY, early, None, "", NOW).act
    assert act.why == "the last rotation failed: answer-lost"
    assert act.todo == "see each step: rotator history orders; then: rotator run-now orders --reason TEXT"
    blocked = replace(failed, state=replace(failed.state, block=BLOCK))
    assert [act.todo for act in status_row(POLICY, blocked, None, "", NOW).act] == ["make it JSON"]


def test_a_deleted_policy_names_the_key_it_leaves() -> None:
    """A secret whose policy is gone is listed with the key that lives on."""
    row = status_row(None, known(POLICY, gone=True), None, "", NOW)
    assert (row.state, row.gone, row.key_id) == ("gone", True, "key-1")
    assert "key key-1 lives on" in row.act[0].why


def test_a_policy_that_another_worker_marked_as_deleted_is_named() -> None:
    """A person who has the policy learns that a worker without it switched it off."""
    (act,) = status_row(POLICY, known(POLICY, gone=True), None, "", NOW).act
    assert "a worker without this policy marked it as deleted" in act.why


def test_status_says_which_command_brings_what_is_waited_for() -> None:
    """Where a person must issue, status names the command that brings the new credential."""
    waits = known(POLICY, block=Block("a-person-must-issue", "r", "t", NOW))
    row = status_row(POLICY, waits, None, "", NOW)
    assert row.asks_for == f"rotator submit {POLICY.name}"
    assert status_row(POLICY, known(POLICY, block=BLOCK), None, "", NOW).asks_for is None


@pytest.mark.parametrize("kind", ["client", "access-token"])
def test_what_is_not_ours_to_revoke_needs_no_adoption(kind: str) -> None:
    """A key that a person revokes, and a token, wait for nobody to say whose they are."""
    ref = ProviderRef("figure", "figure", "https://figure.example.com", kind=kind)
    of = replace(POLICY, provider=ref)
    given = known(of, current=FOREIGN, debts=(debt(of, provenance=Provenance.UNKNOWN),))
    row = status_row(of, given, None, "", NOW)
    assert (row.state, row.act) == ("in grace", ())
