import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobs import harden
from rotator import wiring
from rotator.cli import asking
from rotator.interfaces import Provider
from rotator.lab import Buildmarkets, LocalKey
from rotator.model import Credential, ProviderRef
from tests.unit.cli.conftest import Rig


def keys(rig: Rig) -> list[LocalKey]:
    """Every key that the provider ever made."""
    return rig.provider.keys()


def old_key(rig: Rig) -> str:
    """The id of the key that a person made before rotator came."""
    return next(key.key_id for key in keys(rig) if key.label == "made by hand")


def test_a_reading_command_makes_no_ledger(rig: Rig) -> None:
    """Before the first pass plan, status and history answer, and no file is made."""
    assert rig.say("plan", "--json").json()["policies"][0]["due_now"] is False
    assert rig.say("status", "--json").json()["policies"][0]["state"] == "not taken on yet"
    assert rig.say("history", "orders", "--json").json()["events"] == []
    for command in (("plan",), ("status",), ("history", "orders")):
        said = rig.say(*command, "--json")
        assert said.code == 0
        assert f"There is no ledger at {rig.folder}/l.db yet; the first `rotator tick`" in said.err
    assert not (rig.folder / "l.db").exists()
    assert rig.provider.calls == ()


def test_run_now_rotates_and_tells_what_is_covered(rig: Rig) -> None:
    """A secret without a key gets one, one whose old key is nobody's waits for a person: exit code 1."""
    said = rig.say("run-now", "--all", "--reason", "leak", "--revoke-now", "--yes", "--json")
    found = {one["policy"]: one["state"] for one in said.json()["policies"]}
    assert found == {"orders": "waiting for a person", "quotes": "rotated"}
    assert said.code == 1
    assert rig.provider.accepts(rig.read("prod/orders"))

    again = rig.say("run-now", "quotes", "--reason", "once more", "--revoke-now", "--yes")
    assert again.code == 0
    assert "proven dead" in again.out
    assert [key.live for key in keys(rig) if key.label.startswith("quotes")] == [False, True]

    events = rig.say("history", "quotes", "--json").json()["events"]
    assert [event["kind"] for event in events][-1] == "dead"


def test_adopt_lets_the_old_key_die(rig: Rig) -> None:
    """Nobody's key is not revoked by guess; once a person says whose it is, it dies as any other."""
    rig.say("run-now", "orders", "--reason", "leak", "--revoke-now", "--yes")
    todo = rig.say("status", "orders", "--json").json()["policies"][0]["act"][0]["todo"]
    assert todo.startswith("rotator adopt orders --key-id ")
    assert rig.say("adopt", "orders", "--key-id", "nobody's").code == 2
    assert rig.say("adopt", "orders", "--key-id", rig.read("prod/orders")["key_id"]).code == 2
    foreign = rig.provider.add_foreign(f"x r1-{'f' * 8}-{'0' * 32}").key_id
    assert rig.say("adopt", "orders", "--key-id", foreign).code == 2

    assert rig.say("adopt", "orders", "--key-id", old_key(rig)).code == 0
    assert rig.say("run-now", "orders", "--reason", "leak", "--revoke-now", "--yes").code == 0
    assert not next(key for key in keys(rig) if key.key_id == old_key(rig)).live
    assert next(key for key in keys(rig) if key.key_id == foreign).live


def test_settle_closes_a_debt_on_a_persons_word(rig: Rig) -> None:
    """An open debt is settled once, with who and why; the key itself is not touched."""
    rig.say("run-now", "orders", "--reason", "leak", "--yes")
    (row,) = rig.say("status", "orders", "--json").json()["policies"]
    debt = row["debts"][0]["debt"]
    assert rig.say("settle", debt, "--reason", "account closed").code == 0
    assert rig.say("settle", debt, "--reason", "account closed").code == 2
    assert rig.say("settle", "no-such-debt", "--reason", "account closed").code == 2
    assert next(key for key in keys(rig) if key.key_id == old_key(rig)).live
    events = rig.say("history", "orders", "--json").json()["events"]
    assert "never proven: account closed" in events[-1]["text"]


def test_a_key_that_is_listed_live_is_not_settled(rig: Rig) -> None:
    """A person cannot declare a key dead that its provider lists live; revoked there, it is settled."""
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    (owed,) = rig.say("status", "quotes", "--json").json()["policies"][0]["debts"]
    refused = rig.say("settle", owed["debt"], "--reason", "account closed")
    assert (refused.code, "Revoke it at the provider first" in refused.err) == (1, True)
    assert rig.say("status", "quotes", "--json").json()["policies"][0]["debts"]
    rig.provider.withdraw(owed["key_id"])
    assert "build did not list it as live" in rig.say("settle", owed["debt"], "--reason", "revoked").out


def test_a_live_key_of_another_ledger_may_be_settled(rig: Rig) -> None:
    """Another rotator's key is not ours to have revoked: its debt is closed, and the record says it lives."""
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    (owed,) = rig.say("status", "quotes", "--json").json()["policies"][0]["debts"]
    rig.patch.setattr(asking, "token_in", lambda _label: ("f" * 8, "theirs"))
    said = rig.say("settle", owed["debt"], "--reason", "desk b's")
    assert (said.code, "it is ledger ffffffff's, and lives on" in said.out) == (0, True)


def test_a_provider_that_cannot_be_asked_leaves_a_persons_word(rig: Rig) -> None:
    """Where the list cannot be had a debt is settled, and terminal and history say that nobody was asked."""
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    (owed,) = rig.say("status", "quotes", "--json").json()["policies"][0]["debts"]
    rig.provider.renew_admin()
    said = rig.say("settle", owed["debt"], "--reason", "account closed")
    assert (said.code, "build could not be asked whether it lives" in said.out) == (0, True)
    events = rig.say("history", "quotes", "--json").json()["events"]
    assert any("could not be asked" in event["text"] for event in events if event["kind"] == "settled")


def test_another_accounts_admin_credential_is_not_taken(rig: Rig) -> None:
    """A credential that works but lists none of our keys in service is refused, and nothing is written."""
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    before = rig.read("admin")
    with Buildmarkets(limits=()) as other:
        trial = wiring.Wiring.trial

        def theirs(world: wiring.Wiring, ref: ProviderRef, credential: Credential) -> Provider:
            return trial(world, replace(ref, base_url=other.url), credential)

        rig.patch.setattr(wiring.Wiring, "trial", theirs)
        said = rig.say("submit", "--admin", "build", stdin=json.dumps(other.admin))
    assert (said.code, "is it of another account?" in said.err) == (1, True)
    assert rig.read("admin") == before


@pytest.fixture
def second(rig: Rig) -> Iterator[Buildmarkets]:
    """Another account, to which every policy moved after it was taken on: both keys stayed behind."""
    rig.say("tick")
    with Buildmarkets(limits=()) as provider:
        path = rig.folder / "rotator.yaml"
        admin = f'base_url: "{provider.url}", admin: {{store: aws, secret: second-admin}}'
        text = path.read_text().replace("defaults:", f"  second: {{type: buildmarkets, {admin}}}\ndefaults:")
        path.write_text(text.replace("provider: build", "provider: second"))
        rig.secret("second-admin", {})
        rig.say("tick")
        yield provider


def test_an_admin_credential_of_an_account_that_policies_moved_to_is_taken(
    rig: Rig, second: Buildmarkets
) -> None:
    """No key is there yet that its list could show: those in service stayed behind."""
    said = rig.say("submit", "--admin", "second", stdin=json.dumps(second.admin))
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize("replaced", [False, True], ids=["in-service", "replaced"])
def test_a_key_that_stayed_behind_is_adopted_where_it_is(
    rig: Rig, second: Buildmarkets, *, replaced: bool
) -> None:
    """The account that the policy left lists it, and there it dies."""
    rig.say("submit", "--admin", "second", stdin=json.dumps(second.admin))
    again = ("run-now", "orders", "--reason", "leak", "--revoke-now", "--yes")
    if replaced:
        assert rig.say(*again).code == 1
    suggested = rig.say("adopt", "--suggest", "orders", "--json").json()["suggestions"]
    assert old_key(rig) in [each["key_id"] for one in suggested for each in one["candidates"]]
    said = rig.say("adopt", "orders", "--key-id", old_key(rig))
    assert (said.code, said.err) == (0, "")
    assert rig.say(*again).code == 0
    assert not next(key for key in keys(rig) if key.key_id == old_key(rig)).live
    assert second.accepts(rig.read("prod/orders"))


def test_an_admin_credential_that_is_brought_is_in_the_audit_trail(rig: Rig) -> None:
    """Before it is written, and after, the ledger's own chain gets a record, which holds no part of it."""
    rig.say("run-now", "quotes", "--reason", "leak", "--yes")

    def records() -> list[str]:
        lines = [json.loads(line) for line in rig.say("audit", "export").out.splitlines()]
        trails = [line["trail"].get("docs", {}) for line in lines if line["type"] == "record"]
        return [name for docs in trails for name in docs if name.startswith("fact/admin:")]

    assert records() == []
    assert rig.say("submit", "--admin", "build", stdin=json.dumps(rig.provider.admin)).code == 0
    assert len(records()) == 2
    rig.service.fail("put_secret_value", "AccessDeniedException")
    assert rig.say("submit", "--admin", "build", stdin=json.dumps(rig.provider.admin)).code != 0
    assert len(records()) == 3
    assert rig.say("audit", "verify").code == 0


def test_a_pause_holds_until_run_now_overrides_it_with_yes(rig: Rig) -> None:
    """A paused policy is shown as paused; run-now with --yes ends the pause; resume says if there was one."""
    assert rig.say("pause", "quotes", "--for", "2h", "--reason", "freeze").code == 0
    assert rig.say("status", "quotes", "--json").json()["policies"][0]["paused_until"]
    assert rig.say("run-now", "quotes", "--reason", "leak", "--yes").code == 0
    assert rig.say("resume", "quotes", "--json").json()["was_paused"] is False
    kinds = [event["kind"] for event in rig.say("history", "quotes", "--json").json()["events"]]
    assert kinds[0] == "paused"


def test_a_fresh_admin_credential_is_tried_before_it_is_written(rig: Rig) -> None:
    """A refused credential is not written; an accepted one is, and ends its provider's block."""
    rig.provider.renew_admin()
    blocked = rig.say("run-now", "quotes", "--reason", "leak", "--yes")
    assert blocked.code == 1
    assert "submit --admin build" in blocked.out
    stale = rig.read("admin")
    for wrong in ("{", "[]", '{"api_key": "x"}', '{"api_key": 1, "api_secret": "x"}'):
        assert rig.say("submit", "--admin", "build", stdin=wrong).code == 2
    refused = rig.say("submit", "--admin", "build", stdin='{"api_key": "wrong", "api_secret": "wrong"}')
    assert refused.code == 2
    assert rig.read("admin") == stale

    fresh = rig.provider.admin
    assert rig.say("submit", "--admin", "build", stdin=json.dumps(fresh)).code == 0
    assert rig.read("admin") == fresh
    assert rig.say("run-now", "quotes", "--reason", "leak", "--yes").code == 0


def test_run_now_without_a_terminal_needs_yes(rig: Rig) -> None:
    """Where nobody can be asked, nothing is rotated without --yes; a dry run shows the plan alone."""
    assert rig.say("run-now", "--all", "--reason", "leak").code == 2
    assert rig.say("run-now", "--all", "--dry-run", "--json").json()["dry_run"] is True
    assert not (rig.folder / "l.db").exists()


def test_tick_makes_one_pass(rig: Rig) -> None:
    """A pass takes secrets on, and gives a key to the one that has none; afterwards status says so."""
    assert rig.say("tick").code == 0
    rows = rig.say("status", "--json").json()["policies"]
    assert [row["state"] for row in rows] == ["current", "current"]
    assert "rotator adopt orders" in rig.say("status").out


def test_the_old_key_of_a_deleted_policy_can_still_be_adopted(rig: Rig) -> None:
    """A debt outlives its policy: status lists it, and a person may still say whose key it is."""
    rig.say("run-now", "orders", "--reason", "leak", "--revoke-now", "--yes")
    path = rig.folder / "rotator.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  - name: orders")] + text[text.index("  - name: quotes") :])
    rig.say("tick")
    gone = [row for row in rig.say("status", "--json").json()["policies"] if row["gone"]]
    assert [row["policy"] for row in gone] == ["orders"]
    assert rig.say("adopt", "orders", "--key-id", old_key(rig)).code == 0
    rig.say("tick")
    assert not next(key for key in keys(rig) if key.key_id == old_key(rig)).live


def test_every_command_that_holds_credentials_is_hardened(rig: Rig) -> None:
    """Run-now, submit and tick leave no memory image behind, as the daemon does."""
    calls: list[str] = []
    rig.patch.setattr(harden, "harden", lambda: calls.append("hardened"))
    rig.say("run-now", "--all", "--dry-run")
    rig.say("submit", "--admin", "build", stdin="{")
    rig.say("tick")
    assert len(calls) == 3


def test_a_key_whose_secret_moved_is_adopted_at_its_new_place(rig: Rig) -> None:
    """A policy that names another secret, with the same value, takes its adopted key along."""
    rig.say("tick")
    assert rig.say("adopt", "orders", "--key-id", old_key(rig)).code == 0
    rig.secret("prod/moved", rig.read("prod/orders"))
    path = rig.folder / "rotator.yaml"
    path.write_text(path.read_text().replace("prod/orders", "prod/moved"))
    rig.say("tick")
    said = rig.say("adopt", "orders", "--key-id", old_key(rig))
    assert (said.code, said.err) == (0, "")
    rows = rig.say("status", "orders", "--json").json()["policies"]
    assert [(row["key_id"], row["act"]) for row in rows if not row["gone"]] == [(old_key(rig), [])]


def test_a_key_that_was_left_behind_to_die_is_adopted_under_its_name(rig: Rig) -> None:
    """After a move a replaced key of the old place may be named, and so may the key of the new place."""
    rig.say("run-now", "orders", "--reason", "leak", "--revoke-now", "--yes")
    path = rig.folder / "rotator.yaml"
    path.write_text(path.read_text().replace("prod/orders", "prod/moved"))
    made = rig.provider.create("another by hand", scopes=["accounts:read"])
    rig.secret("prod/moved", {name: made[name] for name in ("api_key", "api_secret")})
    rig.say("tick")
    new = next(key.key_id for key in keys(rig) if key.label == "another by hand")
    assert rig.say("adopt", "orders", "--key-id", new).code == 0
    assert rig.say("adopt", "orders", "--key-id", old_key(rig)).code == 0
    rig.say("tick")
    assert [key.live for key in keys(rig) if key.key_id in (old_key(rig), new)] == [False, True]


def test_what_holds_a_whole_account_is_shown_once(rig: Rig) -> None:
    """A refused admin credential is one line of status, which names the policies that it holds up."""
    bad = json.dumps({"api_key": "nobody", "api_secret": "nothing"})
    rig.service.client().put_secret_value(SecretId="admin", SecretString=bad, ClientRequestToken="b" * 40)
    assert rig.say("run-now", "quotes", "--reason", "leak", "--yes").code == 1
    lines = [line for line in rig.say("status").out.splitlines() if "is refused" in line]
    assert [line.partition(":")[0] for line in lines] == ["2 policies (orders, quotes)"]
    assert "submit --admin build" in lines[0]
