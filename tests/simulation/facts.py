"""What the history says of a call: ids, versions and phases, never values."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rotator.model import Change, Credential, Debt, token_in

if TYPE_CHECKING:
    from tests.simulation.engine import Sim

_STORE = {"read": ("version",), "stage": (), "promote": ("version", "expected"), "shown": ("version",),
          "keep": ("version",), "discard": ("version",), "seed": ("version",), "look": ()}  # fmt: skip


def short(secret: str | None) -> str | None:
    """A secret's name, out of its canonical id too."""
    return secret.removeprefix("fake|") if secret else None


def brief(text: str | None) -> str | None:
    """A token without its ledger's id, which is drawn anew for each run."""
    found = token_in(text) if text else None
    return f"t-{found[1][-8:]}" if found else text


def of_effect(sim: "Sim", call: str, args: Sequence[Any]) -> dict[str, Any]:
    """What was asked for."""
    room, _, name = call.partition(".")
    if room == "store":
        named = zip(_STORE[name], args[1:], strict=False)
        told: dict[str, Any] = {key: brief(value) for key, value in named}
        if name == "stage":
            told = {"version": brief(args[2]), "key": args[1].get("key_id"), "onto": brief(args[3].version)}
        return {"secret": args[0].secret, **told}
    if room == "consumer":
        return {"secret": args[0].secret, "key": args[0].key_id}
    if name == "issue":
        return {"token": brief(args[0])}
    if name == "revoke":
        return {"key": args[0]}
    return {"key": _whose(sim, args[0])} if name == "probe" else {}


def _whose(sim: "Sim", credential: Credential) -> str | None:
    """The key whose value a credential truly holds."""
    held = (provider.holder(credential) for provider in sim.providers.values())
    return next((key.key_id for key in held if key is not None), None)


def of_answer(call: str, answer: Any) -> dict[str, Any]:
    """What the worker was told."""
    if call == "provider.issue":
        return {"key": answer.key_id}
    if call == "provider.probe":
        return {"verdict": str(answer.verdict)}
    if call == "provider.find":
        return {"live": sum(record.live for record in answer)}
    if call in ("store.read", "store.stage"):
        return {"version": brief(answer.version), "key": answer.credential.get("key_id")} if answer else {}
    if call == "store.look":
        return {"current": brief(answer.current)}
    return {"shown": answer} if call == "store.shown" else {}


def of_ledger(name: str, args: Sequence[Any]) -> dict[str, Any]:
    """What a ledger's call would write; empty for one that the checker need not know."""
    if name == "commit":
        return {"epoch": args[0].epoch, **_of_change(args[1])}
    if name in ("renew", "release"):
        return {"epoch": args[0].epoch}
    if name == "claim":
        return {"secret": args[0]}
    return {"token": brief(args[2])} if name == "reserve" else {}


def of_ledger_answer(name: str, answer: Any) -> dict[str, Any]:
    """What it answered."""
    if name == "claim":
        return {"epoch": answer.epoch, "until": answer.until} if answer else {"error": "held"}
    return {"taken": answer} if name == "reserve" else {}


def _of_change(change: Change) -> dict[str, Any]:
    """One commit."""
    told: dict[str, Any] = {"events": tuple(event.kind for event in change.events)}
    told["alarms"] = tuple(event.kind for event in change.events if event.level == "alarm")
    if change.rotation is not None:
        attempt = change.rotation.attempt
        told |= {
            "rotation": change.rotation.id[:8],
            "phase": str(change.rotation.phase),
            "token": brief(attempt.token),
            "version": brief(attempt.version),
            "key": attempt.key_id,
            "promoting": attempt.promoted_at is not None,
            "grace": change.rotation.grace,
            "drill": change.rotation.drill,
        }
    current = change.secret.current
    told["current"] = (current.key_id, brief(current.version)) if current else None
    if change.debts:
        told["debts"] = tuple(_of_debt(debt) for debt in change.debts)
    return told


def _of_debt(debt: Debt) -> tuple[str, str | None, str, str]:
    return debt.id, debt.key_id, str(debt.phase), str(debt.reason)
