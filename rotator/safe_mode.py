"""A ledger that is older than the world: a backup that was put back, a database that lost its last commits.

A token is committed before it leaves this machine, as the end of a key's label or as a version's id. So a
key or a version under this ledger's id whose token it never drew shows that commits were lost: what it
believes to be replaced may be in service. From then on nothing is revoked until a person agrees. Keys are
issued and promoted all the same: a promotion compares with what the store holds, not with what we believe.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator.interfaces import Ledger
from rotator.model import Event, Level, token_in
from rotator.records import Codec

FACT = "safe-mode"
TRUSTED = "trusted-since"  # the fact that a person agreed, and when
_TOLD = "told:safe-mode"  # the fact: since when the one is in force that people were told of
LOST = "lost"  # the error of a rotation whose commits were lost, and of which a token is all that is known
PAUSE = timedelta(hours=1)  # until a held revocation looks again; an agreement makes it due at once
TODO = "rotator reconcile; then: rotator reconcile --trust-ledger --reason TEXT"


@dataclass(frozen=True, slots=True)
class SafeMode:
    """Why nothing is revoked, as a sentence, and since when."""

    why: str
    since: datetime
    todo: str = TODO

    def __str__(self) -> str:
        since = f"{self.since:%Y-%m-%d %H:%M}Z"
        return f"The ledger is older than the world, so nothing is revoked since {since}: {self.why}."


_MODE = Codec("safe mode", TypeAdapter(SafeMode))
_WHEN = Codec("date", TypeAdapter(datetime))


def current(ledger: Ledger) -> SafeMode | None:
    """The safe mode that the ledger is in, read anew; None where it is trusted."""
    text = ledger.fact(FACT)
    return None if text is None else _MODE.decode(text)


def enter(ledger: Ledger, why: str) -> bool:
    """Let nothing be revoked from now on; whether that is new. May be called twice: the first one stays."""
    return ledger.remember(FACT, _MODE.encode(SafeMode(why, ledger.now())))


def untold(ledger: Ledger) -> Event | None:
    """The alarm of a safe mode that people have not been told of; None where there is none. It is derived
    from the fact that holds every revocation, so that no kill can lose the one without the other.
    """
    mode = current(ledger)
    if mode is None or ledger.fact(_TOLD) == mode.since.isoformat():
        return None
    data = {"step": "look", "error": "safe-mode"}
    text = f"{mode} To do: {mode.todo}"
    return Event(secret="", kind="safe-mode", text=text, level=Level.ALARM, data=data, at=mode.since)


def told(ledger: Ledger, alarm: Event) -> None:
    """People's side took the alarm. May be called twice."""
    if alarm.at is not None:
        ledger.swap(_TOLD, ledger.fact(_TOLD), alarm.at.isoformat())


def leave(ledger: Ledger) -> bool:
    """Trust the ledger again; whether it was in safe mode. Every key may have been in service until now."""
    ledger.forget(TRUSTED)
    ledger.remember(TRUSTED, ledger.now().isoformat())
    return ledger.forget(FACT)


def trusted_at(ledger: Ledger) -> datetime | None:
    """When a person agreed last to a ledger that had lost commits; None where it never did."""
    text = ledger.fact(TRUSTED)
    return _WHEN.decode(json.dumps(text)) if text else None


def own_tokens(ledger: Ledger, texts: Iterable[str]) -> frozenset[str]:
    """The tokens under this ledger's id that labels of keys, or ids of versions, end with."""
    found = (token_in(text) for text in texts)
    return frozenset(each[1] for each in found if each is not None and each[0] == ledger.id)


def never_drawn(ledger: Ledger, texts: Iterable[str]) -> list[str]:
    """Those of them that this ledger never drew. Read the world first, then this: a token is committed
    before it leaves, so one that was read outside is in the ledger unless commits were lost.
    """
    tokens = own_tokens(ledger, texts)
    return sorted(tokens - ledger.attempts(tokens).keys()) if tokens else []
