"""The artefact, unzipped, in an interpreter that has nothing else."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import lambda_zip

POLICIES = """version: 1
stores:
  aws: {type: aws-secrets-manager, region: eu-west-1}
providers:
  build: {type: buildmarkets, base_url: "https://build.example.com", admin: {store: aws, secret: admin}}
policies: []
"""
HEAVY = ("apscheduler", "boto3", "botocore", "click", "httpx", "hvac", "moto", "psycopg", "pydantic", "rich",
         "sentry_sdk", "sqlalchemy", "yaml")  # fmt: skip
SCRIPT = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
from jobs.lambda_handler import handler

def heavy():
    return sorted({{name.partition(".")[0] for name in sys.modules}} & {set(HEAVY)!r})

class Context:
    function_name, aws_request_id = "rotator", "1"
    def get_remaining_time_in_millis(self):
        return 900_000

said = {{"imported": heavy()}}
said["answer"] = handler({{"rotator": "tick"}}, Context())
said["after"] = heavy()
said["from"] = sorted({{
    getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if name in said["after"]
}})
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact, of this environment's packages: the same ones, for this machine."""
    folder = tmp_path_factory.mktemp("artefact")
    tree, there = folder / "tree", folder / "task"
    tree.mkdir()
    (folder / "rotator.yaml").write_text(POLICIES)
    lambda_zip.installed(tree)
    lambda_zip.own(tree)
    lambda_zip.policies(tree, folder / "rotator.yaml")
    lambda_zip.pack(tree, folder / "lambda.zip", zipfile.ZIP_STORED)
    with zipfile.ZipFile(folder / "lambda.zip") as archive:
        archive.extractall(there)
    return there


def test_an_event_runs_from_the_artefact_alone(unzipped: Path, tmp_path: Path) -> None:
    """In a clean interpreter without site-packages; nothing is imported that the event does not need."""
    environment = {
        "ROTATOR_POLICIES": str(unzipped / "policies"),
        "ROTATOR_LEDGER": f"sqlite:///{tmp_path}/l.db",
        "ROTATOR_AUDIT_ANCHOR": str(tmp_path / "anchors"),
        "PATH": os.environ["PATH"],
    }
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", SCRIPT, str(unzipped)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = json.loads(ran.stdout)
    assert said["imported"] == []
    assert said["answer"]["good"]
    assert said["after"] == ["pydantic", "sqlalchemy", "yaml"]
    assert all(file.startswith(str(unzipped)) for file in said["from"])


def test_what_no_worker_needs_stays_out(unzipped: Path) -> None:
    """Neither the demo and the fakes nor scripts and caches; policies and our version are there."""
    assert not {"bin", "moto", "tests"} & {path.name for path in unzipped.iterdir()}
    assert not {"lab", "testing"} & {path.name for path in (unzipped / "rotator").iterdir()}
    assert not list(unzipped.rglob("__pycache__"))
    assert (unzipped / "policies" / "rotator.yaml").is_file()
    assert list(unzipped.glob("rotator-*.dist-info/METADATA"))


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    """Whenever and wherever they were written."""
    made = []
    for name, when in (("one", 1_000_000_000), ("two", 1_700_000_000)):
        tree = tmp_path / name
        tree.mkdir()
        lambda_zip.own(tree)
        for path in tree.rglob("*.py"):
            os.utime(path, (when, when))
            path.chmod(0o600 if name == "one" else 0o644)
        lambda_zip.pack(tree, tmp_path / f"{name}.zip")
        made.append((tmp_path / f"{name}.zip").read_bytes())
    assert made[0] == made[1]


def test_a_package_that_lambda_would_refuse_is_told_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody uploads it."""
    (tmp_path / "tree").mkdir()
    lambda_zip.own(tmp_path / "tree")
    monkeypatch.setattr(lambda_zip, "MOST", 1000)
    with pytest.raises(SystemExit, match="Lambda takes"):
        lambda_zip.pack(tmp_path / "tree", tmp_path / "out.zip")


def test_the_runtime_is_the_module_s() -> None:
    """Packages are compiled for one Python: the artefact's is that of the Terraform module."""
    module = (lambda_zip.ROOT / "terraform" / "modules" / "lambda" / "main.tf").read_text()
    assert f'"python{lambda_zip.PYTHON}"' in module
    assert '"jobs.lambda_handler.handler"' in module
