import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import NeedsPerson, Refused
from rotator.model import Credential, StoreRef, Target
from rotator.stores import secret_text

WHERE = Target("t", StoreRef("s", "t"), "app/one")


def mapped(fields: dict[str, str | None], form: str = "json") -> Target:
    """A target with a mapping of fields."""
    return Target("t", StoreRef("s", "t"), "app/one", fields, form)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(database=None, deadline=None, max_examples=60)
@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), _VALUES, max_size=6),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)
def test_only_our_fields_change(whole: dict[str, Any], ascii_only: bool, indent: int | str | None) -> None:
    """Whatever an object holds, after a write it holds the same, in the same order, and our field."""
    whole.pop("api_key", None)
    before = json.dumps(whole, ensure_ascii=ascii_only, indent=indent)
    after = secret_text.written(WHERE, Credential({"api_key": "new"}), before)
    assert repr(json.loads(after)) == repr({**whole, "api_key": "new"})
    assert after.startswith(before.rstrip("} \n\t"))


def test_a_field_given_twice_is_replaced_twice() -> None:
    """Which of two equal keys a consumer takes is its own affair: both get the new value."""
    assert secret_text.replaced("s", '{"a": "1", "a": "2"}', {"a": "3"}) == '{"a": "3", "a": "3"}'


def test_an_unchanged_field_keeps_its_spelling() -> None:
    """A field that holds our value already is left as it is spelled."""
    text = '{"a": "\\u0041"}'
    assert secret_text.replaced("s", text, {"a": "A"}) == text


def test_null_is_a_field_not_filled_in_yet() -> None:
    """A null is no value of ours when read, and is replaced when written."""
    text = '{"api_key": null}'
    assert secret_text.understood(mapped({"api_key": "api_key"}), text).names == ()
    assert secret_text.written(WHERE, Credential({"api_key": "x"}), text) == '{"api_key": "x"}'


def test_a_number_is_not_overwritten() -> None:
    """Where our field would stand something that is no text, a person decides."""
    with pytest.raises(NeedsPerson, match="field-not-text"):
        secret_text.written(WHERE, Credential({"api_key": "x"}), '{"api_key": 12345}')


def test_a_mapped_name_hides_the_plain_one() -> None:
    """A field that is mapped is found under the secret's name alone, whatever else has our name."""
    found = secret_text.understood(
        mapped({"api_key": "BM", "key_id": None}), '{"api_key": "x", "key_id": "y"}'
    )
    assert found.names == ()


@pytest.mark.parametrize("text", ['"\\ud800"', '{"BM": "\\ud800"}'])
def test_half_a_character_needs_a_person(text: str) -> None:
    """Text that cannot be encoded is refused before any library chokes on it."""
    with pytest.raises(NeedsPerson):
        secret_text.understood(mapped({"api_key": "BM"}), text)
    with pytest.raises(NeedsPerson):
        secret_text.members("s", text.encode().decode("unicode_escape"))


@pytest.mark.parametrize("fields", [{}, {"a": None}, {"a": "", "b": ""}])
def test_a_plain_secret_is_one_field(fields: dict[str, str | None]) -> None:
    """Not exactly one mapped field is no plain secret: a person decides."""
    with pytest.raises(NeedsPerson, match="not-one-field"):
        secret_text.understood(mapped(fields, "text"), "value")
    with pytest.raises(NeedsPerson, match="not-one-field"):
        secret_text.written(mapped({"a": None}, "text"), Credential({"a": "1"}), "value")


def test_size_is_counted_in_bytes() -> None:
    """65,536 bytes fit, one more does not; an empty value does not either."""
    assert secret_text.fitting("s", "é" * 32_768)
    for text, kind in (("é" * 32_769, "too-large"), ("", "empty")):
        with pytest.raises(Refused, match=kind):
            secret_text.fitting("s", text)


def test_texts_are_compared_whole() -> None:
    """Only equal texts are the same."""
    assert secret_text.same("ä", "ä")
    assert not secret_text.same("a", "a ")
