from collections.abc import Iterator

import httpx
import pytest

from rotator.lab import Limit, Lose, Refuse
from rotator.lab.figure import POSITIONS, TOKEN_PATH, Figure
from tests.integration.lab.common import Hands


@pytest.fixture
def local(clock: Hands) -> Iterator[Figure]:
    """A Figure that stands still in time."""
    with Figure(clock=clock) as provider:
        yield provider


def login(client: httpx.Client, local: Figure, fields: dict[str, str]) -> httpx.Response:
    """The documented token request."""
    return client.post(local.url + TOKEN_PATH, json={**fields, "grant_type": "client_credentials"})


def positions(client: httpx.Client, local: Figure, token: str) -> int:
    """The status of reading positions."""
    return client.get(local.url + POSITIONS, headers={"Authorization": f"Bearer {token}"}).status_code


def test_the_answer_has_the_documented_shape(client: httpx.Client, local: Figure) -> None:
    """Seconds, 32 opaque characters, and a token_type in lower case."""
    told = login(client, local, local.issue_by_hand()).json()
    assert told.keys() == {"expires_in", "access_token", "token_type"}
    assert (told["expires_in"], told["token_type"], len(told["access_token"])) == (7200, "bearer", 32)
    assert positions(client, local, told["access_token"]) == 200


def test_a_form_is_refused(client: httpx.Client, local: Figure) -> None:
    """What RFC 6749 would send is not what this provider takes; JSON in a form's name neither."""
    asked = {**local.issue_by_hand(), "grant_type": "client_credentials"}
    assert client.post(local.url + TOKEN_PATH, data=asked).status_code == 400
    odd = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(local.url + TOKEN_PATH, json=asked, headers=odd).status_code == 400
    assert client.post(local.url + TOKEN_PATH, json={**asked, "grant_type": "password"}).status_code == 400
    assert client.get(local.url + TOKEN_PATH).status_code == 405
    assert client.get(local.url + "/nothing").status_code == 404
    assert local.token_calls == 3


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_pairs_are_refused(client: httpx.Client, clock: Hands, status: int) -> None:
    """A wrong secret, an unknown client, a token's id in its place: refused in either of two ways."""
    with Figure(clock=clock, refusal_status=status) as local:
        fields = local.issue_by_hand()
        login(client, local, fields)
        for wrong in (
            {**fields, "client_secret": "wrong"},
            {**fields, "client_id": "nobody"},
            {**fields, "client_id": "token-1"},
            {"client_id": fields["client_id"]},
        ):
            answer = login(client, local, wrong)
            assert (answer.status_code, answer.json()) == (status, {"error": "invalid_client"})


def test_a_person_revokes(client: httpx.Client, local: Figure) -> None:
    """A revoked pair mints nothing, others do; its tokens live on unless they are told not to."""
    kept, gone = local.issue_by_hand("kept"), local.issue_by_hand("gone")
    token = login(client, local, gone).json()["access_token"]
    local.revoke_by_hand(gone["client_id"])
    assert (login(client, local, gone).status_code, login(client, local, kept).status_code) == (401, 200)
    assert (local.accepts(gone), local.accepts(kept)) == (False, True)
    assert positions(client, local, token) == 200
    assert local.accepts({"access_token": token})


def test_tokens_may_die_with_their_client(client: httpx.Client, clock: Hands) -> None:
    """The pages do not say, so either can be had."""
    with Figure(clock=clock, revocation_kills_tokens=True) as local:
        fields = local.issue_by_hand()
        token = login(client, local, fields).json()["access_token"]
        local.revoke_by_hand(fields["client_id"])
        assert positions(client, local, token) == 401


def test_tokens_expire(client: httpx.Client, local: Figure, clock: Hands) -> None:
    """A token works until its lifetime is over, which may be as short as a demo needs."""
    local.lifetime = 20
    token = login(client, local, local.admin).json()["access_token"]
    clock.move(seconds=19)
    assert (positions(client, local, token), local.accepts({"access_token": token})) == (200, True)
    clock.move(seconds=1)
    assert (positions(client, local, token), local.accepts({"access_token": token})) == (401, False)


def test_gate_and_permission(client: httpx.Client, local: Figure) -> None:
    """A gateway that lets nobody in, and a token that may not read positions, both say 403."""
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["access_token"]
    local.permitted, local.gated = False, True
    assert positions(client, local, token) == 403
    assert login(client, local, fields).status_code == 403


def test_logins_are_counted(client: httpx.Client, local: Figure) -> None:
    """Each token call counts, by client, refused ones too; lost and refused by a fault as well."""
    fields = local.issue_by_hand()
    login(client, local, fields)
    login(client, local, {**fields, "client_secret": "wrong"})
    local.fail_next(local.ISSUE, Refuse(503))
    login(client, local, fields)
    local.fail_next(local.ISSUE, Lose())
    with pytest.raises(httpx.RemoteProtocolError):
        login(client, local, fields)
    assert (local.token_calls, local.logins) == (4, {fields["client_id"]: 3})
    assert len(local.keys("api")) == 2


def test_limits_answer_429(client: httpx.Client, clock: Hands) -> None:
    """No figures are published; where some are set, one too many is told with when to come back."""
    with Figure(clock=clock, limits=[Limit(2, 60, "/oauth2/")]) as local:
        statuses = [login(client, local, local.admin).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert login(client, local, local.admin).headers["Retry-After"] == "60"


def test_values_are_every_secret(client: httpx.Client, local: Figure) -> None:
    """What must not appear in any output: secrets and tokens, but no client id."""
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["access_token"]
    assert {fields["client_secret"], token, local.admin["client_secret"]} == local.values()


def test_a_renewed_admin_replaces_the_one_before(client: httpx.Client, local: Figure) -> None:
    """As with every local provider, one first credential is valid at a time."""
    old = local.admin
    new = local.renew_admin()
    assert [login(client, local, fields).status_code for fields in (old, new)] == [401, 200]
    local.accepts_anything = True
    assert login(client, local, old).status_code == 200
    assert positions(client, local, "any") == 200
