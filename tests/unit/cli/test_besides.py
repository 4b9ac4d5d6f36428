"""What lives beside an order about a provider, a store, everything or an age: named, with what to do."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.besides import Beside, besides
from rotator.cli.select import Choice
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import (
    AdminRef,
    Attempt,
    Block,
    Change,
    CurrentKey,
    Debt,
    Phase,
    Policy,
    Provenance,
    Rotation,
)
from rotator.policies import Book
from rotator.submitting import Brought, record_admin
from rotator.testing.clock import ManualClock
from tests.unit.cli.records import NOW, STORE, debt, policy, rotation, state

BUILD = Choice(providers=("build",))
HOUR = timedelta(hours=1)


class Scene:
    """A ledger, and the policies that the files have."""

    def __init__(self, folder: Path) -> None:
        self.ledger: Ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", ManualClock())
        self.policies: list[Policy] = []

    def holds(self, of: Policy, key_id: str, *, made: Policy | None = None, **more: Any) -> None:
        """A secret, worked by its policy, that holds a key of ours, which was issued under ``made``."""
        of_key = made or of
        token = f"r1-{'0' * 8}-{secrets.token_hex(16)}"
        current = CurrentKey("v1", key_id, Provenance.ISSUED, NOW, token)
        done = rotation(
            of_key, Phase.PROMOTED, attempt=Attempt(token, 1, token, key_id), ended_at=NOW, id=token
        )
        self.knows(replace(state(of), **{"current": current, **more}), done)

    def knows(self, known: Any, done: Rotation | None = None, *debts: Debt) -> None:
        """A secret's records."""
        self.ledger.enroll([known])
        claim = self.ledger.claim(known.id, "test", HOUR)
        assert claim is not None
        self.ledger.commit(claim, Change(known, done, debts))
        self.ledger.release(claim, None)

    def owes(self, one: Debt) -> None:
        """A debt of a secret that is known."""
        self.knows(self.ledger.secret(one.secret), None, one)

    def beside(self, choice: Choice, *touched: Policy, since: timedelta = timedelta(0)) -> tuple[str, ...]:
        """What is beside an order about these, as sentences."""
        return self.whole(choice, *touched, since=since).words

    def whole(
        self, choice: Choice, *touched: Policy, since: timedelta = timedelta(0), no_grace: bool = True
    ) -> Beside:
        """All of it."""
        providers = {one.provider.name: one.provider for one in self.policies}
        book = Book({"aws": STORE}, providers, tuple(self.policies))
        ids = {one.target.id for one in touched}
        return besides(self.ledger, book, choice, ids, self.ledger.now() + since, no_grace=no_grace)

    def keys(self, choice: Choice, *touched: Policy) -> list[str]:
        """Of that, what is told of keys of policies."""
        return [one for one in self.beside(choice, *touched) if "the admin credential" not in one]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """One policy of ``build``, whose secret holds a key."""
    made = Scene(tmp_path)
    made.policies = [policy("one")]
    made.holds(made.policies[0], "key-one")
    yield made
    made.ledger.close()


# --- keys ------------------------------------------------------------------------------------------------


def by_hand() -> Policy:
    """A policy of which a person revokes the keys."""
    made = policy("gone")
    return replace(made, provider=replace(made.provider, admin=None))


def test_a_key_whose_policy_was_deleted_is_named(scene: Scene) -> None:
    """The one in service and the one in its grace, each with its id, its provider and what ends it."""
    gone = policy("gone")
    scene.holds(gone, "key-gone")
    scene.owes(debt(gone))
    serving, older = scene.keys(BUILD, scene.policies[0])
    assert serving == (
        "gone, whose policy was deleted: key key-gone of build is in service, as far as is known. To do: "
        "revoke it at build; or put the policy back, and give the same command again"
    )
    assert older.startswith("gone, whose policy was deleted: key key-0 of build must still die. To do: ")


def test_the_grace_of_a_replaced_key_ends_with_that_of_the_order(scene: Scene) -> None:
    """Where the order gives none; with its grace it dies by itself, as what the order replaces does."""
    gone, one = policy("gone"), scene.policies[0]
    scene.holds(gone, "key-gone")
    scene.owes(debt(gone, version="v0"))
    assert scene.whole(BUILD, one).ends == {gone.target.id: ("v0",)}
    assert "the order ends its grace" in scene.keys(BUILD, one)[1]
    with_grace = scene.whole(BUILD, one, no_grace=False)
    assert with_grace.ends == {}
    assert not [told for told in with_grace.words if "key-0" in told]


@pytest.mark.parametrize(
    ("more", "todo"),
    [
        ({"provenance": Provenance.UNKNOWN}, "rotator adopt gone --key-id key-0"),
        ({"block": Block("still-in-service", "why.", "see to it", NOW)}, "see to it"),
        ({"policy": by_hand()}, "rotator settle debt1 --reason TEXT"),
    ],
    ids=["unadopted", "blocked", "by hand"],
)
def test_a_replaced_key_that_a_person_must_end_is_left_to_them(
    scene: Scene, more: dict[str, Any], todo: str
) -> None:
    """With what to do; its grace is not ended."""
    gone = policy("gone")
    scene.holds(gone, "key-gone")
    scene.owes(debt(gone, version="v0", **more))
    found = scene.whole(BUILD, scene.policies[0], no_grace=False)
    assert (todo in found.words[1], found.ends) == (True, {})


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        (BUILD, True),
        (Choice(stores=("aws",)), True),
        (Choice(everything=True), True),
        (Choice(issued_before=NOW + HOUR), True),
        (Choice(issued_before=NOW - timedelta(days=2)), False),
        (Choice(providers=("other",)), False),
        (Choice(stores=("other",)), False),
        (Choice(providers=("build",), tags=(("team", "a"),)), False),
        (Choice(names=("one",)), False),
        (Choice(tags=(("team", "b"),)), False),
        (Choice(owners=("desk-a",)), False),
    ],
    ids=str,
)
def test_it_is_named_where_the_order_is_about_its_place(scene: Scene, choice: Choice, *, named: bool) -> None:
    """By the policy as it was; an order about names, tags or an owner alone is about those."""
    scene.holds(policy("gone", tags={"team": "b"}, owner="desk-a"), "key-gone")
    assert bool(scene.keys(choice, scene.policies[0])) is named


def test_a_key_that_nobody_knows_more_of_is_named(scene: Scene) -> None:
    """One that was there before, and whose policy was deleted before its first rotation."""
    scene.knows(state(policy("gone")))
    (told,) = scene.keys(BUILD, scene.policies[0])
    assert "key key-1 of build" in told
    assert not scene.keys(Choice(providers=("other",)), scene.policies[0])


@pytest.mark.parametrize("provenance", [Provenance.ISSUED, Provenance.ADOPTED, Provenance.UNKNOWN])
def test_a_key_that_a_policy_left_behind_at_a_provider_is_named(scene: Scene, provenance: Provenance) -> None:
    """The policy names another account now, and its secret still holds the old one's key, whoever made it."""
    before, now = policy("moved"), policy("moved", provider="other")
    scene.policies.append(now)
    theirs = CurrentKey("v1", "key-moved", provenance, NOW, under=before)
    ours = provenance is Provenance.ISSUED
    scene.holds(now, "key-moved", made=before, **({} if ours else {"current": theirs}))
    (told,) = scene.keys(BUILD, scene.policies[0])
    assert told.startswith("moved, whose policy names other now: key key-moved of build is in service")
    assert "rotator run-now moved --revoke-now --reason TEXT" in told
    assert not scene.keys(Choice(providers=("other",)), now)
    assert not scene.keys(Choice(everything=True), *scene.policies)


def test_a_key_of_the_account_under_another_name_is_named(scene: Scene) -> None:
    """A provider that was renamed is the same account."""
    gone = policy("gone")
    renamed = replace(gone, provider=replace(gone.provider, name="as it was"))
    scene.holds(renamed, "key-gone")
    assert len(scene.keys(BUILD, scene.policies[0])) == 1


def test_what_is_dead_or_dies_with_the_order_is_not_named(scene: Scene) -> None:
    """Contained, expired, or the very key of a secret that is rotated: its policy moved to that one."""
    contained = CurrentKey("v1", "key-1", Provenance.ISSUED, NOW, contained=True)
    expired = CurrentKey("v1", "key-2", Provenance.ISSUED, NOW, expires_at=NOW)
    scene.holds(policy("contained"), "-", current=contained)
    scene.holds(policy("expired"), "-", current=expired)
    scene.holds(policy("before"), "key-one")
    assert not scene.keys(BUILD, scene.policies[0])


def test_a_policy_that_is_narrowed_away_is_not_named(scene: Scene) -> None:
    """Whoever chooses an owner's policies of a provider has left the others out."""
    scene.policies.append(policy("two", owner="desk-b"))
    scene.holds(scene.policies[1], "key-two")
    choice = Choice(providers=("build",), owners=("desk-a",))
    assert not scene.keys(choice, scene.policies[0])


# --- admin credentials -----------------------------------------------------------------------------------


def admin(scene: Scene, choice: Choice, **more: Any) -> list[str]:
    """What is told of admin credentials beside an order about all policies."""
    told = scene.beside(choice, *scene.policies, **more)
    return [one for one in told if "the admin credential" in one]


def test_an_admin_credential_that_no_policy_rotates_is_named(scene: Scene) -> None:
    """With its provider; where the store that keeps it is meant too, and no other."""
    scene.policies = [
        one_with_account("one", "build", "aws|admin"),
        one_with_account("b", "other", "aws|b-admin"),
    ]
    (told,) = admin(scene, BUILD)
    assert told == (
        "the admin credential of build, which no policy rotates. To do: rotate it by hand at build, then: "
        "rotator submit --admin build; then the same command"
    )
    assert len(admin(scene, Choice(everything=True))) == len(admin(scene, Choice(stores=("aws",)))) == 2
    assert admin(scene, Choice(stores=("elsewhere",))) == []
    assert admin(scene, Choice(providers=("build",), owners=("desk-a",))) == []


def one_with_account(name: str, provider: str, account: str) -> Policy:
    """A policy whose provider's admin secret is known by this id."""
    made = policy(name, provider=provider)
    return replace(made, provider=replace(made.provider, account=account))


def test_one_that_a_policy_rotates_is_named_where_that_was_not_chosen(scene: Scene) -> None:
    """An admin credential may be rotated by way of another provider's entry."""
    mine = one_with_account("one", "build", "aws|keeper")
    keeper = one_with_account("keeper", "keepers", "aws|nobody")
    scene.policies = [mine, keeper]
    ((told),) = [one for one in scene.beside(BUILD, mine) if "the admin credential" in one]
    assert "which keeper rotates. To do: rotator run-now keeper --revoke-now --reason TEXT" in told
    assert not [one for one in scene.beside(BUILD, mine, keeper) if "credential of build" in one]


def test_one_that_a_person_brought_since_is_another_one(scene: Scene) -> None:
    """Since the incident began, or since the time that is asked for; an earlier one may be what is known."""
    ref = scene.policies[0].provider
    record_admin(scene.ledger, ref, Brought("ann", scene.ledger.now(), "push", written=True))
    assert admin(scene, BUILD, since=-HOUR) == []
    assert len(admin(scene, BUILD, since=HOUR)) == 1
    assert admin(scene, replace(BUILD, issued_before=NOW - HOUR), since=HOUR) == []
    record_admin(
        scene.ledger, ref, Brought("ann", scene.ledger.now(), "push")
    )  # never written, as far as known
    assert len(admin(scene, BUILD, since=-HOUR)) == 1


def test_what_tokens_are_minted_from_is_named(scene: Scene) -> None:
    """A parent credential whose own policy was deleted; nobody submits it as an admin credential."""
    token = one_with_account("token", "figure", "aws|parent")
    provider = replace(token.provider, admin=AdminRef(STORE, "prod/parent"))
    scene.policies.append(replace(token, provider=provider, parent="aws|parent"))
    book = Book({}, {"figure": replace(provider, admin=None, account="")}, tuple(scene.policies))
    (told,) = besides(scene.ledger, book, Choice(providers=("figure",)), {token.target.id}, NOW).words
    assert told.startswith(
        "what tokens of figure are minted from (prod/parent in aws), which no policy rotates."
    )
    assert "submit" not in told
