import importlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import click
import pytest
import yaml

from rotator import consumers
from rotator.cli import run
from rotator.cli.root import COMMANDS, Lazy
from rotator.policies import Book, load
from rotator.stores.aws_secrets_manager import RIGHTS, ROLE_RIGHTS
from rotator.telemetry import logs
from tests.docs.pages import ROOT, Block, blocks

EXAMPLE = next(block for block in blocks("yaml") if block.page.name == "policies.md")
"""The file that the shorter blocks are parts of, as docs/policies.md says."""

TOOLS = {
    "aws",
    "docker",
    "kubectl",
    "make",
    "openssl",
    "pip",
    "terraform",
}  # what blocks may call besides rotator
OFFLINE = {"validate", "schema", "plan", "status", "history", "health"}  # and run-now --dry-run


# --- YAML -------------------------------------------------------------------------------------------------


def parts(text: str, indent: str = "") -> dict[str, str]:
    """The text of each section, or of each entry below one, by its name."""
    found = re.split(rf"^{indent}([\w-]+):", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def completed(block: Block) -> str:
    """A block as a whole file: sections that it does not show are the example's, without its policies.

    It is put together as text, so that what a person wrote is read as it stands.
    """
    if block.text.startswith("version:"):
        return block.text
    own, example = parts(block.text), parts(EXAMPLE.text)
    for section in ("stores", "providers"):
        entries = {**parts(example[section], "  "), **parts(own.get(section, ""), "  ")}
        own[section] = "\n" + "".join(f"  {name}:{text}" for name, text in entries.items())
    whole = {**example, "policies": " []\n", **own}
    return "".join(f"{name}:{text}" for name, text in whole.items())


def loaded(folder: Path, text: str) -> Book:
    """The policies of a file with this text."""
    file = folder / "rotator.yaml"
    file.write_text(text)
    file.chmod(0o600)
    return load(file)


POLICIES = [block for block in blocks("yaml") if not block.text.startswith("apiVersion:")]
"""The others are Kubernetes': tests/integration/kubernetes applies them."""


@pytest.mark.parametrize("block", POLICIES, ids=str)
def test_every_policy_in_the_docs_is_right(block: Block, tmp_path: Path) -> None:
    """What people copy from a page is accepted: whole files as they stand, parts within the example."""
    book = loaded(tmp_path, completed(block))
    assert {policy["name"] for policy in yaml.safe_load(block.text).get("policies", [])} == set(book.by_name)


def test_the_readme_shows_a_whole_file() -> None:
    """The first policy that people meet can be copied as it is."""
    assert [
        block.text.startswith("version: 1\n") for block in blocks("yaml") if block.page.name == "README.md"
    ] == [True]


# --- JSON -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_json_block_is_json(block: Block) -> None:
    """A block that is called JSON can be parsed."""
    assert json.loads(block.text)


def actions(page: str) -> set[str]:
    """The IAM actions that a page tells people to allow."""
    statements = [
        one
        for block in blocks("json")
        if block.page.name == page
        for one in json.loads(block.text).get("Statement", ())
    ]
    named = [one["Action"] for one in statements]
    return {each for action in named for each in ([action] if isinstance(action, str) else action)}


def test_the_rights_are_those_of_the_adapter() -> None:
    """The rights that people are told to give are those that the adapter declares, no more and no fewer."""
    assert actions("aws-secrets-manager.md") == RIGHTS | ROLE_RIGHTS
    declared = (consumers.adapter(kind).RIGHTS for kind in consumers.names())
    assert actions("consumers.md") == set().union(*declared)


# --- commands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One command of a block, without what it is fed and where it writes."""

    block: Block
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block} {' '.join(self.words)}"


def lines() -> Iterator[Line]:
    """Every command in every shell block, each part of a pipe by itself."""
    for block in blocks("sh"):
        for text in block.text.replace("\\\n", " ").splitlines():
            split = shlex.shlex(text, posix=True, punctuation_chars=True)
            split.whitespace_split = True
            for pipe, part in groupby(split, lambda word: word == "|"):
                words = list(part)
                end = next((at for at, word in enumerate(words) if word and set(word) <= set("<>&;")), None)
                if not pipe:
                    yield Line(block, tuple(words[:end]))


def quoted() -> Iterator[Line]:
    """Every command in the running text that names its options."""
    for page in {block.page for block in blocks()}:
        for found in re.findall(r"`(rotator [a-z][^`]*)`", page.read_text()):
            if "--" in found:
                yield Line(Block(page, 0, "", ""), tuple(shlex.split(found)))


def parsed(words: tuple[str, ...]) -> click.Command:
    """The command that words mean, its arguments checked by click itself; nothing is run."""
    group = importlib.import_module("rotator.cli.root").rotator
    assert isinstance(group, Lazy)
    with group.make_context("rotator", list(words)) as context:
        rest = [*context._protected_args, *context.args]
        name, command, own = group.resolve_command(context, rest)
        assert command is not None
        with command.make_context(name, own, parent=context):
            return command


@pytest.mark.parametrize("line", tuple(lines()), ids=str)
def test_every_command_in_the_docs_exists(line: Line) -> None:
    """A command, its options and arguments are those of the program, or words of the Makefile."""
    tool, *words = line.words
    if tool == "rotator":
        parsed(tuple(words))
    elif tool == "make":
        made = (ROOT / "Makefile").read_text()
        named = [rf"^{word}:" if "=" not in word else rf"\$\({word.partition('=')[0]}\)" for word in words]
        assert all(re.search(name, made, re.MULTILINE) for name in named)
    else:
        assert tool in TOOLS


@pytest.mark.parametrize("line", sorted(quoted(), key=str), ids=str)
def test_every_command_in_a_sentence_exists(line: Line) -> None:
    """Options that the text names are options of that command."""
    words = list(line.words[1:])
    assert words[0] in COMMANDS
    command = importlib.import_module(f"rotator.cli.{COMMANDS[words[0]]}")
    known = {name for each in getattr(command, words[0].replace("-", "_")).params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= known


def offline() -> Iterator[Line]:
    """The commands that need no network."""
    for line in lines():
        if line.words[0] == "rotator" and (OFFLINE & set(line.words) or "--dry-run" in line.words):
            yield line


@pytest.mark.parametrize("line", tuple(offline()), ids=str)
def test_commands_that_need_no_network_work(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed beside the page's own policy file, they end with the code that the pages promise."""
    page = next(block for block in blocks("yaml") if block.page.name == "README.md")
    folder = tmp_path / "policies"
    folder.mkdir(mode=0o700)
    for place in (tmp_path, folder):
        loaded(place, page.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        logs, "configure", lambda *_args, **_more: None
    )  # it would last as long as this process
    monkeypatch.setenv("ROTATOR_LEDGER", f"sqlite:///{tmp_path}/ledger.sqlite")
    assert run(line.words[1:]) == (1 if "health" in line.words else 0)
    assert "".join(capsys.readouterr())


def test_every_block_has_a_language_that_is_checked() -> None:
    """A block is YAML, JSON, HCL, shell or Python, which are tried, or text that is only read."""
    assert {block.language for block in blocks()} <= {"yaml", "json", "hcl", "sh", "text", "python"}
