import base64
import json
import secrets
import threading
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from rotator.model import Credential
from rotator.telemetry.redaction import HIDDEN, scrub

VALUE = f'{secrets.token_hex(12)}/+ "ü&=\\{secrets.token_hex(4)}'


def basic(value: str) -> str:
    """As in a header of HTTP basic authentication."""
    return base64.b64encode(f"user:{value}".encode()).decode()


@pytest.mark.parametrize(
    "spelled",
    [
        str,
        quote,
        lambda value: quote(value, safe=""),
        quote_plus,
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        repr,
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
        basic,
        lambda value: base64.b64encode(f"u:{value}".encode()).decode(),
        lambda value: base64.b64encode(f"us:{value}:x".encode()).decode(),
        lambda value: value[:12],
    ],
)
def test_a_live_value_is_hidden_in_every_spelling_that_libraries_print(
    spelled: Callable[[str], str],
) -> None:
    """A live credential's value is hidden as it is, encoded, escaped, inside of Base64, and cut short."""
    live = Credential({"api_secret": VALUE})
    text = scrub(f"before {spelled(VALUE)} after")
    assert HIDDEN in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    for part in (VALUE[:12], VALUE[-8:], base64.b64encode(VALUE.encode()).decode()[4:20]):
        assert part not in text
    del live


def test_ids_and_short_values_stay_readable() -> None:
    """A key's id, which people need, and values of less than six characters are not hidden."""
    live = Credential({"key_id": "key-0001-of-orders", "flag": "true", "api_key": secrets.token_hex(16)})
    assert scrub("key-0001-of-orders is true") == "key-0001-of-orders is true"
    del live


def test_a_value_is_hidden_only_as_long_as_its_credential_lives() -> None:
    """The process keeps no copy of values for the sake of hiding them."""
    value = secrets.token_hex(16)
    live = Credential({"api_key": value})
    assert value not in scrub(value)
    del live
    assert scrub(value) == value


@pytest.mark.parametrize(
    "shape",
    [
        "Authorization: Bearer {}",
        "'authorization': 'Basic {}'",
        "Cookie: sb-access-token={}; other=1",
        "https://user:{}@host.invalid/path",
        '{{"api_secret": "{}"}}',
        '{{\\"client_secret\\": \\"{}\\"}}',
        "?access_token={}&x=1",
        "password={}",
        "eyJhbGciOi.eyJzdWIi{}.sig",
        "hvs.{}",
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_hidden_even_if_no_credential_holds_it(shape: str) -> None:
    """Headers, cookies, named fields, tokens and private keys of a well-known shape are hidden."""
    value = secrets.token_hex(16)
    assert value not in scrub(shape.format(value))


@pytest.mark.parametrize(
    "sentence",
    [
        "policy orders: the secret prod/fts/login is missing. Create it, then resume orders.",
        "attempt r1-0123abcd-00112233445566778899aabbccddeeff of rotation 17 was promoted",
        "The admin credential is refused; run: rotator submit --admin markets",
        "api_key: must be text",
        "GET https://api.markets.invalid/v1/keys answered 503",
    ],
)
def test_sentences_without_a_secret_are_left_as_they_are(sentence: str) -> None:
    """Hiding does not touch what people need to read."""
    assert scrub(sentence) == sentence


def test_scrubbing_while_other_threads_make_credentials_does_not_fail() -> None:
    """Text is scrubbed whole while credentials come and go in other threads."""
    value = secrets.token_hex(16)
    live = Credential({"api_key": value})
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            _ = [Credential({"a": secrets.token_hex(8)}) for _ in range(20)]

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(value not in scrub(f"x {value} y") for _ in range(100))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    del live
