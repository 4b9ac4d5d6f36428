from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.interfaces import Look
from rotator.model import CurrentKey, KeyRecord, Policy, Provenance, token_for
from rotator.reconcile import Kind, lost
from rotator.reconcile.compare import compare
from rotator.reconcile.values import Holding, Listing, Records, View
from tests.unit.cli.records import NOW, debt, policy, state

OURS, THEIRS = "0a1b2c3d", "ffffffff"
HOUR = timedelta(hours=1)
ORDERS = policy()


def token(number: int, ledger: str = OURS) -> str:
    """A token, of this ledger or another."""
    return token_for(ledger, f"{number:032x}")


def key(key_id: str, label: str = "", *, age: timedelta = HOUR, live: bool = True) -> KeyRecord:
    """A key as it is listed."""
    return KeyRecord(key_id, label, live, NOW - age)


def view(
    keys: Iterable[KeyRecord], *, drawn: Iterable[int] = (), held: Holding | None = None, **more: object
) -> View:
    """One policy whose key ``key-1`` is in service and listed, beside other keys."""
    in_use = state(ORDERS)
    listed = Listing(ORDERS.provider, NOW, (key("key-1", f"orders {token(1)}"), *keys), visible=HOUR / 60)
    holding = held or Holding(ORDERS, NOW, Look("v1", versions=("v1",)), "key-1", as_known=True)
    known = {token(each): (in_use.id, f"rotation-{each}") for each in (1, *drawn)}
    records = Records(OURS, NOW, {in_use.id: in_use}, {}, (), known)
    return View((listed,), (holding,), replace(records, **more))  # type: ignore[arg-type]


def kinds(seen: View) -> list[Kind]:
    """What is found."""
    return [one.kind for one in compare(seen)]


def test_what_is_as_it_should_be_is_not_named() -> None:
    """A key in service, listed, under our label."""
    assert kinds(view([])) == []


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (key("k", f"orders {token(2)}"), [Kind.ORPHAN]),
        (key("k", f"orders {token(2)}", age=timedelta(seconds=1)), []),
        (key("k", f"orders {token(2)}", live=False), []),
        (key("k", f"orders {token(2, THEIRS)}"), [Kind.FOREIGN]),
        (key("k", "by hand"), [Kind.NOBODYS]),
        (key("k", f"orders {token(3)}"), [Kind.BEHIND, Kind.BEHIND]),
        (key("k", f"orders {token(3)}", live=False), [Kind.BEHIND, Kind.BEHIND]),
    ],
)
def test_a_key_is_named_by_its_label(record: KeyRecord, kind: list[Kind]) -> None:
    """Ours and nobody's, ours and just being made, another ledger's, nobody's, or never drawn by this one."""
    assert kinds(view([record], drawn=[2])) == kind


def test_what_a_debt_names_is_no_orphan() -> None:
    """A key that is owed has its story already."""
    owed = debt(ORDERS, key_id="k", provenance=Provenance.ISSUED)
    assert kinds(view([key("k", f"orders {token(2)}")], drawn=[2], debts=(owed,))) == []


def test_what_a_secret_holds_is_no_orphan_whatever_the_ledger_says() -> None:
    """The store decides what is in service; that the ledger says otherwise is drift."""
    held = Holding(ORDERS, NOW, Look("v2", versions=("v2",)), "k")
    assert kinds(view([key("k", f"orders {token(2)}")], drawn=[2], held=held)) == [Kind.DRIFT]


@pytest.mark.parametrize(
    "other", [{"error": "down"}, {"look": Look("v2", versions=("v2",))}], ids=["not read", "of unknown id"]
)
@pytest.mark.parametrize("moved", [False, True], ids=["", "of a policy that moved"])
def test_no_orphan_is_proven_while_a_secret_of_its_account_may_hold_it(
    other: dict[str, Any], *, moved: bool
) -> None:
    """A secret that was not read, or holds nobody knows what, may hold the very key; it is named."""
    beside, before = view([key("k", f"orders {token(2)}")], drawn=[2]), policy("quotes")
    quotes = policy("quotes", provider="other") if moved else before
    serving = CurrentKey("v1", "key-9", Provenance.ADOPTED, NOW - HOUR, under=before if moved else None)
    states = {**beside.records.states, quotes.target.id: state(quotes, current=serving)}
    seen = View(
        beside.listings,
        (*beside.holdings, Holding(quotes, NOW, **other)),
        replace(beside.records, states=states),
    )
    found = [one for one in compare(seen) if one.key_id == "k"]
    assert [one.kind for one in found] == [Kind.UNREAD]
    assert "whether the secret of quotes holds it" in found[0].text


def test_a_secret_that_its_store_rotates_is_rotated_by_its_stores_command() -> None:
    """run-now would only name that command."""
    native = replace(ORDERS, target=replace(ORDERS.target, native=True))
    (found,) = compare(view([], held=Holding(native, NOW, Look("v2", versions=("v2",)), "k")))
    assert "aws secretsmanager rotate-secret --secret-id" in found.todo
    assert "run-now" not in found.todo


def test_a_promotion_after_the_look_is_no_drift() -> None:
    """What was committed meanwhile is younger than what was read, and is not judged by it."""
    held = Holding(ORDERS, NOW - HOUR, Look("v0", versions=("v0",)), "key-0")
    current = CurrentKey("v1", "key-1", Provenance.ISSUED, NOW - HOUR / 2)
    states = {ORDERS.target.id: state(ORDERS, current=current)}
    assert kinds(view([], held=held, states=states)) == []


def test_an_old_key_is_overdue_by_how_much() -> None:
    """Older than the schedule allows by more than its grace and a day."""
    states = {ORDERS.target.id: state(ORDERS, rotated_at=NOW - timedelta(days=40))}
    (one,) = compare(view([], states=states))
    assert (one.kind, "10d" in one.text) == (Kind.OVERDUE, True)


def test_a_debt_that_could_have_been_paid_for_days_will_not_die() -> None:
    """In safe mode none may, so none is named."""
    late = debt(ORDERS, revoked_at=NOW - timedelta(days=3), provenance=Provenance.ISSUED)
    assert Kind.UNDYING in kinds(view([], debts=(late,)))


def test_a_provider_that_did_not_answer_is_named_and_nothing_is_said_of_its_keys() -> None:
    """Without its list no key is gone."""
    seen = view([])
    silent = Listing(ORDERS.provider, NOW, error="down", todo="wait")
    assert kinds(replace(seen, listings=(silent,))) == [Kind.UNREAD]


def test_a_slot_that_no_record_needs_is_named() -> None:
    """Its key never came, and is not listed."""
    assert kinds(view([], drawn=[7], slots={token(7): None, token(1): "key-1"})) == [Kind.SLOT]


def named(of: Policy) -> str:
    """A label of a policy's key under a token that the ledger never drew."""
    return f"{of.name} {token(9)}"


def test_a_policy_that_is_here_and_marked_as_deleted_is_named() -> None:
    """A worker whose files lack a policy switches it off; the comparison of the day says so."""
    marked = replace(state(ORDERS), gone=True)
    (found,) = compare(view([], states={marked.id: marked}))
    assert (found.kind, found.needs_somebody) == (Kind.MARKED, True)
    assert "same policy files" in found.todo


def test_an_unknown_token_is_taken_over_by_the_policy_that_its_label_names() -> None:
    """So its key becomes an orphan that can be mended."""
    found, obstacles = lost(view([key("k", named(ORDERS))]))
    assert ([(one.token, one.key_id) for one in found], obstacles) == ([(token(9), "k")], [])


def test_a_live_key_of_a_policy_that_is_not_here_stands_in_the_way() -> None:
    """It may be in service somewhere; a dead one is nobody's danger."""
    gone = policy("gone")
    assert lost(view([key("k", named(gone))]))[1] != []
    assert lost(view([key("k", named(gone), live=False)]))[1] == []


def test_a_key_that_the_secret_may_hold_stands_in_the_way() -> None:
    """Where nothing tells which key a secret holds, nobody can say that this one is in nobody's use."""
    held = Holding(ORDERS, NOW, Look("7", versions=("7",)))
    found, obstacles = lost(view([key("k", named(ORDERS))], held=held))
    assert (found, [one.key_id for one in obstacles]) == ([], ["k"])
