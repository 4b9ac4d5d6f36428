"""An incident by its command: given again, stopped by somebody, and searched for in vain."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator import wiring
from rotator.cli import giving
from rotator.incident import record
from rotator.incident.record import Incident
from rotator.ledger import open_ledger
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


def test_the_plan_says_before_when_the_keys_were_issued(rig: Rig) -> None:
    """In UTC, whatever was typed: a day without a zone is one of UTC."""
    order = ("run-now", "--issued-before", "2050-01-01", "--dry-run")
    assert "Only keys that were issued before 2050-01-01 00:00:00 UTC:" in rig.say(*order).out
    assert rig.say(*order, "--json").json()["issued_before"] == "2050-01-01T00:00:00Z"


def test_each_of_several_providers_is_meant_and_a_named_policy_of_none_is_refused(rig: Rig) -> None:
    """None of them is left out without a word: neither the first nor one that was named."""
    path = rig.folder / "rotator.yaml"
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("  build: "))
    other = line.replace("build: ", "other: ").replace("admin}", "own}")
    path.write_text(text.replace("defaults:", f"{other}\ndefaults:").replace("build\n", "other\n", 1))
    rig.secret("own", rig.provider.admin)
    both = rig.say("run-now", "--provider", "build", "--provider", "other", "--dry-run", "--json").json()
    assert {one["policy"] for one in both["policies"]} == {"orders", "quotes"}
    refused = rig.say("run-now", "orders", "quotes", "--provider", "build", "--dry-run")
    assert (refused.code, "Named, but not selected by --provider build: orders." in refused.err) == (2, True)


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
    assert (
        "Nobody holds it: 2 secrets were looked at, all that the policies name, or named before." in said.err
    )
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


def begun_and_killed(rig: Rig, reason: str) -> str:
    """An incident over ``quotes``, whose command was killed before it gave an order; its id."""
    ledger = open_ledger(f"sqlite:///{rig.folder}/l.db", wiring.SystemClock())
    secret = next(state.id for state, _ in ledger.secrets() if state.policy == "quotes")
    asked = Incident("0123abcd", "ann", reason, ledger.now(), (secret,), grace=timedelta(0))
    record.begin(ledger, asked)
    ledger.close()
    return asked.id


def test_an_order_that_goes_on_ends_the_grace_that_a_softer_one_gave(rig: Rig) -> None:
    """Somebody rotated the secret meanwhile: its key stays, the old one dies as the first order says."""
    assert rig.say("run-now", "quotes", "--reason", "first", "--yes").code == 0
    (first,) = rig.provider.keys("api")
    begun_and_killed(rig, "breach")
    assert rig.say("run-now", "quotes", "--reason", "routine", "--yes").code == 0
    second = rig.read("prod/quotes")["key_id"]
    said = rig.say("run-now", "quotes", "--reason", "breach", "--revoke-now", "--yes")
    assert "Going on with incident 0123abcd" in said.err
    assert said.code == 0, said.out
    lives = [key.key_id for key in rig.provider.keys("api") if key.live]
    assert first.key_id not in lives
    assert lives == [second] == [rig.read("prod/quotes")["key_id"]]


@pytest.mark.parametrize(("chosen", "code"), [(("quotes",), 0), (("--provider", "build"), 1)])
def test_what_was_covered_stays_covered(rig: Rig, chosen: tuple[str, ...], code: int) -> None:
    """Whatever is rotated later is no part of the incident: neither its keys, nor what holds it; also where
    something is left beside it, such as an admin credential that no policy rotates.
    """
    text = (rig.folder / "rotator.yaml").read_text()
    (rig.folder / "rotator.yaml").write_text(
        text.partition("  - name: orders")[0] + text[text.index("  - name: quotes") :]
    )
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    order = ("run-now", *chosen, "--reason", "breach", "--revoke-now", "--yes", "--json")
    (line,) = rig.say(*order).json()["policies"]
    assert line["coverage"] == "rotated"
    rig.say("run-now", "quotes", "--reason", "routine", "--yes")
    said = rig.say("incident", "--list", "--json").json()["incidents"]
    (breach,) = [one["id"] for one in said if one["reason"] == "breach"]
    told = rig.say("incident", breach, "--json")
    assert told.code == code
    (after,) = told.json()["policies"]
    assert {**after, "certificates": []} == {**line, "certificates": []}


def test_a_pause_from_before_holds_no_order_up_where_another_was_refused(rig: Rig) -> None:
    """What is refused makes no call, so that it does not tell that a provider which failed still does."""
    assert rig.say("run-now", "quotes", "--reason", "first", "--yes").code == 0
    rig.fails()
    assert "no rotation begins there" in rig.say("run-now", "quotes", "--dry-run").out
    said = rig.say("run-now", "--all", "--revoke-first", "--reason", "breach", "--yes", "--json")
    found = {line["policy"]: line for line in said.json()["policies"]}
    assert "adopt orders" in found["orders"]["why"]
    assert (found["quotes"]["coverage"], "proven dead" in found["quotes"]["why"]) == ("rotated", True)


def living(rig: Rig) -> set[str]:
    """The ids of the keys that live."""
    listed = rig.provider.keys()
    return {key.key_id for key in listed if key.live}


def owned_and_contained(rig: Rig) -> dict[str, str]:
    """One secret of two belongs to a service; what the order to contain both came to, by policy."""
    rig.service.own("prod/orders", "rds")
    said = rig.say("run-now", "--all", "--revoke-first", "--reason", "breach", "--yes", "--json")
    assert said.code == 1
    return {line["policy"]: line["coverage"] for line in said.json()["policies"]}


def test_a_key_whose_store_takes_no_other_is_spared_and_holds_up_none_of_its_account(rig: Rig) -> None:
    """Its key lives, since a look just before found that out; the next one is contained."""
    rig.say("run-now", "--all", "--reason", "first", "--yes")
    held = rig.read("prod/orders")
    assert owned_and_contained(rig) == {"orders": "waiting for a person", "quotes": "rotated"}
    assert held["key_id"] in living(rig)


def test_a_key_that_is_known_to_have_no_successor_is_named_before_it_could_die(rig: Rig) -> None:
    """With the remedy, and it lives; given at once, the order goes on with the others."""
    rig.say("run-now", "--all", "--reason", "first", "--yes")
    rig.service.own("prod/orders", "rds")
    assert rig.say("run-now", "orders", "--reason", "second", "--yes").code == 1
    planned = rig.say("run-now", "--all", "--revoke-first", "--dry-run", "--json").json()
    assert (planned["dies_first"], [*planned["spared"]]) == (["quotes"], ["orders"])
    assert "Let that service rotate it" in planned["spared"]["orders"]
    assert owned_and_contained(rig) == {"orders": "waiting for a person", "quotes": "rotated"}
