"""What the stories speak to: Protocols, each method with its promise.

Every method may raise the errors of :mod:`rotator.errors` that its docstring names, and no others. "May be
called twice" means: a second call with the same arguments does no harm and tells the same.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from rotator.model import (
    Anchor,
    Chain,
    Change,
    Claim,
    ConsumerRef,
    Credential,
    Debt,
    Event,
    Issued,
    KeyRecord,
    News,
    Order,
    Probe,
    ProviderRef,
    Rotation,
    SecretState,
    StoreRef,
    Target,
    Traits,
)

EFFECT_SECONDS = 25.0  # an effect, its retries included, ends within this time


class Clock(Protocol):
    """Time, and waiting for it."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: for deadlines."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; only limiters and clocks do, never a story."""
        ...


class Provider(Protocol):
    """Who issues keys. Each call ends within EFFECT_SECONDS."""

    traits: ClassVar[Traits]

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:
        """The settings to ask for: the policy's ``key``, and from the old key what that leaves open. Pure.

        Raises NeedsPerson where neither says what must be known.
        """
        ...

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:
        """In what the key that was granted differs from what was asked, as a sentence; None if in nothing.

        Pure. A setting that ``granted`` does not mention is not judged.
        """
        ...

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:
        """Make one new key under ``label``. Never twice under one label: each call may make another key.

        Raises NotSent, Refused, Unknown (a key may exist: look for its label), NeedsPerson.
        """
        ...

    def find(self) -> Sequence[KeyRecord]:
        """Every key of the principal, ours and others', all pages. May be called twice.

        Raises NotSent, Refused, Unknown, NeedsPerson (the admin credential is refused: scope PROVIDER).
        """
        ...

    def probe(self, credential: Credential) -> Probe:
        """Try the key itself with a harmless authenticated request. May be called twice; never raises
        an EffectError: what went wrong is the verdict UNKNOWN with its reason.
        """
        ...

    def revoke(self, key_id: str) -> None:
        """Make one key unusable for ever, by the admin credential. May be called twice.

        Returns when the provider says that it is done or that there is no such key; neither is a proof.
        Raises NotSent, Refused, Unknown, NeedsPerson.
        """
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """A secret without its value: the current version's id (None: it has none yet) and the others'."""

    current: str | None
    previous: str | None = None
    versions: tuple[str, ...] = ()
    replicated: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a secret: our fields of it, and the whole object for writing the rest back."""

    version: str
    created_at: datetime | None
    credential: Credential  # under our field names; only those that the object has
    whole: Credential  # the object as it is stored; for ``text`` the one field ``""``


class SecretStore(Protocol):
    """Where consumers read. Each call ends within EFFECT_SECONDS.

    All methods raise NotSent, Refused, Unknown, and NeedsPerson for what a person must mend (missing,
    marked deleted, not JSON, rotated natively, access denied).
    """

    @staticmethod
    def canonical(settings: Mapping[str, Any], secret: str) -> str:
        """The secret's one id, whatever its spelling. Pure; raises ValueError for a bad spelling."""
        ...

    def look(self, target: Target) -> Look:
        """The secret's versions; a fresh read, without values. May be called twice."""
        ...

    def read(self, target: Target, version: str | None = None) -> Stored | None:
        """One version; if ``version`` is None the current one, read afresh; None if it is not there.

        A version's own id is always used or compared, never a stale default.
        """
        ...

    def seed(self, target: Target, push: str) -> str:
        """Give a secret that has no version an empty object as its first. May be called twice."""
        ...

    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """Write ``credential`` over ``onto`` as a pending version, read it back by its id, and compare.

        ``push`` is the idempotency token: may be called twice with the same arguments. Raises Conflict if
        the token was used with another value, Unknown if what is read back is not what was written.
        """
        ...

    def promote(self, target: Target, version: str, expected: str) -> str:
        """Make ``version`` current if ``expected`` still is, in one step; the id that is now current.

        Raises Conflict where ``expected`` is no longer current, also when that is our own earlier call's
        doing: the caller looks. Unknown where the answer was lost.
        """
        ...

    def shown(self, target: Target, version: str, since: datetime) -> bool:
        """Whether every replica shows ``version``; where one cannot be read, whether the store's replica
        delay has passed ``since``. May be called twice.
        """
        ...

    def keep(self, target: Target, version: str, mark: str) -> None:
        """Keep an old version readable, under a label of ours. May be called twice."""
        ...

    def discard(self, target: Target, version: str, mark: str | None) -> None:
        """Let a version go that is not current: take our labels off it. May be called twice."""
        ...

    def raw(self, secret: str) -> Credential:
        """The current JSON object of a secret, every text field of it: an admin credential."""
        ...

    def replace_raw(self, secret: str, fields: Mapping[str, str], push: str) -> None:
        """Write fields into the current JSON object of a secret at once: ``submit --admin``."""
        ...


class Consumer(Protocol):
    """Who uses a secret, and is told when it holds a new key. Each call ends within EFFECT_SECONDS."""

    def tell(self, news: News) -> None:
        """Tell it. May be called twice: the second time does at most again what the first one did, and bears
        the same id. Returns when the other side said that it took it.

        Raises NotSent, Refused, Unknown (it may have taken it), NeedsPerson.
        """
        ...

    def check(self) -> None:
        """Whether what telling needs is there (settings, credentials). Tells nobody; may be called twice.

        Raises NotSent, Refused, Unknown, NeedsPerson.
        """
        ...


class Ledger(Protocol):
    """The durable memory. It never holds a credential. Raises LedgerUnusable from any method."""

    @property
    def id(self) -> str:
        """8 hexadecimal digits, random, drawn when the ledger was made."""
        ...

    def now(self) -> datetime:
        """The ledger's clock: the one by which grace and claims are measured."""
        ...

    # secrets

    def enroll(self, states: Iterable[SecretState]) -> int:
        """Add secrets that the ledger does not know, due at once; how many were new. May be called twice."""
        ...

    def secret(self, secret_id: str) -> SecretState | None:
        """What is known of one secret."""
        ...

    def children(self, secret_id: str) -> Sequence[SecretState]:
        """The secrets whose parent is this one: tokens that are minted from it."""
        ...

    def keepers(self, principal: str, key_id: str) -> Sequence[SecretState]:
        """The secrets that hold the key of this id at this principal, as far as is known: the one that was
        seen there instead of the current one, else that one.
        """
        ...

    def secrets(self) -> Iterator[tuple[SecretState, datetime | None]]:
        """Every secret with its next action's time, by id."""
        ...

    def due(self, limit: int) -> Sequence[str]:
        """Ids whose next action is due and that nobody holds, oldest first. One indexed query."""
        ...

    def next_due(self) -> datetime | None:
        """The earliest next action of all."""
        ...

    def nudge(self, secret_ids: Iterable[str]) -> None:
        """Make these due now; a claim that is held now will not put them off when it is released."""
        ...

    # claims and commits

    def claim(self, secret_id: str, holder: str, ttl: timedelta) -> Claim | None:
        """The right to act on one secret until now + ttl; None if another holds it or there is none.

        The secret becomes due with it, and only a release puts that off: where its holder is killed, another
        worker goes on as soon as the claim's time is over, however far ahead its next action was.
        """
        ...

    def commit(self, claim: Claim, change: Change) -> None:
        """Write state, rotation, debts, events and freed slots in one transaction, and renew the claim.

        Raises Fenced, with nothing written, if the claim is no longer the newest or its time is over.
        """
        ...

    def renew(self, claim: Claim) -> None:
        """Prolong a claim by its first time to live, before an effect. Raises Fenced."""
        ...

    def release(self, claim: Claim, next_at: datetime | None) -> None:
        """Give a claim back and set the next action's time (None: nothing to do). Silent if fenced."""
        ...

    # rotations, attempts, debts

    def rotation(self, secret_id: str) -> Rotation | None:
        """The live rotation of a secret; there is at most one (a unique index)."""
        ...

    def rotations(self, secret_id: str, limit: int = 20) -> Sequence[Rotation]:
        """Rotations of a secret, newest first."""
        ...

    def attempts(self, tokens: Collection[str]) -> Mapping[str, tuple[str, str]]:
        """Those of these tokens that the ledger drew, of labels and of versions alike, each with the secret's
        and the rotation's id. Always read anew: a database that lost commits has lost them here too.
        """
        ...

    def debts(self, secret_id: str | None = None, *, ended: bool = False) -> Sequence[Debt]:
        """Debts that are open, of one secret or of all, oldest first; with ``ended`` the paid ones too."""
        ...

    def debt(self, debt_id: str) -> Debt | None:
        """One debt."""
        ...

    # slots of principals with a limit of live keys

    def reserve(self, claim: Claim, principal: str, token: str, listed: frozenset[str], limit: int) -> bool:
        """Take a slot for the key about to be issued, in one step: those listed at the provider and those
        reserved but not listed, counted once each, must stay below ``limit``. May be called twice.
        """
        ...

    def slots(self, principal: str) -> Mapping[str, str | None]:
        """Every slot that is taken: its token, and the id of its key once a commit told it."""
        ...

    # what people ask for

    def give(self, secret_id: str, order: Order) -> None:
        """Write an order (at most one of a kind) and make the secret due. The secret must be enrolled."""
        ...

    def withdraw(self, secret_id: str, kind: str) -> bool:
        """Take an order back; whether there was one. Makes the secret due."""
        ...

    def orders(self, secret_id: str) -> Mapping[str, Order]:
        """Orders by kind, those to EVERYBODY among them. Read before every effect."""
        ...

    def all_orders(self) -> Mapping[str, Mapping[str, Order]]:
        """Every order: by secret, then by kind."""
        ...

    # events and alarms

    def events(self, secret_id: str | None = None, limit: int = 200) -> Sequence[Event]:
        """Newest first."""
        ...

    def untold(self, limit: int = 100) -> Sequence[Event]:
        """Alarms that have not been told, oldest first."""
        ...

    def told(self, seqs: Iterable[int]) -> None:
        """Mark alarms as told. May be called twice."""
        ...

    # small facts, and locks for principals

    def fact(self, key: str) -> str | None:
        """A fact, as text."""
        ...

    def facts(self, prefix: str) -> Mapping[str, str]:
        """Every fact whose key begins with ``prefix``."""
        ...

    def remember(self, key: str, value: str) -> bool:
        """Write a fact if its key has none; whether it was new."""
        ...

    def forget(self, key: str) -> bool:
        """Remove a fact; whether it was there."""
        ...

    def swap(self, key: str, before: str | None, after: str) -> bool:
        """Write a fact in one step if it still is as it was read, None where there was none; whether it was.

        Who gets False reads it anew. So a count that many workers keep is exact.
        """
        ...

    def lock(self, name: str, holder: str, ttl: timedelta) -> bool:
        """Take or prolong a named lock until now + ttl; False if another holds it."""
        ...

    def unlock(self, name: str, holder: str) -> None:
        """Give a lock back; silent if it is not ours."""
        ...

    # the audit trail: each change is recorded in its own transaction, at the end of its secret's chain

    def chains(self) -> Iterator[str]:
        """Every secret of which there is anything, by id; first "", the ledger's own chain."""
        ...

    def chain(self, secret_id: str) -> Chain:
        """Everything about one secret, as it is at one moment: records by number, head, tables' digests."""
        ...

    def anchor(self) -> Anchor | None:
        """Write the heads that moved since the last anchor into the ledger's own chain, and tell its end.

        None where nothing moved.
        """
        ...

    def holds(self, anchor: Anchor) -> bool:
        """Whether the record that an anchor names is there; if not, the ledger was set back or rewritten."""
        ...

    def close(self) -> None:
        """Let go of files and connections. May be called twice."""
        ...


class Notifier(Protocol):
    """Tells people."""

    def tell(self, event: Event) -> None:
        """Hand an alarm on. Never raises; may be called twice for one event."""
        ...

    def flush(self, timeout: timedelta) -> bool:
        """Wait, at most so long, until everything handed on was taken; whether it was. Never raises."""
        ...


class World(Protocol):
    """Everything outside, as a story sees it."""

    @property
    def ledger(self) -> Ledger:
        """The durable memory."""
        ...

    def provider(self, ref: ProviderRef) -> Provider:
        """The adapter for a provider, made once."""
        ...

    def store(self, ref: StoreRef) -> SecretStore:
        """The adapter for a store, made once."""
        ...

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """The adapter for a consumer, made once."""
        ...

    def renewed(self, ref: ProviderRef) -> None:
        """A provider's admin or parent credential was replaced: read it anew at its next use."""
        ...

    def stopping(self) -> bool:
        """Whether no new effect may begin: SIGTERM was received."""
        ...

    def stop(self) -> None:
        """Let no new effect begin from now on. May be called twice."""
        ...

    def random_hex(self) -> str:
        """32 hexadecimal digits from the system's generator."""
        ...
