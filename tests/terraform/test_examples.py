"""The worked examples: whole, with policies that rotator accepts, and every module in one of them."""

import shutil
from pathlib import Path

import pytest

from rotator.policies import load
from tests.terraform.blocks import LIBRARY, Module, module
from tests.terraform.tool import EXAMPLES, MODULES, needs_terraform, planned

NAMED = tuple(sorted(folder for folder in EXAMPLES.iterdir() if folder.is_dir()))


def name(folder: Path) -> str:
    """An example as it is named in a failure."""
    return folder.name


def reached(one: Module) -> set[Path]:
    """The folders of all modules that a module calls, and those call."""
    found = {one.folder}
    for call in one.blocks.get("module", {}):
        found |= reached(one.called(call))
    return found


def test_each_way_to_run_has_an_example() -> None:
    """A service, a scheduled task, a function; and no module without an example that uses it."""
    assert [folder.name for folder in NAMED] == ["ecs-cron", "ecs-daemon", "lambda"]
    used = set[Path]().union(*(reached(module(folder)) for folder in NAMED))
    assert set(LIBRARY) <= used


@needs_terraform
@pytest.mark.parametrize("folder", NAMED, ids=name)
def test_the_policies_of_an_example_are_right(folder: Path, tmp_path: Path) -> None:
    """They are accepted by the worker, and Terraform draws rights from the same folder for each policy."""
    copy = tmp_path / "policies"
    shutil.copytree(folder / "policies", copy)
    for one in (copy, *copy.iterdir()):
        one.chmod(0o700)
    book = load(copy)
    given = {"policies": str(folder / "policies"), "account_id": "123456789012"}
    assert set(planned(MODULES / "iam" / "rights", tmp_path, given)["secrets"]) == set(book.by_name)


def test_no_example_opens_a_way_in() -> None:
    """Nothing of ours listens: nobody is let in but to the database, and no task has a public address."""
    for folder in LIBRARY:
        made = module(folder).blocks.get("resource", {})
        assert {one for one in made if "ingress" in one} <= {"aws_vpc_security_group_ingress_rule.database"}
        assert "assign_public_ip = true" not in module(folder).text


@pytest.mark.parametrize("kind", ["ecs-daemon", "ecs-cron"])
def test_the_image_keeps_the_owner_of_its_state(kind: str) -> None:
    """A volume that Fargate makes is root's unless the image names it; nobody may change the policies."""
    lines = (EXAMPLES / kind / "Dockerfile").read_text().splitlines()
    assert 'VOLUME ["/var/lib/rotator"]' in lines
    assert "COPY --chmod=0555 policies /etc/rotator" in lines
    assert not [line for line in lines if line.startswith("USER")]
