"""What people type into other tools: its options, and the command of ours that it hands on."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import takewhile

import pytest

from tests.docs.test_blocks import Line, lines, parsed

CONTAINER = "rotator"
IMAGE = re.compile(rf"{CONTAINER}:[\d.]+")


def given(tool: str) -> list[Line]:
    """The lines that call a tool."""
    return [line for line in lines() if line.words[0] == tool]


def handed_on() -> Iterator[Line]:
    """What is to be done within a container, in words of ours."""
    for line in given("kubectl"):
        if "--" in line.words:
            inside = line.words[line.words.index("--") + 1 :]
            bare = [word for word in inside if word != "env" and "=" not in word.partition(" ")[0]]
            yield Line(line.block, tuple(bare))
    for line in given("docker"):
        if line.words[1] == "exec":
            yield Line(line.block, line.words[line.words.index(CONTAINER) + 1 :])
        elif line.words[1] == "run":
            image = next(at for at, word in enumerate(line.words) if IMAGE.fullmatch(word))
            yield Line(line.block, (CONTAINER, *line.words[image + 1 :]))


@pytest.mark.parametrize("line", tuple(handed_on()), ids=str)
def test_what_a_container_is_told_exists(line: Line) -> None:
    """The command is rotator, and known with its options; without one it is the image's own."""
    program, *words = line.words
    assert program == CONTAINER
    assert not words or parsed(tuple(words))


@cache
def said(*words: str) -> str:
    """What a tool says of itself; nothing is called for that."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def own(line: Line) -> tuple[str, ...]:
    """The words of a line that are the tool's own."""
    if line.words[:2] == ("docker", "exec"):
        return line.words[: line.words.index(CONTAINER)]
    end = "--" if line.words[0] == "kubectl" else IMAGE.pattern
    return tuple(takewhile(lambda word: not re.fullmatch(end, word), line.words))


@pytest.mark.parametrize("line", [*given("kubectl"), *given("docker")], ids=str)
def test_options_of_other_tools_exist(line: Line) -> None:
    """A command's options are those that the tool itself tells of, here where it is installed."""
    tool = line.words[0]
    if shutil.which(tool) is None:
        pytest.skip(f"there is no `{tool}` on PATH")
    command = takewhile(lambda word: not word.startswith("-"), own(line))
    known = said(*command, "--help") + (said(tool, "options") if tool == "kubectl" else "")
    used = [word.partition("=")[0] for word in own(line) if word.startswith("--")]
    assert [name for name in used if not re.search(rf"{name}[=, \n]", known)] == []
