from collections.abc import Iterator

import httpx
import pytest

from rotator.lab import Buildmarkets, Limit
from rotator.lab.buildmarkets import Paging
from tests.integration.lab.common import Hands, asked, issue, managing, pair, probe, revoke


@pytest.fixture
def local(clock: Hands) -> Iterator[Buildmarkets]:
    """A Buildmarkets without rate limits, with pages of two keys."""
    with Buildmarkets(clock=clock, limits=(), page_size=2) as provider:
        yield provider


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error."""
    return answer.status_code, answer.json()["error"]["code"]


def test_the_answer_is_flat_and_complete(client: httpx.Client, local: Buildmarkets) -> None:
    """A creation answers 201 with id, label, pair, scopes and time in one flat object."""
    answer = client.post(f"{local.url}/v1/keys", json=asked(local, "bot"), headers=managing(local))
    told = answer.json()
    assert answer.status_code == 201
    assert set(told) == {"id", "label", "api_key", "api_secret", "scopes", "created_at"}
    assert (told["label"], told["scopes"]) == ("bot", ["accounts:read"])
    assert told["created_at"] == "2026-03-01T12:00:00Z"


def test_basic_is_as_good_as_headers_and_bearer_is_not(client: httpx.Client, local: Buildmarkets) -> None:
    """A pair may come as HTTP Basic; a Bearer token is never a pair."""
    fields = local.create("a label")
    url = f"{local.url}/v1/accounts"
    assert client.get(url, auth=(fields["api_key"], fields["api_secret"])).status_code == 200
    bearer = client.get(url, headers={"Authorization": f"Bearer {fields['api_key']}"})
    assert code(bearer) == (401, "UNAUTHORIZED")
    assert code(client.get(url)) == (401, "UNAUTHORIZED")


def test_401_comes_before_403(client: httpx.Client, local: Buildmarkets) -> None:
    """A good pair without the scope is 403; a wrong secret is 401; a revoked pair says so."""
    fields = local.create("a label", scopes=["trading:read"])
    assert code(probe(client, local, fields)) == (403, "FORBIDDEN")
    assert code(probe(client, local, {**fields, "api_secret": "other"})) == (401, "UNAUTHORIZED")
    assert code(client.get(f"{local.url}/v1/keys", headers=pair(fields))) == (403, "FORBIDDEN")
    assert revoke(client, local, fields["key_id"]).status_code == 204
    assert code(probe(client, local, fields)) == (401, "KEY_REVOKED")
    assert code(probe(client, local, {**fields, "api_secret": "other"})) == (401, "UNAUTHORIZED")


def test_the_newer_name_of_the_managing_scope_works(client: httpx.Client, clock: Hands) -> None:
    """``admin:keys`` manages keys as ``keys:manage`` did."""
    with Buildmarkets(clock=clock, limits=(), manage_scope="admin:keys") as local:
        key_id, fields = issue(client, local)
        assert probe(client, local, fields).status_code == 200
        assert revoke(client, local, key_id).status_code == 204


def test_an_unknown_scope_is_refused(client: httpx.Client, local: Buildmarkets) -> None:
    """No key is made with a scope that does not exist, nor with none."""
    for scopes, expected in ((["accounts:fly"], "INVALID_SCOPE"), ([], "MISSING_REQUIRED_FIELD")):
        body = {"label": "x", "scopes": scopes}
        assert code(client.post(f"{local.url}/v1/keys", json=body, headers=managing(local))) == (
            400,
            expected,
        )
    assert local.keys("api") == []


@pytest.mark.parametrize("paging", ["cursor", "offset", "none"])
def test_the_list_comes_in_pages(client: httpx.Client, local: Buildmarkets, paging: Paging) -> None:
    """Following the list to its end shows each live key once, the managing pair among them."""
    local.paging = paging
    for number in range(4):
        local.create(f"key {number}")
    rows: list[dict[str, str]] = []
    more = {"limit": "2"}
    while more:
        page = client.get(f"{local.url}/v1/keys", params=more, headers=managing(local)).json()
        rows += page if isinstance(page, list) else page["data"]
        told = {} if isinstance(page, list) else page["pagination"]
        more = {"cursor": told["next_cursor"]} if told.get("has_more") else {}
        if told.get("total", 0) > len(rows):
            more = {"limit": "2", "offset": str(len(rows))}
    assert [row["label"] for row in rows] == ["key manager", *(f"key {number}" for number in range(4))]
    assert set(rows[0]) == {"id", "label", "scopes", "created_at"}


def test_revoked_keys_may_stay_in_the_list(client: httpx.Client, local: Buildmarkets) -> None:
    """Where revoked keys are listed, a status tells them from live ones."""
    local.lists_revoked, local.paging = True, "none"
    revoke(client, local, local.create("a label")["key_id"])
    rows = client.get(f"{local.url}/v1/keys", headers=managing(local)).json()
    assert [row["status"] for row in rows] == ["active", "revoked"]


def test_the_eleventh_request_in_a_second_is_429(client: httpx.Client, clock: Hands) -> None:
    """A key has ten requests in a second; headers count them down, and Retry-After tells the wait."""
    with Buildmarkets(clock=clock) as local:
        first, second = local.create("one"), local.create("two")
        answers = [probe(client, local, first) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert [answers[n].headers["X-RateLimit-Remaining"] for n in (0, 9, 10)] == ["9", "0", "0"]
        assert answers[0].headers["X-RateLimit-Limit"] == "10"
        assert answers[0].headers["X-RateLimit-Tier"] == "developer"
        assert int(answers[0].headers["X-RateLimit-Reset"]) == clock().timestamp() + 1
        assert answers[10].headers["Retry-After"] == "1"
        assert probe(client, local, second).status_code == 200
        clock.move(seconds=1)
        assert probe(client, local, first).status_code == 200


def test_a_limit_of_keys_may_be_set(client: httpx.Client, clock: Hands) -> None:
    """No limit of keys is documented; one that is set refuses with 409."""
    with Buildmarkets(clock=clock, limits=(Limit(1000, 1.0),), key_limit=1) as local:
        local.create("the one")
        answer = client.post(f"{local.url}/v1/keys", json=asked(local), headers=managing(local))
        assert code(answer) == (409, "CONFLICT")
