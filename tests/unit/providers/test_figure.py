import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator import lab
from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.lab.figure import Figure
from rotator.model import Credential, ProviderRef, Verdict
from rotator.providers.admin import Admin
from rotator.providers.answers import Answer
from rotator.providers.figure import FigureClient, FigureEndpoint, FigureToken
from rotator.providers.network import Network
from rotator.testing.clock import BEGINNING, ManualClock
from tests.unit.providers.raw_server import RawServer, say


@pytest.fixture
def server(clock: ManualClock) -> Iterator[Figure]:
    """A Figure by the same clock."""
    with Figure(clock=clock.now) as provider:
        yield provider


def ref(url: str) -> ProviderRef:
    """Its section of the policy file."""
    return ProviderRef("fig", "figure", url, options={"requests_per_second": 1000})


def minting(url: str, fields: dict[str, str], clock: ManualClock, network: Network) -> FigureToken:
    """The adapter of tokens, whose parent secret holds ``fields`` at any time."""
    admin = Admin(lambda: Credential(fields), FigureToken.traits.admin_fields, "fig", clock)
    return FigureToken(ref(url), admin, clock, network)


def answering(server: Figure, told: dict[str, Any], clock: ManualClock, network: Network) -> FigureToken:
    """An adapter whose next token call is answered so."""
    usual = {"access_token": "0123456789abcdef" * 2, "token_type": "bearer", "expires_in": 7200}
    server.fail_next(server.ISSUE, lab.Refuse(200, {**usual, **told}))
    return minting(server.url, server.admin, clock, network)


@pytest.fixture
def client(server: Figure, clock: ManualClock, network: Network) -> FigureClient:
    """The adapter of clients."""
    return FigureClient(ref(server.url), None, clock, network)


@pytest.fixture
def tokens(server: Figure, clock: ManualClock, network: Network) -> FigureToken:
    """The adapter of tokens, with a parent that works."""
    return minting(server.url, server.admin, clock, network)


# --- the token call --------------------------------------------------------------------------------------


def test_token_request_is_json(clock: ManualClock, network: Network) -> None:
    """The documented body goes as JSON: a form would be refused."""
    body = {"expires_in": 7200, "access_token": "0123456789abcdef" * 2, "token_type": "bearer"}
    with RawServer(say("200 OK", json.dumps(body).encode())) as raw:
        minting(raw.url, {"client_id": "some-id", "client_secret": "some-secret"}, clock, network).issue(
            "", {}
        )
        network.close()
    (request,) = raw.requests
    head, _, sent = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /oauth2/token HTTP/1.1")
    assert b"content-type: application/json" in head.lower()
    assert json.loads(sent) == {
        "client_id": "some-id",
        "client_secret": "some-secret",
        "grant_type": "client_credentials",
    }


@pytest.mark.parametrize("spelled", ["bearer", "Bearer", "BEARER"])
def test_token_type_is_compared_without_case(
    server: Figure, clock: ManualClock, network: Network, spelled: str
) -> None:
    """Two APIs of one company spell it in two ways; it is stored as it came."""
    issued = answering(server, {"token_type": spelled}, clock, network).issue("", {})
    assert issued.credential.get("token_type") == spelled


@pytest.mark.parametrize("seconds", [1, 60, 7200, 86_399])
def test_lifetime_is_what_the_answer_says(
    server: Figure, clock: ManualClock, network: Network, seconds: int
) -> None:
    """``expires_in`` counts, not the usual two hours."""
    issued = answering(server, {"expires_in": seconds}, clock, network).issue("", {})
    assert issued.expires_at == clock.now() + timedelta(seconds=seconds)


def test_lifetime_counts_from_before_the_request(
    clock: ManualClock, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow answer never makes a token look longer-lived than it is."""
    with Figure(clock=clock.now) as server:
        provider = minting(server.url, server.admin, clock, network)
        began, call = clock.now(), provider._api.call

        def slowly(*given: Any, **named: Any) -> Any:
            clock.advance(timedelta(seconds=9))
            return call(*given, **named)

        monkeypatch.setattr(provider._api, "call", slowly)
        assert provider.issue("", {}).expires_at == began + timedelta(hours=2)


@pytest.mark.parametrize(
    "told",
    [
        {"expires_in": 0},
        {"expires_in": -5},
        {"expires_in": "7200"},
        {"expires_in": True},
        {"expires_in": 7200.5},
        {"expires_in": None},
        {"expires_in": 10**12},
        {"token_type": "mac"},
        {"token_type": None},
        {"access_token": ""},
        {"access_token": "short"},
        {"access_token": "with blank within it"},
        {"access_token": "with-line-end-at-its-end\n"},
        {"access_token": 12345678},
    ],
)
def test_half_an_answer_is_no_token(
    server: Figure, clock: ManualClock, network: Network, told: dict[str, Any]
) -> None:
    """What lacks a part, or holds what no header may, is unknown, and no second call is made."""
    with pytest.raises(Unknown):
        answering(server, told, clock, network).issue("", {})
    assert server.token_calls == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["access_token", "token_type", "expires_in", "error", "data"]), inner, max_size=5
        )
        | st.lists(inner, max_size=2)
    ),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, database=None)
@given(payload=JSON, status=st.sampled_from([200, 400, 403]))
def test_any_answer_is_a_token_or_unknown(payload: Any, status: int) -> None:
    """No JSON that a server can send raises anything but Unknown, and only a 400 is looked into."""
    endpoint, answer = FigureEndpoint(), Answer(status, {}, json.dumps(payload).encode())
    assert not endpoint.refuses(answer) or status == 400
    with contextlib.suppress(Unknown):
        endpoint.minted(answer, Credential({}), BEGINNING)


# --- refusals --------------------------------------------------------------------------------------------

REFUSALS = [
    (401, None, Verdict.DEAD),
    (401, {"anything": "else"}, Verdict.DEAD),
    (400, {"error": "invalid_client"}, Verdict.DEAD),
    (400, {"error": "invalid_grant"}, Verdict.DEAD),
    (400, {"error": "unauthorized_client"}, Verdict.DEAD),
    (400, {"error": "invalid_request"}, Verdict.UNKNOWN),
    (400, {"error": ["invalid_client"]}, Verdict.UNKNOWN),
    (400, "invalid_client", Verdict.UNKNOWN),
    (400, None, Verdict.UNKNOWN),
    (403, {"error": "invalid_client"}, Verdict.UNKNOWN),
    (404, None, Verdict.UNKNOWN),
    (429, None, Verdict.UNKNOWN),
    (500, {"error": "invalid_client"}, Verdict.UNKNOWN),
    (200, None, Verdict.UNKNOWN),
]


@pytest.mark.parametrize(("status", "body", "verdict"), REFUSALS)
def test_client_is_judged_by_the_token_call(
    server: Figure, client: FigureClient, status: int, body: Any, verdict: Verdict
) -> None:
    """DEAD is a 401, or RFC 6749's own words in a 400; nothing else is."""
    server.fail_next(server.ISSUE, lab.Refuse(status, body))
    assert client.probe(Credential(server.issue_by_hand())).verdict is verdict


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, [], Verdict.LIVE),
        (200, {"positions": []}, Verdict.LIVE),
        (200, "a page", Verdict.UNKNOWN),
        (200, None, Verdict.UNKNOWN),
        (401, None, Verdict.DEAD),
        (403, None, Verdict.LIVE),
        (404, None, Verdict.UNKNOWN),
        (429, None, Verdict.UNKNOWN),
        (503, None, Verdict.UNKNOWN),
    ],
)
def test_token_is_judged_by_reading_positions(
    server: Figure, tokens: FigureToken, status: int, body: Any, verdict: Verdict
) -> None:
    """A 403 is about a permission, so the token is LIVE; only a 401 is DEAD."""
    credential = tokens.issue("", {}).credential
    server.fail_next(server.PROBE, lab.Refuse(status, body))
    assert tokens.probe(credential).verdict is verdict


@pytest.mark.parametrize("status", [400, 401])
def test_refused_login_is_told_as_such(clock: ManualClock, network: Network, status: int) -> None:
    """A refused pair is one login and a kind of its own, by which whoever calls counts it."""
    with Figure(clock=clock.now, refusal_status=status) as server:
        provider = minting(server.url, {"client_id": "nobody", "client_secret": "nothing"}, clock, network)
        with pytest.raises(NeedsPerson) as caught:
            provider.issue("", {})
        assert (caught.value.kind, server.token_calls) == ("admin-refused", 1)


def test_changed_parent_is_tried_at_once(server: Figure, clock: ManualClock, network: Network) -> None:
    """A pair that a person submitted is used by the very call that sees the old one refused."""
    fields = server.admin
    provider = minting(server.url, fields, clock, network)
    provider.issue("", {})
    server.revoke_by_hand(fields["client_id"])
    fields.update(server.issue_by_hand())
    assert provider.probe(provider.issue("", {}).credential).verdict is Verdict.LIVE
    assert [call.status for call in server.calls][:3] == [200, 401, 200]


def test_forbidden_login_is_told_as_such(server: Figure, clock: ManualClock, network: Network) -> None:
    """A gateway's 403 needs a person, in words of its own, and costs one call."""
    server.gated = True
    provider = minting(server.url, server.admin, clock, network)
    with pytest.raises(NeedsPerson) as caught:
        provider.issue("", {})
    assert (caught.value.kind, server.token_calls) == ("admin-forbidden", 1)
    server.gated = False
    provider.issue("", {})


@pytest.mark.parametrize("status", [404, 405])
def test_unknown_path_is_an_error_of_the_configuration(
    server: Figure, clock: ManualClock, network: Network, status: int
) -> None:
    """Where there is no token endpoint, the section is wrong: told for good, and nothing else is tried."""
    server.fail_next(server.ISSUE, lab.Refuse(status), 3)
    with pytest.raises(Refused) as caught:
        minting(server.url, server.admin, clock, network).issue("", {})
    assert caught.value.permanent
    assert "base_url" in caught.value.message
    assert server.token_calls == 1


def test_nobody_there_is_not_sent(clock: ManualClock, network: Network) -> None:
    """Where no connection comes about nothing was minted."""
    provider = minting("http://127.0.0.1:9", {"client_id": "a", "client_secret": "b"}, clock, network)
    with pytest.raises(NotSent):
        provider.issue("", {})


def test_without_a_parent_nothing_is_minted(clock: ManualClock, network: Network) -> None:
    """A token policy without the secret of its client is told what to add."""
    with pytest.raises(NeedsPerson) as caught:
        FigureToken(ref("https://figure.example"), None, clock, network).issue("", {})
    assert (caught.value.kind, "from:" in caught.value.todo) == ("admin-missing", True)


# --- what a person submits, and what a person is told -----------------------------------------------------

BOTH = "client_id and client_secret"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"client_id": "a-b-c", "client_secret": "xyz"}, None),
        ({"client_id": "a-b-c"}, f"client_secret is missing: it needs {BOTH}."),
        ({"client_id": "", "client_secret": "xyz"}, f"client_id is empty: it needs {BOTH}."),
        (
            {"client_id": "a", "client_secret": "x", "o": "1"},
            f"It has 1 other field than {BOTH}: leave them out.",
        ),
        (
            {"client_id": "same", "client_secret": "same"},
            f"Two of {BOTH} are the same: one was copied twice.",
        ),
        (
            {"client_id": "a b", "client_secret": "x"},
            "client_id holds blanks, line ends or characters outside ASCII.",
        ),
    ],
)
def test_shape(fields: dict[str, str], said: str | None) -> None:
    """What is wrong with a pair is one sentence, without its values."""
    assert FigureClient.shape(fields) == said


def test_people_are_told_to_create_and_not_to_regenerate() -> None:
    """The words name the page, the rights, and what must not be done."""
    todo = FigureClient.traits.todo_issue
    assert "For Business > API keys" in todo
    assert "read, or write" in todo
    assert "Create a new key, do not regenerate" in todo
    assert "revoke it" in FigureClient.traits.todo_revoke
