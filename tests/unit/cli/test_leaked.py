"""What ``--leaked`` finds: where a key is held, and what could not be looked at."""

import io
import json
import random
import secrets
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rotator.cli import leaked
from rotator.cli.candidates import candidates
from rotator.cli.leaked import Search, Where
from rotator.cli.options import Wrong
from rotator.cli.searching import field, search
from rotator.cli.select import Choice
from rotator.cli.sought import Sought
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import Change, Credential, CurrentKey, Debt, Policy, Provenance, SecretState
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeProvider, FakeStore, FakeWorld
from tests.unit.cli.records import NOW, debt, policy

VALUE = secrets.token_hex(16)


class Scene:
    """Some secrets in a store, and what the ledger knows of them."""

    def __init__(self, folder: Path) -> None:
        clock = ManualClock()
        self.store = FakeStore(clock)
        self.ledger: Ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
        self.policies = [policy(name) for name in ("one", "two")]
        self.others: list[Policy] = []  # that were not chosen
        self.world = FakeWorld(
            self.ledger, FakeProvider(clock, random.Random(1)), self.store, random.Random(2)
        )
        self.store.put("admin", "v1", {"admin": "of-nobody"}, current=True)
        for one in self.policies:
            held = {"key_id": f"key-{one.name}", "secret": secrets.token_hex(16)}
            self.store.put(one.target.secret, "v1", held, current=True)
            current = CurrentKey("v1", held["key_id"], Provenance.ISSUED, NOW)
            state = SecretState(one.target.id, one.name, one.provider.principal, NOW, current=current)
            self.ledger.enroll([state])

    def owes(self, one: Debt) -> None:
        """A debt in the ledger."""
        claim, state = self.ledger.claim(one.secret, "test", timedelta(minutes=1)), None
        state = self.ledger.secret(one.secret)
        assert claim is not None
        assert state is not None
        self.ledger.commit(claim, Change(state, debts=(one,)))

    def found(self, *values: str) -> Search:
        """What a search for these values comes to."""
        key = Credential({str(number): value for number, value in enumerate(values)})
        every = self.policies
        where = field(self.ledger, [*every, *self.others], every, Choice(everything=True))
        return search(cast("Any", self.world), where, Sought(key))


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    """Two secrets."""
    made = Scene(tmp_path)
    yield made
    made.ledger.close()


def test_each_secret_that_holds_a_key_is_found(scene: Scene) -> None:
    """A value that was copied is in service in both; another one of its kind is not found."""
    for one in scene.policies:
        scene.store.put(one.target.secret, "v2", {"key_id": "key-9", "secret": VALUE}, current=True)
    found = scene.found(VALUE)
    assert [(one.policy, one.where) for one in found.held] == [("one", Where.SERVICE), ("two", Where.SERVICE)]
    assert not scene.found(VALUE[:-1], VALUE + "0", "").held


def test_an_older_key_that_has_not_died_is_found(scene: Scene) -> None:
    """By the version of its debt; the key in service is another one, and stays."""
    first = scene.policies[0]
    scene.store.put(first.target.secret, "v0", {"key_id": "key-0", "secret": VALUE}, current=False)
    scene.owes(debt(first, version="v0"))
    (place,) = scene.found(VALUE).held
    assert (place.policy, place.where, place.version) == ("one", Where.GRACE, "v0")
    found = scene.found(VALUE)
    assert not found.in_service(first.target.id)
    assert "nothing is rotated" in (found.does(first.target.id) or "")


def test_an_id_is_no_secret(scene: Scene) -> None:
    """It is told where it stands, and nothing is held."""
    found = scene.found("key-one")
    assert ([one.where for one in found.places], found.held) == ([Where.ID], ())
    assert any("no secret" in line for line in leaked.words(found))


def test_what_cannot_be_read_is_named(scene: Scene) -> None:
    """A store that refuses, and a value that is gone: nobody may take that for an answer."""
    del scene.store.secrets[scene.policies[1].target.secret]
    scene.owes(debt(scene.policies[0], version="gone"))
    found = scene.found(VALUE)
    assert [line.split(",")[0] for line in found.unread] == ["one", "two"]
    assert any(
        line.startswith("Nobody holds it, as far as could be looked at: 2 secrets were looked at")
        for line in leaked.words(found)
    )


def test_an_admin_credential_that_no_policy_rotates_is_left_to_a_person(scene: Scene) -> None:
    """With what to do, and no secret of a policy is taken for it."""
    found = scene.found("of-nobody")
    assert not found.held
    assert "rotator submit --admin build" in found.admins[0]


def test_a_parent_credential_that_no_policy_rotates_is_brought_by_hand(scene: Scene) -> None:
    """No command of ours takes it: a person puts it where tokens are minted from, and has those renewed."""
    scene.policies = [replace(scene.policies[0], parent="admin")]
    found = scene.found("of-nobody")
    assert "put the new one into admin of the store aws yourself" in found.admins[0]
    assert "rotator run-now one" in found.admins[0]
    assert "submit" not in found.admins[0]


def test_an_admin_credential_that_a_policy_rotates_is_left_to_that_policy(scene: Scene) -> None:
    """Also where that one was not chosen: it is none of those that no policy rotates."""
    own = policy("own")
    own = replace(own, target=replace(own.target, id=scene.policies[0].provider.account))
    scene.others = [own]
    assert not scene.found("of-nobody").admins


# --- a policy that was deleted ---------------------------------------------------------------------------


def test_a_key_of_a_deleted_policy_that_has_not_died_is_found(scene: Scene) -> None:
    """By the copy of the policy that its debt has."""
    gone = scene.policies.pop()
    scene.store.put(gone.target.secret, "v0", {"key_id": "key-0", "secret": VALUE}, current=False)
    scene.owes(debt(gone, version="v0"))
    (place,) = scene.found(VALUE).held
    assert (place.policy, place.where) == ("two (deleted, prod/two)", Where.GRACE)


def test_a_key_in_service_that_no_policy_rotates_any_more_is_left_to_a_person(scene: Scene) -> None:
    """It is said who holds it, and what to do."""
    gone = scene.policies.pop()
    scene.owes(debt(gone, version=None))
    scene.store.put(gone.target.secret, "v2", {"key_id": "key-9", "secret": VALUE}, current=True)
    found = scene.found(VALUE)
    assert "two (deleted, prod/two) holds it in service" in found.left[0]
    assert not any("Nobody" in line for line in leaked.words(found))


def test_what_is_not_known_of_a_deleted_policy_is_named(scene: Scene) -> None:
    """A secret that cannot be read, and one of which nothing says where it is."""
    gone = [scene.policies.pop(), policy("three")]
    del scene.store.secrets[gone[0].target.secret]
    scene.owes(debt(gone[0], version="v0"))
    current = CurrentKey("v1", "key-3", Provenance.ISSUED, NOW)
    scene.ledger.enroll([SecretState(gone[1].target.id, "three", "other", NOW, current=current)])
    named = scene.found(VALUE).unread
    assert [line.partition(",")[0] for line in named] == ["three", "two (deleted", "two (deleted"]


@pytest.mark.parametrize(
    ("given", "looked_for"),
    [("abc\n", ["abc"]), ("abc\r\n", ["abc"]), (json.dumps({"a": "x", "n": 1, "b": "y"}), ["x", "y"])],
)
def test_what_is_brought(given: str, looked_for: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A text without its end of line, or each text of an object."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert list(leaked.brought().reveal().values()) == looked_for


@pytest.mark.parametrize("given", [b"", b"\n", b"{}", b"\xff\xfe", b"x" * 70_000])
def test_what_is_no_key_is_refused(given: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without quoting it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    with pytest.raises(Wrong) as refused:
        leaked.brought()
    assert "xxx" not in str(refused.value)


def test_a_login_beside_an_id_is_told_from_the_id_alone(scene: Scene) -> None:
    """However it was copied: the secret that holds the key is held, the other one's id is an id."""
    scene.store.put("prod/one", "v2", {"key_id": "key-one", "secret": f"{VALUE} "}, current=True)
    found = scene.found(*candidates(f"key-two {VALUE}"), "key-one", "key-two")
    assert [(one.policy, one.where) for one in found.places] == [("one", Where.SERVICE), ("two", Where.ID)]


def test_an_id_may_be_said_and_a_key_may_not(scene: Scene) -> None:
    """In a reason: an id is none, a word is one where it was found as one."""
    scene.store.put("prod/one", "v2", {"key_id": "key-one-2026", "secret": "swordfish"}, current=True)
    sought = Sought(Credential({"0": "key-one-2026", "1": "swordfish", "2": "repository"}))
    assert sought.told_in("key-one-2026")
    search(cast("Any", scene.world), field(scene.ledger, scene.policies, scene.policies, Choice()), sought)
    assert not sought.told_in("key-one-2026 was in a repository")
    assert sought.told_in("it was swordfish")
