"""Kinds of credentials: tokens have a parent and no schedule, and only they do."""

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import PolicyError
from rotator.model import AdminRef, Credential
from rotator.policies import load

HEAD = """version: 1
stores:
  aws: {type: aws-secrets-manager, region: eu-west-1}
providers:
  figure: {type: figure, base_url: "https://www.figuremarkets.example/partner"}
  fts: {type: fintechstudios, base_url: "https://global-api.fintechstudios.example"}
  fat: {type: fattail, base_url: "https://app.fattailmarkets.example", admin: {store: aws, secret: s}}
defaults: {store: aws, every: 30d, grace: 24h, owner: desk@example.com}
policies:
  - {name: client, provider: figure, secret: client, every: 90d}
"""
TOKEN = "  - {name: token, provider: figure, kind: access-token, secret: token"
PARENT = ", from: {store: aws, secret: client}"


def write(tmp_path: Path, policy: str) -> Path:
    """A file with one more policy."""
    path = tmp_path / "rotator.yaml"
    path.write_text(HEAD + policy)
    return path


@pytest.mark.parametrize(
    ("given", "renew"),
    [("", 0.25), (", renew_before: 20m", timedelta(minutes=20)), (", renew_before: 10%", 0.1)],
)
def test_a_token_has_a_parent_and_a_time_before_its_end(tmp_path: Path, given: str, renew: object) -> None:
    """Its schedule is its life; what defaults say of schedules and grace is not for it."""
    token = load(write(tmp_path, f"{TOKEN}{PARENT}{given}}}\n")).by_name["token"]
    parent = load(write(tmp_path, "")).by_name["client"]
    assert (token.renew, token.every, token.cron, token.grace) == (renew, None, None, timedelta(0))
    assert token.parent == parent.target.id
    assert token.provider.admin == AdminRef(parent.target.store, "client")
    assert token.provider.kind == "access-token"
    assert token.owner == "desk@example.com"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (f"{TOKEN}}}", "from is missing: a token is minted from a parent credential"),
        (f"{TOKEN}{PARENT}, every: 1d}}", "every is not for tokens"),
        (f"{TOKEN}{PARENT}, grace: 1h}}", "grace is not for tokens"),
        (f"{TOKEN}{PARENT}, renew_before: 80%}}", "'80%' is not a share"),
        (f"{TOKEN}, from: {{store: aws, secret: token}}}}", "it is the token's own secret"),
        (f"{TOKEN}, from: {{store: aws, secret: 'cl*ent'}}}}", "secret: "),
        (f"{TOKEN}, from: {{store: awz, secret: client}}}}", "there is no store"),
        (f"{TOKEN}, from: {{store: aws, secret: no name}}}}", "secret: "),
        ("  - {name: b, provider: figure, secret: b, renew_before: 10m}", "renew_before is for tokens"),
        ("  - {name: b, provider: fts, kind: tokn, secret: b}", "has no"),
    ],
)
def test_what_is_wrong_with_a_kind_is_said(tmp_path: Path, policy: str, said: str) -> None:
    """By name and line, with what would be right."""
    with pytest.raises(PolicyError) as caught:
        load(write(tmp_path, policy + "\n"))
    assert said in str(caught.value)
    assert ":11:" in str(caught.value)


def test_a_grace_that_nobody_gave_is_shorter_than_the_schedule(tmp_path: Path) -> None:
    """A day, or half the time between two rotations where that is less."""
    path = tmp_path / "rotator.yaml"
    head = HEAD.replace(", every: 30d, grace: 24h", "")
    path.write_text(head + "  - {name: b, provider: fat, secret: b, every: 12h, key: {scopes: [read]}}\n")
    found = load(path).by_name
    assert (found["client"].grace, found["b"].grace) == (timedelta(hours=24), timedelta(hours=6))


def test_a_key_that_would_expire_in_use_is_refused_on_a_cron_schedule_too(tmp_path: Path) -> None:
    """The longest time between two fires counts."""
    key = "key: {scopes: [read], expires_in_days: 7}"
    policy = f'  - {{name: b, provider: fat, secret: b, cron: "0 9 1 * *", {key}}}\n'
    with pytest.raises(PolicyError, match="expires_in_days is 7"):
        load(write(tmp_path, policy))


def test_one_account_is_one_principal_however_its_secret_is_spelled(tmp_path: Path) -> None:
    """Slots, rate limits and blocks are the account's."""
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s-AbCdEf"
    admin = f"admin: {{store: aws, secret: '{arn}'}}"
    more = f"  fat2: {{type: fattail, base_url: 'https://app.fattailmarkets.example', {admin}}}"
    path = write(tmp_path, "")
    path.write_text(HEAD.replace("defaults:", more + "\ndefaults:"))
    found = load(path).providers
    assert found["fat"].principal == found["fat2"].principal


def test_a_credential_is_read_under_the_names_that_its_own_policy_writes(tmp_path: Path) -> None:
    """A token's parent, and an admin credential that is rotated itself: nobody says the names twice."""
    admin = "  - {name: admin, provider: fat, secret: s, format: text, key: {scopes: [read]}}\n"
    client = "  - {name: login, provider: fts, secret: login, fields: {password: FTS_PASSWORD}}\n"
    token = "  - {name: t, provider: fts, kind: token, secret: t, from: {store: aws, secret: login}}\n"
    found = load(write(tmp_path, admin.replace("format: text", "fields: {api_key: KEY}") + client + token))
    parent = found.by_name["t"].provider.admin
    assert parent is not None
    assert found.providers["fat"].admin == found.by_name["admin"].provider.admin
    assert parent.spelled({"email": "a", "password": "b"}) == {"email": "a", "FTS_PASSWORD": "b"}
    assert parent.read(Credential({"email": "a", "FTS_PASSWORD": "b"})).get("password") == "b"
