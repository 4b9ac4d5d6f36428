"""How the demo ends: what the providers themselves say, and whether it is what had to come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rotator.interfaces import Ledger
from rotator.lab import LocalKey
from rotator.lab.cast import CAST, Part, provider_of
from rotator.lab.scene import Scene, ours
from rotator.lab.screen import short
from rotator.model import Debt

_COLUMNS = ("policy", "key", "says", "revoked", "proven dead", "it was")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that had to come out, whether it did, and what was found instead."""

    rule: str
    holds: bool
    found: str = ""


def findings(scene: Scene) -> list[Finding]:
    """What the providers, the store and the files say, without asking the worker."""
    lab = scene.lab
    lives = {part.policy: sum(key.live for key in _keys(scene, part)) for part in CAST}
    refused = [part.policy for part in CAST if not provider_of(part, lab).accepts(scene.current(part))]
    lost = [part.policy for part in CAST if not part.others.items() <= scene.current(part).items()]
    foreign = [key for local in lab.providers for key in local.keys("foreign")]
    harmed = [key.key_id for key in foreign if not key.live]
    written = scene.written()
    seen = sum(value.encode() in written for local in lab.providers for value in local.values())
    extra = [f"{policy}: {count}" for policy, count in lives.items() if count != 1]
    return [
        Finding("each secret has exactly one live key of ours", not extra, ", ".join(extra)),
        Finding("what consumers read is accepted by the provider", not refused, ", ".join(refused)),
        Finding("the secrets' other fields are as they were", not lost, ", ".join(lost)),
        Finding("keys of others were not touched", bool(foreign) and not harmed, ", ".join(harmed)),
        Finding("no secret value is in the ledger, the logs or the output", not seen, f"{seen} found"),
    ]


def _keys(scene: Scene, part: Part) -> list[LocalKey]:
    return [key for key in provider_of(part, scene.lab).keys("api", "initial") if ours(key, part)]


def show(console: Console, scene: Scene, ledger: Ledger, began: datetime, more: Sequence[Finding]) -> bool:
    """Print every key and every finding; whether all hold."""
    dead = {debt.key_id: debt for debt in ledger.debts(ended=True) if debt.key_id and debt.proof}
    table = Table(
        *(Column(name, no_wrap=True) for name in _COLUMNS),
        box=SIMPLE_HEAD,
        pad_edge=False,
        title="What the providers themselves say",
        title_justify="left",
    )
    for part in CAST:
        for key in _keys(scene, part):
            table.add_row(part.policy, *_row(key, dead, began))
    for local in scene.lab.providers:
        for key in local.keys("foreign"):
            table.add_row(Text("(somebody else)", style="dim"), *_row(key, dead, began))
    console.print(table)
    came_out = [*findings(scene), *more]
    for finding in came_out:
        mark = Text("  yes  ", style="green") if finding.holds else Text("  NO   ", style="bold red")
        told = "" if finding.holds or not finding.found else f" ({finding.found})"
        console.print(mark + Text(f"{finding.rule}{told}"), highlight=False, soft_wrap=True)
    return all(finding.holds for finding in came_out)


def _row(key: LocalKey, dead: Mapping[str, Debt], began: datetime) -> tuple[str | Text, ...]:
    debt = dead.get(key.key_id)
    state = Text("live", style="green") if key.live else Text("dead", style="magenta")
    return (
        short(key.key_id),
        state,
        _after(key.revoked_at, began),
        _after(debt.ended_at if debt else None, began),
        str(debt.reason) if debt else "",
    )


def _after(moment: datetime | None, began: datetime) -> str:
    return f"{(moment - began).total_seconds():.1f}s" if moment else ""
