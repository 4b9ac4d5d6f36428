"""``run-now --leaked`` by its command: what it finds, and what it says and keeps of what it was given."""

import json

from tests.unit.cli.conftest import Rig

LOOK = ("run-now", "--leaked", "--reason", "in a repository", "--dry-run", "--json")


def test_a_key_is_found_in_what_a_tool_printed(rig: Rig) -> None:
    """As the secret was read by hand, with the mark of its encoding; and as nothing but its id it is none."""
    held = rig.read("prod/orders")
    printed = {"Name": "prod/orders", "SecretString": json.dumps({**held, "note": None}), "VersionStages": []}
    said = rig.say(*LOOK, stdin=f"\ufeff{json.dumps(printed, indent=4)}\r\n")
    assert [one["policy"] for one in said.json()["policies"]] == ["orders"]
    assert said.json()["leaked"]["places"][0]["where"] == "in service"
    only = rig.say(*LOOK, stdin=f'{{"api_key": "{held["api_key"]}"}}')
    assert (only.code, only.json()["policies"]) == (1, [])
    assert "its id alone" in only.err


def without_quotes(rig: Rig) -> None:
    """The policies, and that of quotes deleted."""
    path = rig.folder / "rotator.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  - name: quotes")])


def test_a_key_in_its_grace_dies_at_once_though_its_policy_is_deleted(rig: Rig) -> None:
    """It is owed still, by the copy of the policy that the ledger has: by this command, not in a day."""
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    old = rig.read("prod/quotes")
    rig.say("run-now", "quotes", "--reason", "second", "--yes")
    without_quotes(rig)
    planned = rig.say(*LOOK, stdin=old["api_secret"])
    (row,) = planned.json()["policies"]
    assert "end the grace of the older key" in row["does"]
    assert rig.provider.accepts(old)
    order = ("run-now", "--leaked", "--reason", "in a repository", "--yes", "--wait", "30s", "--json")
    said = rig.say(*order, stdin=old["api_secret"])
    (line,) = said.json()["policies"]
    assert (said.code, line["policy"]) == (0, "quotes (deleted, prod/quotes)"), said
    assert "proven dead" in line["why"]
    assert not rig.provider.accepts(old)
    assert rig.provider.accepts(rig.read("prod/quotes"))
    again = rig.say(*order, stdin=old["api_secret"])
    assert (again.code, "it is proven dead" in again.err) == (0, True)


def test_a_key_in_service_of_a_deleted_policy_is_left_to_a_person(rig: Rig) -> None:
    """Nothing rotates it: that is said with what to do, and the exit code is 1."""
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    without_quotes(rig)
    said = rig.say(*LOOK, stdin=rig.read("prod/quotes")["api_secret"])
    assert (said.code, said.json()["policies"]) == (1, [])
    assert "no policy rotates that. To do: put its policy back" in said.err
    assert "Nobody" not in said.err
