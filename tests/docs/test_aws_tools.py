"""What people type into Terraform and into AWS's own tool, and what they give to both."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import hcl2
import pytest
from botocore import xform_name

from tests.docs.pages import Block, blocks
from tests.docs.test_blocks import Line, lines, parsed
from tests.terraform.blocks import META, clean, module
from tests.terraform.tool import MODULES, needs_terraform, run

COMMON = {"--region", "--profile", "--output", "--query"}  # of every command of AWS's tool
CUSTOM = {("logs", "tail"): {"--since", "--follow"}}  # made by the tool, in no model (its reference says so)


def given(tool: str) -> list[Line]:
    """The lines that call a tool."""
    return [line for line in lines() if line.words[0] == tool]


@cache
def model(service: str) -> Any:
    """What botocore knows of a service, from which AWS's tool makes its commands."""
    return botocore.session.Session().get_service_model(service)


@pytest.mark.parametrize("line", given("aws"), ids=str)
def test_every_command_of_aws_exists(line: Line) -> None:
    """A command is an operation of its service, and its options are members of the request."""
    _, service, command, *rest = line.words
    used = {word.partition("=")[0] for word in rest if word.startswith("--")}
    if (service, command) in CUSTOM:
        assert used <= CUSTOM[service, command] | COMMON
        return
    known = model(service)
    operations = {xform_name(name, "-"): name for name in known.operation_names}
    members = known.operation_model(operations[command]).input_shape.members
    assert used <= {f"--{xform_name(name, '-')}" for name in members} | COMMON


def told() -> Iterator[tuple[Block, list[str]]]:
    """What containers of a task are to run instead."""
    for block in blocks("json"):
        for one in json.loads(block.text).get("containerOverrides", []):
            yield block, one["command"]
    for page in {block.page for block in blocks("json")}:
        for found in re.findall(r"`(\[\".*?\"\])`", page.read_text()):
            yield Block(page, 0, "json", found), json.loads(found)


@pytest.mark.parametrize(("block", "words"), tuple(told()), ids=str)
def test_a_task_is_told_what_the_program_knows(block: Block, words: list[str]) -> None:
    """What a task runs in place of its own command is a command of ours, with its options."""
    assert parsed(tuple(words))


@pytest.mark.parametrize("block", blocks("hcl"), ids=str)
def test_every_block_of_terraform_fits(block: Block) -> None:
    """It can be parsed; a call gives a module what it needs, and nothing that it does not know."""
    for each in hcl2.loads(block.text).get("module", []):
        for call in clean(each).values():
            wanted = module(MODULES / Path(call["source"]).name).blocks["variable"]
            needed = {name for name, body in wanted.items() if "default" not in body}
            assert needed <= set(call) - META <= set(wanted)


@needs_terraform
@pytest.mark.parametrize("block", blocks("hcl"), ids=str)
def test_every_block_of_terraform_is_formatted(block: Block, tmp_path: Path) -> None:
    """What people copy looks as Terraform writes it."""
    (tmp_path / "main.tf").write_text(block.text)
    assert run(tmp_path, tmp_path, "fmt", "-check", "-diff") == ""


@needs_terraform
@pytest.mark.parametrize("line", given("terraform"), ids=str)
def test_every_command_of_terraform_exists(line: Line, tmp_path: Path) -> None:
    """A command and its options are those that Terraform itself tells of."""
    _, command, *rest = line.words
    said = run(tmp_path, tmp_path, command, "-help")
    assert [word for word in rest if word.startswith("-") and word.partition("=")[0] not in said] == []
