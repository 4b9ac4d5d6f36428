from typing import Any

import pytest
from pydantic import ValidationError

from rotator.stores.vault_kv2 import VaultKv2
from rotator.stores.vault_settings import PENDING, canonical, is_push, number
from rotator.testing.store_backend import push

KUBERNETES = {"method": "kubernetes", "role": "rotator"}
GOOD = {"url": "https://vault.test:8200", "auth": KUBERNETES}


@pytest.mark.parametrize(
    "url",
    [
        "http://vault.test:8200",
        "ftp://127.0.0.1",
        "vault.test",
        "https://",
        "https://me:word@vault.test",
        "https://vault.test/v1",
        "https://vault.test?a=b",
        "https://vault.test#a",
    ],
)
def test_an_address_is_https_and_nothing_else(url: str) -> None:
    """Secrets never travel in the clear, and an address carries no credential, path or query."""
    with pytest.raises(ValidationError, match="url"):
        VaultKv2.Settings.model_validate({**GOOD, "url": url})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8200", "http://localhost:8200/", "https://vault.test/"])
def test_an_address_that_is_right(url: str) -> None:
    """https, or http to this machine; a slash at the end is no part of it."""
    assert VaultKv2.Settings.model_validate({**GOOD, "url": url}).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("auth", "word"),
    [
        ({"method": "password"}, "method"),
        ({}, "method"),
        ({"method": "approle"}, "role_id"),
        ({"method": "kubernetes"}, "role"),
        ({"method": "aws-iam"}, "role"),
        ({"method": "token", "token": "value"}, "token"),
        ({**KUBERNETES, "jwt_file": ""}, "jwt_file"),
        ({**KUBERNETES, "mount": "../sys"}, "mount"),
    ],
)
def test_a_method_has_its_own_settings(auth: dict[str, Any], word: str) -> None:
    """Each method needs what it needs, takes nothing else, and no setting holds a token."""
    with pytest.raises(ValidationError, match=word):
        VaultKv2.Settings.model_validate({**GOOD, "auth": auth})


@pytest.mark.parametrize(
    "secret",
    ["", "/", "a//b", "a/../b", ".", "a b", "a?b", "a#b", "a%2fb", "a\nb", "ä", f"{PENDING}/x", "x" * 401],
)
def test_a_path_is_spelled_plainly(secret: str) -> None:
    """What would be another path on its way, or the rotator's own, is refused."""
    with pytest.raises(ValueError, match=r"path"):
        canonical(GOOD, secret)


def test_two_spellings_are_one_secret() -> None:
    """Slashes around a path, a mount or an address make no other secret; namespaces and mounts do."""
    one = canonical(GOOD, "app/one")
    assert canonical({**GOOD, "url": "HTTPS://vault.test:8200/", "mount": "/secret/"}, "/app/one/") == one
    assert canonical({**GOOD, "mount": "other"}, "app/one") != one
    assert canonical({**GOOD, "namespace": "desk"}, "app/one") != one


def test_numbers_and_tokens_are_told_apart() -> None:
    """A version's id is one of Vault's numbers, or a token of ours, or nothing."""
    assert (is_push(token := push()), number(token)) == (True, None)
    assert (is_push("12"), number("12")) == (False, 12)
    assert [number(text) for text in ("0", "-1", "01", "1\n", "\u0661", "1.0", "")] == [None] * 7
