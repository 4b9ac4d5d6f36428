"""One door to the outside: a client and a limiter for each host and principal."""

import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from rotator.errors import NeedsPerson, NotSent, Scope
from rotator.interfaces import Clock
from rotator.providers.answers import Answer
from rotator.providers.limiter import Limiter

if TYPE_CHECKING:
    from rotator.providers.exchange import Client

MOST_BYTES = 1024 * 1024  # of an answer's body
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "rotator"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Proxy and CA settings. They are read once; no client looks at the environment by itself."""

    http_proxy: str | None = field(default=None, repr=False)  # may hold a password
    https_proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    ca_file: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """From HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY (either case) and SSL_CERT_FILE."""

        def said(name: str) -> str | None:
            return environ.get(name.lower()) or environ.get(name) or None

        without = (said("NO_PROXY") or "").split(",")
        return cls(
            http_proxy=said("HTTP_PROXY") or said("ALL_PROXY"),
            https_proxy=said("HTTPS_PROXY") or said("ALL_PROXY"),
            no_proxy=tuple(name.strip().lower() for name in without if name.strip()),
            ca_file=environ.get("SSL_CERT_FILE") or None,
        )

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """The proxy of an address; none for this machine and for what ``no_proxy`` names."""
        if host in _LOOPBACK or any(_excepts(name, host) for name in self.no_proxy):
            return None
        return self.https_proxy if scheme == "https" else self.http_proxy


def _excepts(name: str, host: str) -> bool:
    bare = name.lstrip("*").lstrip(".")
    return name == "*" or host == bare or host.endswith("." + bare)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``query`` is sent as it stands, since it may be signed; values never show in a repr."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)
    reads: bool = False  # changes nothing, so that it may be sent again
    status_only: bool = False  # the body of its answer is not read: whether it comes whole says nothing


_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse a value that no header may hold, before a library quotes it in an exception. Raises NotSent."""
    for name, value in headers.items():
        if not _HEADER_VALUE.fullmatch(value):
            raise NotSent(
                "malformed", f"The value for the header {name} holds characters no header may hold."
            )


class Network:
    """Clients and limiters, made when first used, shared by threads. Close it when done.

    TLS is always verified, redirects are never followed, no cookie is kept, nothing is read from the
    environment; what a name leads to is judged at each connection.
    """

    def __init__(self, surroundings: Surroundings, clock: Clock) -> None:
        self._surroundings = surroundings
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Client] = {}
        self._limiters: dict[tuple[str, str], Limiter] = {}
        self._context: ssl.SSLContext | None = None

    def limiter(self, base_url: str, principal: str, rate: float, burst: int) -> Limiter:
        """The one limiter of a host and principal; ``rate`` and ``burst`` count when it is first made."""
        key = (_host(base_url), principal)
        with self._lock:
            if key not in self._limiters:
                self._limiters[key] = Limiter(rate, burst, self._clock)
            return self._limiters[key]

    def exchange(self, base_url: str, principal: str, call: Call, seconds: float) -> Answer:
        """Send one request, and read its answer, or its status alone, within ``seconds``.

        Raises NotSent if no connection came about, Unknown for everything that failed after that.
        """
        check_headers(call.headers)
        client = self._client(base_url, principal)
        from rotator.providers.exchange import exchange  # noqa: PLC0415 - httpx only when it is needed

        return exchange(client, base_url, call, seconds, MOST_BYTES)

    def _client(self, base_url: str, principal: str) -> "Client":
        key = (_host(base_url), principal)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(base_url)
            return self._clients[key]

    def _make(self, base_url: str) -> "Client":
        from rotator.providers.exchange import Client  # noqa: PLC0415 - httpx only when it is needed

        address = urlsplit(base_url)
        host = address.hostname or ""
        if address.scheme != "https" and not (address.scheme == "http" and host in _LOOPBACK):
            raise _unusable("base_url is not https", "use https; only this machine may be spoken to in clear")
        proxy = self._surroundings.proxy_for(address.scheme, host)
        try:
            return Client(self._tls(), proxy, _HEADERS, clear=address.scheme == "http")
        except (ValueError, ImportError):
            raise _unusable(
                "the proxy setting cannot be used", "set HTTPS_PROXY to an http:// or https:// address"
            ) from None

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            from rotator.providers.exchange import tls  # noqa: PLC0415 - httpx only when it is needed

            try:
                self._context = tls(self._surroundings.ca_file)
            except OSError:
                raise _unusable(
                    "the CA file cannot be read", "set SSL_CERT_FILE to a readable PEM file, or unset it"
                ) from None
        return self._context

    def close(self) -> None:
        """Close every connection. May be called twice."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()


def _host(base_url: str) -> str:
    return urlsplit(base_url).netloc.lower()


def _unusable(message: str, todo: str) -> NeedsPerson:
    return NeedsPerson(
        "configuration", f"No connection can be made: {message}.", todo=todo + ".", scope=Scope.PROVIDER
    )
