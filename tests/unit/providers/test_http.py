import gzip
import logging
import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import EffectError, NeedsPerson, NotSent, Unknown
from rotator.model import ProviderRef
from rotator.providers.answers import Answer
from rotator.providers.http import Api, Budget
from rotator.providers.limiter import Limiter
from rotator.providers.network import Call, Network, Surroundings
from rotator.testing.clock import ManualClock
from tests.unit.certificates import certified
from tests.unit.providers.raw_server import RawServer, cut, say

READ = Call("GET", "/things", {"X-Key": "canary-value"}, reads=True)
WRITE = Call("POST", "/things", {"X-Key": "canary-value"}, body=b'{"a":1}')


def exchange(network: Network, server: RawServer, call: Call = READ, seconds: float = 2.0) -> Answer:
    """One exchange with a server."""
    return network.exchange(server.url, "principal", call, seconds)


def api(network: Network, server: RawServer, clock: ManualClock) -> Api:
    """A speaker to a server, with no limit to speak of."""
    return Api(ProviderRef("here", "any", server.url), network, Limiter(1000, 1000, clock), clock)


# --- the deadline ------------------------------------------------------------


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_deadline_holds_against_a_dripping_server(network: Network, head: bytes) -> None:
    """A byte now and then, in headers or body, keeps nobody longer than the deadline."""
    with RawServer(say("200 OK")) as server:
        server._scripts[:] = [server.drip(head)]
        began = time.monotonic()
        with pytest.raises(Unknown) as caught:
            exchange(network, server, seconds=0.15)
        assert caught.value.kind == "timeout"
        assert time.monotonic() - began < 1.0


def test_deadline_covers_a_silent_handshake(network: Network) -> None:
    """A server that accepts and never shakes hands got nothing: NotSent."""
    with RawServer(say("200 OK")) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(NotSent):
            network.exchange(url, "principal", READ, 0.15)


def test_untrusted_certificate_stops_everything(network: Network, tmp_path: Path) -> None:
    """Where the certificate is not one to trust, nothing is sent: no header, no body."""
    _, context = certified(tmp_path)
    with RawServer(say("200 OK", b"{}"), tls=context) as server:
        with pytest.raises(NotSent) as caught:
            network.exchange(server.url, "principal", WRITE, 2.0)
        assert (caught.value.kind, server.requests) == ("tls", [])


def test_own_authority_is_trusted_where_it_is_named(clock: ManualClock, tmp_path: Path) -> None:
    """The CA file of the surroundings decides whom to trust, and the deadline holds under TLS too."""
    file, context = certified(tmp_path)
    network = Network(Surroundings(ca_file=str(file)), clock)
    with RawServer(say("200 OK", b"{}"), tls=context) as server:
        assert exchange(network, server).json() == {}
        server._scripts[:] = [server.drip(b"HTTP/1.1 200 OK\r\nX-Drip: ")]
        with pytest.raises(Unknown):
            exchange(network, server, seconds=0.15)
    network.close()


def test_refused_connection_is_not_sent(network: Network) -> None:
    """Where nobody listens, nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent) as caught:
        network.exchange(f"http://127.0.0.1:{port}", "principal", WRITE, 2.0)
    assert caught.value.kind == "connect"


# --- bodies ------------------------------------------------------------


def test_body_is_capped(network: Network) -> None:
    """Of an endless answer one MiB is read, and it is garbage."""
    with RawServer(say("200 OK", b" " * (2 * 1024 * 1024))) as server:
        answer = exchange(network, server)
        with pytest.raises(Unknown, match="1 MiB"):
            answer.json()


def test_encoded_body_is_not_unpacked(network: Network) -> None:
    """No encoding is asked for, and one that comes all the same is garbage: a small bomb stays small."""
    with RawServer(say("200 OK", gzip.compress(b"{}" + b" " * 10**6), "Content-Encoding: gzip")) as server:
        with pytest.raises(Unknown):
            exchange(network, server).json()
        assert b"accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a":', b"\xff\xfe{}", b"[" * 100_000, b"1" * 5000, b'{"a": "\xff"}']
)
def test_garbage_is_unknown_and_not_quoted(body: bytes) -> None:
    """What is not JSON is Unknown, and the error holds nothing of it, not even behind it."""
    with pytest.raises(Unknown) as caught:
        Answer(200, {}, body).json()
    assert caught.value.kind == "garbage"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"SSH-2.0-nothing\r\n\r\n"]
)
def test_broken_answer_to_a_write_is_unknown(network: Network, data: bytes) -> None:
    """A connection that breaks after a write leaves its outcome unknown; nothing of httpx hangs on."""
    with RawServer(cut(data)) as server, pytest.raises(Unknown) as caught:
        exchange(network, server, WRITE)
    assert caught.value.__context__ is None
    assert len(server.requests) == 1


# --- what never happens ------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_redirects_are_not_followed(network: Network, status: str) -> None:
    """No request, and so no credential, goes where a redirect points."""
    with RawServer(say("200 OK")) as other, RawServer(say(status, b"", f"Location: {other.url}/")) as server:
        assert exchange(network, server).status == int(status[:3])
        assert exchange(network, server, WRITE).status == int(status[:3])
        assert (len(server.requests), len(other.requests)) == (2, 0)


def test_cookies_are_not_kept(network: Network) -> None:
    """A cookie that a server sets does not come back: a session must not vouch for a key."""
    with RawServer(say("200 OK", b"{}", "Set-Cookie: session=x; Path=/")) as server:
        exchange(network, server)
        exchange(network, server)
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("value", ["canary\n", "canary\r\nX: y", "can\u00e4ry", "", " canary", "canary\x00"])
def test_illegal_header_values_are_never_quoted(network: Network, value: str) -> None:
    """A value that no header may hold is refused by name, before a library can print it."""
    with pytest.raises(NotSent) as caught:
        network.exchange("http://127.0.0.1:9", "principal", Call("GET", "/", {"X-Key": value}), 1.0)
    assert "X-Key" in str(caught.value)
    assert "canary" not in repr((caught.value, caught.value.args, caught.value.__context__))


def test_call_and_answer_hide_their_values() -> None:
    """Neither a request nor an answer shows headers, query or body in its repr."""
    call = Call("GET", "/", {"a": "canary"}, "?canary", b"canary")
    assert "canary" not in repr(call) + repr(Answer(200, {"a": "canary"}, b"canary"))


def test_no_value_is_logged(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG of every library, no header value appears at INFO or above."""
    caplog.set_level(logging.INFO)
    with RawServer(say("200 OK", b"{}")) as server:
        exchange(network, server, WRITE)
    assert "canary" not in caplog.text


@pytest.mark.parametrize("url", ["http://198.51.100.1", "ftp://127.0.0.1", "file:///etc/passwd"])
def test_only_https_leaves_this_machine(network: Network, url: str) -> None:
    """A base URL in clear is refused unless it is this machine."""
    with pytest.raises(NeedsPerson):
        network.exchange(url, "principal", READ, 1.0)


def test_query_is_sent_as_it_was_signed(network: Network) -> None:
    """The query goes out byte for byte."""
    query = "?ts=2019-12-20T08:20:51&nonce=12345"
    with RawServer(say("200 OK", b"[]")) as server:
        exchange(network, server, Call("GET", "/balances", query=query))
        assert server.requests[0].startswith(b"GET /balances" + query.encode() + b" HTTP/1.1\r\n")


# --- surroundings ------------------------------------------------------------


def test_environment_is_read_once_and_only_here(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    """A proxy in the environment is not used unless it was handed over."""
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with RawServer(say("200 OK", b"{}")) as server:
        assert exchange(network, server).ok


def test_proxies_by_scheme_and_exception() -> None:
    """Each scheme has its proxy; this machine and what NO_PROXY names are reached directly."""
    found = Surroundings.read(
        {
            "HTTPS_PROXY": "http://p:1",
            "http_proxy": "http://p:2",
            "NO_PROXY": ".inner.example, direct.example",
        }
    )
    assert found.proxy_for("https", "api.example") == "http://p:1"
    assert found.proxy_for("http", "api.example") == "http://p:2"
    assert found.proxy_for("https", "a.inner.example") is None
    assert found.proxy_for("https", "direct.example") is None
    assert found.proxy_for("https", "127.0.0.1") is None
    assert "p:1" not in repr(found)


def test_request_goes_through_the_proxy_with_its_deadline(clock: ManualClock) -> None:
    """A proxy that never opens the tunnel costs no more than the deadline, and nothing was sent."""
    with RawServer(say("200 OK")) as proxy:
        proxy._scripts[:] = [proxy.drip(b"HTTP/1.1 200 OK\r\nX-Drip: ")]
        network = Network(Surroundings(https_proxy=proxy.url), clock)
        with pytest.raises(EffectError):
            network.exchange("https://api.example", "principal", WRITE, 0.15)
        network.close()
    assert b"canary" not in b"".join(proxy.requests)


@pytest.mark.parametrize(
    "surroundings", [Surroundings(https_proxy="canary://u:p@x"), Surroundings(ca_file="/none")]
)
def test_unusable_surroundings_need_a_person(clock: ManualClock, surroundings: Surroundings) -> None:
    """A proxy address or CA file that cannot be used is told in words, without the proxy's password."""
    with pytest.raises(NeedsPerson) as caught:
        Network(surroundings, clock).exchange("https://api.example", "principal", READ, 1.0)
    assert "u:p" not in str(caught.value)


def test_tls_is_verified() -> None:
    """There is no way to ask for TLS without verification."""
    from rotator.providers.exchange import tls  # noqa: PLC0415 - httpx is loaded late

    context = tls(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


# --- sending again ------------------------------------------------------------


@pytest.mark.parametrize("status", ["500 Oops", "503 Later", "429 Slow"])
def test_reads_are_sent_again(network: Network, clock: ManualClock, status: str) -> None:
    """A read that met a passing fault is repeated, after a short wait."""
    with RawServer(say(status, b"", "Retry-After: 2"), say("200 OK", b"{}")) as server:
        assert api(network, server, clock).call(READ, Budget(clock)).ok
        assert len(server.requests) == 2
        assert sum(clock.slept) >= 2


def test_writes_are_not_sent_again(network: Network, clock: ManualClock) -> None:
    """A write goes out once, whatever comes back."""
    with RawServer(say("503 Later")) as server:
        assert api(network, server, clock).call(WRITE, Budget(clock)).status == 503
        assert len(server.requests) == 1


def test_backing_off_grows_and_ends(network: Network, clock: ManualClock) -> None:
    """Three tries, each wait longer than the last, and no more."""
    with RawServer(say("500 Oops")) as server:
        assert api(network, server, clock).call(READ, Budget(clock)).status == 500
        assert len(server.requests) == 3
        assert 0.25 <= clock.slept[0] <= 0.75
        assert 0.5 <= clock.slept[1] <= 1.5


def test_long_retry_after_is_not_waited_for(network: Network, clock: ManualClock) -> None:
    """A wait longer than a caller's patience is handed on at once, and holds the next call."""
    with RawServer(say("429 Slow", b"", "Retry-After: 60")) as server:
        speaking = api(network, server, clock)
        assert speaking.call(READ, Budget(clock)).status == 429
        with pytest.raises(NotSent) as caught:
            speaking.call(READ, Budget(clock))
        assert caught.value.kind == "rate-limited"
        assert caught.value.retry_at == clock.now() + timedelta(seconds=60)
        assert (len(server.requests), clock.slept) == (1, [])


def test_budget_bounds_everything(network: Network, clock: ManualClock) -> None:
    """No try begins that the time left could not hold; with none left nothing is sent."""
    with RawServer(say("500 Oops")) as server:
        speaking = api(network, server, clock)
        assert speaking.call(READ, Budget(clock, 1.2)).status == 500
        assert len(server.requests) == 1
        with pytest.raises(NotSent):
            speaking.call(READ, Budget(clock, 0))
        assert len(server.requests) == 1


def test_connections_are_tried_again_even_for_writes(network: Network, clock: ManualClock) -> None:
    """What never left this machine may be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ref = ProviderRef("here", "any", f"http://127.0.0.1:{port}")
    with pytest.raises(NotSent):
        Api(ref, network, Limiter(1000, 1000, clock), clock).call(WRITE, Budget(clock))
    assert len(clock.slept) == 2
