import json
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator import wiring
from rotator.ledger import open_ledger
from rotator.model import Change
from tests.unit.cli.conftest import Rig


def test_nothing_overrides_a_stop(rig: Rig) -> None:
    """After a stop run-now does nothing, not even with --yes, and says who stopped everything."""
    assert rig.say("stop", "--reason", "keys die").code == 0
    said = rig.say("run-now", "orders", "--reason", "leaked", "--yes")
    assert said.code == 1
    assert "keys die" in said.err
    assert "rotator resume --all" in said.err
    assert rig.say("status", "--json").json()["policies"][0]["state"] == "not taken on yet"
    assert rig.say("resume", "--all", "--json").json() == {"stopped": None, "was_stopped": True}
    assert rig.say("resume", "--all").out == "Nothing was stopped.\n"


@pytest.mark.parametrize("command", ["status", "plan", "doctor"])
def test_a_stop_is_shown_first(rig: Rig, command: str) -> None:
    """Whoever looks why nothing happens reads first who stopped everything, and why."""
    rig.say("stop", "--reason", "keys die", "--for", "2h")
    said = rig.say(command).out.splitlines()[0]
    assert said.startswith("Stopped by ")
    assert "keys die" in said
    assert rig.say(command, "--json").json()["holds"]["stopped"]["reason"] == "keys die"


def test_a_stop_stands_until_it_is_taken_back(rig: Rig) -> None:
    """A second stop that ends sooner changes nothing; a reason is needed, and one of the two to resume."""
    assert rig.say("stop").code == 2
    assert rig.say("stop", "--reason", "x", "--for", "0s").code == 2
    assert rig.say("stop", "--reason", "first", "--json").json()["already"] is False
    second = rig.say("stop", "--reason", "second", "--for", "1h", "--json").json()
    assert (second["already"], second["stopped"]["reason"], second["stopped"]["until"]) == (
        True,
        "first",
        None,
    )
    assert rig.say("resume").code == 2
    assert rig.say("resume", "orders", "--all").code == 2


def test_a_stop_that_lasts_longer_takes_the_place_of_a_shorter_one(rig: Rig) -> None:
    """Who stops everything for good is not let down by a stop of ten minutes that holds already."""
    rig.say("stop", "--reason", "a short look", "--for", "10m")
    assert "nothing was changed" in rig.say("stop", "--reason", "again", "--for", "5m").out
    said = rig.say("stop", "--reason", "keys die")
    assert said.code == 0
    assert "keys die" in said.out
    assert "now it is for longer" in said.out
    stopped = rig.say("status", "--json").json()["holds"]["stopped"]
    assert (stopped["reason"], stopped["until"]) == ("keys die", None)
    assert "nothing was changed" in rig.say("stop", "--reason", "last", "--for", "1d").out


def test_a_token_is_not_paused(tokens: Rig) -> None:
    """Nobody is told that a token is paused, which is renewed all the same."""
    said = tokens.say("pause", "token", "--reason", "freeze")
    assert said.code == 2
    assert "rotator stop" in said.err
    assert tokens.say("status", "token", "--json").json()["policies"][0]["paused_until"] is None


def test_no_admin_credential_is_written_during_a_stop(rig: Rig) -> None:
    """Neither into its store nor on record: a person's own command is an effect as any other."""
    rig.say("tick")
    rig.say("stop", "--reason", "keys die")
    said = rig.say("submit", "--admin", "build", stdin=json.dumps(rig.provider.admin))
    assert said.code == 1
    assert "keys die" in said.err
    assert "fact/admin:" not in rig.say("audit", "export").out


def test_a_stop_needs_no_policies(rig: Rig) -> None:
    """Broken policy files do not keep anybody from stopping everything."""
    (rig.folder / "rotator.yaml").write_text("broken: [")
    assert rig.say("stop", "--reason", "keys die").code == 0
    assert rig.say("resume", "--all").code == 0


def test_a_stop_names_who_is_locked_out_by_it(rig: Rig) -> None:
    """A secret whose key died before it had another one gets none while everything is stopped."""
    assert "locked out" not in rig.say("stop", "--reason", "a look").out
    rig.say("resume", "--all")
    rig.say("run-now", "orders", "--reason", "new", "--yes")
    ledger = open_ledger(f"sqlite:///{rig.folder}/l.db", wiring.SystemClock())
    state = next(state for state, _ in ledger.secrets() if state.policy == "orders")
    claim = ledger.claim(state.id, "a test", timedelta(minutes=1))
    assert claim is not None
    assert state.current is not None
    ledger.commit(claim, Change(replace(state, current=replace(state.current, contained=True))))
    ledger.release(claim, None)
    ledger.close()
    said = rig.say("stop", "--reason", "keys die").out
    assert "whoever reads them is locked out: orders\n" in said
    assert rig.say("stop", "--reason", "keys die", "--json").json()["locked_out"] == ["orders"]
