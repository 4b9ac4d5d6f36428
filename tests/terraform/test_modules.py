"""Every file of Terraform's: it can be read, is formatted, and refers to nothing that is not there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from rotator.ledger import dynamodb
from tests.docs.pages import ROOT
from tests.terraform.blocks import FOLDERS, LIBRARY, META, module
from tests.terraform.tool import FILES, MODULES, TERRAFORM, needs_terraform, run


def shown(path: Path) -> str:
    """A path as it is named in a failure."""
    return str(path.relative_to(TERRAFORM))


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_every_file_can_be_parsed(file: Path) -> None:
    """A file is HCL, whoever reads it."""
    assert hcl2.loads(file.read_text())


@needs_terraform
def test_every_file_is_formatted(tmp_path: Path) -> None:
    """As `terraform fmt` would write it."""
    assert run(TERRAFORM, tmp_path, "fmt", "-check", "-recursive", "-diff") == ""


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_what_is_named_is_declared(folder: Path) -> None:
    """Variables, locals, resources and data that a module names are its own, and none is left over."""
    own = module(folder)
    assert own.used(r"\bvar\.(\w+)") == own.names("variable")
    assert own.used(r"\blocal\.(\w+)") == own.names("locals")
    assert own.used(r"\bdata\.(aws_\w+\.\w+)") == own.names("data")
    assert own.used(r"(?<!data\.)\b(aws_\w+\.\w+)") <= own.names("resource")


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_calls_fit_the_modules(folder: Path) -> None:
    """A call gives a module what it needs, nothing that it does not know, and takes outputs that it has."""
    own = module(folder)
    for name, call in own.blocks.get("module", {}).items():
        wanted = own.called(name).blocks["variable"]
        needed = {one for one, body in wanted.items() if "default" not in body}
        assert needed <= set(call) - META <= set(wanted), name
    for name, output in re.findall(r"\bmodule\.(\w+)\.(\w+)", own.text):
        assert output in own.called(name).names("output")


@pytest.mark.parametrize("folder", LIBRARY, ids=shown)
def test_modules_explain_themselves(folder: Path) -> None:
    """Each variable has a type and a sentence, each output a sentence, each module its versions."""
    own = module(folder)
    assert {
        name
        for name, body in own.blocks.get("variable", {}).items()
        if not {"type", "description"} <= set(body)
    } == set()
    assert {name for name, body in own.blocks.get("output", {}).items() if "description" not in body} == set()
    assert 'required_version = ">= 1.9, < 2.0"' in own.text
    assert bool(own.names("resource")) == ('source  = "hashicorp/aws"' in own.text)


@needs_terraform
@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_terraform_reads_each_module(folder: Path, tmp_path: Path) -> None:
    """Terraform's own reading of a folder, and of what it calls, finds nothing wrong."""
    run(folder, tmp_path, "get", "-no-color")


def _table() -> Any:
    return module(MODULES / "state").blocks["resource"]["aws_dynamodb_table.ledger"]


def test_the_table_is_that_of_the_ledger() -> None:
    """Keys, attributes and indexes are those that the ledger asks for."""
    told, made = dynamodb.TABLE, _table()
    assert made["billing_mode"] == told["BillingMode"]
    assert [made["hash_key"], made["range_key"]] == [one["AttributeName"] for one in told["KeySchema"]]
    assert {one["name"]: one["type"] for one in made["attribute"]} == {
        one["AttributeName"]: one["AttributeType"] for one in told["AttributeDefinitions"]
    }
    assert [
        (one["name"], [one["hash_key"], one["range_key"]], one["projection_type"], one["non_key_attributes"])
        for one in made["global_secondary_index"]
    ] == [
        (
            one["IndexName"],
            [key["AttributeName"] for key in one["KeySchema"]],
            one["Projection"]["ProjectionType"],
            one["Projection"]["NonKeyAttributes"],
        )
        for one in told["GlobalSecondaryIndexes"]
    ]


def test_the_ledger_is_hard_to_lose() -> None:
    """The table is encrypted with our key, can be put back to any second, and is not deleted by chance."""
    made = _table()
    assert made["deletion_protection_enabled"] is True
    assert made["point_in_time_recovery"] == [{"enabled": True}]
    assert made["server_side_encryption"] == [{"enabled": True, "kms_key_arn": "${aws_kms_key.this.arn}"}]
    assert made["lifecycle"] == [{"prevent_destroy": True}]
    assert module(MODULES / "state").blocks["resource"]["aws_kms_key.this"]["enable_key_rotation"] is True


CHECKOV = ROOT / ".venv" / "scan" / "bin" / "checkov"


@pytest.mark.skipif(not CHECKOV.exists(), reason="there is no scanner: `make scan` installs it, and runs it")
def test_the_scanner_finds_nothing() -> None:
    """Checkov's rules hold for every resource, but for the exceptions that say why."""
    words = [
        "--directory",
        str(TERRAFORM),
        "--framework",
        "terraform",
        "--quiet",
        "--compact",
        "--skip-download",
    ]
    ran = subprocess.run([CHECKOV, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_every_exception_says_why() -> None:
    """A rule of the scanner's that is left out is followed by a reason."""
    found = [line.strip() for file in FILES for line in file.read_text().splitlines() if "checkov:" in line]
    assert found
    assert [line for line in found if not re.fullmatch(r"#checkov:skip=CKV2?_AWS_\d+:\w.{20,}", line)] == []
