from collections.abc import Iterator

import httpx
import pytest

from rotator.lab import FatTail
from tests.integration.lab.common import Hands, asked, issue, listed, managing, probe, revoke


@pytest.fixture
def local(clock: Hands) -> Iterator[FatTail]:
    """A FatTail without rate limits."""
    with FatTail(clock=clock, limits=()) as provider:
        yield provider


def bearer(fields: dict[str, str]) -> dict[str, str]:
    """The header of an API key."""
    return {"Authorization": f"Bearer {fields['api_key']}"}


def test_the_answer_has_the_documented_names(client: httpx.Client, local: FatTail) -> None:
    """A key is ftm_live_ and 32 hexadecimal digits; its prefix, scopes and expiry are told with it."""
    told = client.post(f"{local.url}/api/keys", json=asked(local, "bot"), headers=managing(local)).json()
    assert {"id", "name", "key", "key_prefix", "scopes", "expires_at"} <= set(told)
    assert len(told["key"]) == len("ftm_live_") + 32
    assert told["key_prefix"] == told["key"][: len("ftm_live_") + 8]
    assert told["expires_at"] == "2026-05-30T12:00:00.000Z"
    [row] = listed(client, local).json()["keys"]
    assert row.keys() == told.keys() - {"key"}


def test_keys_cannot_manage_keys(client: httpx.Client, local: FatTail) -> None:
    """An API key of any scope may list with read, but not create, rotate or revoke: 403."""
    fields = local.create("all", scopes=["read", "trade", "admin"])
    key = f"{local.url}/api/keys/{fields['key_id']}"
    assert client.get(f"{local.url}/api/keys", headers=bearer(fields)).status_code == 200
    refused = [
        client.post(f"{local.url}/api/keys", json=asked(local), headers=bearer(fields)),
        client.post(f"{key}/rotate", headers=bearer(fields)),
        client.delete(key, headers=bearer(fields)),
    ]
    assert {(a.status_code, a.json()["error"]) for a in refused} == {(403, "Insufficient scope")}
    assert client.delete(key).json() == {"error": "Authentication required"}


def test_the_probe_tells_the_scopes(client: httpx.Client, local: FatTail) -> None:
    """``/api/agents/me`` names the agent and the key's own scopes, and needs read."""
    me = probe(client, local, local.create("one", scopes=["read", "trade"])).json()
    assert me["agent"]["id"] == local.account
    assert me["auth"]["method"] == "api_key"
    assert me["auth"]["scopes"] == ["read", "trade"]
    assert probe(client, local, local.create("two", scopes=["trade"])).status_code == 403


def test_an_eleventh_key_is_refused(client: httpx.Client, local: FatTail) -> None:
    """An account has ten active keys at most; expired ones do not count."""
    for number in range(9):
        local.create(f"key {number}")
    issue(client, local)
    body = {"json": asked(local), "headers": managing(local)}
    assert client.post(f"{local.url}/api/keys", **body).status_code == 400  # type: ignore[arg-type]
    local.clock.move(days=90)  # type: ignore[attr-defined]
    assert client.post(f"{local.url}/api/keys", **body).status_code == 201  # type: ignore[arg-type]


def test_a_key_expires(client: httpx.Client, local: FatTail, clock: Hands) -> None:
    """A key is refused with 401 from its expiry on, and leaves the list."""
    key_id, fields = issue(client, local)
    clock.move(days=89)
    assert probe(client, local, fields).status_code == 200
    clock.move(days=1)
    assert probe(client, local, fields).json() == {"error": "Authentication required"}
    assert key_id not in listed(client, local).text
    assert not local.accepts(fields)


@pytest.mark.parametrize("keeps", [False, True])
def test_rotate_kills_the_old_key_at_once(client: httpx.Client, local: FatTail, keeps: bool) -> None:
    """Rotate answers a new key with the same settings; the old one is refused from then on."""
    local.rotate_keeps_id = keeps
    key_id, old = issue(client, local)
    told = client.post(f"{local.url}/api/keys/{key_id}/rotate", headers=managing(local)).json()
    assert (told["id"] == key_id, told["scopes"]) == (keeps, ["read"])
    assert probe(client, local, old).status_code == 401
    assert probe(client, local, {"api_key": told["key"]}).status_code == 200
    assert [row["id"] for row in listed(client, local).json()["keys"]] == [told["id"]]
    assert [key.live for key in local.keys("api")].count(True) == 1
    assert client.post(f"{local.url}/api/keys/none/rotate", headers=managing(local)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": []}, {"scopes": ["fly"]}, {"expires_in_days": 0}, {"expires_in_days": "90"}, {"name": ""}],
)
def test_wrong_settings_are_refused(client: httpx.Client, local: FatTail, wrong: dict[str, object]) -> None:
    """Unknown scopes, an expiry that is no positive number and an empty name are 400."""
    body = {**asked(local), **wrong}
    answer = client.post(f"{local.url}/api/keys", json=body, headers=managing(local))
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_the_list_has_several_shapes(client: httpx.Client, local: FatTail) -> None:
    """The list may be a bare array, and may show revoked keys with the time of their end."""
    revoke(client, local, local.create("one")["key_id"])
    assert listed(client, local).json() == {"keys": []}
    local.envelope, local.lists_revoked = None, True
    [row] = listed(client, local).json()
    assert row["revoked_at"] == "2026-03-01T12:00:00.000Z"


def test_a_window_is_a_minute(client: httpx.Client, clock: Hands) -> None:
    """A key has 60 requests in each minute of the clock; the next minute starts afresh."""
    clock.move(seconds=50)
    with FatTail(clock=clock) as local:
        fields = local.create("one")
        answers = [probe(client, local, fields) for _ in range(61)]
        assert [answer.status_code for answer in answers] == [200] * 60 + [429]
        last = answers[-1]
        assert last.json() == {"error": "Rate limit exceeded"}
        assert last.headers["Retry-After"] == "10"
        assert last.headers["X-RateLimit-Reset"] == str(int(clock().timestamp()) + 10)
        assert (last.headers["X-RateLimit-Limit"], last.headers["X-RateLimit-Remaining"]) == ("60", "0")
        assert listed(client, local).status_code == 200
        clock.move(seconds=10)
        assert probe(client, local, fields).status_code == 200


def test_markets_are_public(client: httpx.Client, local: FatTail) -> None:
    """The active markets need no key."""
    assert client.get(f"{local.url}/api/markets/active").json() == {"count": 0, "markets": []}
