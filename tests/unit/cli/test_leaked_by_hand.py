"""A key that a person issued, and that leaked: it is owed, a person is asked, and it has no grace."""

import json

from tests.unit.cli.conftest import PeopleRig

ORDER = ("run-now", "--leaked", "--reason", "in a repository", "--yes", "--wait", "20s", "--json")


def test_a_leaked_key_of_a_person_is_owed_at_once_and_has_no_grace(people: PeopleRig) -> None:
    """Its successor is asked for until it is brought; then the person is at once asked to revoke it."""
    leaked = people.read("prod/client")
    said = people.say(*ORDER, stdin=leaked["client_secret"])
    assert said.code == 1
    (line,) = said.json()["policies"]
    assert line["coverage"] == "waiting for a person"
    assert "rotator submit client" in line["why"]
    (row,) = people.say("status", "client", "--json").json()["policies"]
    (debt,) = row["debts"]
    assert (debt["reason"], debt["key_id"], row["asks_for"]) == (
        "leaked",
        leaked["client_id"],
        "rotator submit client",
    )
    fresh = people.figure.issue_by_hand("fresh")
    brought = people.bring(fresh, "--json")
    assert people.read("prod/client") == fresh, brought
    (row,) = people.say("status", "client", "--json").json()["policies"]
    (owed,) = row["debts"]
    assert (owed["debt"], owed["reason"]) == (debt["debt"], "leaked")
    assert owed["not_before"] <= json.loads(people.say("status", "--json").out)["now"]


def test_an_order_for_a_key_of_a_person_has_the_person_asked(people: PeopleRig) -> None:
    """It stands: people are told as of any key that is due, and the same command says what came of it."""
    order = ("run-now", "client", "--reason", "laptop lost", "--yes", "--json")
    (line,) = people.say(*order).json()["policies"]
    assert "rotator submit client" in line["why"]
    kinds = [one["kind"] for one in people.say("history", "client", "--json").json()["events"]]
    assert kinds.count("blocked") == 1
    people.bring(people.figure.issue_by_hand("fresh"))
    (line,) = people.say(*order).json()["policies"]
    assert line["coverage"] == "rotated"
