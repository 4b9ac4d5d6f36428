import json

import pytest

from rotator import __version__
from rotator.cli.root import COMMANDS
from tests.acceptance.executable import GOOD, Executable


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(rotator: Executable, command: str) -> None:
    """--help of a command says what it does, with an example, and needs no policies."""
    answer = rotator(command, "--help")
    assert answer.code == 0
    assert "Usage: rotator" in answer.out
    assert "Example" in answer.out
    assert f"rotator {command}" in answer.out or "rotator --policies" in answer.out


def test_version_and_help(rotator: Executable) -> None:
    """The version is one line; the help lists every command."""
    assert rotator("--version").out == f"rotator {__version__}\n"
    listed = rotator("--help").out
    assert all(f"  {command} " in listed for command in COMMANDS)


@pytest.mark.parametrize("line", ["validate", "plan", "status", "status orders", "history orders"])
def test_reports_are_one_json_document(rotator: Executable, line: str) -> None:
    """--json prints one document on standard output, and reading makes no ledger."""
    rotator.policies(GOOD)
    answer = rotator(*line.split(), "--json")
    assert answer.code == 0
    assert isinstance(json.loads(answer.out), dict)
    assert rotator.left() == {"rotator.yaml"}


def test_what_is_wrong_is_a_document_too(rotator: Executable) -> None:
    """With --json validate tells every problem with file, line, policy and remedy; exit code 2."""
    rotator.policies(GOOD.replace("every: 30d", "every: soon").replace("grace: 24h", "grace: never"))
    answer = rotator("validate", "--json")
    problems = json.loads(answer.out)["problems"]
    assert answer.code == 2
    assert [problem["policy"] for problem in problems] == ["orders", "orders"]
    assert all(problem["file"] and problem["line"] and problem["remedy"] for problem in problems)


def test_the_schema_is_json(rotator: Executable) -> None:
    """Editors read the schema as it is printed."""
    assert "properties" in json.loads(rotator("schema").out)


def test_what_is_wrong_at_run_time_is_told_with_exit_code_1(rotator: Executable) -> None:
    """A store that cannot be reached is no fault of the command line: it is told, and the code is 1."""
    rotator.policies(GOOD)
    answer = rotator("run-now", "orders", "--reason", "x", "--yes", "--wait", "1s", "--json", env=AWS)
    assert answer.code == 1
    assert json.loads(answer.out)["counts"]["not covered"] == 1
    assert "Traceback" not in answer.all


AWS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "NO_PROXY": "*"}


def test_health_is_an_exit_code(rotator: Executable) -> None:
    """Without a worker's heartbeat a health check fails, and says why."""
    answer = rotator("health")
    assert answer.code == 1
    assert "heartbeat" in answer.err
