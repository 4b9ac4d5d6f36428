import json
import sqlite3
from datetime import timedelta

import pytest

from rotator import wiring
from rotator.lab.keys import LocalKey
from rotator.ledger import open_ledger
from rotator.model import token_for, token_in
from tests.unit.cli.conftest import Rig


@pytest.fixture
def rotated(rig: Rig) -> Rig:
    """``quotes`` has a key that rotator issued; ``orders`` one that was there before."""
    assert rig.say("run-now", "quotes", "--reason", "first key", "--yes").code == 0
    return rig


def live(rig: Rig) -> list[LocalKey]:
    """Every live key of the provider."""
    every = rig.provider.keys()
    return [key for key in every if key.live]


def ours(rig: Rig) -> list[LocalKey]:
    """The live keys that carry a label of the rig's ledger."""
    return [key for key in live(rig) if " r1-" in key.label]


def found(rig: Rig, *args: str) -> list[tuple[str, str | None]]:
    """Kind and key of what is found."""
    return [(one["kind"], one["key_id"]) for one in rig.say("reconcile", "--json", *args).json()["findings"]]


def backup(rig: Rig, source: str, target: str) -> None:
    """A copy of a ledger as SQLite makes it."""
    for suffix in ("", "-wal", "-shm"):
        (rig.folder / f"{target}{suffix}").unlink(missing_ok=True)
    here, there = sqlite3.connect(rig.folder / source), sqlite3.connect(rig.folder / target)
    here.backup(there)
    here.close()
    there.close()


def late(rig: Rig) -> str:
    """A create that landed late: a second key under the label of an attempt that is over; its id."""
    rig.provider.create(ours(rig)[0].label, scopes=["accounts:read"])
    return next(key.key_id for key in ours(rig) if key.key_id != current(rig))


def current(rig: Rig) -> str:
    """The id of the key that ``quotes`` has in service."""
    return str(rig.say("status", "quotes", "--json").json()["policies"][0]["key_id"])


def test_nothing_to_see_to(rotated: Rig) -> None:
    """Keys of others are named, and are nobody's task: the exit code is 0."""
    said = rotated.say("reconcile")
    assert said.code == 0
    assert "nobodys" in said.out
    assert "0 to see to, 2 to know." in said.out


def test_a_late_create_is_an_orphan_and_fix_makes_a_debt_of_it(rotated: Rig) -> None:
    """The key in service stays, the orphan dies by the second story, and then nothing is found."""
    orphan = late(rotated)
    assert rotated.say("reconcile").code == 1
    assert ("orphan", orphan) in found(rotated)
    said = rotated.say("reconcile", "--fix")
    assert (said.code, "1 mended" in said.out) == (0, True)
    rotated.say("tick")
    assert [key.key_id for key in ours(rotated)] == [current(rotated)]
    assert rotated.say("reconcile").code == 0


def copied(rig: Rig, value: dict[str, str]) -> None:
    """Somebody writes a key into the secret of ``orders``."""
    rig.service.client().put_secret_value(
        SecretId="prod/orders", SecretString=json.dumps(value), ClientRequestToken="copied".ljust(40, "-")
    )


def test_a_copied_key_that_rotator_revoked_is_told_as_such(rotated: Rig) -> None:
    """Where a secret holds a dead key, the finding says that rotator revoked it, and for which policy."""
    rotated.say("run-now", "orders", "--reason", "so that the id of its key is known", "--yes")
    rotated.say("reconcile")
    value = rotated.read("prod/quotes")
    copied(rotated, {name: value[name] for name in ("key_id", "api_key", "api_secret")})
    rotated.say("run-now", "quotes", "--revoke-now", "--reason", "leaked", "--yes")
    said = rotated.say("reconcile", "--json").json()
    (found,) = [
        one for one in said["findings"] if (one["subject"], one["kind"]) == ("policy orders", "drift")
    ]
    assert "rotator revoked that key, which was replaced for quotes" in found["text"]


def test_a_key_that_was_copied_to_where_no_id_is_known_lives(rotated: Rig) -> None:
    """Its value is compared in the step that revokes, though nobody saw the copy, and it bears no id."""
    rotated.say("tick")
    value, key_id = rotated.read("prod/quotes"), current(rotated)
    copied(rotated, {name: value[name] for name in ("api_key", "api_secret")})
    said = rotated.say("run-now", "quotes", "--revoke-now", "--reason", "leaked", "--yes")
    assert (said.code, "the secret of orders holds it as well" in said.out + said.err) == (1, True)
    assert key_id in [key.key_id for key in live(rotated)]


@pytest.mark.parametrize("narrowed", [["quotes"], ["--provider", "build"], []])
def test_a_key_that_another_secret_holds_is_no_orphan_however_few_are_chosen(
    rotated: Rig, narrowed: list[str]
) -> None:
    """Every secret of the account is read, and only what is shown and mended is narrowed."""
    rotated.say("tick")
    made = rotated.provider.create(ours(rotated)[0].label, scopes=["accounts:read"])
    copied(rotated, {name: made[name] for name in ("key_id", "api_key", "api_secret")})
    said = rotated.say("reconcile", *narrowed, "--fix", "--json")
    assert [one["kind"] for one in said.json()["findings"] if one["key_id"] == made["key_id"]] == []
    assert said.json()["mended"] == []
    rotated.say("tick")
    assert made["key_id"] in {key.key_id for key in ours(rotated)}


@pytest.mark.parametrize("look", ["reconcile", "tick"])
def test_a_key_that_is_owed_lives_while_another_secret_was_seen_to_hold_it(rotated: Rig, look: str) -> None:
    """Whether a comparison saw it in a secret that was known, or a worker at its first look."""
    if look == "reconcile":
        rotated.say("tick")
    owed, value = current(rotated), rotated.read("prod/quotes")
    rotated.say("run-now", "quotes", "--reason", "second key", "--yes")
    copied(rotated, value)
    said = rotated.say(look)
    if look == "reconcile":
        assert "the key is to die for quotes, and lives while a secret holds it" in said.out
    rotated.say("run-now", "quotes", "--revoke-now", "--reason", "third key", "--yes", "--wait", "1s")
    assert owed in {key.key_id for key in ours(rotated)}
    assert "the secret of orders holds it as well" in rotated.say("status").out


def test_what_was_seen_in_a_secret_is_forgotten_once_it_is_gone(rotated: Rig) -> None:
    """Then the key that is owed dies."""
    rotated.say("tick")
    owed, value, before = current(rotated), rotated.read("prod/quotes"), rotated.read("prod/orders")
    rotated.say("run-now", "quotes", "--reason", "second key", "--yes")
    copied(rotated, value)
    rotated.say("reconcile")
    rotated.service.client().put_secret_value(
        SecretId="prod/orders", SecretString=json.dumps(before), ClientRequestToken="back".ljust(40, "-")
    )
    rotated.say("reconcile")
    rotated.say("run-now", "quotes", "--revoke-now", "--reason", "third key", "--yes")
    assert owed not in {key.key_id for key in ours(rotated)}


def test_fix_touches_only_what_is_proven_ours(rotated: Rig) -> None:
    """Another ledger's key and one without a label are named, never revoked."""
    rotated.provider.create(f"theirs {token_for('0a1b2c3d', 32 * 'e')}", scopes=["accounts:read"])
    before = [key.key_id for key in live(rotated)]
    said = rotated.say("reconcile", "--fix", "--json")
    assert said.code == 0
    assert "ledger 0a1b2c3d" in said.out
    assert said.json()["mended"] == []
    rotated.say("tick")
    assert [key.key_id for key in live(rotated)] == before


def test_another_key_in_the_secret_is_drift(rotated: Rig) -> None:
    """What somebody else wrote is named with the policy, the keys and what to do."""
    other = rotated.provider.create("by hand", scopes=["accounts:read"])
    client = rotated.service.client()
    text = json.dumps({name: other[name] for name in ("api_key", "api_secret")})
    client.put_secret_value(
        SecretId="prod/quotes", SecretString=text, ClientRequestToken="somebody".ljust(40, "-")
    )
    said = rotated.say("reconcile", "quotes")
    assert said.code == 1
    assert "drift" in said.out
    assert "rotator run-now quotes" in said.out


def test_a_provider_that_is_down_is_said_and_the_exit_code_is_1(rotated: Rig) -> None:
    """What cannot be compared is named; the stores are compared all the same."""
    rotated.provider.expire_admin()
    said = rotated.say("reconcile", "--json")
    assert said.code == 1
    assert [one["subject"] for one in said.json()["findings"] if one["kind"] == "not-compared"] == [
        "provider build"
    ]


def test_a_restored_ledger_revokes_nothing_until_a_person_agrees(rotated: Rig) -> None:
    """An old backup is recognised, told, shown, and taken over; then it ends with one key of ours."""
    backup(rotated, "l.db", "old.db")
    assert rotated.say("run-now", "quotes", "--reason", "second key", "--yes").code == 0
    rotated.say("tick")
    backup(rotated, "old.db", "l.db")
    before = {key.key_id for key in ours(rotated)}
    said = rotated.say("reconcile")
    assert said.code == 1
    assert "the ledger is older than the world" in said.out
    rotated.say("run-now", "quotes", "--revoke-now", "--reason", "third key", "--yes", "--wait", "1s")
    assert before <= {key.key_id for key in ours(rotated)}
    assert "older than the world" in rotated.say("status").out
    assert "older than the world" in rotated.say("plan").out
    assert rotated.say("doctor").code == 1
    assert rotated.say("reconcile", "--trust-ledger").code == 2
    refused = rotated.say("reconcile", "--trust-ledger", "--reason", "backup of May")
    assert (refused.code, "Nothing was changed" in refused.err) == (1, True)
    agreed = rotated.say("reconcile", "--trust-ledger", "--reason", "backup of May", "--yes")
    assert (agreed.code, agreed.err) == (0, "")
    assert "older than the world" not in rotated.say("status").out
    kinds = {kind for kind, _ in found(rotated)}
    assert kinds <= {"nobodys", "orphan"}
    assert "ledger-trusted" in rotated.say("history", "quotes").out
    rotated.say("tick")
    whole = rotated.say("audit", "verify")
    assert (whole.code, "agreed to that" in whole.err, "is whole" in whole.out) == (0, True, True)


def test_a_ledger_whose_every_secret_a_worker_holds_is_not_called_trusted(rotated: Rig) -> None:
    """Nobody could put it into safe mode, so nobody can agree yet: the person is told to try again."""
    rotated.provider.create(f"quotes {token_for(ledger_id(rotated), 32 * 'e')}", scopes=["accounts:read"])
    ledger = open_ledger(f"sqlite:///{rotated.folder}/l.db", wiring.SystemClock())
    claims = [ledger.claim(state.id, "a worker", timedelta(hours=1)) for state, _ in ledger.secrets()]
    said = rotated.say("reconcile", "--trust-ledger", "--reason", "to be sure", "--yes")
    assert (said.code, "Workers act on every secret" in said.err) == (1, True)
    for claim in claims:
        assert claim is not None
        ledger.release(claim, None)
    ledger.close()
    agreed = rotated.say("reconcile", "--trust-ledger", "--reason", "to be sure", "--yes")
    assert (agreed.code, "The ledger is trusted again" in agreed.out) == (0, True)


def ledger_id(rig: Rig) -> str:
    """The id in the labels of the rig's ledger."""
    found = token_in(ours(rig)[0].label)
    assert found is not None
    return found[0]


def test_only_a_ledger_in_doubt_can_be_trusted(rotated: Rig) -> None:
    """Where nothing is wrong, nothing is taken over."""
    said = rotated.say("reconcile", "--trust-ledger", "--reason", "to be sure", "--yes")
    assert (said.code, "not in safe mode" in said.err) == (2, True)
