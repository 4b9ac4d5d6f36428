import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rotator.lab.fintechstudios import PROBE_PATH, FintechStudios
from tests.integration.lab.common import Hands


@pytest.fixture
def local(clock: Hands) -> Iterator[FintechStudios]:
    """A FinTech Studios that stands still in time."""
    with FintechStudios(clock=clock) as provider:
        yield provider


def login(client: httpx.Client, local: FintechStudios, fields: dict[str, str]) -> httpx.Response:
    """The documented token request."""
    asked = {name: fields[name] for name in ("email", "password") if name in fields}
    headers = {"x-api-key": fields["access_key"]} if "access_key" in fields else {}
    return client.post(local.url + local.token_path, json=asked, headers=headers)


def account(client: httpx.Client, local: FintechStudios, headers: dict[str, str]) -> int:
    """The status of the probe path."""
    return client.get(local.url + PROBE_PATH, headers=headers).status_code


def bearer(fields: dict[str, str], token: str) -> dict[str, str]:
    """The headers of a request as the page has them."""
    return {"x-api-key": fields["access_key"], "Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("milliseconds", "factor"), [(True, 1000), (False, 1)])
def test_the_answer_has_the_documented_names(
    client: httpx.Client, clock: Hands, *, milliseconds: bool, factor: int
) -> None:
    """A JWT, its end in milliseconds or in seconds, and whose it is."""
    with FintechStudios(clock=clock, milliseconds=milliseconds, exp_early=60) as local:
        told = login(client, local, local.issue_by_hand()).json()
        ends = int(clock().timestamp()) + 3600
        assert told.keys() == {"token", "expires", "userId", "tenantId"}
        assert (told["expires"], told["userId"]) == (ends * factor, local.account)
        payload = told["token"].split(".")[1]
        own = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert own["exp"] == ends - 60


@pytest.mark.parametrize("path", ["/auth/token", "/auth/login"])
def test_one_of_two_paths(client: httpx.Client, clock: Hands, path: str) -> None:
    """The other spelling is not there."""
    with FintechStudios(clock=clock, token_path=path) as local:
        assert login(client, local, local.admin).status_code == 200
        local.token_path, local_path = "/auth/other", local.token_path
        assert client.post(local.url + local_path).status_code == 404
        assert client.get(local.url + "/status").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("spelling", "headers"),
    [
        ("bearer", {"Authorization": "Bearer {}"}),
        ("raw", {"Authorization": "{}"}),
        ("x-api-token", {"x-api-token": "{}"}),
    ],
)
def test_one_of_three_headers(
    client: httpx.Client, clock: Hands, spelling: str, headers: dict[str, str]
) -> None:
    """The token is taken where this one looks for it, and nowhere else."""
    with FintechStudios(clock=clock, token_header=spelling) as local:
        fields = local.issue_by_hand()
        token = login(client, local, fields).json()["token"]
        spelled = {name: form.format(token) for name, form in headers.items()}
        others = [{"Authorization": f"Bearer {token}"}, {"Authorization": token}, {"x-api-token": token}]
        key = {"x-api-key": fields["access_key"]}
        assert account(client, local, {**key, **spelled}) == 200
        assert [account(client, local, {**key, **o}) for o in others if o != spelled] == [401, 401]


def test_the_key_of_the_organisation_goes_with_every_request(
    client: httpx.Client, clock: Hands, local: FintechStudios
) -> None:
    """Without it, or with a wrong one, a gateway says Forbidden; at the login that can be switched off."""
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["token"]
    for wrong in ({}, {"access_key": "00000000-0000-4000-8000-000000000000"}, {"access_key": "token-1"}):
        answer = login(client, local, {**fields, "access_key": "", **wrong})
        assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
    assert account(client, local, {"Authorization": f"Bearer {token}"}) == 403
    with FintechStudios(clock=clock, needs_access_key=False) as lax:
        bare = {name: lax.admin[name] for name in ("email", "password")}
        assert login(client, lax, bare).status_code == 200


def test_a_person_issues_and_revokes(client: httpx.Client, local: FintechStudios) -> None:
    """A new login has a key of its own and the same user; the old key is removed by hand."""
    old, new = local.issue_by_hand("old"), local.issue_by_hand("new")
    assert old["access_key"] != new["access_key"]
    assert (old["email"], old["password"]) == (new["email"], new["password"])
    token = login(client, local, old).json()["token"]
    local.revoke_by_hand(old["access_key"])
    assert (login(client, local, old).status_code, login(client, local, new).status_code) == (403, 200)
    assert (local.accepts(old), local.accepts(new)) == (False, True)
    assert not local.accepts({"access_key": old["access_key"], "token": token})
    other = local.issue_for_another_user()
    assert login(client, local, other).json()["userId"] != local.account


def test_a_password_has_no_overlap(client: httpx.Client, local: FintechStudios) -> None:
    """With a new one the old one is refused at once; tokens stay."""
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["token"]
    new = {**fields, "password": local.change_password()}
    assert [login(client, local, each).status_code for each in (fields, new)] == [401, 200]
    assert (local.accepts(fields), local.accepts(new)) == (False, True)
    assert account(client, local, bearer(fields, token)) == 200


def test_tokens_expire(client: httpx.Client, local: FintechStudios, clock: Hands) -> None:
    """A token works until its lifetime is over."""
    local.lifetime = 30
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["token"]
    clock.move(seconds=29)
    assert account(client, local, bearer(fields, token)) == 200
    clock.move(seconds=1)
    assert account(client, local, bearer(fields, token)) == 401
    assert not local.accepts({"access_key": fields["access_key"], "token": token})


def test_failures_may_come_as_200(client: httpx.Client, clock: Hands) -> None:
    """A gateway that squashes errors answers 200 with an ``error``."""
    with FintechStudios(clock=clock, errors_in_200=True) as local:
        answer = login(client, local, {**local.admin, "password": "wrong"})
        assert (answer.status_code, answer.json().keys()) == (200, {"error"})
        assert answer.json()["error"].keys() == {"type", "message"}


def test_too_many_logins_throttle_and_then_disable(client: httpx.Client, clock: Hands) -> None:
    """Logins that would be welcome are put off, and at last the account is shut until a person opens it."""
    with FintechStudios(clock=clock, throttled_after=2, disabled_after=4, login_window=60) as local:
        statuses = [login(client, local, local.admin).status_code for _ in range(5)]
        assert statuses == [200, 200, 429, 429, 401]
        assert (local.disabled(), local.accepts(local.admin)) == (True, False)
        clock.move(minutes=10)
        assert login(client, local, local.admin).status_code == 401
        local.enable()
        assert login(client, local, local.admin).status_code == 200


def test_the_window_moves_on(client: httpx.Client, clock: Hands) -> None:
    """Logins of long ago do not count."""
    with FintechStudios(clock=clock, throttled_after=1, login_window=60) as local:
        for _ in range(4):
            assert login(client, local, local.admin).status_code == 200
            clock.move(seconds=60)
        assert local.logins == {local.admin["email"]: 4}


def test_refused_logins_disable_the_account(client: httpx.Client, clock: Hands) -> None:
    """So many in a row, and the right password is refused too; one that is right begins anew."""
    with FintechStudios(clock=clock, refusals_allowed=3) as local:
        wrong: dict[str, Any] = {**local.admin, "password": "wrong"}
        for fields, shut in ((wrong, 0), (wrong, 0), (local.admin, 0), (wrong, 0), (wrong, 0), (wrong, 1)):
            login(client, local, fields)
            assert local.disabled() is bool(shut)
        assert login(client, local, local.admin).status_code == 401


def test_odd_requests(client: httpx.Client, local: FintechStudios) -> None:
    """A form, half a login, an unknown user: refused, and the provider goes on."""
    fields = local.issue_by_hand()
    key = {"x-api-key": fields["access_key"]}
    assert client.post(local.url + local.token_path, data=fields, headers=key).status_code == 400
    assert login(client, local, {"access_key": fields["access_key"], "email": "a"}).status_code == 400
    assert login(client, local, {**fields, "email": "nobody@desk.example"}).status_code == 401
    assert local.token_calls == 3
    local.accepts_anything = True
    assert login(client, local, {**fields, "password": "any"}).status_code == 200
    assert account(client, local, {}) == 200


def test_values_are_every_secret(client: httpx.Client, local: FintechStudios) -> None:
    """What must not appear in any output: keys, passwords and tokens, but no e-mail address."""
    fields = local.issue_by_hand()
    token = login(client, local, fields).json()["token"]
    values = local.values()
    assert {fields["access_key"], fields["password"], token, local.admin["access_key"]} <= values
    assert fields["email"] not in values
