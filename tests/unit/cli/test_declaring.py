from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.cli.declaring import Declaration, Impossible, adoption, claimed_by, no_younger, settlement, unfit
from rotator.due import due
from rotator.model import Block, CurrentKey, DebtPhase, KeyRecord, Provenance, token_for
from rotator.people import Known
from tests.unit.cli.records import NOW, debt, known, policy, state

POLICY = policy()
SAID = Declaration("ann", "asked the provider", NOW)
FOREIGN = CurrentKey("v1", None, Provenance.UNKNOWN, NOW)
BLOCK = Block("unadopted", "nobody said whose it is", "adopt it", NOW)


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


def test_a_secret_that_is_gone_claims_only_what_is_to_die() -> None:
    """The key that a deleted policy left in its secret is free; one that must still die there is not."""
    gone = known(policy("other"), gone=True, debts=(debt(policy("other")),))
    assert claimed_by("key-1", [gone], POLICY.target.id) is None
    assert "other" in (claimed_by("key-0", [gone], POLICY.target.id) or "")


def test_a_debt_whose_key_is_not_listed_names_what_ends_it() -> None:
    """Adopting cannot: the key that the record itself names is dead, or another account's."""
    told = unfit("key-0", [], "bbbbbbbb", debt(POLICY, id="d1"))
    assert "rotator settle d1 --reason TEXT" in (told or "")
    assert "Look its id up" in (unfit("key-9", [], "bbbbbbbb", debt(POLICY, id="d1")) or "")
    assert "settle" not in (unfit("key-7", [], "bbbbbbbb", FOREIGN) or "")


def test_an_adopted_key_is_as_old_as_its_provider_says() -> None:
    """Its secret's version may be younger: another field was written; never is a key made younger by that."""
    waits = known(POLICY, current=replace(FOREIGN, key_id="key-7"))
    change = adoption(waits, "key-7", SAID)
    made = NOW - timedelta(days=5)
    assert no_younger(change, POLICY, made, NOW).secret.rotated_at == made
    assert no_younger(change, POLICY, NOW, NOW) == change
    assert no_younger(change, POLICY, None, NOW) == change


def test_a_key_that_is_overdue_by_its_true_age_waits_for_its_share() -> None:
    """Adopting a fleet does not make all of it rotate at once."""
    waits = known(POLICY, current=replace(FOREIGN, key_id="key-7"))
    older = no_younger(adoption(waits, "key-7", SAID), POLICY, NOW - timedelta(days=400), NOW).secret
    assert older.spread_until is not None
    assert NOW <= older.spread_until <= NOW + timedelta(days=7)
    next_one = due(POLICY, replace(older, rehearsed_at=NOW), {}, NOW)
    assert next_one is not None
    assert next_one.at == older.spread_until


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
