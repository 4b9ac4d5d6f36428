"""Back to the key before, as a person types it."""

from rotator import budgets
from rotator.lab.faults import Refuse
from tests.unit.cli.conftest import Rig

YES = ("--reason", "it misbehaves", "--yes")


def rotated(rig: Rig, times: int) -> dict[str, str]:
    """What the secret holds after so many rotations."""
    for _ in range(times):
        assert rig.say("run-now", "quotes", "--reason", "new", "--yes").code == 0
    return rig.read("prod/quotes")


def test_back_and_forth(rig: Rig) -> None:
    """The key before is in service again, the policy paused; once more with --yes, and the newer one is."""
    first = rotated(rig, 1)
    second = rotated(rig, 1)
    said = rig.say("rollback", "quotes", *YES)
    assert said.code == 0
    assert first["key_id"] in said.out
    assert "rotator resume quotes" in said.out
    assert rig.read("prod/quotes") == first
    row = rig.say("status", "quotes", "--json").json()["policies"][0]
    assert row["state"] == "paused"
    assert [debt["key_id"] for debt in row["debts"]] == [second["key_id"]]
    refused = rig.say("rollback", "quotes", "--reason", "again")
    assert refused.code == 2
    assert "is paused until" in refused.err
    again = rig.say("rollback", "quotes", *YES, "--revoke-now", "--json").json()
    assert again["outcome"]["state"] == "rotated"
    assert rig.read("prod/quotes") == second
    assert "proven dead" in again["outcome"]["why"]


def test_what_cannot_be_rolled_back_is_refused_in_words(rig: Rig) -> None:
    """Where nothing was replaced there is no way back: exit code 1, and nothing was ordered."""
    assert "was never rotated" in rig.say("rollback", "orders", *YES).err
    rotated(rig, 1)
    said = rig.say("rollback", "quotes", *YES)
    assert said.code == 1
    assert "none to go back to" in said.err
    assert rig.say("rollback", "quotes", "--yes").code == 2
    assert rig.say("rollback", "quotes", *YES, "--revoke-now", "--grace", "1h").code == 2
    assert rig.say("status", "quotes", "--json").json()["policies"][0]["paused_until"] is None


def test_nobody_rolls_back_without_a_yes(rig: Rig) -> None:
    """Where nobody can be asked, and none was given, nothing is done; what would be is said."""
    rotated(rig, 2)
    said = rig.say("rollback", "quotes", "--reason", "x")
    assert said.code == 2
    assert "comes back into service" in said.err
    assert "give --yes" in said.err


def test_a_key_that_leaked_does_not_come_back(rig: Rig) -> None:
    """Though it lives on for a grace that was given; it is said that it leaked, and nothing is done."""
    first = rotated(rig, 1)
    order = ("run-now", "--leaked", "--grace", "5h", "--reason", "in a repository", "--yes")
    assert rig.say(*order, stdin=first["api_secret"]).code == 0
    said = rig.say("rollback", "quotes", *YES)
    assert said.code == 1
    assert f"key {first['key_id']} leaked. A new one: rotator run-now quotes" in said.err


def test_who_had_the_key_replaced_and_why_is_said_before_the_question(rig: Rig) -> None:
    """A key that a person's order replaced may be known to others; not where a rollback did."""
    rotated(rig, 1)
    first = rig.read("prod/quotes")
    assert rig.say("run-now", "quotes", "--reason", "laptop lost", "--yes").code == 0
    said = rig.say("rollback", "quotes", "--reason", "x")
    assert f"BEWARE: key {first['key_id']} was replaced since" in said.err
    assert ": laptop lost (incident " in said.err
    assert rig.say("rollback", "quotes", *YES).code == 0
    assert "BEWARE" not in rig.say("rollback", "quotes", *YES).err


def test_a_rollback_that_waits_for_room_says_so_and_ends(rig: Rig) -> None:
    """Nobody watches for an hour what goes on by itself; the order stands."""
    rotated(rig, budgets.PUSHES[0].most)
    said = rig.say("rollback", "quotes", *YES)
    assert said.code == 1
    assert "held back: too many versions of the secret were written lately; going on at" in said.out
    assert "the order stands" in said.out


def test_a_pause_is_as_it_was_while_a_rollback_is_tried_and_once_it_is_refused(rig: Rig) -> None:
    """Whoever refuses it, and whenever: the person's freeze is not the price of a try."""
    rotated(rig, 2)
    assert rig.say("pause", "quotes", "--for", "48h", "--reason", "freeze").code == 0
    before = rig.say("status", "quotes", "--json").json()["policies"][0]["paused_until"]
    rig.provider.fail_next(rig.provider.PROBE, Refuse(503, {}), 400)
    said = rig.say("rollback", "quotes", *YES, "--wait", "2s")
    assert "not done yet" in said.out
    after = rig.say("status", "quotes", "--json").json()["policies"][0]["paused_until"]
    assert (said.code, after) == (1, before)
