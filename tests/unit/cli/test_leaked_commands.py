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
