"""How the demo ends: what the providers themselves say, and whether it is what had to come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rotator.interfaces import Ledger
from rotator.lab import LocalKey
from rotator.lab.cast import BROUGHT, CAST, TOKENS, Part, provider_of
from rotator.lab.person import Person
from rotator.lab.scene import Command, OurKey, Scene
from rotator.lab.screen import short
from rotator.model import Debt, DebtPhase, DebtReason

_COLUMNS = ("policy", "store", "key", "it says", "proven dead", "it was")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that had to come out, whether it did, and what was found instead."""

    rule: str
    holds: bool
    found: str = ""


def findings(scene: Scene) -> list[Finding]:
    """What the providers, the stores and the files say, without asking the worker."""
    lab = scene.lab
    lives = {part.policy: _live(scene, part) for part in CAST}
    read = {part.store: [one for one in CAST if one.store == part.store] for part in CAST}
    lost = [part.policy for part in CAST if not part.others.items() <= scene.current(part).items()]
    foreign = [key for local in lab.providers for key in local.keys("foreign")]
    harmed = [key.label for key in foreign if not key.live]
    extra = [f"{policy}: {count}" for policy, count in lives.items() if count != 1]
    waits = scene.stores.pending()
    seen = _shown(scene)
    return [
        Finding("each secret has exactly one live key of ours", not extra, ", ".join(extra)),
        _accepted("Secrets Manager", read["aws"], scene),
        _accepted("Vault", read["vault"], scene),
        Finding("nothing is left pending in Vault", not waits, f"{len(waits)} found"),
        Finding("the secrets' other fields are as they were", not lost, ", ".join(lost)),
        Finding("keys of others were not touched", bool(foreign) and not harmed, ", ".join(harmed)),
        Finding("no secret value is in the ledger, the logs or the output", not seen, f"{seen} found"),
    ]


def _live(scene: Scene, part: Part) -> int:
    """How many live keys a policy has; of tokens the one in service, since an old one may have time left."""
    keys = scene.keys(part)
    return sum(one.key.live for one in (keys[-1:] if part in TOKENS else keys))


def _accepted(store: str, parts: Sequence[Part], scene: Scene) -> Finding:
    refused = [part.policy for part in parts if not provider_of(part, scene.lab).accepts(scene.current(part))]
    return Finding(f"what {store} holds is accepted by the providers", not refused, ", ".join(refused))


def _shown(scene: Scene) -> int:
    """How many secret values are in what the worker and the commands have written."""
    written = scene.written()
    values = {value for local in scene.lab.providers for value in local.values()}
    return sum(value.encode() in written for value in values | set(scene.stores.vault.access.tokens))


# --- the course ------------------------------------------------------------------------------------------


def course(ledger: Ledger, daemon: Command, person: Person) -> list[Finding]:
    """What the ledger, the processes and the person say of how it went."""
    debts = ledger.debts(ended=True)
    rolled = [debt for debt in debts if debt.reason is DebtReason.ABANDONED and debt.phase is DebtPhase.DEAD]
    late = [debt.policy.name for debt in _tokens(debts) if not _in_time(debt)]
    brought = [debt for debt in debts if debt.policy.name == BROUGHT and debt.phase is DebtPhase.DEAD]
    return [
        Finding("the key that could do too much was rolled back and is dead", bool(rolled)),
        Finding("the incident's command says that all is covered", _well(person.incident)),
        Finding("the key that a person brought was taken", _well(person.bringing)),
        Finding(
            "the key that a person was asked to revoke is proven dead",
            [debt.key_id for debt in brought] == [person.revoked],
        ),
        Finding(
            "tokens were renewed before they expired; the old ones count as expired, not as revoked",
            not late and {debt.policy.name for debt in _tokens(debts)} == {part.policy for part in TOKENS},
            ", ".join(late),
        ),
        Finding("the daemon ended by itself when asked", daemon.code == 0, f"exit code {daemon.code}"),
    ]


def _well(command: Command | None) -> bool:
    return command is not None and command.code == 0


def _tokens(debts: Sequence[Debt]) -> list[Debt]:
    return [debt for debt in debts if debt.expires_at is not None]


def _in_time(debt: Debt) -> bool:
    """Whether a token's successor was in service before it expired, and its record speaks of expiry.

    A token goes by the second in which it expires.
    """
    replaced_in_time = debt.since.timestamp() < int(debt.key_id or 0)
    return replaced_in_time and "expired at" in (debt.proof or "")


# --- the table -------------------------------------------------------------------------------------------


def show(console: Console, scene: Scene, ledger: Ledger, began: datetime, more: Sequence[Finding]) -> bool:
    """Print every key and every finding; whether all hold."""
    dead = {(debt.policy.name, debt.key_id): debt for debt in ledger.debts(ended=True) if debt.proof}
    table = Table(
        *(Column(name, no_wrap=True) for name in _COLUMNS),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title="What the providers themselves say",
        title_justify="left",
    )
    for part in CAST:
        for one in scene.keys(part):
            table.add_row(part.policy, part.store, *_row(one, dead.get((part.policy, one.name)), began))
    for local in scene.lab.providers:
        for key in local.keys("foreign"):
            name = key.key_id if local in scene.lab.managed else "by hand"
            table.add_row(Text("(somebody else)", style="dim"), "", *_row(OurKey(name, key), None, began))
    console.print(table)
    _tell_probes(console, scene)
    came_out = [*findings(scene), *more]
    for finding in came_out:
        mark = Text("  yes  ", style="green") if finding.holds else Text("  NO   ", style="bold red")
        told = "" if finding.holds or not finding.found else f" ({finding.found})"
        console.print(mark + Text(f"{finding.rule}{told}"), highlight=False, soft_wrap=True)
    return all(finding.holds for finding in came_out)


def _tell_probes(console: Console, scene: Scene) -> None:
    """Tokens that nobody keeps: each probe of a credential that mints tokens makes one."""
    kept = sum(len(scene.keys(part)) for part in TOKENS)
    minted = sum(len(local.keys("api")) for local in scene.lab.logins)
    console.print(
        f"Probing a Figure client mints a token each time: {minted - kept} more, kept nowhere.\n",
        style="dim",
        highlight=False,
    )


def _row(one: OurKey, debt: Debt | None, began: datetime) -> tuple[str | Text, ...]:
    return (
        short(one.name),
        _says(one.key, began),
        _after(debt.ended_at, began) if debt and debt.ended_at else "",
        str(debt.reason) if debt else "",
    )


def _says(key: LocalKey, began: datetime) -> Text:
    """What a provider says of a key: live, or since when it is not."""
    if key.live:
        return Text("live", style="green")
    if key.revoked_at is not None:
        return Text(f"revoked {_after(key.revoked_at, began)}", style="magenta")
    return Text(f"expired {_after(key.expires_at, began) if key.expires_at else ''}", style="magenta")


def _after(moment: datetime, began: datetime) -> str:
    return f"{(moment - began).total_seconds():.1f}s"
