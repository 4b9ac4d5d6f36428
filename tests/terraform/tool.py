"""Terraform itself, offline: modules without a provider can be evaluated anywhere."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT

TERRAFORM = ROOT / "terraform"
MODULES = TERRAFORM / "modules"
EXAMPLES = TERRAFORM / "examples"
FILES = tuple(sorted(TERRAFORM.rglob("*.tf")))

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="there is no `terraform` on PATH"
)


class WrongError(Exception):
    """Terraform refused; what it said."""


def run(folder: Path, data: Path, *words: str) -> str:
    """What a command prints, run in ``folder``; what Terraform keeps is in ``data``. Raises WrongError."""
    settings = data / "settings"
    settings.touch()
    ran = subprocess.run(
        ["terraform", f"-chdir={folder}", *words],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(data),
            "TF_DATA_DIR": str(data / "terraform"),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        },
    )
    if ran.returncode:
        raise WrongError(ran.stdout + ran.stderr)
    return ran.stdout


def planned(folder: Path, data: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a module without a provider, by name, as Terraform plans them; None while unknown."""
    given, plan = data / "given.tfvars.json", data / "plan"
    given.write_text(json.dumps(variables))
    run(folder, data, "plan", "-input=false", "-no-color", f"-var-file={given}", f"-out={plan}")
    told = json.loads(run(folder, data, "show", "-json", str(plan)))
    return {name: one.get("value") for name, one in told["planned_values"]["outputs"].items()}
