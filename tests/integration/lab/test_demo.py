import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from rotator import policies
from rotator.lab import closing, demo
from rotator.lab.cast import BROUGHT, CAST, FAILS, LEAKED, STAYS, TOKENS, TWICE, part_of, provider_of
from rotator.lab.person import Person
from rotator.lab.scene import Scene, ours
from rotator.lab.screen import Row, Screen, short
from rotator.model import Event


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Everything set up, and no worker started."""
    with Scene() as scene:
        yield scene


def broken(scene: Scene) -> list[str]:
    """The rules that do not hold."""
    return [finding.rule for finding in closing.findings(scene) if not finding.holds]


def test_the_demos_policies_are_valid(scene: Scene) -> None:
    """The policy file of the demo is one that rotator accepts, before and after it is made calm."""
    before = policies.load(scene.policies).policies
    scene.calm()
    after = policies.load(scene.policies).policies
    assert [policy.name for policy in before] == [policy.name for policy in after]
    names = {part.policy for part in CAST}
    assert {policy.name for policy in before} == names > {FAILS, LEAKED, TWICE, BROUGHT, STAYS}
    assert {policy.every.days for policy in after if policy.every} == {30, 90, 180}
    assert {policy.name for policy in after if policy.renew} == {part.policy for part in TOKENS}


def test_the_demo_shows_every_provider_and_half_of_the_secrets_in_vault(scene: Scene) -> None:
    """Each type of provider has policies; each store holds half of the secrets, admin secrets included."""
    book = policies.load(scene.policies)
    assert {policy.provider.type for policy in book.policies} == {
        local.type_name for local in scene.lab.providers
    }
    kept = [policy.target.store.name for policy in book.policies]
    kept += [ref.admin.store.name for ref in book.providers.values() if ref.admin]
    assert kept.count("vault") == kept.count("aws") == 6


def test_the_scene_is_as_if_rotator_came_later(scene: Scene) -> None:
    """Secrets hold keys that work and that nobody issued by request; one has no version yet."""
    for part in CAST:
        fields, local = scene.current(part), provider_of(part, scene.lab)
        assert local.accepts(fields) == (part.before == "key")
        assert [ours(key, part) for key in local.keys("initial", "foreign")].count(True) == bool(fields)
        if fields:
            assert scene.initial_key(part) in fields.values()
        assert [one.key.live for one in scene.keys(part)] == [True] * bool(fields)
    assert {bool(scene.current(part)) for part in CAST} == {True, False}


def test_the_closing_table_tells_what_is_wrong(scene: Scene) -> None:
    """A rule that does not hold is named: a missing key, a dead foreign key, a value in a file."""
    assert broken(scene) == [
        "each secret has exactly one live key of ours",
        "what Vault holds is accepted by the providers",
    ]
    scene.stores.vault.put(f"rotator/pending/0a1b2c3d/{part_of(BROUGHT).secret}/r1", value="left")
    local = scene.lab.fattail
    local.withdraw(local.keys("foreign")[0].key_id)
    (scene.folder / "some.log").write_text(local.admin["session"])
    assert broken(scene)[2:] == [
        "nothing is left pending in Vault",
        "keys of others were not touched",
        "no secret value is in the ledger, the logs or the output",
    ]


def test_what_a_person_brings_comes_into_service(scene: Scene) -> None:
    """A credential issued by hand is given to the real command on standard input, and is nowhere else."""
    brought = scene.lab.figure.issue_by_hand(f"{BROUGHT} by a person")
    command = scene.command("submit", BROUGHT, "--json", given=brought)
    command.process.wait(60)
    assert command.code == 0, command.text()
    now = scene.current(part_of(BROUGHT))
    assert now == {**now, **brought, **part_of(BROUGHT).others}
    assert "no secret value is in the ledger, the logs or the output" not in broken(scene)
    assert [one.name for one in scene.keys(part_of(BROUGHT)) if one.key.live][1] == brought["client_id"]


def test_a_person_revokes_when_asked_and_not_before(scene: Scene) -> None:
    """The old key lives until the worker asks for its end; the person's click ends that key alone."""
    happened: dict[str, list[Event]] = {part.policy: [] for part in CAST}
    with Screen(Console(file=io.StringIO(), width=80), happened) as screen:
        person = Person(scene, screen)
        person.act(happened)
        assert [one.key.live for one in scene.keys(part_of(BROUGHT))] == [True]
        happened[BROUGHT].append(Event("s", "blocked", "", data={"error": "a-person-must-revoke"}))
        person.act(happened)
    (old,) = scene.keys(part_of(BROUGHT))
    assert (old.name, old.key.live) == (person.revoked, False)


def test_a_token_goes_by_its_end(scene: Scene) -> None:
    """Tokens have no id: the demo finds the one in the secret at its provider, and shows when it ends."""
    part, local = TOKENS[0], scene.lab.figure
    scene.note_token(part, "1700000000")
    assert scene.keys(part) == []
    token = local._mint(next(iter(local._keys.values())))
    scene.stores.vault.put(part.secret, **token.fields)
    scene.note_token(part, "1700000000")
    (one,) = scene.keys(part)
    assert (one.name, one.key.key_id, one.key.live) == ("1700000000", token.key_id, True)
    assert short(one.name) == "till-22:13:20"


def test_the_scene_leaves_nothing_behind() -> None:
    """At its end commands have ended, however far they were, and the folder is gone."""
    with Scene() as scene:
        folder, command = scene.folder, scene.command("daemon", "--tick", "1s")
    assert not folder.exists()
    assert command.code is not None


def test_without_a_terminal_there_are_lines(tmp_path: Path) -> None:
    """Where there is no terminal each event is one line, its key's id shortened, and no table is drawn."""
    out = io.StringIO()
    with Screen(Console(file=out, width=80), ["a-policy"]) as screen:
        data = {"policy": "a-policy", "key_id": "key-0123456789abcdef"}
        screen.event(Event("s", "issued", "the provider issued key key-0123456789abcdef", data=data))
        screen.event(Event("s", "retry", "not shown", data=data))
        screen.show([Row("a-policy", "build", "aws", "current", [("key-1", "current")], 0)])
    assert [line.split(None, 1)[1] for line in out.getvalue().splitlines()] == [
        "a-policy  issued    the provider issued key 01234567"
    ]


def test_what_a_person_must_do_is_shown_in_lines_that_fit() -> None:
    """A long event is folded under itself, what is to be done stands below, and wide tables are cut."""
    out = io.StringIO()
    with Screen(Console(file=out, width=80), ["a-policy"]) as screen:
        todo = " ".join(["click"] * 30)
        screen.event(Event("s", "blocked", f"{'word ' * 20}. To do: {todo}", data={"policy": "a-policy"}))
        screen.quote(f"NAME  {'x' * 100}")
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if "| To do: click click" in line]
    assert lines[-1].endswith("x…")


def test_a_daemon_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the daemon ends at once, the demo says so, shows the end of its log, and fails."""
    out = io.StringIO()
    started = Scene.command
    monkeypatch.setattr(Scene, "command", lambda scene, *_: started(scene, "daemon", "--tick", "nonsense"))
    assert demo.run(Console(file=out, width=200)) == 1
    assert "The daemon did not start." in out.getvalue()
    assert "This is not a duration." in out.getvalue()
