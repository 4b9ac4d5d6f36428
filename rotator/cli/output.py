"""Tables for people, JSON for machines: both from the same values.

On a terminal Rich draws; anywhere else it is plain text in columns, never wrapped or coloured. Rich is
imported on a terminal alone, since it costs start time.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import click

from rotator.safe_mode import SafeMode

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def jsonable(value: Any) -> Any:
    """A value as JSON: times as ISO 8601 in UTC, durations in seconds, dataclasses as objects."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if is_dataclass(value):
        return {item.name: jsonable(getattr(value, item.name)) for item in fields(value)}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.value if isinstance(value, Enum) else value


def document(value: Any) -> None:
    """Print the one JSON document of a command."""
    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Text without control characters, which could drive a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def on_terminal() -> bool:
    """Whether people read standard output as it comes."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(columns, clean)
    else:
        _plain_table(columns, clean)


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(drawn)


def doubted(mode: SafeMode | None) -> None:
    """Say that nothing is revoked, and what to do, where the ledger is older than the world."""
    if mode is not None:
        click.echo(printable(f"{mode} -> {mode.todo}"))


STYLES: Mapping[str, str] = {
    "blocked": "bold red",
    "conflict": "bold red",
    "failed": "bold red",
    "waiting for a person": "bold yellow",
    "old key waits": "bold yellow",
    "leaked": "bold red",
    "no living key": "bold red",
    "consumer not told": "bold yellow",
    "not covered": "bold yellow",
    "paused": "yellow",
    "not taken on yet": "cyan",
    "gone": "dim",
    "current": "green",
    "rotated": "bold green",
    "well": "bold green",
    "in grace": "cyan",
    "telling": "cyan",
    "error": "bold red",
    "warning": "bold yellow",
    "ok": "green",
}


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def span(value: timedelta | None) -> str:
    """A duration as people say it, its two largest units: ``3d4h``, ``45s``."""
    if value is None:
        return "-"
    left, parts = int(abs(value.total_seconds())), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def moment(at: datetime | None, now: datetime) -> str:
    """A time, and how far it is from now."""
    if at is None:
        return "-"
    text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    if abs(at - now) < timedelta(seconds=1):
        return f"{text} (now)"
    return f"{text} (in {span(at - now)})" if at > now else f"{text} ({span(now - at)} ago)"
