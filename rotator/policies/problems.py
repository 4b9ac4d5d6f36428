"""What is wrong with policy files, collected until all of it is known."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]

_SHOWN = 60  # characters of a value: more is never helpful, and may be a secret
_LISTED = 12  # names in a remedy


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong at a place in one file's data; its line and policy are looked up when it is told.

    ``line`` is set where the data has no such place; ``final`` where nothing below the place was read.
    """

    path: Path
    message: str
    remedy: str
    line: int | None = None
    final: bool = False


def shown(value: object) -> str:
    """A value as a message may show it: short, printable, and never a URL that may hold credentials."""
    if isinstance(value, str):
        if "://" in value or "@" in value:
            return "the value given"
        return ascii(value) if len(value) <= _SHOWN else f"{value[: _SHOWN - 1]!a}…"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:_SHOWN] if isinstance(value, int | float) else "the value given"


def known(names: Iterable[str], *, what: str = "Known here") -> str:
    """A sentence that lists names, cut where there are very many."""
    listed = sorted(names)
    if not listed:
        return f"{what}: none."
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"{what}: {', '.join(listed[:_LISTED])}{more}."


def meant(word: str, names: Iterable[str], *, what: str = "Known here") -> str:
    """A sentence that names the nearest spelling, or lists what there is."""
    candidates = list(names)
    near = difflib.get_close_matches(word[:100], candidates, n=1, cutoff=0.6)
    return (
        f"Did you mean {near[0]!r}? {known(candidates, what=what)}" if near else known(candidates, what=what)
    )
