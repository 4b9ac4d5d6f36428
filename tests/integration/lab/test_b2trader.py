from collections.abc import Iterator

import httpx
import pytest

from rotator.lab import B2Trader
from rotator.lab.b2trader import KEYS, SHORT_KEYS, signature
from tests.integration.lab.common import Hands, asked, issue, listed, managing, probe, revoke


@pytest.fixture
def local(clock: Hands) -> Iterator[B2Trader]:
    """A B2Trader without rate limits."""
    with B2Trader(clock=clock, limits=()) as provider:
        yield provider


def test_the_signature_is_the_clients_one() -> None:
    """HMAC-SHA512, upper case, over the query with its question mark or over the body: known vectors."""
    key = "8596a4a9-b3a5-3d4c-9399-a2958de404ba"
    query = "?ts=2019-12-20T08:20:51&nonce=12345"
    body = '{"ts":"2019-12-20T08:20:51","nonce":12345}'
    assert signature(key, query).startswith(
        "7445BDE84F3863E43953986B1337BE3D21CA9675C9643CE4999F79A28DD9F674"
    )
    assert signature(key, body).startswith("646A150066BF75C6E28B53EFE00801F49BEB1BF45888E5BCD27FA21DB274AB26")


def test_the_answer_has_the_documented_names(client: httpx.Client, local: B2Trader) -> None:
    """A creation asks for IpWhiteList and answers ipWhiteList; the list has all but the secret."""
    told = client.post(local.url + KEYS, json=asked(local), headers=managing(local)).json()
    assert set(told) == {"publicKey", "privateKey", "name", "isInfo", "isTrade", "ipWhiteList"}
    assert told["ipWhiteList"] == ["203.0.113.7"]
    [row] = listed(client, local).json()
    assert row == {name: value for name, value in told.items() if name != "privateKey"}


def test_every_field_of_a_creation_is_required(client: httpx.Client, local: B2Trader) -> None:
    """The allow-list under its answer's spelling is none, and no key is made."""
    body = asked(local)
    for name in tuple(body):
        less = {other: value for other, value in body.items() if other != name}
        assert client.post(local.url + KEYS, json=less, headers=managing(local)).status_code == 400
    body["ipWhiteList"] = body.pop("IpWhiteList")
    answer = client.post(local.url + KEYS, json=body, headers=managing(local))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "invalid_request")
    assert local.keys() == []


def test_a_fourth_key_is_refused(client: httpx.Client, local: B2Trader) -> None:
    """A user has three keys at most, whoever made them; a revoked one makes room."""
    foreign = local.add_foreign("somebody else")
    for _ in range(2):
        issue(client, local)
    answer = client.post(local.url + KEYS, json=asked(local), headers=managing(local))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "limit")
    assert revoke(client, local, foreign.key_id).status_code == 200
    assert client.post(local.url + KEYS, json=asked(local), headers=managing(local)).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(-6, 401), (-5, 200), (5, 200), (6, 401)])
def test_the_clock_may_be_five_seconds_off(
    client: httpx.Client, local: B2Trader, clock: Hands, seconds: int, status: int
) -> None:
    """A request whose ts is more than five seconds off is refused, and nothing says why."""
    fields = local.create("a label")
    ts = clock().replace(second=30)
    clock.at = ts
    shifted = ts.replace(second=30 + seconds).strftime("%Y-%m-%dT%H:%M:%S")
    assert probe(client, local, fields, ts=shifted).status_code == status


def test_a_nonce_is_used_once_in_22_seconds(client: httpx.Client, local: B2Trader, clock: Hands) -> None:
    """The same nonce of one key is refused for 22 seconds; another key may use it."""
    first, second = local.create("one"), local.create("two")
    assert probe(client, local, first, nonce=7).status_code == 200
    assert probe(client, local, first, nonce=7).status_code == 401
    assert probe(client, local, second, nonce=7).status_code == 200
    clock.move(seconds=22)
    assert probe(client, local, first, nonce=7).status_code == 200
    assert probe(client, local, first, nonce=2**63).status_code == 401


def test_only_the_keys_own_signature_opens(client: httpx.Client, local: B2Trader) -> None:
    """A signature in lower case, of another key, or without its headers is refused alike."""
    fields, other = local.create("one"), local.create("two")
    query = f"?ts={local.clock().strftime('%Y-%m-%dT%H:%M:%S')}&nonce=99"
    wrong = [signature(fields["private_key"], query).lower(), signature(other["private_key"], query)]
    answers = [probe(client, local, fields, nonce=99, sign=sign) for sign in wrong]
    answers.append(client.get(f"{local.url}/frontoffice/api/balances{query}"))
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"errors": [{"code": "unauthorized", "message": "Unauthorized"}]}')
    }


def test_both_private_reads_are_there(client: httpx.Client, local: B2Trader) -> None:
    """Balances and order history answer a signed GET; the public information needs no signature."""
    fields = local.create("one")
    query = f"?ts={local.clock().strftime('%Y-%m-%dT%H:%M:%S')}&nonce=1"
    headers = {"Key": fields["public_key"], "Sign": signature(fields["private_key"], query)}
    assert client.get(f"{local.url}/frontoffice/api/order_history{query}", headers=headers).json() == []
    assert probe(client, local, fields).json()[0]["asset"] == "usdt"
    assert client.get(f"{local.url}/frontoffice/api/info").json()["serverTime"] > 638_000_000_000_000_000


def test_a_deletion_has_one_path(client: httpx.Client, local: B2Trader) -> None:
    """Only one of the page's two spellings exists; which one is a setting."""
    fields = local.create("one")
    short = f"{local.url}{SHORT_KEYS}/{fields['public_key']}"
    assert client.delete(short, headers=managing(local)).status_code == 404
    assert local.accepts(fields)
    local.delete_path = SHORT_KEYS
    assert client.delete(short, headers=managing(local)).status_code == 200
    assert not local.accepts(fields)


def test_the_list_may_need_another_verb(client: httpx.Client, local: B2Trader) -> None:
    """Where the list is a POST without a body, as the page is written, GET is 405."""
    local.create("one")
    local.list_verb = "POST"
    assert listed(client, local).status_code == 405
    assert len(client.post(local.url + KEYS, headers=managing(local)).json()) == 1


def test_what_some_servers_do(client: httpx.Client, local: B2Trader) -> None:
    """The list may repeat private keys, a third flag may be there, addresses may be enforced."""
    local.lists_private = local.withdraw_flag = local.enforces_addresses = True
    _, fields = issue(client, local)
    [row] = listed(client, local).json()
    assert row["privateKey"] == fields["private_key"]
    assert row["isWithdraw"] is False
    assert probe(client, local, fields).status_code == 403


def test_one_request_a_second(client: httpx.Client, clock: Hands) -> None:
    """Everything under /frontoffice/ has one request in any second; no header tells the wait."""
    with B2Trader(clock=clock) as local:
        fields = local.create("one")
        assert listed(client, local).status_code == 200
        refused = probe(client, local, fields)
        assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)
        clock.move(seconds=0.9)
        assert listed(client, local).status_code == 429
        clock.move(seconds=0.1)
        assert listed(client, local).status_code == 200
