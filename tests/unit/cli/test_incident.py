"""An incident by its command: given again, stopped by somebody, and searched for in vain."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.cli import giving
from rotator.model import EVERYBODY, Order
from tests.unit.cli.conftest import Rig

ORDER = ("run-now", "--all", "--revoke-now", "--reason", "laptop lost")


def test_what_the_same_command_rotated_before_is_not_planned_again(rig: Rig) -> None:
    """It is named with how it stands, and neither counted nor asked about; nothing is issued for it."""
    assert rig.say(*ORDER, "--yes").code == 1  # nobody said whose the old key of one is
    issued = len(rig.provider.calls)
    planned = rig.say(*ORDER, "--dry-run", "--json").json()
    assert (planned["policies"], planned["plan"]["secrets"]) == ([], 0)
    assert {one["policy"] for one in planned["done_before"]} == {"orders", "quotes"}
    said = rig.say(*ORDER)
    assert "orders has its new key already: rotated, but the old key lives on until" in said.out
    assert "Nothing is left to be rotated. Another --reason begins anew." in said.out
    assert "Going on with incident" in said.err
    assert said.code == 1
    assert not any("POST" in str(call) for call in rig.provider.calls[issued:])


def test_another_order_plans_all_of_it(rig: Rig) -> None:
    """The same secrets for another reason are rotated once more."""
    rig.say(*ORDER, "--yes")
    planned = rig.say("run-now", "--all", "--reason", "another", "--dry-run", "--json").json()
    assert (planned["plan"]["secrets"], planned["done_before"]) == (2, [])


def test_a_stop_ends_the_command_and_stands_in_its_report(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops everything while it runs is named, with what to do; the orders stand."""
    given = giving.give

    def then_stopped(world: object, policy: object, wish: object) -> object:
        answer = given(world, policy, wish)  # type: ignore[arg-type]
        ledger = world.ledger  # type: ignore[attr-defined]
        ledger.give(EVERYBODY, Order("stop", "ben", "look at this first", ledger.now()))
        return answer

    monkeypatch.setattr("rotator.cli.ordering.give", then_stopped)
    said = rig.say("run-now", "quotes", "--reason", "laptop lost", "--yes")
    assert said.code == 1
    assert "Stopped by ben" in said.err
    assert "look at this first" in said.out
    assert "the order stands" in said.out
    told = rig.say("incident", "--json").json()
    assert "rotator resume --all" in told["policies"][0]["why"]


def test_a_search_in_vain_is_on_record(rig: Rig) -> None:
    """The page says what was looked at, though nothing was rotated; a narrowed search says that it is."""
    rig.say(*ORDER, "--yes")
    order = ("run-now", "--leaked", "--reason", "in a repository", "--yes")
    path = rig.folder / "incident.html"
    value = secrets.token_hex(16)
    said = rig.say(*order, "--html", str(path), stdin=value)
    assert said.code == 1
    assert "Nobody holds it: 2 secrets were looked at, all that the policies name." in said.err
    page = path.read_text()
    assert "2 secrets were looked at" in page
    assert value not in page
    narrowed = rig.say(*order, "--tag", "team=a", stdin=value).err
    assert "1 secret was looked at, those that you chose" in narrowed


def test_a_plan_for_a_fresh_ledger_promises_no_death(rig: Rig) -> None:
    """Nobody has said whose the old keys are: they stay until then."""
    (row, _) = rig.say(*ORDER, "--dry-run", "--json").json()["policies"]
    assert row["does"].endswith("an old key stays until it is adopted")


def test_of_two_peoples_orders_the_harder_one_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives a grace after another person gave none does not let the old key live on."""
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    given = giving.give
    other: list[int] = []

    def and_another(world: object, policy: object, wish: object) -> object:
        answer = given(world, policy, wish)  # type: ignore[arg-type]
        if not other:
            other.append(1)
            milder = replace(wish, grace=timedelta(hours=5), reason="milder")  # type: ignore[type-var]
            given(world, policy, milder)  # type: ignore[arg-type]
        return answer

    monkeypatch.setattr("rotator.cli.ordering.give", and_another)
    said = rig.say("run-now", "quotes", "--revoke-now", "--reason", "second", "--yes")
    assert said.code == 0
    assert "proven dead" in said.out
