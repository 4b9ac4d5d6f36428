"""What the demo shows while it runs: events as they come, and a live table where there is a terminal."""

import re
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rotator.model import Event

_STYLES = {
    "issued": "yellow",
    "staged": "yellow",
    "verified": "cyan",
    "promoted": "bold green",
    "revoked": "magenta",
    "dead": "bold magenta",
    "given-up": "bold red",
    "failed": "bold red",
    "blocked": "bold red",
    "adopted": "cyan",
    "submitted": "cyan",
}
_UNIX_SECONDS = 10  # digits
_WIDEST = 110
_NARROWEST = 40
_LONG_ID = re.compile(r"\b(?:key-)?([0-9a-f]{8})(?:[0-9a-f]{8}|(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_QUOTED = "        | "
_CLOCK = 8  # characters of the time before a line
_QUIET = ("visible", "retry", "seeding", "told")


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, where its secret stands, and the ids of its live keys with what they are for."""

    policy: str
    provider: str
    store: str
    stands: str
    live: Sequence[tuple[str, str]]
    dead: int


def short(key_id: str) -> str:
    """Enough of a key's id to tell it from the others: of a token, which goes by its end, the time."""
    if key_id.isdecimal() and len(key_id) == _UNIX_SECONDS:
        return f"till-{datetime.fromtimestamp(int(key_id), UTC):%H:%M:%S}"
    if "@" in key_id:
        return key_id.partition("@")[0]
    return key_id.removeprefix("key-")[:8]


class Screen:
    """A context: lines above, a table below that is drawn anew; lines alone where there is no terminal."""

    def __init__(self, console: Console, policies: Iterable[str]) -> None:
        self._console = console
        self._width = max(len(name) for name in policies)
        self._began = time.monotonic()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def _line(self, text: Text) -> None:
        clock = Text(f"{self.seconds:5.1f}s  ", style="dim")
        self._console.print(clock + text, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A sentence of the demo's own."""
        self._line(Text(text, style="bold"))

    def quote(self, text: str) -> None:
        """What a command printed; long ids and tables too wide for the screen are cut short."""
        for line in _LONG_ID.sub(r"\1…", text).rstrip().splitlines():
            room = self._room(len(_QUOTED))
            for part in [_cut(line, room)] if "  " in line else _lines(line, room):
                self._console.print(Text(f"{_QUOTED}{part}", style="dim"), highlight=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        """One step of a worker, from the ledger; what a person must do stands below."""
        if event.kind in _QUIET:
            return
        policy, key_id = event.data.get("policy", "").ljust(self._width), event.data.get("key_id", "")
        told = event.text.replace(key_id, short(key_id)) if key_id else event.text
        told, _, todo = _LONG_ID.sub(r"\1", told).partition(" To do: ")
        head = (
            Text(f"  {policy}  ") + Text(event.kind.ljust(9), style=_STYLES.get(event.kind, "")) + Text(" ")
        )
        first, *more = _lines(told, self._room(len(head) + _CLOCK))
        self._line(head + Text(first))
        for line in more:
            self._console.print(
                " " * (len(head) + _CLOCK) + line, highlight=False, markup=False, soft_wrap=True
            )
        if todo:
            self.quote(f"To do: {todo}")

    def _room(self, before: int) -> int:
        """Characters that fit on a line beside what stands before them."""
        return max(_NARROWEST, min(_WIDEST, self._console.width) - before)

    def show(self, rows: Sequence[Row]) -> None:
        """Draw the table anew, where there is a terminal."""
        if not self._live:
            return
        table = Table(
            "policy",
            "provider",
            "store",
            "stands",
            "live keys, as the provider says",
            "dead",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            title=f"rotator daemon, {self.seconds:.0f} s",
            title_justify="left",
        )
        for row in rows:
            keys = Text("  ").join(
                Text(f"{short(key_id)} {role}", style=_ROLES.get(role, "")) for key_id, role in row.live
            )
            table.add_row(row.policy, row.provider, row.store, row.stands, keys, str(row.dead or ""))
        self._live.update(table, refresh=True)


_ROLES = {
    "current": "green",
    "new": "yellow",
    "must die": "magenta",
    "expiring": "magenta",
    "unknown": "dim",
}


def _lines(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _cut(line: str, room: int) -> str:
    return line if len(line) <= room else f"{line[: room - 1]}…"
