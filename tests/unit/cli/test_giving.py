"""Two orders for one secret, of which the first was not taken up yet: the second one drops nothing of it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from typing import Any

import pytest

from rotator.cli.giving import harder
from rotator.model import Order
from tests.unit.cli.records import policy

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = policy()


def order(**more: Any) -> Order:
    """Rotate now, as a person said."""
    return Order("run", "somebody", "a breach", AT, **more)


EARLY, LATE, SOON = AT - timedelta(days=9), AT - timedelta(days=2), timedelta(minutes=5)
LEAKED = order(leaked_versions=("v1",), leaked_fields=("api_secret",), grace=timedelta(0))
ORDERS = [
    order(),
    order(grace=SOON),
    order(grace=POLICY.grace * 2),
    order(contain=True, grace=timedelta(0)),
    order(issued_before=EARLY),
    order(issued_before=LATE, grace=SOON),
    LEAKED,
    order(leaked_versions=("v2",), leaked_fields=("api_secret",), grace=timedelta(0)),
]


@pytest.mark.parametrize("numbers", list(permutations(range(len(ORDERS)), 2)), ids=str)
def test_nothing_of_either_order_is_dropped(numbers: tuple[int, int]) -> None:
    """Each key that one of them ends, and no later; what is known of it; and whether it dies first."""
    both = [ORDERS[number] for number in numbers]
    merged = harder(both[0], both[1], POLICY)
    for one in both:
        assert merged.issued_before is None or (one.issued_before or AT) <= merged.issued_before
        assert rotates(merged) or not rotates(one)
        assert _grace(merged) <= _grace(one)
        assert {*one.leaked_versions} <= {*merged.leaked_versions}
        assert {*one.leaked_fields} <= {*merged.leaked_fields}
        assert merged.contain or not one.contain


def test_two_leaked_keys_are_no_order_for_a_third() -> None:
    """Where both orders name what leaked, the key in service stays if it is none of them."""
    merged = harder(ORDERS[-1], LEAKED, POLICY)
    assert merged.leaked_versions == ("v2", "v1")
    assert not rotates(merged)


@pytest.mark.parametrize(("first", "second"), list(product([None, SOON], repeat=2)))
def test_a_grace_is_shortened_where_one_was_said(first: timedelta | None, second: timedelta | None) -> None:
    """The policy's own counts where nobody said one."""
    merged = harder(order(grace=first), order(grace=second), POLICY)
    assert merged.grace == (None if first is second is None else SOON)


def rotates(one: Order) -> bool:
    """Whether the key in service is replaced even if it did not leak."""
    return one.rotates or not one.leaked_versions


def _grace(one: Order) -> timedelta:
    return POLICY.grace if one.grace is None else one.grace
