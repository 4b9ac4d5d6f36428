import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rotator.cli.root import rotator
from tests.docs.pages import ROOT

_NAMED = re.compile(r"\brotator ((?:--\w+ )*[a-z][a-z-]*)((?: [^\s`;|]+)*)")
_PLACEHOLDER = re.compile(r"[A-Z]+$|.*[\d-]|[\"'…]")
_NEEDS = {"run-now": "reason", "rollback": "reason", "stop": "reason"}
"""What a command asks for by itself, after its options were parsed."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a source file that is no docstring; what is filled in stands as NAME."""
    tree = ast.parse(path.read_text())
    inside = {id(part) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for part in one.values}
    docs = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for one in ast.walk(tree):
        if isinstance(one, ast.JoinedStr):
            parts = (str(each.value) if isinstance(each, ast.Constant) else "NAME" for each in one.values)
            yield one.lineno, "".join(parts)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in inside | docs:
            yield one.lineno, one.value


def typed(text: str) -> Iterator[list[str]]:
    """Each command with options or arguments that a text names, up to where its prose goes on."""
    for found in _NAMED.finditer(text.replace('"new employee saw it"', "TEXT")):
        line = [found[1]]
        for word in found[2].split():
            bare = word.rstrip(".,:)\"'")
            if not (_PLACEHOLDER.match(bare) or _takes_value(line[-1]) or _is_part(line[0], bare)):
                break
            line.append(bare)
            if bare != word:
                break
        bare = len(line) == 1 and text[found.end(1) : found.end(1) + 1] == "`"  # the command's name alone
        if _command(line) is not None and (len(line) > 1 or line[0] in _NEEDS) and not bare:
            yield line


def _takes_value(word: str) -> bool:
    return word in ("--admin", "--channel", "--html", "--issued-before", "--policies", "--provider")


def _is_part(group: str, word: str) -> bool:
    """Whether a word names a command of a group."""
    found = rotator.get_command(click.Context(rotator), group)
    return isinstance(found, click.Group) and found.get_command(click.Context(found), word) is not None


def _command(line: list[str]) -> click.Command | None:
    return rotator.get_command(click.Context(rotator), line[0])


NAMED = [
    pytest.param(line, id=f"{path.relative_to(ROOT)}:{number} {' '.join(line)}")
    for path in sorted((ROOT / "rotator").rglob("*.py"))
    if path.parent.name != "testing"
    for number, text in texts(path)
    for line in typed(text)
]


@pytest.mark.parametrize("line", NAMED)
def test_a_command_that_a_message_names_works_as_typed(line: list[str]) -> None:
    """Its options exist, and what it needs is named."""
    command = _command(line)
    assert command is not None
    context = command.make_context(line[0], line[1:])
    needed = _NEEDS.get(line[0])
    assert needed is None or context.params[needed] or context.params.get("dry_run")


def test_messages_name_commands() -> None:
    """The commands that people are told most are among those that were found."""
    assert {"run-now", "settle", "submit", "adopt", "resume"} <= {one.values[0][0] for one in NAMED}  # type: ignore[index]
