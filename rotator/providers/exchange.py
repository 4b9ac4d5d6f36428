"""The one place that touches httpx: one exchange in, an Answer or a sorted error out.

httpx makes the pool of connections, with its proxies, and reads addresses; requests go to the pool as they
are. Redirects, cookies, and decoding, which httpx's client brings, are what must not happen here.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Any

import httpcore
import httpx

from rotator.errors import EffectError, NotSent, Unknown
from rotator.providers.answers import Answer
from rotator.providers.deadline import DeadlineTransport, ForbiddenAddress, left, within
from rotator.providers.network import Call
from rotator.quiet import hush

_PLAIN = re.compile(r"[A-Za-z0-9/?&=%._~:@+,;!$*()-]*")  # of a path and query: nothing to encode
_EMPTY = ("POST", "PUT", "PATCH")  # of these, a request without a body says that it has none


def tls(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies: against ``ca_file``, or the authorities that httpx ships."""
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    return httpx.create_ssl_context(trust_env=False)


class Client:
    """Connections to one host, and the headers that every request has. Threads may share it."""

    def __init__(
        self, context: ssl.SSLContext, proxy: str | None, headers: Mapping[str, str], *, clear: bool = False
    ) -> None:
        hush()
        self._transport = DeadlineTransport(context, proxy, clear=clear)
        self._headers = {**headers, "Connection": "keep-alive"}
        self._bases: dict[str, httpx.URL] = {}

    def send(self, base_url: str, call: Call, seconds: float) -> httpcore.Response:
        """Send a request; the answer, of which the body is still to be read. Raises httpcore's errors."""
        return self._transport.pool.handle_request(self._request(base_url, call, seconds))

    def close(self) -> None:
        """Close every connection. May be called twice."""
        self._transport.close()

    def _request(self, base_url: str, call: Call, seconds: float) -> httpcore.Request:
        base = self._bases.get(base_url)
        if base is None:
            base = self._bases[base_url] = httpx.URL(base_url)
        rest = call.path + call.query
        if _PLAIN.fullmatch(rest):
            target = base.raw_path.rstrip(b"/") + rest.encode()
        else:
            target = httpx.URL(base_url.rstrip("/") + rest).raw_path
        return httpcore.Request(
            call.method,
            httpcore.URL(scheme=base.raw_scheme, host=base.raw_host, port=base.port, target=target),
            headers=self._sent(base, call),
            content=call.body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
        )

    def _sent(self, base: httpx.URL, call: Call) -> list[tuple[bytes, bytes]]:
        """The headers of a request: its own go before those that every request has."""
        own = {name.lower() for name in call.headers}
        named = {name: value for name, value in self._headers.items() if name.lower() not in own}
        if call.body is not None or call.method in _EMPTY:
            named["Content-Length"] = str(len(call.body or b""))
        pairs = [(name.encode(), value.encode()) for name, value in (named | {**call.headers}).items()]
        return [(b"Host", base.netloc), *pairs]


def exchange(client: Client, base_url: str, call: Call, seconds: float, most: int) -> Answer:
    """Send, and read all of the answer, ``most`` bytes of its body, or no body where the call says so.

    Raises NotSent or Unknown and nothing else.
    """
    try:
        with within(seconds):
            response = client.send(base_url, call, seconds)
            try:
                headers = _headers(response.headers)
                body = None if call.status_only else _body(response, headers, most)
                return Answer(response.status, headers, body)
            finally:
                _part_if_more_came(response)
                response.close()
    except _FAILURES as error:
        sorted_error = _sorted(error)
    raise sorted_error  # out here: the library's error must not hang on as its context


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """An answer's headers by their names in lower case; one that comes twice is one list."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _body(response: httpcore.Response, headers: Mapping[str, str], most: int) -> bytes | None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return None
    body = bytearray()
    stream: Any = response.stream
    for part in stream:
        body += part
        left(None, httpcore.ReadTimeout)  # many parts come with one read: that is looked at here as well
        if len(body) > most:
            return None
    return bytes(body)


def _part_if_more_came(response: httpcore.Response) -> None:
    """End a connection on which more than the answer came: the rest would be taken for the next answer.

    Of one key for another, that would be. httpcore keeps what it has read too much and does not tell.
    """
    stream: Any = response.stream
    state = stream._stream._connection._h11_state  # noqa: SLF001 - there is no other way to it
    if state.trailing_data[0]:
        response.extensions["network_stream"].close()


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpx.InvalidURL,
)
_NOWHERE = (
    "The name of base_url leads to an address from which machines get their own credentials, or which is "
    "not this machine though the URL is in clear; nothing was sent. Check base_url and the name server."
)
_BEFORE = (
    (ForbiddenAddress, "forbidden-address", _NOWHERE),
    (httpx.InvalidURL, "configuration", "The address cannot be used; check base_url."),
    (httpcore.UnsupportedProtocol, "configuration", "The address cannot be used; check base_url."),
    (httpcore.ProxyError, "proxy", "The proxy let no connection through."),
    (httpcore.ConnectTimeout, "connect", "No connection within the time allowed."),
    (httpcore.PoolTimeout, "connect", "No connection within the time allowed."),
    (httpcore.ConnectError, "connect", "No connection: refused, unreachable, or the name is unknown."),
)


def _sorted(error: Exception) -> EffectError:
    if isinstance(error, httpcore.ConnectError) and _is_tls(error):
        return NotSent("tls", "The server's TLS certificate or handshake is not acceptable.")
    for known, kind, message in _BEFORE:
        if isinstance(error, known):
            return NotSent(kind, message)
    if isinstance(error, httpcore.TimeoutException):
        return Unknown("timeout", "The answer was not complete within the time allowed.")
    return Unknown("connection-lost", "The connection broke before the answer was complete.")


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
