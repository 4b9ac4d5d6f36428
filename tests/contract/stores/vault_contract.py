"""The contract of stores, where Vault differs in what it can hold; and what it promises besides."""

import json

import pytest
import requests

from rotator.errors import Conflict, NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.model import Credential, Target
from rotator.testing.store_backend import key, push, read, target
from rotator.testing.store_contract import Backend, StoreContract
from tests.contract.stores.vault_laid_open import VaultLaidOpen

Made = tuple[Target, Stored]


class VaultContract(StoreContract):
    """The whole suite. Overridden is what an object store with numbered versions does in its own way."""

    def test_stage_keeps_other_fields_byte_for_byte(self, backend: Backend) -> None:
        """Every other field keeps its value, as every reader of Vault sees it."""
        text = '{ "z":1.50, "api_key" : "\\u0041\\/", "n" :{"deep":[12345678901234567890,null]},"ü": "<é>" }'
        backend.create("app/odd", text)
        before = json.loads(backend.consumed("app/odd"))
        first = read(backend, where := target("app/odd"))
        staged = backend.store.stage(where, Credential({"api_key": "one", "key_id": "two"}), push(), first)
        backend.store.promote(where, staged.version, first.version)
        assert json.loads(backend.consumed("app/odd")) == {**before, "api_key": "one", "key_id": "two"}

    @pytest.mark.parametrize("value", ["[1, 2]", '"text"', "{", "{} {}"])
    def test_read_needs_a_person_for_what_is_no_object(self, backend: Backend, value: str) -> None:
        """What is no JSON object never comes to be in KV v2: the server refuses it."""
        with pytest.raises(requests.exceptions.HTTPError):
            backend.create("app/bad", value)

    def test_read_needs_a_person_for_binary(self, backend: Backend) -> None:
        """Where one plain value is expected and there is none, a person is needed; nothing is shown."""
        backend.create("app/two", '{"value": "hidden", "more": "hidden"}')
        with pytest.raises(NeedsPerson) as raised:
            backend.store.read(target("app/two", {"api_key": ""}, "text"))
        assert raised.value.kind == "not-one-field"
        assert "hidden" not in str(raised.value)

    def test_look_needs_a_person_for_native_rotation(self, backend: Backend, made: Made) -> None:
        """A secret whose versions the store deletes by itself blocks."""
        backend.rotate_natively("app/one")
        with pytest.raises(NeedsPerson) as raised:
            backend.store.look(made[0])
        assert raised.value.kind == "expires"

    def test_discard_lets_a_kept_version_go(self, backend: Backend, made: Made) -> None:
        """A number needs no label to stay, and goes by max_versions unless the settings say otherwise."""
        where, first = made
        backend.store.keep(where, first.version, "rotator-one")
        self._two_promotions(backend, where, first)
        backend.store.discard(where, first.version, "rotator-one")
        assert first.version in backend.store.look(where).versions

    def test_shown_by_a_replica(self, backend: Backend, made: Made) -> None:
        """There are no replicas that could be asked: what is current is shown."""
        where, first = made
        backend.replicate("app/one")
        assert not backend.store.look(where).replicated
        assert backend.store.shown(where, first.version, first.created_at or pytest.fail("it has an age"))

    # --- the pending path ---

    def test_a_promoted_value_is_in_one_place(self, backend: VaultLaidOpen, made: Made) -> None:
        """After promote nothing pending holds the value, and its token leads to the promoted version."""
        where, first = made
        staged = backend.store.stage(where, new := key(), push(), first)
        now = backend.store.promote(where, staged.version, first.version)
        (left,) = backend.pending()
        assert str(new.get("api_key")) not in json.dumps(backend.admin("GET", backend.at("data", left)))
        with pytest.raises(requests.exceptions.HTTPError):
            backend.admin("GET", backend.at("data", f"{left}?version=1"))
        assert read(backend, where, staged.version).whole.same(read(backend, where, now).whole, [""])

    def test_the_next_stage_sweeps_what_the_last_promotion_left(
        self, backend: VaultLaidOpen, made: Made
    ) -> None:
        """Forwards of ended rotations go with the next stage; a candidate that is owed stays."""
        where, first = made
        done = backend.store.stage(where, key(), push(), first)
        backend.store.promote(where, done.version, first.version)
        token = done.version[:12]  # one ledger draws every token
        owed, last = token + push()[12:], token + push()[12:]
        backend.store.stage(where, key(), owed, first)
        backend.store.stage(where, key(), last, first)
        assert {path.rpartition("/")[2] for path in backend.pending()} == {owed, last}

    def test_a_lost_answer_leaves_nothing_for_long(self, backend: VaultLaidOpen, made: Made) -> None:
        """The pending copy of a promotion whose answer was lost goes with the next stage."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        backend.lose_answer("promote")
        with pytest.raises(Unknown):
            backend.store.promote(where, staged.version, first.version)
        current = read(backend, where)
        assert current.whole.same(read(backend, where, staged.version).whole, [""])
        following = staged.version[:12] + push()[12:]
        backend.store.stage(where, key(), following, current)
        assert [path.rpartition("/")[2] for path in backend.pending()] == [following]

    def test_discard_removes_the_pending_path(self, backend: VaultLaidOpen, made: Made) -> None:
        """A discarded candidate leaves nothing behind; twice is once."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        for _ in range(2):
            backend.store.discard(where, staged.version, None)
        assert backend.pending() == []
        assert backend.store.read(where, staged.version) is None

    def test_a_promoted_token_is_not_staged_again(self, backend: VaultLaidOpen, made: Made) -> None:
        """A token that was promoted is used up: staging under it is a Conflict."""
        where, first = made
        staged = backend.store.stage(where, new := key(), push(), first)
        backend.store.promote(where, staged.version, first.version)
        with pytest.raises(Conflict):
            backend.store.stage(where, new, staged.version, first)

    # --- checks beforehand ---

    def test_too_few_versions_need_a_person(self, backend: VaultLaidOpen, made: Made) -> None:
        """A secret that keeps less than three versions blocks: the old key could not be read any more."""
        backend.admin("POST", backend.at("metadata", "app/one"), {"max_versions": 2})
        with pytest.raises(NeedsPerson) as raised:
            backend.store.look(made[0])
        assert raised.value.kind == "too-few-versions"

    def test_a_destroyed_current_version_needs_a_person(self, backend: VaultLaidOpen, made: Made) -> None:
        """Where consumers read nothing, rotator writes nothing; look and read say so."""
        backend.admin("POST", backend.at("destroy", "app/one"), {"versions": [1]})
        for call in (backend.store.look, backend.store.read):
            with pytest.raises(NeedsPerson) as raised:
                call(made[0])
            assert raised.value.kind == "marked-deleted"

    def test_an_old_version_that_is_deleted_is_not_there(self, backend: VaultLaidOpen, made: Made) -> None:
        """Reading a deleted old version tells nothing; it is listed no longer."""
        where, first = made
        backend.overwrite("app/one", '{"api_key": "other"}')
        backend.admin("POST", backend.at("delete", "app/one"), {"versions": [1]})
        assert backend.store.read(where, first.version) is None
        assert backend.store.look(where).versions == ("2",)
