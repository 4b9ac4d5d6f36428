"""One claimed secret, while a worker acts on it: what both stories share.

A story reads and writes the ledger through its desk, asks it whether an effect may begin, and finds here
the values that it read a moment ago. Nothing at a desk outlives its worker but what was committed.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator import blocks, budgets, due, safe_mode
from rotator.blocks import block_key
from rotator.errors import EffectError, NeedsPerson, Refused
from rotator.interfaces import EFFECT_SECONDS, Consumer, Ledger, Provider, SecretStore, Stored, World
from rotator.memory import Memory
from rotator.model import (
    LOCKED_OUT,
    Again,
    Block,
    Change,
    Claim,
    ConsumerRef,
    Credential,
    Debt,
    Event,
    Level,
    Order,
    Policy,
    Rotation,
    SecretState,
    Target,
    locked_out,
    stop_in_force,
)

log = logging.getLogger("rotator.steps")

_EFFECT = timedelta(seconds=EFFECT_SECONDS)
_STOPPED = timedelta(minutes=1)  # until a stop is looked at again; a pass begins nothing while it lasts
NO_LIVING_KEY = "The key in service is dead, so that whoever reads the secret is locked out."
_OUR_OWN = {"rate-limited", "login-held"}  # kinds of errors that are no failure of the provider


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
        self.answering = False  # the store's own rotation waits for what is done here
        self._rotation: Rotation | None = None
        self._debts: dict[str, Debt] | None = None
        self._read = False
        self._unblocked: set[str] = set()
        self._trial = False  # this look was let through to a provider that fails
        self._ttl = claim.until - self.now()
        self._renewed = self.now()  # the claim lasts from then

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

    def locked_out(self) -> bool:
        """Whether the key in service died before there was another one."""
        return locked_out(self.state, self.debts())

    def provider(self, policy: Policy) -> Provider:
        """The adapter of a policy's provider."""
        self._keep_claim()
        return self.world.provider(policy.provider)

    def store(self, policy: Policy) -> SecretStore:
        """The adapter of a policy's store."""
        return self.store_at(policy.target)

    def store_at(self, target: Target) -> SecretStore:
        """The adapter of the store that a secret is in."""
        self._keep_claim()
        return self.world.store(target.store)

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """The adapter of a consumer."""
        self._keep_claim()
        return self.world.consumer(ref)

    def _keep_claim(self) -> None:
        """Prolong a claim that the next effect might outlast. Raises Fenced where it is over.

        So a process that was frozen finds out before its next effect, not at its next commit, and effects
        that take long do not end their own claim. A clock that was set back meanwhile tells nothing of it.
        """
        now = self.now()
        if not self._renewed <= now <= self._renewed + self._ttl - _EFFECT * 1.5:
            self.hold()

    def hold(self) -> None:
        """Prolong the claim: what was read at this desk is as it was. Raises Fenced where it is over."""
        self.world.ledger.renew(self.claim)
        self._renewed = self.now()

    def version(self, policy: Policy, version: str) -> Stored | None:
        """One version of the secret: what is in memory, else a read. None if it is not there."""
        known = self.memory.get(self.state.id, version, self.now())
        if known is not None:
            return known
        stored = self.store(policy).read(policy.target, version)
        return None if stored is None else self.memory.keep(self.state.id, version, stored, self.now())

    # whether an effect may begin

    def held(
        self, policy: Policy, *, urgent: bool, admin: bool = True, begins: bool = False, revokes: bool = False
    ) -> Held | None:
        """Why no effect may begin: SIGTERM, a stop, safe mode, a pause, a provider's block, a closed window.

        Asked directly before the intent of every effect is written. ``urgent`` work (run-now, strays) waits
        for no window; ``admin`` says whether the provider's admin credential is needed, ``begins`` whether a
        key is about to be issued, which a provider that fails holds as well, ``revokes`` whether one would
        die.
        """
        now = self.now()
        token = policy.renew is not None  # neither a pause nor a window: its users would be locked out
        waits = not urgent and not token
        held = self.halted(pauses=not token, revokes=revokes, follows=revokes)
        if held is None and admin:
            held = self._blocked(policy, now)
        if held is None and waits and (opens := due.window_opens(policy, now)) > now:
            held = Held("outside its windows", opens)
        return self._paused(policy) if held is None and waits and begins else held

    def halted(self, *, pauses: bool = True, revokes: bool = False, follows: bool = False) -> Held | None:
        """What holds an effect of any kind: SIGTERM, a stop, safe mode; unless it must go on, a pause.

        ``follows``: it follows from a promotion, so that a pause which holds new keys alone does not hold it.
        """
        now, orders = self.now(), self.orders()
        pause = orders.get("pause") if pauses else None
        held = self._all_held(orders, now, revokes=revokes)
        if held is None and pause and pause.until and pause.until > now:
            passes = pause.new_only if follows else self._in_spite_of(pause)
            held = None if passes else Held(f"paused by {pause.by}", pause.until)
        return held

    def _in_spite_of(self, pause: Order) -> bool:
        """Whether what is under way is a rollback that a person wanted though the policy was paused."""
        live = self.rotation()
        back = live.back if live is not None else None
        return back is not None and back.at is not None and pause.at <= back.at

    def _all_held(self, orders: Mapping[str, Order], now: datetime, *, revokes: bool) -> Held | None:
        """What holds every policy."""
        if self.world.stopping():
            return Held("the worker is stopping", now)
        stop = stop_in_force(orders, now)
        if stop is not None:
            return Held(f"stopped by {stop.by}", now + _STOPPED)
        if revokes and safe_mode.current(self.world.ledger) is not None:
            return Held("the ledger is older than the world", now + safe_mode.PAUSE)
        return None

    def _blocked(self, policy: Policy, now: datetime) -> Held | None:
        """A block of a policy's provider, read anew."""
        until = blocks.blocked_until(self.world.ledger, policy)
        (self._unblocked.add if until is None else self._unblocked.discard)(block_key(policy))
        return Held("the provider is blocked", until) if until is not None and until > now else None

    def _paused(self, policy: Policy) -> Held | None:
        """A pause of a provider that fails, but for the one secret that is its trial."""
        if self._trial:
            return None
        until = blocks.paused_until(self.world.ledger, policy)
        self._trial = until is None
        return Held("the provider fails", until) if until else None

    @contextmanager
    def managing(self, policy: Policy, call: str) -> Iterator[None]:
        """A call with the admin credential: where it is answered, a block that it had met is over.

        Where there was no block when this look began, none is looked for: one that came since ends with the
        next call.
        """
        try:
            yield
        except NeedsPerson as error:
            error.call = call
            raise
        if block_key(policy) not in self._unblocked:
            blocks.answered(self._shared(), policy, call)

    @contextmanager
    def asking(self, policy: Policy, call: str) -> Iterator[None]:
        """The same for a call without which no rotation begins: a failure of it is counted."""
        try:
            with self.managing(policy, call):
                yield
        except EffectError as error:
            if error.kind not in _OUR_OWN and not (isinstance(error, Refused) and error.permanent):
                self.provider_fails(policy, error.kind)
            raise

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
        told, debts, now = tuple(events), tuple(debts), self.now()
        self.world.ledger.commit(
            self.claim,
            Change(state, rotation, debts, told, tuple(frees), tuple(orders_done)),
        )
        self.state, self._renewed = state, now
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
        """An event of this secret, with the ids that people search by.

        An alarm says first, and as loudly as can be, that the key in service is dead.
        """
        subject = rotation or debt
        locked = level is Level.ALARM and self.locked_out()
        known = {
            "policy": subject.policy.name if subject else self.state.policy,
            "provider": subject.policy.provider.name if subject else None,
            "owner": subject.policy.owner if subject else None,
            "step": str(subject.phase) if subject else None,
            **({LOCKED_OUT: "yes"} if locked else {}),
            **data,
        }
        return Event(
            secret=self.state.id,
            kind=kind,
            text=f"{NO_LIVING_KEY} {text}" if locked else text,
            level=level,
            rotation=rotation.id if rotation else None,
            debt=debt.id if debt else None,
            data={name: value for name, value in known.items() if value},
        )

    # blocks

    def _shared(self) -> Ledger:
        """The ledger, for facts about a provider: all its secrets share them, so no commit is fenced.

        A process that was frozen meets failures of its own making when it goes on. Raises Fenced where its
        claim is over.
        """
        self._keep_claim()
        return self.world.ledger

    def block_of(self, error: NeedsPerson, known: Block | None) -> tuple[Block, bool]:
        """The block for an error, and whether people are told: of a new one, and now and then again."""
        return blocks.told(error, known, self.now())

    def block_provider(self, policy: Policy, error: NeedsPerson) -> tuple[Again, bool]:
        """One block for the whole provider: when its policies look again, and whether people are told."""
        look_at, news = blocks.block(self._shared(), policy, error)
        self._unblocked.discard(block_key(policy))
        self.trouble = True
        return Again(look_at), news

    def provider_fails(self, policy: Policy, kind: str) -> None:
        """Count a failure of this secret at its provider; where it has the provider paused, tell people."""
        news = blocks.failed(self._shared(), policy, self.state.id, kind)
        if news is not None:
            text, provider = f"{news.reason} To do: {news.todo}", policy.provider.name
            told = self.event("provider-paused", text, level=Level.ALARM, error=kind, provider=provider)
            self.write(events=[told])

    def provider_works(self, policy: Policy) -> None:
        """A key of the provider was issued as asked, and is accepted: what failed there before is over."""
        if blocks.works(self._shared(), policy):
            text, provider = (
                f"{policy.provider.name} works again: rotations begin there",
                policy.provider.name,
            )
            self.write(events=[self.event("provider-resumed", text, provider=provider)])


def holds_nothing(credential: Credential, secret_fields: Iterable[str]) -> bool:
    """Whether none of a credential's secret fields has a value: the secret holds no key yet."""
    return not any(credential.get(name) for name in secret_fields)


def pushed(policy: Policy, state: SecretState, now: datetime) -> SecretState:
    """The state with one more version written."""
    return replace(state, pushes=budgets.spend(state.pushes, budgets.of_pushes(policy), now))
