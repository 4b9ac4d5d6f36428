"""What every store promises, as a suite to inherit: give it a ``backend`` fixture and it runs.

class TestMine(StoreContract):
    @pytest.fixture
    def backend(self) -> Backend: ...
"""

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.errors import Conflict, NeedsPerson, Refused, RotatorError, Unknown
from rotator.interfaces import Stored
from rotator.model import Credential, Target
from rotator.testing.store_backend import FIRST, Backend, Made, key, push, read, target
from rotator.testing.store_reads import ReadContract

__all__ = ["Backend", "StoreContract"]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class StoreContract(ReadContract):
    """The Protocol's promises, one test each."""

    # --- stage ---

    def test_stage_writes_a_pending_version(self, backend: Backend, made: Made) -> None:
        """What is staged is read back under its token, and consumers do not see it."""
        where, first = made
        new, token = key(), push()
        staged = backend.store.stage(where, new, token, first)
        assert staged.version == token
        assert staged.credential.same(new, new.names)
        assert backend.consumed("app/one") == FIRST
        assert backend.store.look(where).current == first.version

    def test_stage_twice_is_stage_once(self, backend: Backend, made: Made) -> None:
        """The same arguments again do no harm and tell the same."""
        where, first = made
        new, token = key(), push()
        once = backend.store.stage(where, new, token, first)
        again = backend.store.stage(where, new, token, first)
        assert once.version == again.version
        assert once.whole.same(again.whole, [""])
        assert set(backend.store.look(where).versions) - {token} == {first.version}

    def test_stage_after_a_lost_answer(self, backend: Backend, made: Made) -> None:
        """A lost answer is Unknown; staging again with the same arguments mends it."""
        where, first = made
        new, token = key(), push()
        backend.lose_answer("stage")
        with pytest.raises(Unknown):
            backend.store.stage(where, new, token, first)
        assert backend.store.stage(where, new, token, first).credential.same(new, new.names)

    def test_stage_refuses_another_value_under_a_used_token(self, backend: Backend, made: Made) -> None:
        """A token that was used with another value is a Conflict, and what was staged stays."""
        where, first = made
        new, token = key(), push()
        backend.store.stage(where, new, token, first)
        with pytest.raises(Conflict):
            backend.store.stage(where, key(), token, first)
        assert read(backend, where, token).credential.same(new, new.names)

    def test_stage_keeps_other_fields_byte_for_byte(self, backend: Backend) -> None:
        """Only our values change: order, spacing, escapes, numbers and nested values stay as they were."""
        text = '{ "z":1.50, "api_key" : "\\u0041\\/", "n" :{"deep":[1e400,null]},"ü": "é\\u00e9" }'
        backend.create("app/odd", text)
        where = target("app/odd")
        backend.store.stage(
            where, Credential({"api_key": "one", "key_id": "two"}), token := push(), read(backend, where)
        )
        expected = text.replace('"\\u0041\\/"', '"one"').replace(" }", ', "key_id": "two" }')
        assert read(backend, where, token).whole.reveal() == {"": expected}

    def test_stage_maps_fields(self, backend: Backend) -> None:
        """Fields are written under the secret's names; one that is mapped to None is not written."""
        backend.create("app/mapped", '{"BM_KEY": "old"}')
        where = target("app/mapped", {"api_key": "BM_KEY", "key_id": None})
        new = key()
        staged = backend.store.stage(where, new, push(), read(backend, where))
        assert staged.credential.reveal() == {"api_key": new.get("api_key")}
        assert json.loads(staged.whole.reveal()[""]) == {"BM_KEY": new.get("api_key")}

    def test_stage_text(self, backend: Backend) -> None:
        """A plain secret is the one field that is mapped, and nothing else."""
        backend.create("app/text", "plain-old")
        where = target("app/text", {"api_key": "", "key_id": None}, "text")
        first, new = read(backend, where), key()
        assert first.credential.reveal() == {"api_key": "plain-old"}
        staged = backend.store.stage(where, new, push(), first)
        assert staged.whole.reveal() == {"": new.get("api_key")}
        assert staged.credential.same(new, ["api_key"])

    def test_stage_refuses_what_the_store_cannot_take(self, backend: Backend, made: Made) -> None:
        """A secret that would be too large is refused for good, before anything is written."""
        where, first = made
        with pytest.raises(Refused) as raised:
            backend.store.stage(where, key(note="x" * 70_000), push(), first)
        assert raised.value.permanent
        assert backend.store.look(where).versions == (first.version,)

    # --- promote ---

    def test_promote_shows_the_version_to_consumers(self, backend: Backend, made: Made) -> None:
        """After promote the version is current, and the one before it can still be read."""
        where, first = made
        new = key()
        staged = backend.store.stage(where, new, push(), first)
        now_current = backend.store.promote(where, staged.version, first.version)
        look = backend.store.look(where)
        assert (look.current, look.previous) == (now_current, first.version)
        assert read(backend, where, now_current).whole.same(staged.whole, [""])
        assert read(backend, where).credential.same(new, new.names)
        assert read(backend, where, first.version).whole.same(first.whole, [""])

    def test_consumers_read_what_was_promoted(self, backend: Backend, made: Made) -> None:
        """A consumer who names neither version nor stage gets the promoted value."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        backend.store.promote(where, staged.version, first.version)
        assert backend.consumed("app/one") == staged.whole.reveal()[""]

    def test_promote_is_compare_and_swap(self, backend: Backend, made: Made) -> None:
        """Where somebody else wrote first, promote is a Conflict and their value stays."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        backend.overwrite("app/one", '{"theirs": "1"}')
        with pytest.raises(Conflict):
            backend.store.promote(where, staged.version, first.version)
        assert read(backend, where).credential.get("theirs") == "1"

    def test_promote_again_is_a_conflict(self, backend: Backend, made: Made) -> None:
        """Our own earlier promotion is a Conflict too: the caller looks, and finds it done."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        backend.lose_answer("promote")
        with pytest.raises(Unknown):
            backend.store.promote(where, staged.version, first.version)
        with pytest.raises(Conflict):
            backend.store.promote(where, staged.version, first.version)
        current = read(backend, where, backend.store.look(where).current)
        assert current.whole.same(staged.whole, [""])
        assert read(backend, where, staged.version).whole.same(staged.whole, [""])

    def test_promote_of_no_version_changes_nothing(self, backend: Backend, made: Made) -> None:
        """A version that does not exist cannot become current, and the current one stays."""
        where, first = made
        with pytest.raises(RotatorError):
            backend.store.promote(where, push(), first.version)
        assert backend.store.look(where).current == first.version

    # --- what becomes of versions ---

    def test_seed_makes_a_first_version(self, backend: Backend) -> None:
        """A secret without a version gets an empty object as its current one; twice is once."""
        backend.create("app/new", None)
        where, token = target("app/new"), push()
        seeded = backend.store.seed(where, token)
        assert backend.store.seed(where, token) == seeded
        first = read(backend, where)
        assert (first.version, first.credential.names) == (seeded, ())
        new = key()
        staged = backend.store.stage(where, new, push(), first)
        backend.store.promote(where, staged.version, first.version)
        assert read(backend, where).credential.same(new, new.names)

    def test_seed_of_a_plain_secret_is_no_key(self, backend: Backend) -> None:
        """What a plain secret is seeded with is not taken for a key."""
        backend.create("app/plain", None)
        where = target("app/plain", {"api_key": ""}, "text")
        backend.store.seed(where, push())
        assert read(backend, where).credential.names == ()

    def test_seed_over_somebody_elses_first_version(self, backend: Backend, made: Made) -> None:
        """A secret that was given a value meanwhile keeps it."""
        with pytest.raises(Conflict):
            backend.store.seed(made[0], push())
        assert backend.consumed("app/one") == FIRST

    def test_keep_holds_an_old_version_over_a_second_promotion(self, backend: Backend, made: Made) -> None:
        """A kept version can be read after two promotions; twice is once."""
        where, first = made
        backend.store.keep(where, first.version, "rotator-one")
        backend.store.keep(where, first.version, "rotator-one")
        self._two_promotions(backend, where, first)
        assert first.version in backend.store.look(where).versions
        assert read(backend, where, first.version).whole.same(first.whole, [""])

    def test_discard_lets_a_kept_version_go(self, backend: Backend, made: Made) -> None:
        """A kept version that is discarded has no label any more; twice is once."""
        where, first = made
        backend.store.keep(where, first.version, "rotator-one")
        self._two_promotions(backend, where, first)
        backend.store.discard(where, first.version, "rotator-one")
        backend.store.discard(where, first.version, "rotator-one")
        assert first.version not in backend.store.look(where).versions

    def test_discard_of_a_candidate(self, backend: Backend, made: Made) -> None:
        """A candidate that is discarded is listed no longer; the current version stays."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        backend.store.discard(where, staged.version, None)
        look = backend.store.look(where)
        assert (look.current, look.versions) == (first.version, (first.version,))

    def test_discard_never_touches_the_current_version(self, backend: Backend, made: Made) -> None:
        """Discarding the current version, or the one before it, leaves them what they are."""
        where, first = made
        staged = backend.store.stage(where, key(), push(), first)
        now_current = backend.store.promote(where, staged.version, first.version)
        for version in (staged.version, now_current, first.version):
            backend.store.discard(where, version, None)
        look = backend.store.look(where)
        assert (look.current, look.previous) == (now_current, first.version)

    def _two_promotions(self, backend: Backend, where: Target, onto: Stored) -> None:
        for _ in range(2):
            staged = backend.store.stage(where, key(), push(), onto)
            backend.store.promote(where, staged.version, onto.version)
            onto = read(backend, where)

    # --- replicas ---

    def test_shown_without_replicas(self, backend: Backend, made: Made) -> None:
        """Where there are no replicas, a version is shown as soon as it is current."""
        where, first = made
        assert backend.store.shown(where, first.version, datetime.now(UTC))

    def test_shown_by_a_replica(self, backend: Backend, made: Made) -> None:
        """A look tells of replicas, and shown asks them for the version itself.

        Where somebody wrote the secret since, no replica will ever show it: then the delay decides.
        """
        where, first = made
        backend.replicate("app/one")
        assert backend.store.look(where).replicated
        assert backend.store.shown(where, first.version, datetime.now(UTC))
        assert not backend.store.shown(where, push(), datetime.now(UTC) + timedelta(days=3650))
        assert backend.store.shown(where, push(), LONG_AGO)

    # --- admin secrets ---

    def test_raw_gives_the_text_fields(self, backend: Backend) -> None:
        """An admin credential is every text field of the current object."""
        backend.create("app/admin", '{"token": "one", "number": 1}')
        assert backend.store.raw("app/admin").reveal() == {"token": "one"}

    def test_raw_of_an_empty_secret_needs_a_person(self, backend: Backend) -> None:
        """An admin secret without a value blocks."""
        backend.create("app/admin", None)
        with pytest.raises(NeedsPerson):
            backend.store.raw("app/admin")

    @pytest.mark.parametrize("before", ['{"token": "one", "other": 7}', None])
    def test_replace_raw_writes_at_once(self, backend: Backend, before: str | None) -> None:
        """A replaced field is current at once, other fields stay; twice is once."""
        backend.create("app/admin", before)
        token = push()
        current = set()
        for _ in range(2):
            backend.store.replace_raw("app/admin", {"token": "two"}, token)
            current.add(backend.store.look(target("app/admin")).current)
        assert backend.store.raw("app/admin").reveal() == {"token": "two"}
        assert len(current) == 1

    # --- nobody's secret leaves ---

    def test_no_error_shows_a_value(self, backend: Backend, made: Made) -> None:
        """No error's text, traceback or cause holds a value that was read or written."""
        where, first = made
        new, token = key(), push()
        staged = backend.store.stage(where, new, token, first)
        value = str(new.get("api_key"))
        backend.lose_answer("stage")
        wrong: list[Callable[[], Any]] = [
            lambda: backend.store.stage(where, new, push(), first),
            lambda: backend.store.stage(where, Credential({**new.reveal(), "more": value}), token, first),
            lambda: backend.store.stage(where, new, "short", first),
            lambda: backend.store.promote(where, staged.version, push()),
            lambda: backend.store.stage(target("app/nowhere"), new, push(), first),
            lambda: backend.store.replace_raw("app/nowhere", {"token": value}, push()),
        ]
        for call in wrong:
            with pytest.raises(RotatorError) as raised:
                call()
            assert value not in "".join(traceback.format_exception(raised.value))
            assert raised.value.__context__ is None
        assert value not in repr(staged)
