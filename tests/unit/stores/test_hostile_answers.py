"""Stores that answer with something else than they should: bounded in size and time, and quoted nowhere."""

import gzip
import itertools
import logging
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.stores.deadline import Deadline
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.store_backend import target
from rotator.wiring import SystemClock
from tests.unit.providers.raw_server import RawServer, Script, cut, say

CANARY = "canary-7d41e0"
MEMORY = 16 * 1024 * 1024
WHERE = target("app/one")
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LOGIN = say("200 OK", b'{"data": {"ttl": 0, "renewable": false, "expire_time": null}}')
DECLARED = (NotSent, Refused, Unknown, NeedsPerson)


def flood(head: bytes, piece: bytes) -> Script:
    """The same bytes for ever."""

    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in itertools.count():
            connection.sendall(piece)

    return script


def json_of(text: str, status: str = "200 OK") -> Script:
    """An answer with this body."""
    return say(status, text.encode("utf-8", "surrogatepass"))


ANSWERS: dict[str, Script] = {
    "a page": json_of(f"<html>{CANARY}"),
    "a list": json_of(f'["{CANARY}"]'),
    "a text": json_of(f'"{CANARY}"'),
    "nothing": say("200 OK"),
    "depth": json_of("[" * 200_000),
    "a number of many digits": json_of('{"data": ' + "1" * 5000 + "}"),
    "wrong types": json_of(f'{{"ARN": 1, "VersionIdsToStages": ["{CANARY}"], "data": ["{CANARY}"]}}'),
    "wrong types within": json_of(
        f'{{"ARN": "a", "VersionIdsToStages": {{"{CANARY}": 5}}, "data": {{"data": "{CANARY}"}}}}'
    ),
    "half a character": json_of(
        '{"ARN": "a", "VersionId": "a\\ud800", "VersionIdsToStages": {"a\\ud800": ["AWSCURRENT"]}, '
        '"SecretString": "{}", "data": {"data": {"a": "\\ud800"}, "metadata": {"version": "\\ud800"}}}'
    ),
    "dates that are none": json_of(f'{{"ARN": "a", "CreatedDate": "{CANARY}", "DeletedDate": 1e400}}'),
    "an error with values": json_of(f'{{"__type": "{CANARY}", "errors": ["{CANARY}"]}}', "400 Bad Request"),
    "an error of wrong types": json_of(
        f'{{"__type": ["{CANARY}"], "errors": "{CANARY}"}}', "400 Bad Request"
    ),
    "not text": say("200 OK", b"\xff\xfe" + CANARY.encode("utf-16")),
    "a compressed bomb": say("200 OK", gzip.compress(b" " * 2**26), "Content-Encoding: gzip"),
    "a redirect": say("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/"),
    "a head that is none": cut(HEAD + f"X: y\r\n{CANARY} without a colon\r\n\r\n{{}}".encode()),
}
ENDLESS: dict[str, Script] = {
    "a body without end": flood(HEAD + b"\r\n", b"x" * 65536),
    "chunks without end": flood(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], Any]]:
    """Makes a store at an address, with real libraries and short deadlines."""
    for name, value in {
        "VAULT_TOKEN": "some-token",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    stores: list[Any] = []

    def store(kind: str, url: str) -> Any:
        clock = SystemClock()
        deadline = Deadline(clock, effect=5.0, request=3.0)
        if kind == "vault":
            given = {"url": url, "auth": {"method": "token"}}
            stores.append(VaultKv2(VaultKv2.Settings.model_validate(given), clock, deadline=deadline))
        else:
            settings = AwsSecretsManager.Settings(region="eu-west-1", endpoint_url=url)
            stores.append(AwsSecretsManager(settings, clock, deadline=deadline))
        return stores[-1]

    yield store
    for each in stores:
        each.close()


@pytest.mark.parametrize("kind", ["vault", "aws"])
def test_any_answer_is_a_declared_error(
    make: Callable[[str, str], Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no answer of the store raises one of the declared errors, and is shown by none of them."""
    caplog.set_level(logging.DEBUG)
    with RawServer(LOGIN) as server:
        store = make(kind, server.url)
        for name, script in ANSWERS.items():
            server._scripts[:] = [LOGIN, script] if kind == "vault" and not server.requests else [script]
            with pytest.raises(DECLARED) as caught:
                store.read(WHERE)
            shown = repr((caught.value, caught.value.args, vars(caught.value)))
            assert CANARY not in caplog.text + shown, name
            assert (caught.value.__cause__, caught.value.__context__) == (None, None), name


@pytest.mark.parametrize("kind", ["vault", "aws"])
def test_no_answer_fills_the_memory(make: Callable[[str, str], Any], kind: str) -> None:
    """Of an answer without end a piece is read, also by a thread that nobody waits for any more."""
    with RawServer(LOGIN) as server:
        store = make(kind, server.url)
        with pytest.raises(DECLARED):
            store.read(target("app/loads-the-libraries"))
        for script in ENDLESS.values():
            server._scripts[:] = [script]
            tracemalloc.start()
            try:
                with pytest.raises((Unknown, NotSent)):
                    store.read(WHERE)
                assert tracemalloc.get_traced_memory()[1] < MEMORY
            finally:
                tracemalloc.stop()


def test_vault_cannot_set_a_cookie(make: Callable[[str, str], Any]) -> None:
    """What Vault asks to be kept is not kept: a session must not vouch for a token."""
    login = b'{"data": {"ttl": 0, "renewable": false, "expire_time": null}}'
    with RawServer(say("200 OK", login, f"Set-Cookie: session={CANARY}; Path=/")) as server:
        with pytest.raises(DECLARED):
            make("vault", server.url).read(WHERE)
        assert len(server.requests) >= 2
        assert all(b"cookie" not in request.lower() for request in server.requests)
