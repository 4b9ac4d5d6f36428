import socket
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import click
import pytest

from rotator.cli import explained, options, run, session
from rotator.errors import LedgerUnusable, NeedsPerson, NotSent, PolicyError, Problem, RotatorError


@pytest.mark.parametrize(
    ("error", "says", "code"),
    [
        (PolicyError((Problem("f.yaml", 3, "Wrong.", "Right it.", "orders"),)), "f.yaml:3", 2),
        (LedgerUnusable("It is gone. [open]"), "It is gone.", 2),
        (LedgerUnusable("It is away. [down]", passing=True), "give the command again", 1),
        (NeedsPerson("k", "It is refused.", todo="Bring another."), "To do: Bring another.", 1),
        (NotSent("connect", "Nobody answers."), "Nobody answers.", 1),
    ],
)
def test_an_error_of_ours_is_a_sentence_and_an_exit_code(error: RotatorError, says: str, code: int) -> None:
    """What a person can mend at the keyboard is 2, what failed or waits is 1; each says what to do."""
    text, found = explained(error)
    assert says in text
    assert found == code


def test_a_fault_names_its_class_and_place_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of the program may hold a secret in its text, so the text is never shown."""

    def fail(_: object) -> NoReturn:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr("rotator.cli.check.book", fail)
    assert run(["validate"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ZeroDivisionError at rotator/cli/check.py:")
    assert "hunter2" not in said


def test_a_command_whose_ledger_is_away_says_that_nothing_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command has ended when it speaks: it promises no second try, and is not called wrong."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens: a connection is refused
        address = f"postgresql://127.0.0.1:{taken.getsockname()[1]}/db"
        (tmp_path / "rotator.yaml").write_text("version: 1\n")
        assert (
            run(["--policies", str(tmp_path / "rotator.yaml"), "--ledger", address, "stop", "--reason", "x"])
            == 1
        )
    said = capsys.readouterr().err
    assert "Nothing was done; give the command again." in said
    assert "by itself" not in said


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C says that what had begun goes on, with exit code 1."""

    def interrupted(_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("rotator.cli.check.book", interrupted)
    assert run(["validate"]) == 1
    assert "goes on" in capsys.readouterr().err


def test_options_that_take_durations_and_tags_say_what_is_right() -> None:
    """A duration is written as in a policy file, a tag as key=value."""
    nothing = click.Context(click.Command("x")), click.Option(["--x"])
    assert options.duration(*nothing, "1d12h") == timedelta(hours=36)
    assert options.duration(*nothing, None) is None
    assert options.tags(*nothing, ("a=b=c",)) == (("a", "b=c"),)
    with pytest.raises(click.BadParameter, match="1d12h"):
        options.duration(*nothing, "tomorrow")
    with pytest.raises(click.BadParameter, match="team=desk-a"):
        options.tags(*nothing, ("team",))


def test_the_heartbeat_lies_beside_the_ledger(tmp_path: Path) -> None:
    """Two workers with two ledgers on one machine do not vouch for each other."""
    given = options.Options("rotator.yaml", f"sqlite:///{tmp_path}/a.db", None)
    assert session.heartbeat(given) == tmp_path / "a.db.heartbeat"
