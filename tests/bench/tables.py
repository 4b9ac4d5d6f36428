"""The figures as tables, and as one document for machines."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.bench.fleet import Run
from tests.bench.idle import Idle
from tests.bench.incident import Incident
from tests.bench.starts import Start

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bound:
    """What the latencies allow: the wait that each rotation has, and the calls shared out over threads."""

    alone: float  # seconds of latency of one rotation
    shared: float  # seconds of latency of all rotations, over the threads
    wait: float

    @property
    def wall(self) -> float:
        """Seconds that all rotations take at least."""
        return max(self.wait + self.alone, self.shared)


def bound(run: Run, wait: float) -> Bound:
    """The bound of a run; the four steps have no wait."""
    return Bound(run.latency / run.rotations, run.latency / run.threads, wait)


def machine() -> str:
    """On what it ran, in general words."""
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def calls(ours: Run, over_http: Run, kept: Run, made: Run) -> Table:
    """Calls and CPU of one rotation, ours and the baseline's."""
    table = _table(
        "One rotation: calls and CPU (no latency)",
        "",
        "rotator, store in memory",
        "rotator, boto3",
        "four steps, one client kept",
        "four steps, client per step",
        "rotator (boto3) to four steps",
    )
    runs = (ours, over_http, kept, made)
    store = ("describe_secret", "get_secret_value", "put_secret_value", "update_secret_version_stage")
    for method in store:
        table.add_row(method, *(f"{run.store.get(method, 0) / run.rotations:.1f}" for run in runs), "")
    table.add_row("store calls", *(f"{run.store_calls:.1f}" for run in runs), _ratios(runs, "store_calls"))
    for kind in ("issue", "list", "probe", "revoke"):
        table.add_row(kind, *(f"{run.provider.get(kind, 0) / run.rotations:.1f}" for run in runs), "")
    table.add_row(
        "provider calls", *(f"{run.provider_calls:.1f}" for run in runs), _ratios(runs, "provider_calls")
    )
    table.add_row("ledger commits", *(f"{run.commits / run.rotations:.1f}" for run in runs), "")
    table.add_row("ledger statements", *(f"{run.statements / run.rotations:.0f}" for run in runs), "")
    table.add_row("CPU, ms", *(f"{1000 * run.cpu_each:.1f}" for run in runs), _ratios(runs, "cpu_each"))
    return table


def _ratios(runs: Sequence[Run], figure: str) -> str:
    ours, kept, made = (getattr(run, figure) for run in runs[1:])
    return f"{ours / kept:.2f} and {ours / made:.2f}"


def speed(rows: Sequence[tuple[str, Run, float]]) -> Table:
    """Rotations a second, against the bound of the latencies. A row: what, the run, the wait it has."""
    table = _table(
        "Many rotations at once (50 ms at the provider, 10 ms at the store)",
        "",
        "policies",
        "threads",
        "latency of one, s",
        "bound, s",
        "wall, s",
        "bound, a second",
        "a second",
        "of the bound",
        "CPU, s",
    )
    for what, run, wait in rows:
        limit = bound(run, wait)
        table.add_row(
            what,
            f"{run.rotations}",
            f"{run.threads}",
            f"{limit.alone:.2f}",
            f"{limit.wall:.1f}",
            f"{run.wall:.1f}",
            f"{run.rotations / limit.wall:.1f}",
            f"{run.rotations / run.wall:.1f}",
            f"{limit.wall / run.wall:.0%}",
            f"{run.cpu:.1f}",
        )
    return table


def idle(measured: Sequence[Idle]) -> Table:
    """The cost of having policies."""
    table = _table(
        "Policies of which nothing is due",
        "policies",
        "idle tick, ms CPU",
        "to the smallest",
        "most memory, MiB",
        "read the file, s",
        "first start, s",
        "next start, s",
    )
    for one in measured:
        table.add_row(
            f"{one.policies:,}",
            f"{1000 * one.tick:.2f}",
            f"{one.tick / measured[0].tick:.1f}",
            f"{one.memory / MIB:.0f}",
            f"{one.read:.2f}",
            f"{one.enrol:.2f}",
            f"{one.start:.2f}",
        )
    return table


def starts(measured: Sequence[Start]) -> Table:
    """Start times of commands."""
    table = _table("Commands, from start to end", "command", "policies", "wall, s")
    for one in measured:
        table.add_row(one.command, f"{one.policies:,}", f"{one.wall:.2f}")
    return table


def show(tables: Sequence[Table]) -> None:
    """Print them; wide enough where the output is a file."""
    console = Console(width=None if Console().is_terminal else 150)
    for table in tables:
        console.print(table)
        console.print()


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def incidents(rows: Sequence[Incident]) -> Table:
    """Every key of a fleet by one command, against the bound of limits and latencies."""
    table = _table(
        "An incident: run-now --all --revoke-now",
        "",
        "secrets",
        "accounts",
        "requests a second, each",
        "covered",
        "keys issued",
        "bound, s",
        "wall, s",
        "of the bound",
        "most memory, MiB",
    )
    for one in rows:
        figures = (one.secrets, one.accounts, f"{one.rate:g}", one.covered, one.issued)
        times = (f"{one.bound:.1f}", f"{one.wall:.1f}", f"{one.wall / one.bound:.2f}", f"{one.memory:.0f}")
        table.add_row(one.what, *map(str, figures), *times)
    return table
