import math
from email.utils import parsedate_to_datetime
from typing import Any, get_args

import httpx
import pytest

from rotator.lab import (
    Drop,
    Garbage,
    Lab,
    Late,
    LocalProvider,
    Lose,
    Redirect,
    Refuse,
    Slow,
    Widen,
)
from rotator.lab.faults import HUGE, Kind
from tests.integration.lab.common import (
    Hands,
    asked,
    issue,
    listed,
    managing,
    path_of,
    probe,
    revoke,
)


def test_a_key_lives_from_its_issue_until_its_revocation(
    client: httpx.Client, provider: LocalProvider
) -> None:
    """A key that was issued works at once, and is refused with 401 as soon as it is revoked."""
    key_id, fields = issue(client, provider)
    assert probe(client, provider, fields).status_code == 200
    assert provider.accepts(fields)
    assert revoke(client, provider, key_id).status_code in (200, 204)
    assert probe(client, provider, fields).status_code == 401
    assert not provider.accepts(fields)
    [key] = provider.keys("api")
    assert (key.key_id, key.live, key.revoked_at) == (key_id, False, provider.clock())


def test_a_secret_is_told_once(client: httpx.Client, provider: LocalProvider) -> None:
    """The list names a key by id and label, and never shows its secret."""
    key_id, fields = issue(client, provider)
    text = listed(client, provider).text
    assert key_id in text
    assert "a label" in text
    assert not [value for name, value in fields.items() if name in provider.secret_names and value in text]
    assert fields[list(fields)[-1]] not in text
    assert set(fields.values()) - {key_id} <= provider.values()


def test_a_second_revocation_finds_nothing(client: httpx.Client, provider: LocalProvider) -> None:
    """Revoking a key that is gone, or never was, is 404."""
    key_id, _ = issue(client, provider)
    revoke(client, provider, key_id)
    assert revoke(client, provider, key_id).status_code == 404
    assert revoke(client, provider, "no-such-key").status_code == 404


def test_an_expired_admin_credential_is_refused_until_it_is_renewed(
    client: httpx.Client, provider: LocalProvider
) -> None:
    """Without a valid admin credential nothing is listed, made or revoked: 401; a new one works."""
    old = managing(provider)
    provider.expire_admin()
    url = provider.url + path_of(provider.LIST)
    assert client.get(url, headers=old).status_code == 401
    assert client.get(url).status_code == 401
    assert client.post(url, headers=old, json=asked(provider)).status_code == 401
    assert revoke(client, provider, "any").status_code == 401
    assert provider.renew_admin() == provider.admin
    assert listed(client, provider).status_code == 200
    assert client.get(url, headers=old).status_code == 401


def test_a_corrupted_key_is_refused_unless_the_door_is_open(
    client: httpx.Client, provider: LocalProvider
) -> None:
    """A value that was never issued is refused; a provider that checks nothing lets it in."""
    _, fields = issue(client, provider)
    wrong = {**fields, list(fields)[-1]: "not-a-key"}
    assert probe(client, provider, wrong).status_code == 401
    provider.accepts_anything = True
    assert probe(client, provider, wrong).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"name": 3, "label": 3}'])
def test_a_body_that_is_not_as_documented_is_refused(
    client: httpx.Client, provider: LocalProvider, body: bytes
) -> None:
    """A creation without what it needs is 400 and makes no key."""
    answer = client.post(provider.url + path_of(provider.ISSUE), content=body, headers=managing(provider))
    assert answer.status_code == 400
    assert not provider.keys("api")


def test_the_date_is_the_providers(client: httpx.Client, provider: LocalProvider, clock: Hands) -> None:
    """Every answer carries the provider's own time, whatever the machine's clock says."""
    clock.move(days=3)
    assert parsedate_to_datetime(listed(client, provider).headers["Date"]) == clock()


def test_a_connection_is_kept(client: httpx.Client, provider: LocalProvider) -> None:
    """Requests follow each other on one connection, unless an answer is lost."""
    streams = {id(listed(client, provider).extensions["network_stream"]) for _ in range(3)}
    assert len(streams) == 1


def test_faults_are_acted_out_in_order(client: httpx.Client, provider: LocalProvider) -> None:
    """A lost answer leaves a key behind, a dropped request none, a late one makes its key afterwards."""
    for fault, keys in ((Lose(), 1), (Drop(), 1), (Late(), 1)):
        provider.fail_next(provider.ISSUE, fault)
        with pytest.raises(httpx.RemoteProtocolError):
            issue(client, provider)
        assert len(provider.keys("api")) == keys
    assert provider.land() == 1
    assert len(provider.keys("api")) == 2
    assert [call.status for call in provider.calls] == [None] * 3
    assert provider.count(provider.ISSUE) == 3


def test_a_refusal_and_a_redirect_do_nothing(client: httpx.Client, provider: LocalProvider) -> None:
    """Refused and redirected requests make no key; both answer as they were told to."""
    provider.fail_next(provider.ISSUE, Refuse(503, {"why": "test"}, {"Retry-After": "7"}))
    provider.fail_next(provider.ISSUE, Redirect("http://127.0.0.1:9/elsewhere"))
    url, headers, body = provider.url + path_of(provider.ISSUE), managing(provider), asked(provider)
    refused = client.post(url, json=body, headers=headers)
    assert (refused.status_code, refused.json(), refused.headers["Retry-After"]) == (
        503,
        {"why": "test"},
        "7",
    )
    moved = client.post(url, json=body, headers=headers)
    assert (moved.status_code, moved.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")
    assert not provider.keys("api")


@pytest.mark.parametrize("kind", get_args(Kind))
def test_garbage_comes_with_the_status_of_success(
    client: httpx.Client, provider: LocalProvider, kind: Kind
) -> None:
    """The key is made, and the answer that should tell it does not."""
    provider.fail_next(provider.ISSUE, Garbage(kind))
    answer = client.post(
        provider.url + path_of(provider.ISSUE), json=asked(provider), headers=managing(provider)
    )
    [key] = provider.keys("api")
    assert key.live
    assert answer.is_success
    spoilt: dict[Kind, Any] = {
        "html": answer.text.startswith("<!doctype"),
        "empty": answer.content == b"",
        "wrong-json": answer.text == '{"ok": true}',
        "truncated": answer.text.startswith("{") and not answer.text.endswith("}"),
        "missing-secret": answer.text.endswith("}")
        and not any(name in answer.text.split('"') for name in provider.secret_names),
        "wrong-types": '"seven"' in answer.text,
        "huge": len(answer.content) > HUGE,
    }
    assert spoilt[kind]


def test_slow_is_slow_and_stopping_does_not_wait(provider: LocalProvider) -> None:
    """A client that waits less than the delay gives up, and the provider stops without waiting it out."""
    provider.fail_next("*", Slow(30))
    with httpx.Client(timeout=0.05, verify=False) as client, pytest.raises(httpx.ReadTimeout):
        listed(client, provider)
    provider.stop()


def test_a_late_request_may_be_timed(client: httpx.Client, provider: LocalProvider) -> None:
    """A late request with seconds lands by itself."""
    provider.fail_next(provider.ISSUE, Late(0.01))
    with pytest.raises(httpx.RemoteProtocolError):
        issue(client, provider)
    for timer in provider._timers:
        timer.join()
    assert [key.made_by for key in provider.keys("api", "foreign", "initial")] == ["api"]


def test_a_new_key_may_need_time(client: httpx.Client, provider: LocalProvider) -> None:
    """A key can be refused until it has reached every server, then by turns, and be listed late."""
    provider.new_keys_refused, provider.flapping, provider.listing_lag = 2, 2, 1
    key_id, fields = issue(client, provider)
    assert not provider.accepts(fields)
    statuses = [probe(client, provider, fields).status_code for _ in range(6)]
    assert statuses == [401, 401, 200, 401, 200, 200]
    assert key_id not in listed(client, provider).text
    assert key_id in listed(client, provider).text


def test_a_new_key_may_never_work(client: httpx.Client, provider: LocalProvider) -> None:
    """A key can be refused for ever although it is listed as live."""
    provider.new_keys_refused = math.inf
    key_id, fields = issue(client, provider)
    assert probe(client, provider, fields).status_code == 401
    assert key_id in listed(client, provider).text


def test_a_revocation_may_be_a_lie_or_lag(client: httpx.Client, provider: LocalProvider) -> None:
    """Success may be answered for a key that lives on, and a dead key may work for some requests more."""
    key_id, fields = issue(client, provider)
    provider.revocation_ignored = True
    assert revoke(client, provider, key_id).is_success
    assert provider.accepts(fields)
    provider.revocation_ignored, provider.revocation_lag = False, 2
    assert revoke(client, provider, key_id).is_success
    assert key_id not in listed(client, provider).text
    assert [probe(client, provider, fields).status_code for _ in range(3)] == [200, 200, 401]
    assert not provider.accepts(fields)


def test_more_may_be_granted_than_was_asked(client: httpx.Client, provider: LocalProvider) -> None:
    """A wider grant is real; the answer tells it, or quietly repeats what was asked."""
    url, headers, body = provider.url + path_of(provider.ISSUE), managing(provider), asked(provider)
    provider.fail_next(provider.ISSUE, Widen())
    provider.fail_next(provider.ISSUE, Widen(quiet=True))
    honest, quiet = (client.post(url, json=body, headers=headers).json() for _ in range(2))
    for name, value in provider.widest.items():
        assert honest.get(name, value) == value
        if name in quiet and name in body:
            assert quiet[name] == body[name]
    first, second = (key.granted for key in provider.keys("api"))
    assert first == second == dict(provider.widest)


def test_foreign_and_initial_keys_are_there_without_a_request(provider: LocalProvider) -> None:
    """Keys of others and keys from before are live, and no request made them."""
    fields = provider.create("from before")
    foreign = provider.add_foreign("somebody else")
    assert provider.accepts(fields)
    assert {key.label: key.live for key in provider.keys("initial", "foreign")} == {
        "from before": True,
        "somebody else": True,
    }
    provider.withdraw(foreign.key_id)
    assert [key.live for key in provider.keys("foreign")] == [False]
    assert provider.calls == ()


def test_unknown_paths_are_404(client: httpx.Client, provider: LocalProvider) -> None:
    """What is not documented does not exist."""
    for path in ("/", "/v2/nothing", f"{provider.prefix}/nothing"):
        base = provider.url.removesuffix(provider.prefix)
        assert client.get(base + path, headers=managing(provider)).status_code == 404


def test_the_lab_starts_and_stops_all_five(client: httpx.Client) -> None:
    """One context holds the five providers at five addresses, and closes them."""
    with Lab(limits=()) as lab:
        urls = {provider.url for provider in lab.providers}
        assert len(urls) == 5
        assert all(listed(client, provider).status_code == 200 for provider in lab.managed)
        assert all(client.get(f"{provider.url}/nothing").status_code == 404 for provider in lab.logins)
    with pytest.raises(httpx.ConnectError):
        client.get(urls.pop())
