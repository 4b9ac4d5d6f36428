"""A key that a person issued, and that leaked: it is owed, a person is asked, and it has no grace."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rotator.lab.fintechstudios import FintechStudios
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


@pytest.fixture
def login(people: PeopleRig) -> Iterator[FintechStudios]:
    """The same policy, at a provider where a key and the password of its user make a login."""
    with FintechStudios() as provider:
        path = people.folder / "rotator.yaml"
        text = path.read_text().replace("figure: {type: figure", "ft: {type: fintechstudios")
        text = text.replace(people.figure.url, provider.url)
        path.write_text(text.replace("provider: figure, kind: client", "provider: ft"))
        held = {"SecretId": "prod/client", "SecretString": json.dumps(provider.admin)}
        people.service.client().put_secret_value(**held, ClientRequestToken="x" * 40)
        yield provider


def brought(people: PeopleRig, login: dict[str, Any]) -> tuple[int, str]:
    """What came of a login that a person brought."""
    said = people.bring(login, "--no-wait")
    return said.code, said.err


def test_a_part_that_leaked_does_not_come_into_service_again(
    people: PeopleRig, login: FintechStudios
) -> None:
    """A new key beside a password that others know is not taken; with the password changed it is."""
    people.say(*ORDER, stdin=login.admin["password"])
    assert "Others know its password" in people.say("status", "client").out
    code, err = brought(people, login.issue_by_hand())
    assert (code, "others know its password, which leaked" in err) == (1, True)
    login.change_password()
    assert brought(people, login.issue_by_hand())[0] == 0


def test_what_did_not_leak_may_stay(people: PeopleRig, login: FintechStudios) -> None:
    """Where the key beside it leaked, the password may be the same."""
    people.say(*ORDER, stdin=login.admin["access_key"])
    code, err = brought(people, login.issue_by_hand())
    assert code == 0, err
