"""What ``--revoke-first`` may do, what it says before, and what it refuses."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rotator import budgets
from rotator.cli import containing
from rotator.cli.options import NotDone
from rotator.incident.coverage import Coverage
from rotator.incident.plan import Plan
from rotator.model import Block, CurrentKey, Phase, Policy, Provenance, Traits
from rotator.people import Known, ProviderBlock
from rotator.testing.fakes import FakeProvider
from tests.unit.cli.records import NOW, known, policy, rotation

TRAITS = FakeProvider.traits
UNKNOWN = CurrentKey("v1", "key-1", Provenance.UNKNOWN, NOW)
WHOLE = Plan(2, (), (), 0, 0, timedelta(minutes=5), (), ())


def contained(one: Policy, of: Known | None, traits: Traits = TRAITS) -> containing.Contained:
    """What an order for one policy comes to."""
    return containing.contained([one], {one.target.id: of} if of else {}, {one.target.id: traits}, NOW)


def test_a_key_of_ours_dies_first() -> None:
    """It is named with its secret, its owner, and the time in which what uses it fails."""
    one = policy("orders", owner="desk-a")
    found = contained(one, known(one))
    assert (found.ids, len(found.refused)) == (frozenset({one.target.id}), 0)
    told = "\n".join(containing.words(found, WHOLE, NOW))
    assert "between 09:00:00Z and about 09:05:00Z" in told
    assert "orders: prod/orders in aws, owner desk-a" in told
    assert found.does(one, "x").startswith("revoke the old key; then issue one")


@pytest.mark.parametrize(
    ("of", "traits", "coverage", "todo"),
    [
        ({"current": UNKNOWN}, TRAITS, Coverage.WAITING, "rotator adopt orders --key-id key-1"),
        ({"looked_at": None, "current": None}, TRAITS, Coverage.WAITING, "adopt orders --key-id ID"),
        ({}, replace(TRAITS, expires=True), Coverage.UNCOVERED, "nothing revokes a token"),
        ({}, replace(TRAITS, issues=False, revokes=False), Coverage.WAITING, "a person issues"),
    ],
    ids=["unadopted", "never looked at", "token", "issued by a person"],
)
def test_what_cannot_be_contained_is_told_before_the_yes(
    of: dict[str, Any], traits: Traits, coverage: Coverage, todo: str
) -> None:
    """With what to do; nothing is revoked by guess, and nothing is begun."""
    one = policy("orders")
    found = contained(one, known(one, **of), traits)
    assert not found.ids
    (refused,) = found.refused.values()
    assert (refused.state, todo in refused.why) == (coverage, True)
    assert any(todo in line for line in containing.words(found, WHOLE, NOW))


OWNED = Block("owned", "Secret orders is managed by a service.", "let that rotate it", NOW)
WRITTEN = tuple(NOW - timedelta(minutes=number) for number in range(budgets.LOCKED_OUT[0].most))


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ({"block": OWNED}, "managed by a service. To do: let that rotate it"),
        ({"pushes": WRITTEN}, "too many versions of it were written lately, room at 09:51 UTC"),
    ],
    ids=["blocked", "no room"],
)
def test_a_key_that_could_have_no_successor_is_spared_and_that_is_said(of: dict[str, Any], why: str) -> None:
    """It goes continuity first, with the remedy; nobody is asked to agree to its death."""
    one = policy("orders")
    found = contained(one, known(one, **of))
    assert (found.ids, found.refused, why in found.spared["orders"]) == (frozenset(), {}, True)
    (told,) = containing.words(found, WHOLE, NOW)
    assert told.startswith("orders is not contained")
    assert why in told


def test_what_the_order_itself_mends_or_was_written_before_spares_no_key() -> None:
    """A death makes room at the account; a new key that is stored already needs no room."""
    one = policy("orders")
    no_slot = replace(OWNED, kind=budgets.NO_SLOT)
    assert contained(one, known(one, block=no_slot)).ids
    staged = replace(known(one, pushes=WRITTEN), rotation=rotation(one, Phase.STAGED))
    assert contained(one, staged).ids
    assert contained(one, known(one, pushes=WRITTEN[: budgets.PUSHES[0].most])).ids


def test_a_provider_that_waits_for_a_person_spares_the_keys_of_its_account() -> None:
    """What its admin credential lacks may be what the next key needs."""
    one = policy("orders")
    block = ProviderBlock("p", "build", "admin-forbidden", "may not issue.", "grant it", NOW.isoformat())
    found = contained(one, replace(known(one), provider_block=block))
    assert found.spared == {"orders": "may not issue. To do: grant it"}


def test_an_admin_credential_goes_continuity_first() -> None:
    """It issues its own successor."""
    one = policy("orders")
    one = replace(one, provider=replace(one.provider, account=one.target.id))
    found = contained(one, known(one))
    assert (found.ids, found.after) == (frozenset(), (one,))


@pytest.mark.parametrize(("typed", "agrees"), [("orders", True), ("y", False), ("1", False)])
def test_a_person_types_what_nobody_types_unawares(typed: str, agrees: bool) -> None:
    """The name where one key dies first."""
    one = policy("orders")
    found = contained(one, known(one))

    @click.command()
    def ask() -> None:
        containing.agreed(found)

    done = CliRunner().invoke(ask, input=f"{typed}\n", standalone_mode=False)
    assert (done.exception is None) is agrees
    assert agrees or isinstance(done.exception, NotDone)
