import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model import (
    Block,
    CurrentKey,
    DebtPhase,
    DebtReason,
    KeyRecord,
    Order,
    Phase,
    Provenance,
    token_for,
)
from rotator.people import (
    Declaration,
    Impossible,
    Known,
    adoption,
    claimed_by,
    provider_blocks,
    settlement,
    stands,
    status_row,
    unfit,
)
from tests.unit.cli.records import NOW, debt, known, policy, rotation, state

POLICY = policy()
SAID = Declaration("ann", "asked the provider", NOW)
FOREIGN = CurrentKey("v1", None, Provenance.UNKNOWN, NOW)
BLOCK = Block("not-json", "it is not JSON", "make it JSON", NOW)
PROVIDER_BLOCK = {
    POLICY.provider.principal: {
        "provider": "build",
        "kind": "refused",
        "reason": "r",
        "todo": "t",
        "since": "s",
    }
}


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (None, "not taken on yet"),
        (known(POLICY, looked_at=None), "not taken on yet"),
        (known(POLICY), "current"),
        (known(POLICY, block=BLOCK), "blocked"),
        (known(POLICY, failures=2), "failed"),
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
    blocks = provider_blocks({f"block:{key}": json.dumps(value) for key, value in PROVIDER_BLOCK.items()})
    held = replace(known(POLICY), provider_block=blocks[POLICY.provider.principal])
    assert stands(held, NOW) == "blocked"
    assert status_row(POLICY, held, None, "", NOW).act[0].todo == "t"


def test_a_deleted_policy_names_the_key_it_leaves() -> None:
    """A secret whose policy is gone is listed with the key that lives on."""
    row = status_row(None, known(POLICY, gone=True), None, "", NOW)
    assert (row.state, row.gone, row.key_id) == ("gone", True, "key-1")
    assert "key key-1 lives on" in row.act[0].why


# --- adopt -----------------------------------------------------------------------------------------------


def test_adopt_makes_the_key_in_use_ours_to_revoke() -> None:
    """The current key of unknown origin gets its id and is ADOPTED, and the record says by whom."""
    change = adoption(known(POLICY, current=FOREIGN), "key-7", SAID)
    assert change.secret.current == replace(FOREIGN, key_id="key-7", provenance=Provenance.ADOPTED)
    assert change.events[0].text.startswith("ann says that key key-7")


def test_adopt_frees_the_debt_of_an_unknown_key() -> None:
    """A replaced key of unknown id gets it, and its block ends."""
    owed = debt(POLICY, key_id=None, provenance=Provenance.UNKNOWN, block=BLOCK)
    change = adoption(known(POLICY, debts=(owed,)), "key-7", SAID)
    assert change.debts == (replace(owed, key_id="key-7", provenance=Provenance.ADOPTED, block=None),)


UNKNOWN_1 = debt(POLICY, id="one", key_id=None, provenance=Provenance.UNKNOWN)
UNKNOWN_2 = debt(POLICY, id="two", key_id=None, provenance=Provenance.UNKNOWN)


@pytest.mark.parametrize(
    ("given", "key_id"),
    [
        (known(POLICY), "key-7"),
        (known(POLICY), "key-1"),
        (known(POLICY, debts=(UNKNOWN_1,)), "key-1"),
        (known(POLICY, current=replace(FOREIGN, key_id="key-8")), "key-7"),
        (known(POLICY, debts=(UNKNOWN_1, UNKNOWN_2)), "key-7"),
    ],
    ids=["nothing-unknown", "known", "current-for-debt", "another-id", "ambiguous"],
)
def test_adopt_refuses_what_the_record_contradicts(given: Known, key_id: str) -> None:
    """A key is adopted only where exactly one record waits for it; the key in use is never made a debt's."""
    with pytest.raises(Impossible):
        adoption(given, key_id, SAID)


def test_adopt_takes_the_debt_that_is_named() -> None:
    """Among several replaced keys without id a person says which."""
    change = adoption(known(POLICY, debts=(UNKNOWN_1, UNKNOWN_2)), "key-7", SAID, "two")
    assert [one.id for one in change.debts] == ["two"]


@pytest.mark.parametrize(
    ("listed", "word"),
    [
        ([], "lists no key"),
        ([KeyRecord("key-7", "x", live=False)], "revoked"),
        ([KeyRecord("key-7", f"x {token_for('aaaaaaaa', '0' * 32)}")], "another ledger"),
    ],
)
def test_adopt_believes_the_providers_list(listed: list[KeyRecord], word: str) -> None:
    """A key that is not listed, dead or another ledger's is not adopted."""
    assert word in (unfit("key-7", listed, "bbbbbbbb") or "")
    assert unfit("key-7", [KeyRecord("key-7", "theirs")], "bbbbbbbb") is None


def test_adopt_leaves_the_keys_of_others_alone() -> None:
    """A key on record as another secret's is not adopted."""
    other = known(policy("other"))
    assert "other" in (claimed_by("key-1", [other], POLICY.target.id) or "")
    assert claimed_by("key-1", [known(POLICY)], POLICY.target.id) is None


# --- settle ----------------------------------------------------------------------------------------------


def test_settle_says_declared_never_proven() -> None:
    """A settled debt ends, frees its slot, and says by whom and that it was never proven."""
    change = settlement(state(POLICY), debt(POLICY, token="t", block=BLOCK), SAID)
    assert change.debts[0].phase is DebtPhase.SETTLED
    assert change.debts[0].block is None
    assert "never proven" in (change.debts[0].proof or "")
    assert change.frees == ("t",)


def test_settle_is_for_open_debts() -> None:
    """A debt that is paid stays as it was paid."""
    with pytest.raises(Impossible):
        settlement(state(POLICY), debt(POLICY, phase=DebtPhase.DEAD), SAID)
