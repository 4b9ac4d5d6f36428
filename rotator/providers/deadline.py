"""The transport: httpcore with one deadline over a whole exchange.

httpx's own timeouts count each read by itself, so that a server which drips a byte a second keeps a caller
for ever. Here every connect, read and write gets what is left of the deadline, which travels in a context
variable, since the connection pool sits between the caller and the socket.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpcore
import httpx

from rotator.addresses import refused

_ends: ContextVar[float] = ContextVar("rotator_deadline")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Everything on this thread's connections must be over in so many seconds."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


def left(timeout: float | None, error: type[Exception]) -> float:
    """Seconds until the deadline, or ``timeout`` if that is less. Raises ``error`` when there are none."""
    seconds = _ends.get() - time.monotonic()
    if seconds <= 0:
        raise error("the deadline has passed")
    return seconds if timeout is None else min(timeout, seconds)


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there, as httpcore promises it."""
        return self._inner.read(max_bytes, left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection under TLS."""
        seconds = left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        """What the connection tells of itself."""
        return self._inner.get_extra_info(info)


class ForbiddenAddress(httpcore.ConnectError):
    """A name leads to an address to which nothing is ever sent."""


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections; looking up the name and trying each of its addresses share the deadline.

    Addresses are judged here, after the look-up and for each connection, and the one that was judged is the
    one that is connected to: what a name meant a minute ago says nothing.
    """

    def __init__(self, refuses: Callable[[str], bool]) -> None:
        self._inner = httpcore.SyncBackend()
        self._refuses = refuses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers. Raises ConnectError or ConnectTimeout."""
        options = tuple(socket_options or ())
        error: Exception = httpcore.ConnectError("the name has no address")
        found = _addresses(host, port, left(timeout, httpcore.ConnectTimeout))
        if any(self._refuses(address) for address in found):
            raise ForbiddenAddress("the name leads where nothing is sent")
        for address in found:
            seconds = left(timeout, httpcore.ConnectTimeout)
            try:
                return DeadlineStream(self._inner.connect_tcp(address, port, seconds, local_address, options))
            except httpcore.ConnectError as failed:
                error = failed
        raise error


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name. The system's look-up knows no time-out: a thread of its own waits for it."""
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            answers.put(None)
        else:
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))

    if _literal(host):
        return [host]
    threading.Thread(target=ask, daemon=True, name="rotator-lookup").start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name look-up takes too long") from None
    if found is None:
        raise httpcore.ConnectError("the name cannot be looked up")
    return found


def _literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over such connections, also through a proxy.

    What is in clear stays on this machine. A proxy looks names up itself, and is where the operator says.
    """

    def __init__(self, context: ssl.SSLContext, proxy: str | None = None, *, clear: bool = False) -> None:
        super().__init__(verify=context, trust_env=False, proxy=proxy)
        self.pool = self._pool
        refuses = partial(refused, loopback_only=clear) if proxy is None else _allowed
        self.pool._network_backend = DeadlineBackend(refuses)  # noqa: SLF001 - httpx has no setting for it


def _allowed(address: str) -> bool:  # noqa: ARG001 - the proxy's own address
    return False
