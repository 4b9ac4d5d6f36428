"""What holds every policy of a provider's account, kept as facts: a block, and the pause of one that fails.

A block waits for a person: its admin credential is refused, or lacks a right. A pause comes when several
secrets in a row fail there in the same way: their own back-off would have each of them told to people, and
tried, by itself. While it lasts no scheduled rotation begins; one at a time is let through as a trial, later
each time.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator import backoff
from rotator.errors import NeedsPerson
from rotator.interfaces import Ledger
from rotator.model import Block, Policy
from rotator.records import Codec

PAUSED = "provider-fails"
SECRETS = 3  # that fail in the same way, none succeeding between, until their provider is paused
_WITHIN = timedelta(hours=1)
_LONGEST = timedelta(hours=1)  # until anything that a person must mend is looked at again
_TRIAL = timedelta(minutes=2)  # for one secret to get from its trial to an answer
_OF_ONE_CALL = frozenset({"admin-forbidden", "configuration"})  # another call's success says nothing of them


def told(error: NeedsPerson, known: Block | None, now: datetime) -> tuple[Block, bool]:
    """The block for an error, and whether people are told: of a new one, and now and then again."""
    if known is None or (known.kind, known.reason) != (error.kind, error.message):
        return Block(error.kind, error.message, error.todo, now, told_at=now), True
    if not backoff.passed(known.told_at or known.since, backoff.until_reminder(known.told), now):
        return known, False
    return replace(known, told=known.told + 1, told_at=now), True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Block):
    """A block as a fact: the provider's name, when its policies look again, how often they did, and which
    call met it. ``lifted``: a person has it tried again, and only what people were told counts.
    """

    provider: str
    look_at: datetime
    looks: int
    call: str = ""
    lifted: bool = False


def _kept(block: Block, provider: str, before: Kept | None, now: datetime, call: str = "") -> Kept:
    """The block as it is written after one more look."""
    looks = before.looks + 1 if before else 0
    look_at = now + backoff.while_blocked(looks)
    since, told_at = block.since, block.told_at or block.since
    told = Block(block.kind, block.reason, block.todo, since, block.told, told_at)
    return Kept(**asdict(told), provider=provider, look_at=look_at, looks=looks, call=call)


def _not_ahead(look_at: datetime, now: datetime) -> datetime:
    """When to look again; now, where that was written by a clock that was ahead and was put right."""
    return now if backoff.is_ahead(look_at, now, _LONGEST) else look_at


# --- a block ---------------------------------------------------------------------------------------------


def block_key(policy: Policy) -> str:
    """The fact under which a block of a policy's provider is kept."""
    return f"block:{policy.provider.principal}"


def blocked_until(ledger: Ledger, policy: Policy) -> datetime | None:
    """Until when a policy's provider is blocked, read anew; None where it is not. It may be over."""
    text = ledger.fact(block_key(policy))
    kept = BLOCK.decode(text) if text else None
    return None if kept is None else _not_ahead(kept.look_at, ledger.now())


def forbids(ledger: Ledger, policy: Policy, call: str) -> bool:
    """Whether a block is about one call of a provider, of which the success of others says nothing."""
    text = ledger.fact(block_key(policy))
    kept = BLOCK.decode(text) if text else None
    return kept is not None and kept.kind in _OF_ONE_CALL and kept.call in ("", call)


def block(ledger: Ledger, policy: Policy, error: NeedsPerson) -> tuple[datetime, bool]:
    """One block for the whole provider: when its policies look again, and whether people are told. What asks
    the same of them is no news, whichever call met it.
    """
    while True:
        text, now = ledger.fact(block_key(policy)), ledger.now()
        before = BLOCK.decode(text) if text else None
        alike = before is not None and (before.kind, before.todo) == (error.kind, error.todo)
        known, news = told(error, replace(before, reason=error.message) if before and alike else before, now)
        after = _kept(known, policy.provider.name, before, now, error.call)
        if ledger.swap(block_key(policy), text, BLOCK.encode(after)):
            return after.look_at, news


def lift(ledger: Ledger, policy: Policy) -> None:
    """A person has it tried at once: nothing is held, and meeting the same again is no news."""
    while (text := ledger.fact(block_key(policy))) is not None:
        lifted = replace(BLOCK.decode(text), look_at=ledger.now(), lifted=True)
        if ledger.swap(block_key(policy), text, BLOCK.encode(lifted)):
            return


def answered(ledger: Ledger, policy: Policy, call: str) -> None:
    """A call with the admin credential was answered: a block is over, unless it is about another call."""
    text = ledger.fact(block_key(policy))
    if text is None:
        return
    if BLOCK.decode(text).kind not in _OF_ONE_CALL or forbids(ledger, policy, call):
        ledger.forget(block_key(policy))


# --- a pause ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failing:
    """Secrets that failed at a provider in the same way, and the pause that came of it, if one did."""

    kind: str = ""
    secrets: Mapping[str, datetime] = field(default_factory=dict)
    pause: Kept | None = None

    def with_one(self, secret: str, kind: str, now: datetime) -> "Failing":
        """One more; another kind of failure begins to be counted anew."""
        alike = self.secrets if kind == self.kind else {}
        lately = {
            name: at for name, at in alike.items() if now - _WITHIN < at and not backoff.is_ahead(at, now)
        }
        return Failing(kind, {**lately, secret: now}, self.pause)

    def failed_since(self, since: datetime) -> bool:
        """Whether a secret has failed since then."""
        return any(at >= since for at in self.secrets.values())


BLOCK = Codec("block", TypeAdapter(Kept))
FAILING = Codec("failures", TypeAdapter(Failing))


def _failing(text: str | None) -> Failing:
    return FAILING.decode(text) if text else Failing()


def failing_key(policy: Policy) -> str:
    """The fact under which failures of a policy's provider are counted."""
    return f"failing:{policy.provider.principal}"


def failed(ledger: Ledger, policy: Policy, secret: str, kind: str) -> Block | None:
    """Count a secret that failed at its provider, and pause that if it is one too many; what to tell."""
    while True:
        text, now = ledger.fact(failing_key(policy)), ledger.now()
        failing = _failing(text).with_one(secret, kind, now)
        paused, news = failing, None
        if failing.pause is not None or len(failing.secrets) >= SECRETS:
            paused, news = _paused(failing, policy, now)
        if ledger.swap(failing_key(policy), text, FAILING.encode(paused)):
            return news


def _paused(failing: Failing, policy: Policy, now: datetime) -> tuple[Failing, Block | None]:
    """The same with a pause, a longer one after each trial that failed, and what is to be told of it."""
    before, name = failing.pause, policy.provider.name
    if before is not None and before.look_at > now + _TRIAL:
        return failing, None  # what began before the pause is no trial
    message = f"several secrets in a row failed at {name} ({failing.kind}), so no rotation begins there."
    at_once = "rotator run-now NAME --reason TEXT"
    todo = f"see whether {name} is in trouble; it is tried now and then, and at once by {at_once}"
    error = NeedsPerson(PAUSED, message, todo=todo)
    block, news = told(error, before, now)
    return replace(failing, pause=_kept(block, name, before, now)), block if news else None


def paused_until(ledger: Ledger, policy: Policy) -> datetime | None:
    """Until when no scheduled rotation begins at a policy's provider; None where one may.

    Once the time is over one is let through: whoever asks first, while the others wait for what it finds.
    """
    text, now = ledger.fact(failing_key(policy)), ledger.now()
    failing = _failing(text)
    if failing.pause is None:
        return None
    until = _not_ahead(failing.pause.look_at, now)
    if until > now:
        return until
    trial = replace(failing, pause=replace(failing.pause, look_at=now + _TRIAL))
    return None if ledger.swap(failing_key(policy), text, FAILING.encode(trial)) else now + _TRIAL


def works(ledger: Ledger, policy: Policy) -> bool:
    """A provider did all that a rotation needs: nothing is counted any more; whether it was paused."""
    text = ledger.fact(failing_key(policy))
    if text is None:
        return False
    return ledger.forget(failing_key(policy)) and _failing(text).pause is not None
