"""The blocks of a Terraform module, parsed by python-hcl2, and what its text refers to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from tests.terraform.tool import MODULES, TERRAFORM

_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
META = {"source", "providers", "count", "for_each", "depends_on"}


@dataclass(frozen=True)
class Module:
    """A folder of files: its blocks by kind and name, and its text without comments."""

    folder: Path
    blocks: Mapping[str, Mapping[str, Any]]
    text: str

    def __str__(self) -> str:
        return str(self.folder.relative_to(TERRAFORM))

    def names(self, kind: str) -> set[str]:
        """The names of all blocks of a kind; those of resources and data are TYPE.NAME."""
        return set(self.blocks.get(kind, {}))

    def used(self, pattern: str) -> set[str]:
        """What the text refers to."""
        return set(re.findall(pattern, self.text))

    def called(self, name: str) -> "Module":
        """The module that a call names."""
        return module(self.folder / self.blocks["module"][name]["source"].strip('"'))


def clean(value: Any) -> Any:
    """A parsed value without the parser's own marks: strings without quotes, blocks without its keys."""
    if isinstance(value, str):
        return value[1:-1] if value.startswith('"') else value
    if isinstance(value, list):
        return [clean(one) for one in value]
    if isinstance(value, dict):
        return {clean(name): clean(one) for name, one in value.items() if not str(name).startswith("__")}
    return value


@cache
def module(folder: Path) -> Module:
    """A module by its folder."""
    files = sorted(folder.resolve().glob("*.tf"))
    blocks: dict[str, dict[str, Any]] = {}
    for file in files:
        for kind, name, body in _blocks(hcl2.loads(file.read_text())):
            assert name not in blocks.setdefault(kind, {}), f"{file}: {kind} {name} is there twice"
            blocks[kind][name] = body
    text = "\n".join(_COMMENT.sub("", file.read_text()) for file in files)
    return Module(folder.resolve(), blocks, text)


def _blocks(parsed: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for kind, found in parsed.items():
        for one in found if isinstance(found, list) else ():
            if kind == "locals":
                yield from (("locals", name, value) for name, value in clean(one).items())
            elif kind in ("resource", "data"):
                for type_, named in clean(one).items():
                    yield from ((kind, f"{type_}.{name}", body) for name, body in named.items())
            elif kind in ("variable", "output", "module", "provider"):
                yield from ((kind, name, body) for name, body in clean(one).items())


FOLDERS = tuple(sorted({file.parent for file in TERRAFORM.rglob("*.tf")}))
LIBRARY = tuple(folder for folder in FOLDERS if MODULES in folder.parents)
