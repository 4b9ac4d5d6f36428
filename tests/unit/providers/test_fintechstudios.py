import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rotator import lab
from rotator.errors import Refused
from rotator.lab.fintechstudios import PROBE_PATH, FintechStudios
from rotator.model import Credential, ProviderRef, Verdict
from rotator.providers.admin import Admin
from rotator.providers.fintechstudios import FintechAccessKey, FintechToken
from rotator.providers.network import Network
from rotator.testing.clock import ManualClock
from tests.unit.providers.raw_server import RawServer, say

LOGIN = {
    "access_key": "00000000-0000-4000-8000-000000000000",
    "email": "worker@desk.example",
    "password": "no password at all",
}


@pytest.fixture
def server(clock: ManualClock) -> Iterator[FintechStudios]:
    """A FinTech Studios by the same clock."""
    with FintechStudios(clock=clock.now) as provider:
        yield provider


def ref(url: str, **options: Any) -> ProviderRef:
    """Its section of the policy file."""
    return ProviderRef("fts", "fintechstudios", url, options={"requests_per_second": 1000, **options})


def minting(
    url: str, fields: dict[str, str], clock: ManualClock, network: Network, **options: Any
) -> FintechToken:
    """The adapter of tokens, whose parent secret holds ``fields`` at any time."""
    parent = FintechToken.traits.admin_fields
    admin = Admin(lambda: Credential(fields), parent, "fts", clock, FintechToken.admin_in_headers)
    return FintechToken(ref(url, **options), admin, clock, network)


def keyed(server: FintechStudios, clock: ManualClock, network: Network, **options: Any) -> FintechAccessKey:
    """The adapter of logins."""
    return FintechAccessKey(ref(server.url, **options), None, clock, network)


@pytest.fixture
def logins(server: FintechStudios, clock: ManualClock, network: Network) -> FintechAccessKey:
    """The adapter of logins, without a probe path."""
    return keyed(server, clock, network)


@pytest.fixture
def probed(server: FintechStudios, clock: ManualClock, network: Network) -> FintechToken:
    """The adapter of tokens, with a parent that works and a probe path."""
    return minting(server.url, server.admin, clock, network, probe_path=PROBE_PATH)


# --- the login -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/auth/token", "/auth/login"])
def test_login_request(clock: ManualClock, network: Network, path: str) -> None:
    """E-mail and password in JSON, to the path that is chosen, with the organisation's key also here."""
    told = {"token": "not-a-real-token", "expires": int(clock.now().timestamp()) + 60, "userId": "u-1"}
    with RawServer(say("200 OK", json.dumps(told).encode())) as raw:
        issued = minting(raw.url, LOGIN, clock, network, token_path=path).issue("", {})
        network.close()
    (request,) = raw.requests
    head, _, sent = request.partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path} HTTP/1.1".encode())
    assert f"x-api-key: {LOGIN['access_key']}".encode() in head.lower()
    assert json.loads(sent) == {name: LOGIN[name] for name in ("email", "password")}
    assert issued.credential.reveal() == {
        "access_key": LOGIN["access_key"],
        "token": "not-a-real-token",
        "user_id": "u-1",
        "expires_at": str(told["expires"]),
    }


@pytest.mark.parametrize("path", ["/auth/token", "/auth/login"])
def test_other_spelling_is_never_tried(clock: ManualClock, network: Network, path: str) -> None:
    """Where the path is not the server's, the section is wrong: one call, told for good."""
    other = {"/auth/token": "/auth/login", "/auth/login": "/auth/token"}[path]
    with FintechStudios(clock=clock.now, token_path=other) as server:
        with pytest.raises(Refused) as caught:
            minting(server.url, server.admin, clock, network, token_path=path).issue("", {})
        network.close()
        assert (caught.value.kind, caught.value.permanent, len(server.calls)) == ("http-404", True, 1)


def test_password_may_hold_what_no_header_may(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """Blanks and letters of any script go in a JSON body, at submit and as the parent of a token."""
    fields = {**server.admin, "password": "correct h\u00f6rse \u2713"}
    server._user.password = fields["password"]
    assert FintechAccessKey.shape(fields) is None
    assert keyed(server, clock, network).probe(Credential(fields)).verdict is Verdict.LIVE
    minting(server.url, fields, clock, network).issue("", {})


def test_removed_key_of_the_organisation_is_replaced_at_once(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """A 403 makes the parent secret be read again: it may hold the new key by now."""
    fields = server.admin
    provider = minting(server.url, fields, clock, network)
    provider.issue("", {})
    server.revoke_by_hand(fields["access_key"])
    fields.update(server.issue_by_hand())
    provider.issue("", {})
    assert [call.status for call in server.calls] == [200, 403, 200]


@pytest.mark.parametrize("told", [{"type": "Denied", "message": "no"}, "no"])
def test_error_in_a_200_is_a_failure(
    server: FintechStudios, clock: ManualClock, network: Network, told: Any
) -> None:
    """A 2xx that carries an error minted nothing: a kind of its own, by which whoever calls counts it."""
    server.fail_next(server.ISSUE, lab.Refuse(200, {"error": told, "token": "not-a-real-token"}))
    provider = minting(server.url, server.admin, clock, network)
    with pytest.raises(Refused) as caught:
        provider.issue("", {})
    assert (caught.value.kind, server.token_calls) == ("login-failed", 1)
    provider.issue("", {})


def test_wrong_password_disables_no_account(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """Probed every ten seconds for an hour, a refused login is sent twice; the account stays."""
    wrong, access_key = {**server.admin, "password": "changed since"}, keyed(server, clock, network)
    for _ in range(360):
        assert access_key.probe(Credential(wrong)).verdict is Verdict.DEAD
        clock.advance(timedelta(seconds=10))
    assert server.token_calls == 2
    assert not server.disabled()


# --- the access key --------------------------------------------------------------------------------------


def test_one_login_serves_several_probes(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """A login that was accepted is not repeated for five minutes; then it is."""
    credential, provider = Credential(server.issue_by_hand()), keyed(server, clock, network)
    for _ in range(5):
        assert provider.probe(credential).verdict is Verdict.LIVE
    assert server.token_calls == 1
    clock.advance(timedelta(minutes=5))
    provider.probe(credential)
    assert server.token_calls == 2


def test_what_is_not_proven_is_said(server: FintechStudios, clock: ManualClock, network: Network) -> None:
    """Without a probe_path nothing proves the organisation's key, and the probe says so."""
    credential = Credential(server.issue_by_hand())
    bare = keyed(server, clock, network).probe(credential)
    proven = keyed(server, clock, network, probe_path=PROBE_PATH).probe(credential)
    assert "x-api-key not proven" in bare.why
    assert "x-api-key is accepted" in proven.why
    assert bare.account == proven.account == server.account


def test_wrong_key_of_the_organisation_is_no_proof(clock: ManualClock, network: Network) -> None:
    """A login that is accepted beside a key that is not: UNKNOWN, and one login however often it is asked."""
    with FintechStudios(clock=clock.now, needs_access_key=False) as server:
        fields = {**server.admin, "access_key": LOGIN["access_key"]}
        provider = keyed(server, clock, network, probe_path=PROBE_PATH)
        for _ in range(3):
            assert provider.probe(Credential(fields)).verdict is Verdict.UNKNOWN
        assert server.token_calls == 1
        network.close()


def test_login_of_another_user_is_told_apart(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """Whose account a login is comes from the answer's userId."""
    provider = keyed(server, clock, network)
    accounts = {
        provider.probe(Credential(fields)).account
        for fields in (server.admin, server.issue_by_hand(), server.issue_for_another_user())
    }
    assert len(accounts) == 2
    assert None not in accounts


@pytest.mark.parametrize(
    ("answer", "verdict", "held"),
    [
        (lab.Refuse(401), Verdict.DEAD, True),
        (lab.Refuse(403, {"message": "Forbidden"}), Verdict.UNKNOWN, True),
        (lab.Refuse(400), Verdict.UNKNOWN, True),
        (lab.Refuse(404), Verdict.UNKNOWN, True),
        (lab.Refuse(200, {"error": {"type": "x", "message": "y"}}), Verdict.UNKNOWN, True),
        (lab.Refuse(200), Verdict.UNKNOWN, True),
        (lab.Refuse(503), Verdict.UNKNOWN, False),
    ],
)
def test_login_is_judged(
    server: FintechStudios, logins: FintechAccessKey, answer: lab.Refuse, verdict: Verdict, *, held: bool
) -> None:
    """DEAD is a 401 alone. What is about the login holds it; what passes does not."""
    server.fail_next(server.ISSUE, answer)
    credential = Credential(server.issue_by_hand())
    assert logins.probe(credential).verdict is verdict
    again = logins.probe(credential).verdict
    assert (again, server.token_calls) == ((verdict, 1) if held else (Verdict.LIVE, 2))


ALL = "access_key, email and password"
NO_UUID = "access_key is not a UUID of 36 characters, as an x-api-key is."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"access_key": "not-a-uuid"}, NO_UUID),
        ({"access_key": LOGIN["access_key"] + "0"}, NO_UUID),
        ({"email": "worker"}, "email is not an e-mail address."),
        ({"email": "worker @desk.example"}, "email is not an e-mail address."),
        ({"password": "two\nlines"}, "password holds line ends or other control characters."),
        ({"password": "x" * 2000}, "password is longer than 1024 characters."),
        ({"password": ""}, f"password is empty: it needs {ALL}."),
        ({"tenant": "t", "user": "u"}, f"It has 2 other fields than {ALL}: leave them out."),
    ],
)
def test_shape(change: dict[str, str], said: str | None) -> None:
    """What is wrong with a login is one sentence, without its values."""
    assert FintechAccessKey.shape({**LOGIN, **change}) == said


# --- the token -------------------------------------------------------------------------------------------


def test_token_without_probe_path_lives_as_issued(
    server: FintechStudios, clock: ManualClock, network: Network
) -> None:
    """It is LIVE until it expires and DEAD from then on, without a request; the probe says how it knows."""
    provider = minting(server.url, server.admin, clock, network)
    issued = provider.issue("", {})
    assert issued.expires_at is not None
    probe = provider.probe(issued.credential)
    assert (probe.verdict, probe.account) == (Verdict.LIVE, server.account)
    assert "not probed" in probe.why
    clock.advance_to(issued.expires_at)
    assert provider.probe(issued.credential).verdict is Verdict.DEAD
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {}, Verdict.LIVE),
        (200, {"error": None}, Verdict.LIVE),
        (200, {"error": {"type": "x"}}, Verdict.UNKNOWN),
        (200, "a page", Verdict.UNKNOWN),
        (204, None, Verdict.UNKNOWN),
        (401, None, Verdict.DEAD),
        (403, None, Verdict.UNKNOWN),
        (500, None, Verdict.UNKNOWN),
    ],
)
def test_token_is_judged_by_its_probe_path(
    server: FintechStudios, probed: FintechToken, status: int, body: Any, verdict: Verdict
) -> None:
    """A 403 may be about the organisation's key, and an error may stand in a 200."""
    credential = probed.issue("", {}).credential
    server.fail_next(server.PROBE, lab.Refuse(status, body))
    assert probed.probe(credential).verdict is verdict


@pytest.mark.parametrize("ends", ["", "soon", "-1", "1e9", "9" * 13])
def test_end_that_cannot_be_read_is_unknown(
    server: FintechStudios, clock: ManualClock, network: Network, ends: str
) -> None:
    """A token whose secret does not say when it ends is neither LIVE nor DEAD."""
    provider = minting(server.url, server.admin, clock, network)
    fields = provider.issue("", {}).credential.reveal()
    assert provider.probe(Credential({**fields, "expires_at": ends})).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "options",
    [
        {"token_path": "/oauth2/token"},
        {"token_header": "Basic"},
        {"probe_path": "account"},
        {"probe_path": "/a?b=c"},
        {"probe_path": "/a b"},
        {"tokenpath": "/auth/token"},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """Only the spellings of the pages, and a plain path."""
    with pytest.raises(ValidationError):
        FintechToken.Options.model_validate(options)


def test_people_are_told_to_ask_for_one_more() -> None:
    """The words say whom to ask, that the old one stays, and that a death is declared, not proven."""
    todo, revoke = FintechAccessKey.traits.todo_issue, FintechAccessKey.traits.todo_revoke
    assert "account manager" in todo
    assert "in addition" in todo
    assert "must not be regenerated" in todo
    assert "rotator settle" in revoke
