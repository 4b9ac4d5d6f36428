"""Servers that attack whoever asks them: the answer is bounded in time and memory, or there is none."""

import gzip
import itertools
import logging
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rotator.errors import NotSent, Unknown
from rotator.providers.answers import Answer
from rotator.providers.network import Call, Network
from tests.unit.providers.raw_server import RawServer, Script, cut, say

CANARY = "canary-9f3b6c"
READ = Call("GET", "/things", {"X-Key": "some-key"}, reads=True)
BODY = b'{"a": "' + CANARY.encode() + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SECONDS = 0.3
MEMORY = 8 * 1024 * 1024


def send(data: bytes) -> Script:
    """Some bytes; the connection stays open."""
    return lambda connection: connection.sendall(data)


def flood(head: bytes, piece: bytes) -> Script:
    """The same bytes for ever."""

    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in itertools.count():
            connection.sendall(piece)

    return script


def bomb(wbits: int) -> bytes:
    """Sixty-four megabytes of blanks, compressed."""
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(b" " * 2**26) + packer.flush()


def reset(connection: socket.socket) -> None:
    """The end of a connection without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


UNREADABLE: dict[str, Script] = {
    "gzip bomb": say("200 OK", bomb(31), "Content-Encoding: gzip"),
    "deflate bomb": say("200 OK", bomb(15), "Content-Encoding: deflate"),
    "bomb in a bomb": say("200 OK", gzip.compress(bomb(31)), "Content-Encoding: gzip, gzip"),
    "brotli": say("200 OK", BODY, "Content-Encoding: br"),
    "zstandard": say("200 OK", BODY, "Content-Encoding: zstd"),
    "two encodings": say("200 OK", BODY, "Content-Encoding: identity", "Content-Encoding: gzip"),
    "an encoding that is a lie": say("200 OK", BODY, "Content-Encoding: gzip"),
    "a bomb that is not announced": say("200 OK", bomb(31)),
    "a body without end": flood(HEAD + b"\r\n", b"x" * 65536),
    "chunks without end": flood(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "a page": say("201 Created", b"<html>" + CANARY.encode()),
    "nothing": say("201 Created"),
    "a body cut where it says": say("200 OK", BODY[:9]),
}
BROKEN: dict[str, Script] = {
    "small chunks without end": flood(CHUNKED, b"1\r\nx\r\n" * 10_000),
    "a chunk larger than memory": send(CHUNKED + b"F" * 16 + b"\r\nabc\r\n"),
    "a chunk of strange size": send(CHUNKED + b"-5\r\n" + BODY),
    "a chunk with a long remark": flood(CHUNKED + b"1;", b"x" * 65536),
    "trailers without end": flood(CHUNKED + b"0\r\n", b"x: y\r\n" * 1000),
    "headers without end": flood(HEAD, b"x: y\r\n" * 1000),
    "a header without end": flood(HEAD + b"x: ", b"y" * 65536),
    "continue for ever": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "hints for ever": flood(b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 1000),
    "another protocol": send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + BODY),
    "compressed in transfer": send(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY),
    "shorter than it says": cut(HEAD + b"Content-Length: 100\r\n\r\n" + BODY),
    "two lengths": send(HEAD + b"Content-Length: 3\r\nContent-Length: 14\r\n\r\n" + BODY),
    "a negative length": send(HEAD + b"Content-Length: -3\r\n\r\n" + BODY),
    "a length of many digits": send(HEAD + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n" + BODY),
    "HTTP/0.9": cut(BODY),
    "a status of two digits": send(b"HTTP/1.1 99 " + CANARY.encode() + b"\r\n\r\n"),
    "a header with a NUL": send(HEAD + b"X: a\0" + CANARY.encode() + b"\r\n\r\n"),
    "a reset": reset,
}


@pytest.fixture
def measured() -> Iterator[Callable[[], None]]:
    """Measures what follows; asked, it fails the test that took too much memory or time."""
    import httpcore  # noqa: F401, PLC0415 - what loading it takes is not measured

    tracemalloc.start()
    began = time.monotonic()

    def check() -> None:
        assert tracemalloc.get_traced_memory()[1] < MEMORY
        assert time.monotonic() - began < SECONDS + 3.0

    yield check
    tracemalloc.stop()


@pytest.mark.parametrize("script", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_json_is_unknown(
    network: Network, script: Script, measured: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Compressed, endless or other than JSON: Unknown, unpacked by nobody, and quoted nowhere."""
    caplog.set_level(logging.DEBUG)
    with RawServer(script) as server:
        answer = network.exchange(server.url, "principal", READ, SECONDS)
        with pytest.raises(Unknown) as caught:
            answer.json()
        measured()
    assert CANARY not in caplog.text + repr((answer, caught.value, caught.value.args))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_unknown_in_time(
    network: Network, script: Script, measured: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks the protocol or never ends is Unknown in time, and the next call is well."""
    caplog.set_level(logging.DEBUG)
    with RawServer(script) as server:
        with pytest.raises(Unknown) as caught:
            network.exchange(server.url, "principal", READ, SECONDS)
        measured()
        server._scripts[:] = [say("200 OK", b'"fresh"')]
        assert network.exchange(server.url, "principal", READ, 2.0).json() == "fresh"
    assert CANARY not in caplog.text + repr((caught.value, caught.value.args))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 2\r\n\r\n{}" + HEAD + b'Content-Length: 7\r\n\r\n"stale"',
        HEAD + b"Content-Length: 2\r\n\r\n{}" + b"x" * 100,
        b"HTTP/1.1 204 No Content\r\n\r\n" + HEAD + b'Content-Length: 7\r\n\r\n"stale"',
        CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + HEAD + b'Content-Length: 7\r\n\r\n"stale"',
    ],
)
def test_a_second_answer_is_not_taken_for_the_next(network: Network, data: bytes) -> None:
    """What a server sends after its answer answers nothing: it would speak of one key for another."""
    with RawServer(send(data), say("200 OK", b'"fresh"')) as server:
        network.exchange(server.url, "principal", READ, 2.0)
        assert network.exchange(server.url, "principal", READ, 2.0).json() == "fresh"


def test_old_protocol_is_understood(network: Network) -> None:
    """HTTP/1.0 without a length is an answer like any other."""
    with RawServer(cut(b"HTTP/1.0 200 OK\r\n\r\n{}")) as server:
        assert network.exchange(server.url, "principal", READ, 2.0).json() == {}


def test_303_is_not_followed_either(network: Network) -> None:
    """A redirect that would make a GET of a write reaches nobody."""
    with (
        RawServer(say("200 OK")) as other,
        RawServer(say("303 See Other", b"", f"Location: {other.url}")) as server,
    ):
        call = Call("POST", "/things", {"X-Key": "some-key"}, body=b"{}")
        assert network.exchange(server.url, "principal", call, 2.0).status == 303
        assert (len(server.requests), other.requests) == (1, [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "a", "id": "b"}',
        b'{"a": [{"key": 1, "key": 1}]}',
        b"NaN",
        b'{"a": -Infinity}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_that_readers_disagree_about_is_none(body: bytes) -> None:
    """A member given twice, numbers that JSON does not have, a byte order mark: Unknown."""
    with pytest.raises(Unknown):
        Answer(200, {}, body).json()


# --- where a name leads --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "0.0.0.0"])
def test_a_name_that_leads_to_credentials_is_not_spoken_to(
    network: Network, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Addresses are judged after the look-up: nothing is sent, and it is not tried at another of them."""
    found = [(2, 1, 6, "", ("203.0.113.1", 443)), (2, 1, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(NotSent) as caught:
        network.exchange("https://rebound.example", "principal", READ, 1.0)
    assert caught.value.kind == "forbidden-address"


def test_each_connection_is_judged_anew(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that led to this machine and leads elsewhere now gets nothing more in clear."""
    with RawServer(cut(b"HTTP/1.0 200 OK\r\n\r\n{}")) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        port = int(url.rpartition(":")[2])
        answers = [[(2, 1, 6, "", (address, port))] for address in ("127.0.0.1", "203.0.113.1")]
        real = socket.getaddrinfo

        def look_up(host: str, *given: Any, **named: Any) -> Any:
            return answers.pop(0) if host == "localhost" else real(host, *given, **named)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert network.exchange(url, "principal", READ, 2.0).ok
        with pytest.raises(NotSent) as caught:
            network.exchange(url, "principal", READ, 2.0)
    assert caught.value.kind == "forbidden-address"
    assert len(server.requests) == 1
