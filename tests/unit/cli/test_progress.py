import io

import pytest
from rich.console import Console

from rotator.cli.progress import MOST, Progress, _drawn
from rotator.incident.coverage import Coverage, Outcome

WORKING = [Outcome(f"p{number}", Coverage.WORKING, "verifying") for number in range(40)]


def test_away_from_a_terminal_only_changes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each step is one line on standard error, once; standard output is for the result alone."""
    with Progress(1) as progress:
        for _ in range(3):
            progress.show([Outcome("orders", Coverage.WORKING, "verifying")])
        progress.show([Outcome("orders", Coverage.ROTATED, "grace\x1b[2J")])
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "orders: working: verifying",
        "orders: rotated: grace\N{REPLACEMENT CHARACTER}[2J",
    ]
    assert said.out == ""


def test_a_large_order_fits_a_terminal() -> None:
    """What is under way is drawn first and cut to fit; the title counts everything."""
    text = io.StringIO()
    done = Outcome("done", Coverage.ROTATED, "[bold]grace[/bold]")
    Console(file=text, width=100).print(_drawn([done, *WORKING], "1 rotated, 40 working"))
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("1 rotated, 40 working")
    assert len(lines) == MOST + 2
    assert "done" not in text.getvalue()


def test_a_board_says_why_some_are_not_covered() -> None:
    """What most have in common comes first, under what is under way; the counts stand in one line."""
    text = io.StringIO()
    failed = [Outcome(f"f{number}", Coverage.FAILED, "the provider is down") for number in range(3)]
    other = Outcome("o", Coverage.WAITING, "adopt it")
    summary = "1 waiting for a person, 3 failed, 12 working, 984 not begun; 11 a minute, about 1m35s left"
    Console(file=text, width=100).print(_drawn([other, *failed, *WORKING[:12]], summary))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert lines[0] == summary
    assert lines[-2:] == ["3 x the provider is down", "1 x adopt it"]
