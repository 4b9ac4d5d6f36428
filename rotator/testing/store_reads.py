"""What every store promises of its reads: a part of the contract of stores."""

import pytest

from rotator.errors import NeedsPerson
from rotator.testing.store_backend import FIRST, Backend, Made, push, read, target


class ReadContract:
    """What the Protocol promises of look and read."""

    @pytest.fixture
    def made(self, backend: Backend) -> Made:
        """A secret with a first value, and that value as the store reads it."""
        backend.create("app/one", FIRST)
        return target("app/one"), read(backend, target("app/one"))

    def test_look_names_the_current_version(self, backend: Backend, made: Made) -> None:
        """A look tells which version is current, and read shows that one."""
        where, first = made
        look = backend.store.look(where)
        assert (look.current, look.previous, look.replicated) == (first.version, None, False)
        assert first.version in look.versions

    def test_look_at_a_secret_without_a_version(self, backend: Backend) -> None:
        """A secret that has no version yet is no error: it has no current version."""
        backend.create("app/none", None)
        assert backend.store.look(target("app/none")).current is None
        assert backend.store.read(target("app/none")) is None

    def test_look_needs_a_person_for_a_missing_secret(self, backend: Backend) -> None:
        """A missing secret blocks, under its own kind."""
        for call in (backend.store.look, backend.store.read):
            with pytest.raises(NeedsPerson) as raised:
                call(target("app/nowhere"))
            assert raised.value.kind == "missing"

    def test_look_needs_a_person_for_a_deleted_secret(self, backend: Backend, made: Made) -> None:
        """A secret that is marked for deletion blocks."""
        backend.mark_deleted("app/one")
        with pytest.raises(NeedsPerson) as raised:
            backend.store.look(made[0])
        assert raised.value.kind == "marked-deleted"

    def test_look_needs_a_person_for_native_rotation(self, backend: Backend, made: Made) -> None:
        """A secret that the store rotates itself blocks."""
        backend.rotate_natively("app/one")
        with pytest.raises(NeedsPerson) as raised:
            backend.store.look(made[0])
        assert raised.value.kind == "rotated-natively"

    def test_read_of_a_version_that_is_not_there(self, backend: Backend, made: Made) -> None:
        """A version that does not exist is None, not an error."""
        assert backend.store.read(made[0], push()) is None

    def test_read_gives_our_fields_and_an_age(self, backend: Backend, made: Made) -> None:
        """A version is read with its text fields and an aware time."""
        _, first = made
        assert first.credential.get("host") == "example.test"
        assert first.created_at is None or first.created_at.tzinfo is not None

    @pytest.mark.parametrize("value", ["not JSON", "[1, 2]", '"text"', "{", "{} {}", "[" * 3000])
    def test_read_needs_a_person_for_what_is_no_object(self, backend: Backend, value: str) -> None:
        """A value that is not a JSON object blocks, and is not shown."""
        backend.create("app/bad", value)
        with pytest.raises(NeedsPerson) as raised:
            backend.store.read(target("app/bad"))
        assert value[:8] not in str(raised.value).replace("not JSON.", "").replace("`", "")

    def test_read_needs_a_person_for_binary(self, backend: Backend) -> None:
        """A binary value blocks."""
        backend.create("app/binary", b"\x00\x01")
        with pytest.raises(NeedsPerson) as raised:
            backend.store.read(target("app/binary"))
        assert raised.value.kind == "binary"

    def test_read_needs_a_person_where_a_mapped_field_is_nested(self, backend: Backend) -> None:
        """A mapped field that holds no text blocks, and is not shown."""
        backend.create("app/nested", '{"BM": {"inner": "hidden"}}')
        with pytest.raises(NeedsPerson) as raised:
            backend.store.read(target("app/nested", {"api_key": "BM"}))
        assert raised.value.kind == "field-not-text"
        assert "hidden" not in str(raised.value)
