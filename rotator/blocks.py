"""What holds every policy of a provider's account, kept as facts: a block, and the pause of one that fails.

A block waits for a person: its admin credential is refused. A pause comes when several secrets in a row fail
there in the same way: their own back-off would have each of them told to people, and tried, by itself.
While it lasts no scheduled rotation begins; one at a time is let through as a trial, later each time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rotator import backoff
from rotator.errors import NeedsPerson
from rotator.interfaces import Ledger
from rotator.model import Block, Policy

PAUSED = "provider-fails"
SECRETS = 3  # that fail in the same way, none succeeding between, until their provider is paused
_WITHIN = timedelta(hours=1)
_TRIAL = timedelta(minutes=2)  # for one secret to get from its trial to an answer


def told(error: NeedsPerson, known: Block | None, now: datetime) -> tuple[Block, bool]:
    """The block for an error, and whether people are told: of a new one, and now and then again."""
    if known is None or (known.kind, known.reason) != (error.kind, error.message):
        return Block(error.kind, error.message, error.todo, now, told_at=now), True
    if now - (known.told_at or known.since) < backoff.until_reminder(known.told):
        return known, False
    return replace(known, told=known.told + 1, told_at=now), True


def _to_json(block: Block, provider: str, look_at: datetime, looks: int) -> dict[str, Any]:
    return {
        "provider": provider,
        "kind": block.kind,
        "reason": block.reason,
        "todo": block.todo,
        "since": block.since.isoformat(),
        "told": block.told,
        "told_at": (block.told_at or block.since).isoformat(),
        "look_at": look_at.isoformat(),
        "looks": looks,
    }


def _from_json(kept: Mapping[str, Any]) -> Block:
    since, told_at = datetime.fromisoformat(kept["since"]), datetime.fromisoformat(kept["told_at"])
    return Block(kept["kind"], kept["reason"], kept["todo"], since, kept["told"], told_at)


# --- a block ---------------------------------------------------------------------------------------------


def block_key(policy: Policy) -> str:
    """The fact under which a block of a policy's provider is kept."""
    return f"block:{policy.provider.principal}"


def blocked_until(ledger: Ledger, policy: Policy) -> datetime | None:
    """Until when a policy's provider is blocked, read anew; None where it is not. It may be over."""
    kept = ledger.fact(block_key(policy))
    return None if kept is None else datetime.fromisoformat(json.loads(kept)["look_at"])


def block(ledger: Ledger, policy: Policy, error: NeedsPerson) -> tuple[datetime, bool]:
    """One block for the whole provider: when its policies look again, and whether people are told."""
    while True:
        text, now = ledger.fact(block_key(policy)), ledger.now()
        before = json.loads(text) if text else None
        known, news = told(error, _from_json(before) if before else None, now)
        looks = before["looks"] + 1 if before else 0
        look_at = now + backoff.while_blocked(looks)
        after = json.dumps(_to_json(known, policy.provider.name, look_at, looks))
        if ledger.swap(block_key(policy), text, after):
            return look_at, news


# --- a pause ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failing:
    """Secrets that failed at a provider in the same way, and the pause that came of it, if one did."""

    kind: str = ""
    secrets: Mapping[str, datetime] = field(default_factory=dict)
    pause: Mapping[str, Any] | None = None

    @staticmethod
    def read(text: str | None) -> "Failing":
        """As the ledger keeps it."""
        kept = json.loads(text or "{}")
        secrets = {name: datetime.fromisoformat(at) for name, at in kept.get("secrets", {}).items()}
        return Failing(kept.get("kind", ""), secrets, kept.get("pause"))

    def text(self) -> str:
        """The same, to be kept."""
        secrets = {name: at.isoformat() for name, at in self.secrets.items()}
        return json.dumps({"kind": self.kind, "secrets": secrets, "pause": self.pause})

    def with_one(self, secret: str, kind: str, now: datetime) -> "Failing":
        """One more; another kind of failure begins to be counted anew."""
        alike = self.secrets if kind == self.kind else {}
        lately = {name: at for name, at in alike.items() if at > now - _WITHIN}
        return Failing(kind, {**lately, secret: now}, self.pause)


def failing_key(policy: Policy) -> str:
    """The fact under which failures of a policy's provider are counted."""
    return f"failing:{policy.provider.principal}"


def failed(ledger: Ledger, policy: Policy, secret: str, kind: str) -> Block | None:
    """Count a secret that failed at its provider, and pause that if it is one too many; what to tell."""
    while True:
        text, now = ledger.fact(failing_key(policy)), ledger.now()
        failing = Failing.read(text).with_one(secret, kind, now)
        paused, news = failing, None
        if failing.pause is not None or len(failing.secrets) >= SECRETS:
            paused, news = _paused(failing, policy, now)
        if ledger.swap(failing_key(policy), text, paused.text()):
            return news


def _paused(failing: Failing, policy: Policy, now: datetime) -> tuple[Failing, Block | None]:
    """The same with a pause, a longer one after each trial that failed, and what is to be told of it."""
    before, name = failing.pause, policy.provider.name
    if before is not None and datetime.fromisoformat(before["look_at"]) > now + _TRIAL:
        return failing, None  # what began before the pause is no trial
    message = f"several secrets in a row failed at {name} ({failing.kind}), so no rotation begins there."
    at_once = "rotator run-now NAME --reason TEXT"
    todo = f"see whether {name} is in trouble; it is tried now and then, and at once by {at_once}"
    error = NeedsPerson(PAUSED, message, todo=todo)
    block, news = told(error, _from_json(before) if before else None, now)
    looks = before["looks"] + 1 if before else 0
    pause = _to_json(block, name, now + backoff.while_blocked(looks), looks)
    return replace(failing, pause=pause), block if news else None


def paused_until(ledger: Ledger, policy: Policy) -> datetime | None:
    """Until when no scheduled rotation begins at a policy's provider; None where one may.

    Once the time is over one is let through: whoever asks first, while the others wait for what it finds.
    """
    text, now = ledger.fact(failing_key(policy)), ledger.now()
    failing = Failing.read(text)
    if failing.pause is None:
        return None
    until = datetime.fromisoformat(failing.pause["look_at"])
    if until > now:
        return until
    trial = {**failing.pause, "look_at": (now + _TRIAL).isoformat()}
    return (
        None if ledger.swap(failing_key(policy), text, replace(failing, pause=trial).text()) else now + _TRIAL
    )


def works(ledger: Ledger, policy: Policy) -> bool:
    """A provider did all that a rotation needs: nothing is counted any more; whether it was paused."""
    text = ledger.fact(failing_key(policy))
    if text is None:
        return False
    return ledger.forget(failing_key(policy)) and Failing.read(text).pause is not None
