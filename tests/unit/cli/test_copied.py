"""A key that is in two secrets: somebody copied one."""

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Rig


def holds(rig: Rig, name: str, value: dict[str, str]) -> None:
    """Write a secret by hand."""
    rig.service.client().put_secret_value(SecretId=name, SecretString=json.dumps(value))


def live(rig: Rig, key_id: str) -> bool:
    """Whether the provider accepts a key."""
    listed = rig.provider.keys()
    return any(key.key_id == key_id and key.live for key in listed)


def debts(rig: Rig, name: str) -> list[dict[str, Any]]:
    """The open debts of a policy, as status shows them."""
    (row,) = rig.say("status", name, "--json").json()["policies"]
    found: list[dict[str, Any]] = row["debts"]
    return found


def anew(rig: Rig, *names: str) -> None:
    """Rotate policies without grace, as for a leak."""
    rig.say("run-now", *names, "--reason", "leak", "--revoke-now", "--yes")


@pytest.fixture
def both(rig: Rig) -> tuple[Rig, str]:
    """One key, from before, in two secrets that rotator takes on; and its id."""
    old = rig.provider.create("made by hand", scopes=["accounts:read"])
    for name in ("prod/orders", "prod/quotes"):
        holds(rig, name, old)
    rig.say("tick")
    return rig, old["key_id"]


def test_a_key_in_two_secrets_is_adopted_in_each(both: tuple[Rig, str]) -> None:
    """The other's record forbids nothing where the secret's own names the key, and is told; the key dies once
    neither holds it.
    """
    rig, key_id = both
    said = rig.say("adopt", "orders", "--key-id", key_id)
    assert said.code == 0
    assert "on record of quotes as well" in said.out
    assert rig.say("adopt", "quotes", "--key-id", key_id, "--json").json()["held_too"] == ["orders"]
    anew(rig, "orders")
    assert live(rig, key_id)
    anew(rig, "quotes")
    assert not live(rig, key_id)


def test_a_key_that_both_replaced_is_adopted_in_each(both: tuple[Rig, str]) -> None:
    """So it is where both were rotated before anybody said whose the key is."""
    rig, key_id = both
    anew(rig, "orders", "quotes")
    assert live(rig, key_id)
    assert rig.say("adopt", "quotes", "--key-id", key_id).code == 0
    rig.say("tick")
    assert not live(rig, key_id)


def test_a_secret_that_does_not_name_a_key_cannot_claim_that_of_another(both: tuple[Rig, str]) -> None:
    """A key on record as another's is not adopted for a secret whose own key has no id."""
    rig, key_id = both
    nameless = rig.provider.create("another", scopes=["accounts:read"])
    holds(rig, "prod/orders", {name: nameless[name] for name in ("api_key", "api_secret")})
    anew(rig, "orders")
    (unnamed,) = [one for one in debts(rig, "orders") if one["key_id"] is None]
    said = rig.say("adopt", "orders", "--key-id", key_id, "--debt", unnamed["debt"])
    assert said.code == 2
    assert "on record" in said.err


def test_where_the_provider_lists_no_such_key_the_way_out_is_told(both: tuple[Rig, str]) -> None:
    """A debt that no adoption can end names the command that does, and it does."""
    rig, key_id = both
    anew(rig, "orders")
    rig.provider.withdraw(key_id)
    (debt,) = debts(rig, "orders")
    said = rig.say("adopt", "orders", "--key-id", key_id)
    assert said.code == 2
    assert f"rotator settle {debt['debt']} --reason TEXT" in said.err
    assert rig.say("settle", debt["debt"], "--reason", "gone at the provider").code == 0
    assert debts(rig, "orders") == []


def adopted(rig: Rig) -> str:
    """A key from before in ``orders``, which a person adopted; ``quotes`` has one that was never adopted."""
    old, other = (rig.provider.create(name, scopes=["accounts:read"]) for name in ("one", "two"))
    holds(rig, "prod/orders", old)
    holds(rig, "prod/quotes", other)
    rig.say("tick")
    assert rig.say("adopt", "orders", "--key-id", old["key_id"]).code == 0
    return old["key_id"]


def test_a_key_that_was_adopted_is_ours_in_the_secret_that_it_was_copied_into(rig: Rig) -> None:
    """What the record of one secret tells of a key is so for all, and it dies when both replaced it: nobody
    is asked whose it was.
    """
    key_id = adopted(rig)
    holds(rig, "prod/quotes", rig.read("prod/orders"))
    anew(rig, "orders", "quotes")
    rig.say("tick")
    assert not live(rig, key_id)
    assert debts(rig, "orders") == []
    assert [one["key_id"] for one in debts(rig, "quotes")] != [key_id]


def test_an_adoption_counts_for_the_copies_that_were_replaced_already(both: tuple[Rig, str]) -> None:
    """Both were rotated before a person said whose the key is: one word is enough, and every debt ends."""
    rig, key_id = both
    anew(rig, "orders", "quotes")
    assert rig.say("adopt", "quotes", "--key-id", key_id).code == 0
    rig.say("tick")
    rig.say("tick")
    assert debts(rig, "orders") == debts(rig, "quotes") == []
    assert {one["kind"] for one in rig.say("history", "orders", "--json").json()["events"]} >= {
        "known",
        "dead",
    }
