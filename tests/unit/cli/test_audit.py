import json
import sqlite3
from contextlib import closing

import pytest

from tests.unit.cli.conftest import Rig


@pytest.fixture
def lived(rig: Rig) -> Rig:
    """``quotes`` got its first key, and a second one, whose predecessor is proven dead."""
    for _ in "12":
        said = rig.say("run-now", "quotes", "--reason", "leak", "--revoke-now", "--yes")
        assert said.code == 0
    assert rig.say("tick").code in (0, 1)
    return rig


def test_a_ledger_that_nobody_touched_is_whole(lived: Rig) -> None:
    """What a real worker wrote verifies, with the anchor that a tick gave outside; exit code 0."""
    said = lived.say("audit", "verify", "--json")
    assert (said.code, said.json()["good"], said.json()["findings"]) == (0, True, [])
    assert said.json()["anchors"] == 1
    assert "The audit trail is whole" in lived.say("audit", "verify").out


def test_an_edited_ledger_is_named(lived: Rig) -> None:
    """An edit is told with its policy and record: exit code 1, for people and machines."""
    with closing(sqlite3.connect(lived.folder / "l.db")) as file:
        file.execute("UPDATE debts SET doc = replace(doc, 'issued', 'adopted')")
        file.commit()
    said = lived.say("audit", "verify")
    assert said.code == 1
    assert "quotes" in said.out
    assert "changed by hand" in said.out
    (found,) = lived.say("audit", "verify", "--json").json()["findings"]
    assert (found["flaw"], found["record"] > 1) == ("document", True)


def test_an_anchor_out_of_the_log_is_compared(lived: Rig) -> None:
    """A line of the log serves as an anchor; what is none, or another ledger's, is refused: exit code 2."""
    line = (lived.folder / "l.db.anchors").read_text().splitlines()[-1]
    good = json.dumps({"message": f"anchor of the audit trail: {line}"})
    assert lived.say("audit", "verify", "--anchor", good, "--json").json()["anchors"] == 1
    other = json.loads(line)
    ahead = {**other, "number": other["number"] + 7}
    assert lived.say("audit", "verify", "--anchor", json.dumps(ahead)).code == 1
    for wrong in ("no anchor", json.dumps({**other, "ledger": "ffffffff"})):
        assert lived.say("audit", "verify", "--anchor", wrong).code == 2
    assert lived.say("audit", "verify", "--anchors", str(lived.folder / "missing")).code == 2


def test_the_trail_is_exported_line_by_line(lived: Rig) -> None:
    """Each record is one JSON object a line, with stable names; a name and a time narrow it."""
    found = [json.loads(line) for line in lived.say("audit", "export").out.splitlines()]
    records = [one for one in found if one["type"] == "record"]
    assert set(records[0]) == {"type", "secret", "number", "at", "event", "trail", "key", "mac"}
    assert {one["event"]["kind"] for one in records if one["event"]} > {
        "issued",
        "promoted",
        "revoked",
        "dead",
    }
    assert {one["type"] for one in found} == {"record", "certificate"}
    named = lived.say("audit", "export", "orders").out.splitlines()
    assert {json.loads(line)["secret"] for line in named} == {json.loads(named[0])["secret"]}
    assert lived.say("audit", "export", "--since", "2999-01-01").out == ""
    assert lived.say("audit", "export", "nobody").code == 2


def test_a_dead_key_has_a_certificate(lived: Rig) -> None:
    """It tells when the key was issued, in use, owed, revoked and proven dead, in that order, and by what."""
    (one,) = lived.say("audit", "certificates", "quotes", "--json").json()["certificates"]
    keys = lived.provider.keys()
    dead = next(key for key in keys if key.label.startswith("quotes") and not key.live)
    assert (one["key_id"], one["death"]) == (dead.key_id, "proven")
    moments = [one[name] for name in ("issued_at", "current_at", "owed_at", "revoked_at", "died_at")]
    assert moments == sorted(moments)
    assert one["proof"].startswith("accepted before, refused after")
    said = lived.say("audit", "certificates").out
    assert f"proven dead   {one['died_at'][:10]}" in said
    assert "No key" in lived.say("audit", "certificates", "orders").out or "orders" in said


def edited(lived: Rig, statement: str, *values: object) -> None:
    """Change the ledger's file as another program would."""
    with closing(sqlite3.connect(lived.folder / "l.db")) as file:
        file.execute(statement, values)
        file.commit()


def test_a_forged_death_is_not_certified(lived: Rig) -> None:
    """A record that nobody wrote, under everybody's name, is exported, named, and makes no certificate."""
    columns = 'at, untold, number, mac, "key", trail'
    edited(
        lived,
        f"INSERT INTO events (secret, doc, {columns}) SELECT '*', replace(doc, 'key', 'forged-key'), "
        f"{columns} FROM events WHERE json_extract(nullif(doc, ''), '$.kind') = 'dead'",
    )
    for name, flaw in (
        ("verify", "removed"),
        ("certificates", "No certificate"),
        ("export", "No certificate"),
    ):
        said = lived.say("audit", name)
        assert (said.code, flaw in said.out + said.err) == (1, True)
        assert ("forged" in said.out) == (name == "export")
    assert "forged" not in "".join(
        line for line in lived.say("audit", "export").out.splitlines() if '"certificate"' in line
    )
    assert lived.say("audit", "certificates", "quotes").code == 0


def test_a_chain_that_is_not_whole_has_no_certificates(lived: Rig) -> None:
    """Who edits a key's records gets no certificate of it, and is told where to look: exit code 1."""
    edited(lived, "UPDATE events SET doc = replace(doc, 'refused after', 'refused before')")
    said = lived.say("audit", "certificates", "quotes", "--json")
    assert (said.code, said.json()["certificates"]) == (1, [])
    assert "rotator audit verify" in said.err


def test_a_secret_that_cannot_be_read_is_named(lived: Rig) -> None:
    """A document that is no secret's is a finding among others: exit code 1, whatever else it breaks."""
    edited(lived, "UPDATE secrets SET doc = '{}', next_at = 9223372036854775807")
    said = lived.say("audit", "verify", "--json")
    assert (said.code, {one["flaw"] for one in said.json()["findings"]}) == (1, {"document"})
    assert lived.say("audit", "verify").code == 1


def test_without_a_ledger_there_is_no_trail(rig: Rig) -> None:
    """Before the first pass the commands say that there is nothing: exit code 1."""
    for command in ("verify", "export", "certificates"):
        assert rig.say("audit", command).code == 1
