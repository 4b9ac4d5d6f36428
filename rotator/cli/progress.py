"""Progress of work that takes longer than a second, on standard error: drawn on a terminal, else lines."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import click

from rotator.cli.output import STYLES, printable, span
from rotator.incident.coverage import Coverage, Outcome

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

MOST = 15  # rows that are drawn: a terminal is not high
CAUSES = 3
WIDEST = 24  # characters of a name or a state that are always shown
EACH = 10.0  # seconds between two summaries where each change would be too much to read


class Progress:
    """Shows how orders stand, each time they are told; ``whole`` is how many there are in all."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._began = time.monotonic()
        self._told = self._began
        self._ended_before: int | None = None
        self._seen: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 - costs start time, and only terminals need it
            from rich.live import Live  # noqa: PLC0415

            console = Console(stderr=True)
            if not console.is_dumb_terminal:  # which shows nothing of what is drawn
                self._live = Live(console=console, refresh_per_second=4, transient=True)
                self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, outcomes: Sequence[Outcome]) -> None:
        """Show how everything stands now; in lines, only what has changed."""
        summary = self._summary(outcomes)
        if self._live is not None:
            self._live.update(_drawn(outcomes, summary))
            return
        for one in outcomes:
            text = f"{one.policy}: {one.state}: {one.why}"
            few = self._whole <= MOST or one.state not in (Coverage.WORKING, Coverage.ROTATED)
            if few and self._seen.get(one.policy) != text:
                self._seen[one.policy] = text
                click.echo(printable(text), err=True)
        now = time.monotonic()
        if self._whole > MOST and now - self._told >= EACH:
            self._told = now
            click.echo(printable(summary), err=True)

    def _summary(self, outcomes: Sequence[Outcome]) -> str:
        """Counts, how fast it goes, and about how much longer."""
        ended = sum(one.ended for one in outcomes)
        if self._ended_before is None:
            self._ended_before, self._began = ended, time.monotonic()
        counts = Counter(str(one.state) for one in outcomes)
        waiting = self._whole - len(outcomes)
        parts = [f"{count} {state}" for state, count in counts.items()]
        parts += [f"{waiting} not begun"] if waiting > 0 else []
        return ", ".join(parts) + self._pace(ended)

    def _pace(self, ended: int) -> str:
        """How many end in a minute here, and when the last one may; nothing while too few have."""
        took, here = time.monotonic() - self._began, ended - (self._ended_before or 0)
        if here < 1 or took < 1 or ended >= self._whole:
            return ""
        left = timedelta(seconds=round((self._whole - ended) * took / here))
        return f"; {here / took * 60:.0f} a minute, about {span(left)} left"


def causes(outcomes: Sequence[Outcome]) -> list[tuple[int, str]]:
    """Why secrets are not covered, what most have in common first."""
    whys = Counter(
        one.why for one in outcomes if one.ended and one.state not in (Coverage.ROTATED, Coverage.WORKING)
    )
    return [(count, why) for why, count in whys.most_common()]


def _drawn(outcomes: Sequence[Outcome], summary: str) -> "Group":
    """The counts, the table of what is under way, and why some are not covered: each in one line, since a
    board that is higher than its terminal cannot be drawn anew. The closing table has all of it.
    """
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = sorted(outcomes, key=lambda one: one.ended)[:MOST]
    table = Table(box=None, pad_edge=False)
    for title, cells in (("policy", [one.policy for one in shown]), ("state", [str(o.state) for o in shown])):
        widest = max(map(len, [title, *cells]))
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=min(widest, WIDEST))
    table.add_column("step", no_wrap=True, overflow="ellipsis")
    for one in shown:
        state = Text(str(one.state), style=STYLES.get(str(one.state), ""))
        table.add_row(Text(printable(one.policy)), state, Text(printable(one.why)))
    told = [
        Text(printable(f"{count} x {why}"), no_wrap=True, overflow="ellipsis")
        for count, why in causes(outcomes)[:CAUSES]
    ]
    return Group(Text(printable(summary), style="bold"), table, *told)
