import base64
import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import Refused, Unknown
from rotator.model import Credential
from rotator.providers.answers import Answer
from rotator.providers.fintechstudios_token import FintechEndpoint, FintechOptions, ending
from rotator.testing.clock import BEGINNING

NOW = int(BEGINNING.timestamp())
HOUR, YEAR = 3600, 366 * 86_400


def jwt(payload: Any) -> str:
    """A token in three parts with this payload."""
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"header.{part}.signature"


@pytest.mark.parametrize(
    ("expires", "token", "ends"),
    [
        (NOW + HOUR, "opaque-token", NOW + HOUR),
        ((NOW + HOUR) * 1000, "opaque-token", NOW + HOUR),
        ((NOW + HOUR) * 1000 + 999, "opaque-token", NOW + HOUR),
        (NOW + YEAR, "opaque-token", NOW + YEAR),
        (NOW + HOUR, jwt({"exp": NOW + 60}), NOW + 60),
        (NOW + HOUR, jwt({"exp": NOW + 60.9}), NOW + 60),
        (NOW + HOUR, jwt({"exp": NOW + 2 * HOUR}), NOW + HOUR),
        (NOW + HOUR, jwt({"sub": "nobody"}), NOW + HOUR),
        (NOW + HOUR, jwt(["exp"]), NOW + HOUR),
        (NOW + HOUR, jwt({"exp": "soon"}), NOW + HOUR),
        (NOW + HOUR, jwt({"exp": True}), NOW + HOUR),
        (NOW + HOUR, "a.not-base64!.c", NOW + HOUR),
        (NOW + HOUR, "a.bm8ganNvbg.c", NOW + HOUR),
    ],
)
def test_when_a_token_ends(expires: int, token: str, ends: int) -> None:
    """Milliseconds and seconds are told apart by their size, and the token's own word counts if earlier."""
    assert ending(expires, token, BEGINNING) == ends


@pytest.mark.parametrize(
    ("expires", "token"),
    [
        (NOW, "opaque-token"),
        (NOW - HOUR, "opaque-token"),
        ((NOW - HOUR) * 1000, "opaque-token"),
        (0, "opaque-token"),
        (-5, "opaque-token"),
        (NOW + YEAR + 1, "opaque-token"),
        ((NOW + YEAR + 1) * 1000, "opaque-token"),
        (10**30, "opaque-token"),
        (str(NOW + HOUR), "opaque-token"),
        (float(NOW + HOUR), "opaque-token"),
        (True, "opaque-token"),
        (None, "opaque-token"),
        (NOW + HOUR, jwt({"exp": NOW - 1})),
    ],
)
def test_end_that_cannot_be_right_is_garbage(expires: object, token: str) -> None:
    """What is past, more than a year ahead or no whole number is no end of a token."""
    with pytest.raises(Unknown):
        ending(expires, token, BEGINNING)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.dictionaries(st.sampled_from(["token", "expires", "userId", "error", "type"]), inner, max_size=5)
        | st.lists(inner, max_size=2)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, database=None)
@given(payload=JSON)
def test_any_answer_is_a_token_or_told(payload: Any) -> None:
    """No JSON that a server can send raises anything but Unknown and Refused."""
    endpoint = FintechEndpoint(FintechOptions(), "here")
    answer = Answer(200, {}, json.dumps(payload).encode())
    with contextlib.suppress(Unknown, Refused):
        issued = endpoint.minted(answer, Credential({"access_key": "k"}), BEGINNING)
        assert issued.expires_at is not None
        assert timedelta(0) < issued.expires_at - BEGINNING <= timedelta(days=366)


@pytest.mark.parametrize(
    "payload",
    ['{"exp": Infinity}', '{"exp": 1e999}', '{"exp": NaN}', "[" * 100_000],
)
def test_odd_payload_says_nothing(payload: str) -> None:
    """A token is opaque: a payload that cannot be read leaves the answer's own word."""
    part = base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
    assert ending(NOW + HOUR, f"a.{part}.c", BEGINNING) == NOW + HOUR
