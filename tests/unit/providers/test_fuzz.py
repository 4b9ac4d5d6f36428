import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import EffectError, NeedsPerson, Unknown
from rotator.model import Credential, Probe, ProviderRef, Verdict
from rotator.providers import adapter
from rotator.providers.answers import Answer, reset_seconds, retry_seconds
from rotator.providers.network import Call, Network, Surroundings
from rotator.providers.parsing import next_page, rows
from rotator.testing.clock import ManualClock

NAMES = st.sampled_from(
    [
        "id",
        "key",
        "api_key",
        "api_secret",
        "publicKey",
        "privateKey",
        "name",
        "label",
        "scopes",
        "data",
        "keys",
        "agent",
        "auth",
        "method",
        "expires_at",
        "created_at",
        "status",
        "revoked_at",
        "ipWhiteList",
        "isInfo",
        "isTrade",
        "error",
        "pagination",
        "next_cursor",
        "total",
        "has_more",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)


def made(kind: str) -> Any:
    """An adapter that is asked to read answers, and sends nothing."""
    clock = ManualClock()
    return adapter(kind)(
        ProviderRef("here", kind, "https://api.example"), None, clock, Network(Surroundings(), clock)
    )


def attempt(act: Callable[[], object]) -> None:
    """Run it; Unknown is the one error that an answer may cause."""
    with contextlib.suppress(Unknown):
        act()


@pytest.mark.parametrize("kind", ["buildmarkets", "b2trader", "fattail"])
@settings(max_examples=60, deadline=None, database=None)
@given(payload=JSON)
def test_any_answer_is_understood_or_unknown(kind: str, payload: Any) -> None:
    """No JSON that a server can send raises anything but Unknown, and none is taken for a refusal."""
    provider = made(kind)
    attempt(lambda: provider._issued(payload))
    attempt(lambda: [provider._record(row) for row in rows(payload)])
    attempt(lambda: next_page(payload, 1))
    answer = Answer(200, {}, json.dumps(payload).encode())
    probe = Probe(Verdict.UNKNOWN)
    with contextlib.suppress(Unknown):
        probe = provider._judged(answer, Call("GET", "/", query="?ts=2026-01-05T09:00:00&nonce=1"))
    assert probe.verdict is not Verdict.DEAD


@settings(max_examples=100, deadline=None, database=None)
@given(text=st.text(max_size=40))
def test_any_header_gives_a_sane_wait(text: str) -> None:
    """Whatever a header says, the wait is from one second to an hour."""
    now = ManualClock().now()
    assert 1 <= retry_seconds({"retry-after": text}, now) <= 3600
    assert 1 <= reset_seconds({"x-ratelimit-reset": text}, now) <= 3600


@pytest.mark.parametrize("kind", ["buildmarkets", "b2trader", "fattail"])
@settings(max_examples=40, deadline=None, database=None)
@given(value=st.text(max_size=60))
def test_any_stored_value_is_probed_without_a_raise(kind: str, value: str) -> None:
    """A probe says UNKNOWN of what cannot be sent or gets no answer, and never raises."""
    provider = made(kind)
    provider._api.call = lambda *_args, **_named: Answer(500)
    fields = dict.fromkeys(provider.traits.fields, value)
    assert provider.probe(Credential(fields)).verdict is Verdict.UNKNOWN


def test_errors_of_the_network_stay_inside_a_probe() -> None:
    """Nobody answers at the address: UNKNOWN, also where the address itself is unusable."""
    for url in ("http://127.0.0.1:9", "http://198.51.100.7", "ftp://127.0.0.1"):
        clock = ManualClock()
        network = Network(Surroundings(), clock)
        provider = adapter("fattail")(ProviderRef("here", "fattail", url), None, clock, network)
        probe = provider.probe(Credential({"key_id": "k", "api_key": "not-a-key"}))
        network.close()
        assert probe.verdict is Verdict.UNKNOWN
        with pytest.raises((EffectError, NeedsPerson)):
            provider.find()
