"""One claimed secret, while a worker acts on it: what both stories share.

A story reads and writes the ledger through its desk, asks it whether an effect may begin, and finds here
the values that it read a moment ago. Nothing at a desk outlives its worker but what was committed.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rotator import backoff, due, safe_mode
from rotator.errors import NeedsPerson
from rotator.interfaces import Ledger, Provider, SecretStore, Stored, World
from rotator.model import (
    Again,
    Block,
    Change,
    Claim,
    Credential,
    Debt,
    Event,
    Level,
    Order,
    Policy,
    Rotation,
    SecretState,
)

log = logging.getLogger("rotator.steps")

_KEEP = timedelta(minutes=5)
_LOGINS = 3  # refused logins after which a token's parent credential is not tried again
_NO_MORE = timedelta(days=3650)


class Memory:
    """Versions of secrets read or written a moment ago, by secret and version; versions never change.

    Shared by the threads of one process; forgotten after five minutes, so that a value is not held
    longer than the step that needs it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Stored, datetime]] = {}
        self._counts: dict[str, tuple[Rotation, Rotation]] = {}
        self._facts: set[str] = set()

    def keep(self, secret: str, version: str, stored: Stored, now: datetime) -> Stored:
        """Hold a version for a while; drops what is too old."""
        for key, (_, until) in list(self._kept.items()):
            if until < now:
                self._kept.pop(key, None)
        self._kept[secret, version] = (stored, now + _KEEP)
        return stored

    def get(self, secret: str, version: str, now: datetime) -> Stored | None:
        """What is held, or None."""
        stored, until = self._kept.get((secret, version), (None, now))
        return stored if until > now else None

    def count(self, committed: Rotation, counted: Rotation) -> None:
        """Hold how often a key was verified since its rotation was last committed.

        It may be lost: then the key is verified from the beginning.
        """
        self._counts[committed.secret] = (committed, counted)

    def counted(self, rotation: Rotation) -> Rotation:
        """A rotation with what was counted since it was committed; itself where another went on with it."""
        committed, counted = self._counts.get(rotation.secret, (None, rotation))
        return counted if committed == rotation else rotation

    def forget_count(self, secret: str) -> None:
        """What was counted is committed, or does not count."""
        self._counts.pop(secret, None)

    def knows(self, fact: str, ledger: Ledger) -> bool:
        """Whether the ledger has a fact that is never taken back; asked until it has."""
        if fact not in self._facts and ledger.fact(fact) is not None:
            self._facts.add(fact)
        return fact in self._facts


@dataclass(frozen=True, slots=True)
class Held:
    """Why no effect begins now, and when to ask again."""

    why: str
    until: datetime


class Desk:
    """A claim, the state that it guards, and the way to everything outside."""

    def __init__(self, world: World, memory: Memory, claim: Claim, state: SecretState) -> None:
        self.world = world
        self.memory = memory
        self.claim = claim
        self.state = state
        self.trouble = False
        self._rotation: Rotation | None = None
        self._debts: dict[str, Debt] | None = None
        self._read = False
        self._unblocked: set[str] = set()

    # reading

    def now(self) -> datetime:
        """The ledger's clock."""
        return self.world.ledger.now()

    def orders(self) -> Mapping[str, Order]:
        """What people asked for, read anew."""
        return self.world.ledger.orders(self.state.id)

    def rotation(self) -> Rotation | None:
        """The secret's live rotation: read once, since only who has the claim can change it."""
        if not self._read:
            self._rotation, self._read = self.world.ledger.rotation(self.state.id), True
        return self._rotation

    def debts(self) -> Sequence[Debt]:
        """The secret's open debts, oldest first: read once, as its rotation."""
        if self._debts is None:
            self._debts = {debt.id: debt for debt in self.world.ledger.debts(self.state.id)}
        return list(self._debts.values())

    def provider(self, policy: Policy) -> Provider:
        """The adapter of a policy's provider."""
        return self.world.provider(policy.provider)

    def store(self, policy: Policy) -> SecretStore:
        """The adapter of a policy's store."""
        return self.world.store(policy.target.store)

    def version(self, policy: Policy, version: str) -> Stored | None:
        """One version of the secret: what is in memory, else a read. None if it is not there."""
        known = self.memory.get(self.state.id, version, self.now())
        if known is not None:
            return known
        stored = self.store(policy).read(policy.target, version)
        return None if stored is None else self.memory.keep(self.state.id, version, stored, self.now())

    # whether an effect may begin

    def held(
        self, policy: Policy, *, urgent: bool, windows: bool = True, admin: bool = True, revokes: bool = False
    ) -> Held | None:
        """Why no effect may begin: stop, safe mode, pause, a block of the provider, a closed window.

        ``urgent`` work (run-now, strays) waits for no window; ``admin`` says whether the provider's admin
        credential is needed, ``revokes`` whether a key would die.
        """
        now = self.now()
        if self.world.stopping():
            return Held("the worker is stopping", now)
        if revokes and safe_mode.current(self.world.ledger) is not None:
            return Held("the ledger is older than the world", now + safe_mode.PAUSE)
        token = policy.renew is not None  # neither a pause nor a window: its users would be locked out
        pause = None if token else self.orders().get("pause")
        if pause is not None and pause.until is not None and pause.until > now:
            return Held(f"paused by {pause.by}", pause.until)
        block = self._block(policy) if admin else None
        if block is not None:
            again = datetime.fromisoformat(json.loads(block)["look_at"])
            if again > now:
                return Held("the provider is blocked", again)
        opens = due.window_opens(policy, now) if windows and not urgent and not token else now
        return Held("outside its windows", opens) if opens > now else None

    def _block(self, policy: Policy) -> str | None:
        """The block of a policy's provider, read anew."""
        block = self.world.ledger.fact(block_key(policy))
        (self._unblocked.add if block is None else self._unblocked.discard)(block_key(policy))
        return block

    # writing

    def write(
        self,
        *,
        state: SecretState | None = None,
        rotation: Rotation | None = None,
        debts: Iterable[Debt] = (),
        events: Iterable[Event] = (),
        frees: Iterable[str] = (),
        orders_done: Iterable[Order] = (),
    ) -> None:
        """Commit state, rotation, debts and events at once, under the claim. Raises Fenced."""
        state = state or self.state
        told, debts = tuple(events), tuple(debts)
        self.world.ledger.commit(
            self.claim,
            Change(state, rotation, debts, told, tuple(frees), tuple(orders_done)),
        )
        self.state = state
        self._written(rotation, debts)
        self.trouble = self.trouble or any(event.level is Level.ALARM for event in told)
        for event in told:
            if event.level is not Level.ALARM:  # alarms are logged by whoever tells them
                extra = {**event.data, "secret": event.secret, "kind": event.kind, "debt": event.debt}
                log.info(event.text, extra={**extra, "rotation": event.rotation})

    def _written(self, rotation: Rotation | None, debts: Iterable[Debt]) -> None:
        """What was committed is what would be read."""
        if rotation is not None:
            self._rotation, self._read = (None if rotation.phase.ended else rotation), True
            self.memory.forget_count(self.state.id)
        if self._debts is not None:
            self._debts |= {debt.id: debt for debt in debts}
            self._debts = {debt.id: debt for debt in self._debts.values() if not debt.phase.ended}

    def event(
        self,
        kind: str,
        text: str,
        *,
        level: Level = Level.INFO,
        rotation: Rotation | None = None,
        debt: Debt | None = None,
        **data: str | None,
    ) -> Event:
        """An event of this secret, with the ids that people search by."""
        subject = rotation or debt
        known = {
            "policy": subject.policy.name if subject else self.state.policy,
            "provider": subject.policy.provider.name if subject else None,
            "owner": subject.policy.owner if subject else None,
            "step": str(subject.phase) if subject else None,
            **data,
        }
        return Event(
            secret=self.state.id,
            kind=kind,
            text=text,
            level=level,
            rotation=rotation.id if rotation else None,
            debt=debt.id if debt else None,
            data={name: value for name, value in known.items() if value},
        )

    # blocks

    def block_of(self, error: NeedsPerson, known: Block | None) -> tuple[Block, bool]:
        """The block for an error, and whether people are told: of a new one, and now and then again."""
        now = self.now()
        if known is None or (known.kind, known.reason) != (error.kind, error.message):
            return Block(error.kind, error.message, error.todo, now, told_at=now), True
        if now - (known.told_at or known.since) < backoff.until_reminder(known.told):
            return known, False
        return replace(known, told=known.told + 1, told_at=now), True

    def block_provider(self, policy: Policy, error: NeedsPerson) -> tuple[Again, bool]:
        """One block for the whole provider: when its policies look again, and whether people are told.

        Where a refused login may cost the account, the third one is the last until a person acts.
        """
        ledger, key, now = self.world.ledger, block_key(policy), self.now()
        before = json.loads(ledger.fact(key) or "null")
        block, news = self.block_of(error, _block_from(before) if before else None)
        looks = before["looks"] + 1 if before else 0
        costly = self.provider(policy).traits.expires and looks >= _LOGINS - 1
        look_at = now + (_NO_MORE if costly else backoff.while_blocked(looks))
        ledger.forget(key)
        self._unblocked.discard(key)
        ledger.remember(key, json.dumps(_block_to(block, policy, look_at, looks)))
        self.trouble = True
        return Again(look_at), news

    def provider_answers(self, policy: Policy) -> None:
        """The admin credential was accepted: a block of its provider is over.

        Where there was none when this look began, none is looked for: one that came since ends with the
        next call.
        """
        if block_key(policy) in self._unblocked:
            return
        if self.world.ledger.fact(block_key(policy)) is not None:
            self.world.ledger.forget(block_key(policy))


def _block_to(block: Block, policy: Policy, look_at: datetime, looks: int) -> dict[str, object]:
    """A provider's block as the ledger keeps it."""
    return {
        "provider": policy.provider.name,
        "kind": block.kind,
        "reason": block.reason,
        "todo": block.todo,
        "since": block.since.isoformat(),
        "told": block.told,
        "told_at": (block.told_at or block.since).isoformat(),
        "look_at": look_at.isoformat(),
        "looks": looks,
    }


def _block_from(kept: Mapping[str, Any]) -> Block:
    """The same, read back."""
    since, told_at = datetime.fromisoformat(kept["since"]), datetime.fromisoformat(kept["told_at"])
    return Block(kept["kind"], kept["reason"], kept["todo"], since, kept["told"], told_at)


def block_key(policy: Policy) -> str:
    """The fact under which a block of a policy's provider is kept."""
    return f"block:{policy.provider.principal}"


def holds_nothing(credential: Credential, secret_fields: Iterable[str]) -> bool:
    """Whether none of a credential's secret fields has a value: the secret holds no key yet."""
    return not any(credential.get(name) for name in secret_fields)


def pushed(state: SecretState, now: datetime) -> SecretState:
    """The state with one more version written, those of the last 24 hours kept."""
    return replace(state, pushes=(*(at for at in state.pushes if at > now - timedelta(hours=24)), now))
