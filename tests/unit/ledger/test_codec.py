import json
from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.errors import LedgerUnusable
from rotator.ledger.codec import DEBT, EVENT, ORDER, ROTATION, SECRET
from rotator.model import Credential, Debt, Event, Order, Policy, Rotation, SecretState
from rotator.records import Codec
from rotator.testing.ledger_samples import a_policy, a_rotation, a_state

TEXT = st.text(max_size=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(),
    float: FLOATS,
    bool: st.booleans(),
    NoneType: st.none(),
    Any: JSON,
    datetime: st.datetimes(timezones=st.just(UTC)),
    timedelta: st.timedeltas(timedelta(days=-9999), timedelta(days=9999)),
    time: st.times(),
}


def some(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the model."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and is_dataclass(kind):
        return st.builds(kind, **{name: some(hint) for name, hint in get_type_hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return st.one_of([some(one) for one in inner])
    if origin is tuple:
        return st.lists(some(inner[0]), max_size=2).map(tuple)
    assert origin is Mapping, kind
    return st.dictionaries(TEXT, some(inner[1]), max_size=2)


@pytest.mark.parametrize(
    ("codec", "kind"),
    [(SECRET, SecretState), (ROTATION, Rotation), (DEBT, Debt), (EVENT, Event), (ORDER, Order)],
)
def test_round_trip(codec: Codec[Any], kind: type) -> None:
    """What is written is read back equal, whatever it holds."""

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(some(kind))
    def there_and_back(record: Any) -> None:
        assert codec.decode(codec.encode(record)) == record

    there_and_back()


@pytest.mark.parametrize(
    "value",
    [
        Credential({"key": "not-a-real-one"}),
        ("a", "tuple"),
        {"a", "set"},
        b"bytes",
        date(2026, 1, 5),
        float("nan"),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_json_holds_exactly(value: object) -> None:
    """A record that holds what JSON cannot hold exactly, a credential above all, is not written."""
    policy: Policy = replace(a_policy(), key={"scopes": [value]})
    with pytest.raises(TypeError, match="cannot write") as caught:
        ROTATION.encode(replace(a_rotation(), policy=policy))
    seen: BaseException | None = caught.value
    while seen:
        assert "not-a-real-one" not in str(seen)
        seen = seen.__context__
    assert caught.value.__suppress_context__


def test_no_credential_in_a_text_field() -> None:
    """A credential is refused where a text belongs, too."""
    with pytest.raises(TypeError, match="cannot write"):
        SECRET.encode(a_state(account=Credential({"key": "not-a-real-one"})))


@pytest.mark.parametrize("change", [{"failures": "7"}, {"enrolled_at": 0}, {"gone": "no"}, {"id": None}])
def test_a_damaged_record_is_refused(change: dict[str, Any]) -> None:
    """A record that was changed by hand is refused by the name of its field, without its value."""
    text = json.dumps(json.loads(SECRET.encode(a_state())) | change)
    with pytest.raises(LedgerUnusable, match=next(iter(change))):
        SECRET.decode(text)
    with pytest.raises(LedgerUnusable, match="restore"):
        SECRET.decode(text[:-5])


def test_a_field_of_a_later_release_has_its_default() -> None:
    """A record written before a field was added is read with that field's default."""
    fields = json.loads(SECRET.encode(a_state()))
    del fields["failures"]
    assert SECRET.decode(json.dumps(fields)) == a_state()
