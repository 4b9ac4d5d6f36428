"""The one place that touches httpx: one exchange in, an Answer or a sorted error out."""

import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from rotator.errors import EffectError, NotSent, Unknown
from rotator.providers.answers import Answer
from rotator.providers.deadline import DeadlineTransport, within
from rotator.providers.network import Call


def tls(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies: against ``ca_file``, or the authorities that httpx ships."""
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    return httpx.create_ssl_context(trust_env=False)


def make_client(context: ssl.SSLContext, proxy: str | None, headers: Mapping[str, str]) -> httpx.Client:
    """A client that keeps no cookies: a session must not answer for the key that is probed."""
    jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    transport = DeadlineTransport(context, proxy)
    return httpx.Client(transport=transport, headers=dict(headers), cookies=jar, trust_env=False)


def exchange(client: httpx.Client, url: str, call: Call, seconds: float, most: int) -> Answer:
    """Send, and read all of the answer or ``most`` bytes. Raises NotSent or Unknown, never httpx's own."""
    try:
        with (
            within(seconds),
            client.stream(
                call.method,
                url,
                headers=dict(call.headers),
                content=call.body,
                timeout=seconds,
                follow_redirects=False,
            ) as response,
        ):
            return Answer(response.status_code, dict(response.headers), _body(response, most))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        sorted_error = _sorted(error)
    raise sorted_error  # out here: httpx's error holds the request, and must not hang on as its context


def _body(response: httpx.Response, most: int) -> bytes | None:
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return None
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


_BEFORE = (
    (httpx.InvalidURL, "configuration", "The address cannot be used; check base_url."),
    (httpx.UnsupportedProtocol, "configuration", "The address cannot be used; check base_url."),
    (httpx.ProxyError, "proxy", "The proxy let no connection through."),
    (httpx.ConnectTimeout, "connect", "No connection within the time allowed."),
    (httpx.PoolTimeout, "connect", "No connection within the time allowed."),
    (httpx.ConnectError, "connect", "No connection: refused, unreachable, or the name is unknown."),
)


def _sorted(error: Exception) -> EffectError:
    if isinstance(error, httpx.ConnectError) and _is_tls(error):
        return NotSent("tls", "The server's TLS certificate or handshake is not acceptable.")
    for known, kind, message in _BEFORE:
        if isinstance(error, known):
            return NotSent(kind, message)
    if isinstance(error, httpx.TimeoutException):
        return Unknown("timeout", "The answer was not complete within the time allowed.")
    return Unknown("connection-lost", "The connection broke before the answer was complete.")


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
