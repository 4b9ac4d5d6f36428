"""Credentials that a person issues, tokens that expire, and the admin credential itself."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest

from rotator import breaker
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Scope, Unknown
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.memory import Memory
from rotator.model import (
    AdminRef,
    Attempt,
    Change,
    Credential,
    DebtPhase,
    Issued,
    Level,
    Order,
    Phase,
    Policy,
    Probe,
    ProviderRef,
    Rotation,
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
    probes = 0

    def probe(self, credential: Credential) -> Probe:
        """One login."""
        self.probes += 1
        return super().probe(credential)


class Unprovable(ByHand):
    """The same, but no probe can prove that a key is dead."""

    traits: ClassVar[Traits] = replace(ByHand.traits, provable=False)


class Tokens(FakeProvider):
    """Mints tokens from a parent credential; they expire by themselves."""

    traits: ClassVar[Traits] = replace(
        FakeProvider.traits,
        admin_fields=("key_id", "secret"),
        lists=False,
        revokes=False,
        expires=True,
        control=False,
        verification=Verification(1, timedelta(0), timedelta(minutes=1)),
    )

    def __init__(self, clock: ManualClock, rng: Random) -> None:
        super().__init__(clock, rng)
        self.minted: list[datetime] = []
        self.refusal: RotatorError | None = None
        self.logins = 0

    def issue(self, label: str, wanted: Any) -> Issued:
        """One call, one token."""
        self.logins += 1
        if self.refusal is not None:
            raise self.refusal
        key = self.add(f"token {len(self.minted)}", {})
        self.minted.append(self._clock.now())
        expires = self._clock.now() + LIFE
        value = {"key_id": key.key_id, "secret": key.secret, "expires_at": str(int(expires.timestamp()))}
        return Issued(key.key_id, Credential(value), {}, expires)


REFUSED = NeedsPerson("admin-refused", "refused.", todo="submit", scope=Scope.PROVIDER)
DOUBTFUL = Refused("login-failed", "an error inside a 200.")
BAD = Refused("http-400", "the server answered 400.", permanent=True)
GARBAGE = Unknown("garbage", "a 200 without a token.")
UNREADABLE = NeedsPerson("access-denied", "cannot be read.", todo="allow it", scope=Scope.PROVIDER)


class Both(FakeWorld):
    """A world with two providers."""

    def __init__(self, ledger: Ledger, store: FakeStore, rng: Random, **providers: FakeProvider) -> None:
        first = next(iter(providers.values()))
        super().__init__(ledger, first, store, rng)
        self.providers = providers

    def provider(self, ref: ProviderRef) -> FakeProvider:
        """By name."""
        return self.providers[ref.name]


YEAR = timedelta(days=365)


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


def test_a_clock_that_was_ahead_for_a_minute_locks_nobody_out(rig: Rig) -> None:
    """A token that was minted by a clock a year ahead is renewed once that clock was put right."""
    rig.until(timedelta(hours=5))
    rig.clock.advance(YEAR)
    rig.until(timedelta(minutes=2))
    rig.clock.advance(-YEAR)
    minted = len(rig.tokens.minted)
    rig.worker.run_pass(only=())
    rig.until(timedelta(hours=5))
    assert len(rig.tokens.minted) - minted == 4
    assert rig.alarms("token") == ["clock-was-ahead"]


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
    rig.tokens.refusal = REFUSED
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=90))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is None, "its grace is over, but a token of it lives"
    rig.tokens.refusal = None
    rig.ledger.give(rig.token.target.id, Order("run", "a person", "again", rig.clock.now()))
    for fact in rig.ledger.facts("block:"):
        rig.ledger.forget(fact)
    breaker.once_more(rig.ledger, rig.parent.target.id, breaker.TOKEN)
    rig.until(timedelta(minutes=30))
    assert len(rig.tokens.minted) == 2
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"


@pytest.mark.parametrize("refusal", [REFUSED, DOUBTFUL, BAD, GARBAGE], ids=lambda error: error.kind)
def test_three_refused_logins_are_the_last_until_a_person_acts(
    rig: Rig, refusal: NeedsPerson | EffectError
) -> None:
    """The provider disables accounts: no fourth try by itself; a new parent credential begins anew.

    People are told what to do, and reminded: after a day, then after two more.
    """
    rig.tokens.refusal = refusal
    rig.until(timedelta(days=5))
    assert rig.tokens.logins == 3
    (block,) = (json.loads(text) for text in rig.ledger.facts("block:").values())
    assert block["kind"] == "logins-refused"
    assert "rotator submit parent" in block["todo"]
    assert "rotator run-now token" in block["todo"]
    assert "parent" in block["reason"], "the login is named"
    told = {"admin-refused": ["blocked"], "http-400": ["blocked"], "garbage": ["failed"]}
    assert rig.alarms("token") == [*told.get(refusal.kind, []), *["blocked"] * 3]
    ask(rig)
    rig.tokens.refusal = None
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    assert rig.tokens.logins == 4
    assert len(rig.tokens.minted) == 1


def test_an_expired_token_is_no_reason_to_wait(rig: Rig) -> None:
    """A token that died by itself does not hold up its parent's old key."""
    rig.until(timedelta(minutes=1))
    ask(rig)
    rig.tokens.refusal = REFUSED
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(hours=4))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"


def test_refused_logins_are_counted_over_restarts(rig: Rig) -> None:
    """A process for each look, as cron has it: the fourth login is none's."""
    rig.tokens.refusal = DOUBTFUL
    for _ in range(60):
        rig.worker = rig.start()
        rig.until(timedelta(minutes=10))
    assert rig.tokens.logins == 3


def test_a_login_that_a_kill_cut_short_is_counted(rig: Rig) -> None:
    """Its place is taken before it is sent: a worker that is killed at each login sends three an hour."""
    rig.tokens.refusal = KeyboardInterrupt()  # type: ignore[assignment]
    for _ in range(8):
        with suppress(KeyboardInterrupt):
            rig.until(timedelta(minutes=6))
        rig.worker = rig.start()
    assert rig.tokens.logins == 3
    rig.tokens.refusal = None
    rig.until(timedelta(hours=1))
    assert len(rig.tokens.minted) == 1, "nobody saw them refused: they count for an hour"


@pytest.mark.parametrize(
    "error",
    [
        UNREADABLE,
        NotSent("connect", "not sent."),
        Refused("http-429", "slow."),
        Refused("http-404", "no such path.", permanent=True),
        Unknown("http-503", "down."),
    ],
    ids=lambda error: error.kind,
)
def test_what_is_no_refused_login_never_ends_the_renewal(rig: Rig, error: RotatorError) -> None:
    """A parent secret that cannot be read, or a provider that is busy: tried on, and well again by itself."""
    rig.tokens.refusal = error
    rig.until(timedelta(days=2))
    assert rig.tokens.logins > 20
    rig.tokens.refusal = None
    rig.until(timedelta(hours=1))
    assert len(rig.tokens.minted) == 1


def test_a_parent_secret_that_changed_is_tried_by_itself(rig: Rig) -> None:
    """Its version is looked at, which costs no login. Another field of it is not another key; another key is
    one login, and all is well if that is accepted.
    """
    rig.tokens.refusal = REFUSED
    rig.until(timedelta(days=1))
    rig.store.put("parent", "p1", {**rig.fields(rig.first), "note": "theirs"}, current=True)
    rig.until(timedelta(hours=3))
    assert rig.tokens.logins == 3
    rig.store.put("parent", "p2", {**rig.fields(rig.hand.add("still wrong")), "note": "x"}, current=True)
    rig.until(timedelta(hours=3))
    assert rig.tokens.logins == 4
    rig.tokens.refusal = None
    rig.store.put("parent", "p3", rig.fields(rig.hand.add("right")), current=True)
    rig.until(timedelta(hours=1.2))
    assert len(rig.tokens.minted) == 1
    assert rig.ledger.facts("login:") == {}
    assert rig.ledger.facts("block:") == {}


def test_wrong_logins_that_a_person_brings_are_counted_too(rig: Rig) -> None:
    """Three are sent and no fourth, which is said; the token whose parent works is renewed all the same, and
    that is the end of what was counted.
    """
    rig.until(timedelta(minutes=1))
    tried = rig.hand.probes
    for _ in range(5):
        dead = rig.hand.add("dead")
        dead.live = False
        with pytest.raises(NotTaken) as told:
            rig.submit(dead)
    assert "rotator submit parent --once-more" in str(told.value)
    assert rig.hand.probes - tried == 3
    breaker.once_more(rig.ledger, rig.parent.target.id, breaker.PERSON)
    with pytest.raises(NotTaken, match="refuses it"):
        rig.submit(dead)
    with pytest.raises(NotTaken, match="--once-more"):
        rig.submit(dead)
    rig.until(timedelta(hours=2))
    assert len(rig.tokens.minted) == 2
    assert rig.ledger.facts("login:") == {}


def test_a_new_login_is_taken_after_its_tokens_were_refused(rig: Rig) -> None:
    """Three of the token leave a person one: it is accepted, and the token is minted with it at once."""
    rig.tokens.refusal = REFUSED
    rig.until(timedelta(days=1))
    with pytest.raises(NotTaken, match="rotator run-now token"):
        rig.submit(rig.first)
    rig.tokens.refusal = None
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    assert len(rig.tokens.minted) == 1
    assert rig.ledger.facts("login:") == {}


# --- which tokens a parent's old key waits for -------------------------------------------------------------


def waits_for_its_token(rig: Rig) -> None:
    """A new parent credential comes, but its token cannot be renewed: nobody has to revoke before it is."""
    ask(rig)
    rig.tokens.refusal = NotSent("connect", "not sent.")
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=90))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is None
    before = len(rig.tokens.minted)
    rig.tokens.refusal = None
    rig.until(timedelta(minutes=40))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert debt.block.kind == "a-person-must-revoke"
    assert len(rig.tokens.minted) == before + 1


def test_a_parents_old_key_waits_for_a_token_that_was_there_before(rig: Rig) -> None:
    """Nobody knows what it was minted with, so it counts as in use until it is replaced."""
    rig.store.put("token", "t1", {"key_id": "theirs", "secret": "theirs too"}, current=True)
    rig.tokens.refusal = NotSent("connect", "not sent.")
    rig.until(timedelta(minutes=1))
    waits_for_its_token(rig)


def test_a_parents_old_key_waits_though_its_version_moved(rig: Rig) -> None:
    """Somebody changed another field of the parent secret since the token was minted: the same key."""
    rig.until(timedelta(minutes=1))
    rig.store.put("parent", "p1", {**rig.fields(rig.first), "note": "theirs"}, current=True)
    waits_for_its_token(rig)


def test_a_parents_old_key_waits_for_a_token_that_is_on_its_way(rig: Rig) -> None:
    """It was minted with the old key, and may come into service yet."""
    rig.until(timedelta(minutes=1))
    ask(rig)
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=10))
    state, secret = rig.ledger.secret(rig.token.target.id), rig.token.target.id
    assert state is not None
    attempt = Attempt("token", 1, "token", version="t9", made_with="p0", made_from=rig.parent.target.id)
    live = Rotation("r1", secret, rig.token, "renewal", rig.clock.now(), Phase.STAGED, attempt)
    claim = rig.ledger.claim(secret, "a worker that hangs", timedelta(hours=3))
    assert claim is not None
    rig.ledger.commit(claim, Change(state, live))
    rig.until(timedelta(minutes=90))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert (debt.block, "waiting for tokens minted with it" in debt.why) == (None, True)
    rig.ledger.commit(claim, Change(state, replace(live, phase=Phase.FAILED, ended_at=rig.clock.now())))
    rig.ledger.release(claim, rig.clock.now())
    rig.until(timedelta(minutes=40))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None


def test_a_token_of_the_key_in_service_is_not_waited_for(rig: Rig) -> None:
    """Nor is it minted anew because another field of its parent secret changed."""
    rig.until(timedelta(minutes=1))
    ask(rig)
    new = rig.hand.add("new")
    rig.submit(new)
    rig.until(timedelta(minutes=10))
    rig.store.put("parent", "p9", {**rig.fields(new), "note": "theirs"}, current=True)
    rig.until(timedelta(minutes=55))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is not None
    assert len(rig.tokens.minted) == 2


def test_a_token_is_minted_anew_once_its_parent_is_another_secret(rig: Rig) -> None:
    """Versions of two secrets may be spelled alike. Until then the former parent's old key waits for it."""
    rig.until(timedelta(minutes=1))
    ask(rig)
    rig.store.put("other", "p0", rig.fields(rig.hand.add("other")), current=True)
    target = Target(FakeStore.canonical({}, "other"), STORE, "other")
    other = replace(rig.parent, name="other", target=target)
    admin = AdminRef(STORE, "other")
    rig.token = replace(
        rig.token, parent=target.id, provider=replace(rig.token.provider, admin=admin), grace=timedelta(0)
    )
    book = Book(policies=(rig.parent, other, rig.token))
    rig.worker = Worker(rig.world, book, Told(), holder="rig")
    rig.tokens.refusal = NotSent("connect", "not sent.")
    rig.submit(rig.hand.add("new"))
    rig.until(timedelta(minutes=90))
    (debt,) = rig.ledger.debts(rig.parent.target.id)
    assert debt.block is None
    rig.tokens.refusal = None
    rig.until(timedelta(minutes=20))
    assert len(rig.tokens.minted) == 2
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
