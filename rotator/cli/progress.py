"""Progress of work that takes longer than a second, on standard error: drawn on a terminal, else lines."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import click

from rotator.cli.coverage import Outcome
from rotator.cli.output import STYLES, printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

MOST = 15  # rows that are drawn: a terminal is not high


class Progress:
    """Shows how orders stand, each time they are told."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 - costs start time, and only terminals need it
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, outcomes: Sequence[Outcome]) -> None:
        """Show how everything stands now; in lines, only what has changed."""
        if self._live is not None:
            self._live.update(_drawn(outcomes))
            return
        for one in outcomes:
            text = f"{one.policy}: {one.state}: {one.why}"
            if self._seen.get(one.policy) != text:
                self._seen[one.policy] = text
                click.echo(printable(text), err=True)


def _drawn(outcomes: Sequence[Outcome]) -> "Table":
    """The table of what is under way, and the counts of the rest."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    counts = Counter(str(one.state) for one in outcomes)
    title = ", ".join(f"{count} {state}" for state, count in counts.items())
    table = Table("policy", "state", "step", title=title, title_justify="left", box=None, pad_edge=False)
    for one in sorted(outcomes, key=lambda one: one.ended)[:MOST]:
        state = Text(str(one.state), style=STYLES.get(str(one.state), ""))
        table.add_row(Text(printable(one.policy)), state, Text(printable(one.why)))
    return table
