"""Credentials that a person issues, tokens that expire, and the admin credential itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from rotator.desk import Desk, Memory
from rotator.errors import NeedsPerson, Scope
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import (
    AdminRef,
    Credential,
    DebtPhase,
    Issued,
    Level,
    Order,
    Policy,
    Probe,
    ProviderRef,
    StoreRef,
    Target,
    Traits,
    Verification,
)
from rotator.policies import Book
from rotator.run_pass import CLAIM, Worker
from rotator.submitting import NotTaken, submit
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeKey, FakeProvider, FakeStore, FakeWorld, Told

STORE = StoreRef("fake", "fake")
LIFE = timedelta(hours=2)


class ByHand(FakeProvider):
    """A provider without a key API: a person makes and revokes keys in its web application."""

    traits: ClassVar[Traits] = replace(
        FakeProvider.traits,
        issues=False,
        lists=False,
        revokes=False,
        todo_issue="Open For Business, API keys, and create a new key.",
        todo_revoke="Open For Business, API keys, and revoke the old one.",
    )


class Unprovable(ByHand):
    """The same, but no probe can prove that a key is dead."""

    traits: ClassVar[Traits] = replace(ByHand.traits, provable=False)


class Tokens(FakeProvider):
    """Mints tokens from a parent credential; they expire by themselves."""

    traits: ClassVar[Traits] = replace(
        FakeProvider.traits,
        lists=False,
        revokes=False,
        expires=True,
        control=False,
        verification=Verification(1, timedelta(0), timedelta(minutes=1)),
    )

    def __init__(self, clock: ManualClock, rng: Random) -> None:
        super().__init__(clock, rng)
        self.minted: list[datetime] = []
        self.refuses = False
        self.logins = 0

    def issue(self, label: str, wanted: Any) -> Issued:
        """One call, one token."""
        self.logins += 1
        if self.refuses:
            raise NeedsPerson("admin-refused", "refused.", todo="submit", scope=Scope.PROVIDER)
        key = self.add(f"token {len(self.minted)}", {})
        self.minted.append(self._clock.now())
        expires = self._clock.now() + LIFE
        value = {"key_id": key.key_id, "secret": key.secret, "expires_at": str(int(expires.timestamp()))}
        return Issued(key.key_id, Credential(value), {}, expires)


class Both(FakeWorld):
    """A world with two providers."""

    def __init__(self, ledger: Ledger, store: FakeStore, rng: Random, **providers: FakeProvider) -> None:
        first = next(iter(providers.values()))
        super().__init__(ledger, first, store, rng)
        self.providers = providers

    def provider(self, ref: ProviderRef) -> FakeProvider:
        """By name."""
        return self.providers[ref.name]


class Rig:
    """A parent secret that a person fills, and a token that is minted from it."""

    def __init__(self, folder: Path, parent: type[ByHand] = ByHand) -> None:
        self.clock = ManualClock()
        rng = Random(3)
        self.hand, self.tokens = parent(self.clock, rng), Tokens(self.clock, rng)
        self.store = FakeStore(self.clock)
        self.ledger = open_ledger(f"sqlite:///{folder}/ledger.sqlite", self.clock)
        self.world = Both(self.ledger, self.store, rng, hand=self.hand, tokens=self.tokens)
        self.memory = Memory()
        hand = ProviderRef("hand", "hand", "https://fake.invalid")
        minting = ProviderRef("tokens", "tokens", "https://fake.invalid", AdminRef(STORE, "parent"))
        target = Target(FakeStore.canonical({}, "parent"), STORE, "parent")
        self.parent = Policy("parent", hand, target, every=timedelta(days=90), grace=timedelta(hours=1))
        below = Target(FakeStore.canonical({}, "token"), STORE, "token")
        self.token = Policy(
            "token", minting, below, renew=timedelta(minutes=20), parent=target.id, grace=timedelta(0)
        )
        self.first = self.hand.add("by hand")
        self.store.put("parent", "p0", self.fields(self.first), current=True)
        self.store.put("token", "t0", {"note": "theirs"}, current=True)
        self.worker = self.start()

    @staticmethod
    def fields(key: FakeKey) -> dict[str, str]:
        """A key as the person reads it."""
        return {"key_id": key.key_id, "secret": key.secret}

    def start(self) -> Worker:
        """A process."""
        return Worker(self.world, Book(policies=(self.parent, self.token)), Told(), holder="rig")

    def submit(self, key: FakeKey | dict[str, str]) -> None:
        """A person brings a credential."""
        claim = self.ledger.claim(self.parent.target.id, "person", CLAIM)
        state = self.ledger.secret(self.parent.target.id)
        assert claim is not None
        assert state is not None
        desk = Desk(self.world, self.memory, claim, state)
        fields = key if isinstance(key, dict) else self.fields(key)
        try:
            submit(desk, self.parent, Credential(fields), "a person")
        finally:
            self.ledger.release(claim, self.clock.now())

    def until(self, end: timedelta) -> None:
        """Let time pass, working whatever is due."""
        stop = self.clock.now() + end
        while self.clock.now() < stop:
            due = self.ledger.due(5)
            for secret in due:
                self.worker.work(secret)
            if not due:
                at = self.ledger.next_due() or stop
                self.clock.advance_to(min(stop, max(at, self.clock.now() + timedelta(seconds=1))))

    def alarms(self, secret: str = "parent") -> list[str]:
        """What people were told of a secret, oldest first."""
        events = reversed(self.ledger.events(f"fake|{secret}", 1000))
        return [event.kind for event in events if event.level is Level.ALARM]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Both secrets, known to the ledger."""
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


# --- a person issues ---------------------------------------------------------------------------------------


def ask(rig: Rig) -> None:
    """The policy is due."""
    rig.ledger.give(rig.parent.target.id, Order("run", "a person", "due", rig.clock.now()))
    rig.until(timedelta(minutes=1))


def test_a_person_is_asked_with_what_to_do_and_reminded_until_it_is_done(rig: Rig) -> None:
    """Told at once, after a day, after two more; and not again once the credential is in service."""
    ask(rig)
    state = rig.ledger.secret(rig.parent.target.id)
    assert state is not None
    assert state.block is not None
    assert state.block.todo.startswith("Open For Business")
    assert state.block.todo.endswith("rotator submit parent")
    rig.until(timedelta(days=4))
    assert rig.alarms() == ["blocked"] * 3
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    assert rig.store.value("parent")["key_id"] != rig.first.key_id
    state = rig.ledger.secret(rig.parent.target.id)
    assert state is not None
    assert state.block is None


def test_after_grace_a_person_revokes_and_the_probe_decides(rig: Rig) -> None:
    """The old key is asked for when its grace is over, and is dead when the provider refuses it."""
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(hours=5))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"
    assert rig.hand.revoked == []
    rig.first.live = False
    rig.until(timedelta(hours=2))
    (dead,) = rig.ledger.debts(rig.parent.target.id, ended=True)
    assert dead.phase is DebtPhase.DEAD
    assert "refused after" in (dead.proof or "")


def test_a_person_who_revokes_at_once_need_not_wait_for_the_proof(rig: Rig) -> None:
    """Nothing tells that it was done: the first looks after asking come after ten and twenty seconds."""
    ask(rig)
    rig.submit(rig.hand.add("new"))
    while not any(debt.block for debt in rig.ledger.debts(rig.parent.target.id)):
        rig.until(timedelta(seconds=5))
    rig.first.live = False
    rig.until(timedelta(seconds=25))
    assert rig.ledger.debts(rig.parent.target.id) == []


def test_a_key_that_the_person_revokes_early_is_proven_dead_all_the_same(rig: Rig) -> None:
    """It was seen to work when its debt began, so its refusal means something."""
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=2))
    rig.first.live = False
    rig.until(timedelta(hours=3))
    assert rig.ledger.debts(rig.parent.target.id) == []


def test_a_key_that_no_probe_can_prove_dead_waits_for_a_persons_word(tmp_path: Path) -> None:
    """The debt names the command; the record would say declared, never proven."""
    rig = Rig(tmp_path, Unprovable)
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.first.live = False
    rig.until(timedelta(hours=5))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "cannot-be-proven"
    assert f"rotator settle {debt.id}" in debt.block.todo
    rig.ledger.close()


@pytest.mark.parametrize("wrong", ["refused", "current"])
def test_a_wrong_credential_is_refused_and_nothing_is_written(rig: Rig, wrong: str) -> None:
    """One that the provider refuses, and the one that is in service already."""
    ask(rig)
    dead = rig.hand.add("dead")
    dead.live = False
    before = dict(rig.store.secrets["parent"].versions)
    with pytest.raises(NotTaken):
        rig.submit(dead if wrong == "refused" else rig.first)
    rig.until(timedelta(minutes=10))
    assert rig.store.secrets["parent"].versions == before
    rig.submit(rig.hand.add("right"))
    rig.until(timedelta(minutes=10))
    assert rig.store.value("parent")["key_id"] not in (dead.key_id, rig.first.key_id)


def test_a_credential_of_another_account_is_refused(rig: Rig) -> None:
    """Right at the provider, but not ours: known where the provider tells whose a key is."""
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    ask(rig)
    theirs, probe = rig.hand.add("theirs"), rig.hand.probe

    def told(credential: Credential) -> Probe:
        account = "two" if credential.get("secret") == theirs.secret else "one"
        return replace(probe(credential), account=account)

    rig.hand.probe = told  # type: ignore[method-assign]
    with pytest.raises(NotTaken, match="it belongs to account two, the one in service to one"):
        rig.submit(theirs)
    assert theirs.key_id not in {
        value.get("key_id") for value in rig.store.secrets["parent"].versions.values()
    }


def test_a_submit_that_is_killed_before_the_store_has_it_is_simply_done_again(rig: Rig) -> None:
    """The person still has the credential; nothing is owed, nothing is lost."""
    ask(rig)
    new, stage = rig.hand.add("new"), rig.store.stage

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    rig.store.stage = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        rig.submit(new)
    rig.store.stage = stage  # type: ignore[method-assign]
    rig.memory = Memory()
    rig.until(timedelta(minutes=5))
    assert rig.ledger.debts(rig.parent.target.id) == []
    rig.submit(new)
    rig.until(timedelta(minutes=5))
    assert rig.store.value("parent")["key_id"] == new.key_id


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_before_it_expires_and_never_oftener_than_needed(rig: Rig) -> None:
    """One token call for each life, at most 22 minutes before its end; the old one is settled by expiry."""
    rig.until(timedelta(days=1))
    gaps = [later - earlier for earlier, later in zip(rig.tokens.minted, rig.tokens.minted[1:], strict=False)]
    assert all(timedelta(minutes=97) < gap <= timedelta(minutes=101) for gap in gaps)
    assert rig.tokens.logins == len(rig.tokens.minted)
    ended = [debt for debt in rig.ledger.debts(rig.token.target.id, ended=True) if debt.phase.ended]
    assert ended
    assert all("expired at" in (debt.proof or "") for debt in ended)
    assert rig.tokens.revoked == []
    assert rig.store.value("token")["note"] == "theirs"


def test_a_pause_does_not_hold_a_token(rig: Rig) -> None:
    """Its users would be locked out."""
    rig.until(timedelta(minutes=1))
    until = rig.clock.now() + timedelta(days=3)
    rig.ledger.give(rig.token.target.id, Order("pause", "a person", "x", rig.clock.now(), until=until))
    rig.until(timedelta(hours=6))
    assert len(rig.tokens.minted) == 4


def test_a_new_parent_credential_makes_its_tokens_due_and_its_old_key_waits_for_them(rig: Rig) -> None:
    """The parent's old key is not to be revoked while a token that was minted with it is in use."""
    rig.until(timedelta(minutes=1))
    assert len(rig.tokens.minted) == 1
    ask(rig)
    rig.tokens.refuses = True
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=90))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is None, "its grace is over, but a token of it lives"
    rig.tokens.refuses = False
    rig.ledger.give(rig.token.target.id, Order("run", "a person", "again", rig.clock.now()))
    for fact in rig.ledger.facts("block:"):
        rig.ledger.forget(fact)
    rig.until(timedelta(minutes=30))
    assert len(rig.tokens.minted) == 2
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"


def test_three_refused_logins_are_the_last_until_a_person_acts(rig: Rig) -> None:
    """The provider disables accounts: no fourth try by itself; a new parent credential begins anew."""
    rig.tokens.refuses = True
    rig.until(timedelta(days=5))
    assert rig.tokens.logins == 3
    ask(rig)
    rig.tokens.refuses = False
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    assert rig.tokens.logins == 4
    assert len(rig.tokens.minted) == 1


def test_an_expired_token_is_no_reason_to_wait(rig: Rig) -> None:
    """A token that died by itself does not hold up its parent's old key."""
    rig.until(timedelta(minutes=1))
    ask(rig)
    rig.tokens.refuses = True
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(hours=4))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"


# --- the admin credential ---------------------------------------------------------------------------------


class Roomy(FakeProvider):
    """Any number of keys."""

    traits: ClassVar[Traits] = replace(FakeProvider.traits, key_limit=None)


def test_the_admin_credential_goes_last_and_is_read_anew(tmp_path: Path) -> None:
    """Others of its provider that are due go first; the old one is revoked with the new one."""
    clock, rng = ManualClock(), Random(4)
    provider, store = Roomy(clock, rng), FakeStore(clock)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite", clock)
    read_anew: list[int] = []

    class World(FakeWorld):
        def renewed(self, ref: ProviderRef) -> None:
            read_anew.append(len(provider.revoked))

    ref = ProviderRef("fake", "fake", "https://fake.invalid", AdminRef(STORE, "admin"))
    policies = []
    for name in ("admin", "one", "two"):
        key = provider.add("by hand")
        store.put(name, "v0", {"key_id": key.key_id, "secret": key.secret}, current=True)
        target = Target(FakeStore.canonical({}, name), STORE, name)
        policies.append(Policy(name, ref, target, every=timedelta(days=30), grace=timedelta(hours=1)))
    bare = Worker(World(ledger, provider, store, rng), Book(policies=tuple(policies)), Told(), holder="rig")
    for policy in policies:
        ledger.give(policy.target.id, Order("run", "a person", "all", clock.now()))
    for _ in range(400):
        for secret in ledger.due(1):
            bare.work(secret)
        clock.advance(timedelta(seconds=1))
    began = [event for event in reversed(ledger.events(limit=1000)) if event.kind == "began"]
    assert [event.data["policy"] for event in began][-1] == "admin"
    assert len(began) == 3
    promoted = [event for event in reversed(ledger.events(limit=1000)) if event.kind == "promoted"]
    assert [event.data["policy"] for event in promoted][-1] == "admin"
    assert len(read_anew) == 1
    ledger.close()
