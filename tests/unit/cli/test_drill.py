"""Drills, as a person types them and sees them."""

from tests.unit.cli.conftest import PeopleRig, Rig


def living(rig: Rig) -> list[str]:
    """The ids of keys that live."""
    listed = rig.provider.keys()
    return [key.key_id for key in listed if key.live]


def test_a_drill_by_hand(rig: Rig) -> None:
    """The table and status tell how long each step took; the secret and the keys that live are as before."""
    assert rig.say("run-now", "quotes", "--reason", "first", "--yes").code == 0
    before, live = rig.read("prod/quotes"), living(rig)
    said = rig.say("drill", "quotes")
    assert said.code == 0
    assert "proven dead in" in said.out
    lines = [line for line in said.err.splitlines() if line.startswith("quotes: ")]
    assert lines[-1].startswith("quotes: well: issued in ")
    assert not [line for line in lines if "rotated" in line]
    assert (rig.read("prod/quotes"), living(rig)) == (before, live)
    shown = rig.say("status", "quotes")
    assert "last drill" in shown.out
    assert "well: issued in" in shown.out
    row = rig.say("status", "--json").json()["policies"]
    assert {one["policy"]: (one["drill"] or {}).get("ok") for one in row} == {"orders": None, "quotes": True}
    assert "drilled" in rig.say("history", "quotes").out


def test_a_drill_that_fails_is_seen(rig: Rig) -> None:
    """Exit code 1, with why, in the table and in the overview of all policies."""
    assert rig.say("run-now", "quotes", "--reason", "first", "--yes").code == 0
    rig.provider.expire_admin()
    said = rig.say("drill", "--provider", "build", "--json")
    assert said.code == 1
    assert {one["policy"]: one["state"] for one in said.json()["drills"]}["quotes"] == "failed"
    assert "quotes: last drill" in rig.say("status").out


def test_a_drill_needs_to_be_told_which(rig: Rig) -> None:
    """Nothing is issued by a command that names nothing."""
    said = rig.say("drill")
    assert said.code == 2
    assert "--all" in said.err


def test_where_a_person_issues_there_is_no_drill(people: PeopleRig) -> None:
    """It is said, and is no failure."""
    said = people.say("drill", "client")
    assert said.code == 0
    assert "client: not drillable: a person issues" in said.err
    assert people.say("drill", "client", "--json").json()["drills"] == [
        {"policy": "client", "state": "not drillable", "why": "a person issues"}
    ]


def test_where_a_person_issues_there_is_none_while_a_rotation_waits_for_one_either(people: PeopleRig) -> None:
    """What can never be held does not wait for the rotation that goes before."""
    assert people.say("run-now", "client", "--reason", "leak", "--yes").code == 1
    assert people.say("status", "client", "--json").json()["policies"][0]["state"] == "blocked"
    said = people.say("drill", "client")
    assert said.code == 0
    assert "client: not drillable: a person issues" in said.err


def test_a_drill_that_a_blocked_rotation_keeps_from_its_turn_says_so(rig: Rig) -> None:
    """Nobody watches for a quarter of an hour what only a person can let go on."""
    rig.provider.expire_admin()
    assert rig.say("run-now", "quotes", "--reason", "leak", "--yes").code == 1
    said = rig.say("drill", "quotes", "--json")
    assert said.code == 1
    (found,) = said.json()["drills"]
    assert found["state"] == "waiting for a person"
    assert "a rotation comes first: " in found["why"]
    assert "To do: " in found["why"]
