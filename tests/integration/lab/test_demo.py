import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from rotator import policies
from rotator.lab import closing, demo
from rotator.lab.cast import CAST, FAILS, LEAKED, TWICE, provider_of
from rotator.lab.scene import Scene, ours
from rotator.lab.screen import Row, Screen
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
    assert {policy.name for policy in before} == {part.policy for part in CAST} > {FAILS, LEAKED, TWICE}
    assert {str(policy.every) for policy in after} == {"30 days, 0:00:00"}


def test_the_scene_is_as_if_rotator_came_later(scene: Scene) -> None:
    """Secrets hold keys that work and that nobody issued by request; one has no version yet."""
    for part in CAST:
        fields, local = scene.current(part), provider_of(part, scene.lab)
        assert local.accepts(fields) == (part.before == "key")
        assert [ours(key, part) for key in local.keys("initial", "foreign")].count(True) == bool(fields)
        if fields:
            assert scene.initial_key(part) in fields.values()
    assert {bool(scene.current(part)) for part in CAST} == {True, False}


def test_the_closing_table_tells_what_is_wrong(scene: Scene) -> None:
    """A rule that does not hold is named: a missing key, a dead foreign key, a value in a file."""
    assert broken(scene) == [
        "each secret has exactly one live key of ours",
        "what consumers read is accepted by the provider",
    ]
    local = scene.lab.fattail
    local.withdraw(local.keys("foreign")[0].key_id)
    (scene.folder / "some.log").write_text(local.admin["session"])
    assert broken(scene)[2:] == [
        "keys of others were not touched",
        "no secret value is in the ledger, the logs or the output",
    ]


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
        screen.show([Row("a-policy", "build", "current", [("key-1", "current")], 0)])
    assert [line.split(None, 1)[1] for line in out.getvalue().splitlines()] == [
        "a-policy  issued    the provider issued key 01234567"
    ]


def test_a_daemon_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the daemon ends at once, the demo says so, shows the end of its log, and fails."""
    out = io.StringIO()
    started = Scene.command
    monkeypatch.setattr(Scene, "command", lambda scene, *_: started(scene, "daemon", "--tick", "nonsense"))
    assert demo.run(Console(file=out, width=200)) == 1
    assert "The daemon did not start." in out.getvalue()
    assert "This is not a duration." in out.getvalue()
