"""A copy of Terraform's files with stand-ins, which Terraform has built in, for every resource of AWS.

So whole examples are applied for real, without a provider, a network or an account: every expression is
evaluated, and what is known only after a resource is made (an ARN) is unknown while Terraform plans, as it
would be. What a resource's arguments are called is not checked by this.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.terraform.tool import EXAMPLES, FILES, TERRAFORM, run

ACCOUNT, REGION = "123456789012", "eu-west-1"
_KNOWN = {  # of data, which is known while Terraform plans
    "data.aws_caller_identity.this.account_id": ACCOUNT,
    "data.aws_partition.this.partition": "aws",
    "data.aws_partition.this.dns_suffix": "amazonaws.com",
    "data.aws_region.this.region": REGION,
}
_BLOCK = re.compile(
    r'^(resource|data|provider) "(\w+)"(?: "(\w+)")? \{(\n.*?\n|)\}\n', re.MULTILINE | re.DOTALL
)
_PROVIDERS = re.compile(r"^  required_providers \{\n.*?^  \}\n", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r'^  (?:lifecycle|dynamic "\w+") \{\n.*?^  \}\n', re.MULTILINE | re.DOTALL)
_META = re.compile(r"^  (?:count|for_each|depends_on) += .*\n", re.MULTILINE)
_INNER = re.compile(r"^( +)(\w+) \{$", re.MULTILINE)
_REFERENCE = re.compile(r"\b(aws_\w+)\.(\w+)((?:\[[^\]]*\])?)(?:\.(\w+))?")
_MADE = ("arn", "id", "key_id", "arn_without_revision", "url")  # what AWS says of a thing once it is there


def standing_in(text: str) -> str:
    """A file without resources of AWS."""
    text = _BLOCK.sub(_stand_in, _PROVIDERS.sub("", text))
    for name, value in _KNOWN.items():
        text = text.replace(name, json.dumps(value))
    return _REFERENCE.sub(_of_the_stand_in, text)


def _of_the_stand_in(found: re.Match[str]) -> str:
    type_, name, index, argument = found.groups()
    return f"terraform_data.{type_}__{name}{index}" + (f".output.{argument}" if argument else "")


def _stand_in(found: re.Match[str]) -> str:
    kind, type_, name, body = found.groups()
    if kind != "resource":
        return ""
    rest = _META.sub("", _LEFT_OUT.sub("", body))
    meta = "".join(_META.findall(body))
    seen = Counter[str]()

    def as_attribute(inner: re.Match[str]) -> str:
        seen[inner[2]] += 1
        return f"{inner[1]}{inner[2]}_{seen[inner[2]]} = {{"

    made = json.dumps({each: f"arn:aws:made:{REGION}:{ACCOUNT}:{type_}/{name}/{each}" for each in _MADE})
    own = _INNER.sub(as_attribute, rest)
    return f'resource "terraform_data" "{type_}__{name}" {{\n{meta}  input = merge({made}, {{{own}}})\n}}\n'


def applied(
    example: str, folder: Path, variables: Mapping[str, Any], edit: Callable[[str], str] = str
) -> dict[str, dict[str, Any]]:
    """The arguments of everything that an example makes, by its address, after it was applied in ``folder``.

    ``edit`` is what a person changed in its main.tf.
    """
    for file in FILES:
        copy = folder / file.relative_to(TERRAFORM)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(standing_in(file.read_text()))
    for file in (EXAMPLES / example / "policies").iterdir():
        copy = folder / "examples" / example / "policies" / file.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(file.read_text())
    root = folder / "examples" / example
    (root / "main.tf").write_text(edit((root / "main.tf").read_text()))
    (root / "given.auto.tfvars.json").write_text(json.dumps(variables))
    run(root, folder, "init", "-backend=false", "-input=false", "-no-color")
    run(root, folder, "apply", "-auto-approve", "-input=false", "-no-color")
    state = json.loads(run(root, folder, "show", "-json"))
    return dict(_resources(state["values"]["root_module"]))


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in module.get("resources", []):
        yield one["address"].replace("terraform_data.", "").replace("__", "."), one["values"]["input"]
    for child in module.get("child_modules", []):
        yield from _resources(child)
