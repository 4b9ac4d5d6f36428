from dataclasses import replace
from datetime import timedelta

from rotator.cli.planning import plan_rows, provider_calls
from rotator.model import Block, CurrentKey, Order, Provenance, Traits
from tests.unit.cli.records import NOW, known, policy

TRAITS = Traits("1", ("key_id", "key"), ("key",), "key_id", ("token",), "label", key_limit=3)
A, B = policy("a"), policy("b")


def test_a_plan_says_when_why_and_what_it_costs() -> None:
    """The next rotation comes with its reason, its calls and the slots it shares; the soonest comes first."""
    late = known(B, rotated_at=NOW - timedelta(days=31))
    rows = plan_rows([A, B], {A.target.id: known(A), B.target.id: late}, lambda _: TRAITS, NOW)
    assert [(row.policy, row.due_now) for row in rows] == [("b", True), ("a", False)]
    assert rows[0].why.startswith("every 30d")
    assert (rows[0].store_calls, rows[0].provider_calls) == (7, provider_calls(TRAITS))
    assert rows[0].slots == "1 of 3, shared by 2 policies"


def test_a_plan_makes_no_promise_about_a_key_that_is_not_ours() -> None:
    """A key of unknown origin stays, and the plan says until when."""
    foreign = CurrentKey("v", None, Provenance.UNKNOWN, NOW)
    (row,) = plan_rows([A], {A.target.id: known(A, current=foreign)}, lambda _: TRAITS, NOW)
    assert row.does.endswith("the old key stays until it is adopted")


def test_a_plan_says_what_blocks_it() -> None:
    """A block and a pause come with what to do about them."""
    blocked = known(A, block=Block("k", "It is not JSON.", "make it JSON", NOW))
    pause = Order("pause", "ann", "freeze", NOW, until=NOW + timedelta(hours=1))
    paused = replace(known(B), orders={"pause": pause})
    rows = plan_rows([A, B], {A.target.id: blocked, B.target.id: paused}, lambda _: TRAITS, NOW)
    told = {row.policy: row.blocked or "" for row in rows}
    assert told["a"] == "It is not JSON. To do: make it JSON"
    assert told["b"].startswith("Paused by ann: freeze. To do: rotator resume b; run-now --yes")


def test_a_secret_that_nobody_looked_at_has_no_date() -> None:
    """Before the first look there is no age to plan by."""
    (row,) = plan_rows([A], {}, lambda _: TRAITS, NOW)
    assert (row.due_at, row.due_now) == (None, False)
