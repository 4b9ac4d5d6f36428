"""A key that leaked, as a person has it: real commands, killed at each effect, and given again."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.model import Change, DebtPhase, DebtReason
from tests.integration.processes.scene import EFFECTS, LATER, SECRET, Scene, Strike, When

CONTAIN = "run-now orders --revoke-first --yes --wait 50s --json --reason drill"
LEAKED = "run-now --leaked --yes --wait 50s --json --reason drill"


def contained(folder: Path, effect: str, when: When) -> None:
    """Killed there, the same command goes on: the old key is dead before another one is issued."""
    folder.mkdir()
    with Scene(folder) as scene:
        scene.contained = {scene.vault.fields(SECRET)["key_id"]}
        process = scene.struck(CONTAIN, Strike(EFFECTS[effect], when, signal.SIGKILL))
        assert process.wait(30) == -signal.SIGKILL
        scene.strike = None
        told = scene.run(CONTAIN, LATER)
        assert told.code == 0, told
        kinds = [each.split(" ")[0] for each in scene.heard if "/v1/keys" in each]
        assert kinds.index("DELETE") < kinds.index("POST")
        (line,) = json.loads(told.out)["policies"]
        assert (line["state"], line["certificates"][0]["death"]) == ("rotated", "proven")
        scene.healed(LATER)  # what the kill left of the new key
        with closing(scene.ledger()) as ledger:
            old = [debt for debt in ledger.debts(ended=True) if debt.key_id in scene.contained]
        assert [(debt.reason, debt.phase) for debt in old] == [(DebtReason.LEAKED, DebtPhase.DEAD)]


@pytest.mark.parametrize("effect", ["revoke", "issue", "promote"])
def test_contain_first_goes_on_after_a_kill_at_any_effect(effect: str, tmp_path: Path) -> None:
    """By the same command, when a request arrived and when it was just done."""
    moments: tuple[When, ...] = ("before", "after")
    with ThreadPoolExecutor() as both:
        found = [both.submit(contained, tmp_path / when, effect, when) for when in moments]
    for each in found:
        each.result()


def test_a_leaked_key_is_found_replaced_and_dead_and_never_shown(tmp_path: Path) -> None:
    """Where it is held is said, its value nowhere; once it is dead nobody holds it any more."""
    with Scene(tmp_path, policies=3) as scene:
        fields = scene.vault.fields(scene.names[1])
        told = scene.fed(LEAKED, json.dumps(fields) + "\n")
        assert told.code == 0, told
        document = json.loads(told.out)
        assert [line["policy"] for line in document["policies"]] == ["orders-2"]
        assert "orders-2: in service" in told.err
        assert not any(fields[name] in told.out + told.err for name in ("api_key", "api_secret"))
        with closing(scene.ledger()) as ledger:
            (debt,) = ledger.debts(ended=True)
            assert (debt.reason, debt.phase, debt.key_id) == ("leaked", "dead", fields["key_id"])
        again = scene.fed(LEAKED, f"{fields['api_secret']}\n", LATER)
        assert (again.code, "it is proven dead" in again.err) == (0, True)


def test_a_key_that_nobody_holds_is_said_so_and_nothing_is_done(tmp_path: Path) -> None:
    """With exit code 1; an id alone is no key."""
    with Scene(tmp_path) as scene:
        told = scene.fed(LEAKED, "r4nd0m-and-of-nobody\n")
        assert (told.code, "Nobody holds it: 1 secret was looked at" in told.err) == (1, True)
        told = scene.fed(LEAKED, scene.vault.fields(SECRET)["key_id"])
        assert (told.code, "An id is no secret" in told.err) == (1, True)
        assert not any(each.startswith(("POST /v1/keys", "DELETE")) for each in scene.heard)


def test_a_leaked_key_in_its_grace_dies_at_once_and_nothing_is_rotated(tmp_path: Path) -> None:
    """The key in service is another one; with --revoke-first, too."""
    with Scene(tmp_path) as scene:
        old = scene.vault.fields(SECRET)
        assert scene.run("run-now orders --grace 30m --yes --reason drill").code == 0
        serving = scene.vault.fields(SECRET)
        assert scene.provider.accepts(old)
        told = scene.fed(f"{LEAKED} --revoke-first", f"{old['api_secret']}\n")
        assert (told.code, "orders: in its grace" in told.err) == (0, True), told
        (line,) = json.loads(told.out)["policies"]
        assert (line["state"], line["old_keys"], line["why"]) == (
            "rotated",
            [old["key_id"]],
            f"old key {old['key_id']} proven dead",
        )
        assert scene.vault.fields(SECRET) == serving
        scene.settled()


@pytest.mark.parametrize("more", ["", " --revoke-first"])
def test_a_leaked_key_that_two_secrets_hold_dies_once_neither_needs_it(more: str, tmp_path: Path) -> None:
    """Both are found and rotated; neither waits for the other, and nobody is asked."""
    with Scene(tmp_path, policies=2) as scene:
        shared = scene.vault.fields(SECRET)
        scene.vault.put(scene.names[1], **shared)
        scene.contained = {shared["key_id"]} if more else set()
        with closing(scene.ledger()) as ledger:
            (other,) = [state for state, _ in ledger.secrets() if state.policy == "orders-2"]
            claim = ledger.claim(other.id, "test", timedelta(minutes=1))
            assert claim is not None
            assert other.current is not None
            held = replace(other.current, version="2", key_id=shared["key_id"])
            ledger.commit(claim, Change(replace(other, current=held)))
            ledger.release(claim, ledger.now())
        told = scene.fed(f"{LEAKED}{more}", shared["api_secret"])
        assert told.code == 0, told
        states = [(line["policy"], line["state"]) for line in json.loads(told.out)["policies"]]
        assert sorted(states) == [("orders", "rotated"), ("orders-2", "rotated")]
        assert not scene.provider.accepts(shared)
        now = [scene.vault.fields(name) for name in scene.names]
        assert all(scene.provider.accepts(fields) for fields in now)
        assert len({fields["key_id"] for fields in now}) == 2
        assert scene.wrong == []
        with closing(scene.ledger()) as ledger:
            assert not ledger.debts()
