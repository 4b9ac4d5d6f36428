"""A credential that a person brings: one JSON object on standard input, or hidden prompts; never shown."""

import json
import re
import sys
from typing import Any

import click

from rotator.cli.options import Wrong

MOST_BYTES = 65536
_USABLE = re.compile(r"[\x21-\x7e]{1,16384}")  # printable ASCII without blanks: fit for a header


def brought(names: tuple[str, ...]) -> dict[str, Any]:
    """What a person brings: typed unseen on a terminal, field by field, else read as it is.

    Raises Wrong for what is no JSON object. Which fields there are, and their form, is judged elsewhere.
    """
    return dict(_typed(names)) if sys.stdin.isatty() else _object(names)


def for_headers(names: tuple[str, ...]) -> dict[str, str]:
    """The same with exactly these fields, each fit for a header. Raises Wrong; quotes nothing."""
    found = brought(names)
    missing = [name for name in names if name not in found]
    if missing:
        raise Wrong(f"Missing: {', '.join(missing)}. {_expected(names)}")
    if len(found) != len(names):
        extra = len(found) - len(names)
        raise Wrong(f"It has {extra} {'field' if extra == 1 else 'fields'} too many. {_expected(names)}")
    return {name: _fit(name, found[name]) for name in names}


def _typed(names: tuple[str, ...]) -> dict[str, str]:
    return {name: click.prompt(name, hide_input=True, err=True) for name in names}


def _object(names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object on standard input. What it holds is never repeated."""
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Wrong(f"Standard input is too long. {_expected(names)}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong(f"Standard input is not JSON. {_expected(names)}") from None
    if not isinstance(found, dict):
        raise Wrong(f"Standard input is not a JSON object. {_expected(names)}")
    return found


def _expected(names: tuple[str, ...]) -> str:
    return f"Expected is one JSON object with {', '.join(names)}, each a text. Nothing was written."


def _fit(name: str, value: object) -> str:
    if not isinstance(value, str) or not _USABLE.fullmatch(value.strip()):
        raise Wrong(f"{name} is not a text of printable characters without blanks. Nothing was written.")
    return value.strip()
