"""What stands between a command and a local server: it sees every request, and may answer in its place."""

import http.client
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from rotator.lab.keys import real_time
from rotator.lab.wire import Answer, Listener, Request, Respond

Hook = Callable[[Request, Respond], Answer | None]
_OWN = ("connection", "content-length", "date", "server", "transfer-encoding")


def hooked(listener: Listener | None, hook: Hook) -> None:
    """Have a local server's requests go through ``hook``, which is given what would answer them."""
    assert listener is not None, "start() first"
    true = listener.respond
    listener.respond = lambda request: hook(request, true)


class Front:
    """A server of its own before a server that cannot be hooked, as moto's. A context manager."""

    def __init__(self, url: str, hook: Hook) -> None:
        self._there = urlsplit(url).netloc
        self._hook = hook

    def __enter__(self) -> Self:
        self._listener = Listener(lambda request: self._hook(request, self._forwarded), real_time)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.end()

    @property
    def url(self) -> str:
        """The address to call in the other's place."""
        return f"http://127.0.0.1:{self._listener.server_port}"

    def _forwarded(self, request: Request) -> Answer:
        path = quote(request.path) + (f"?{request.query}" if request.query else "")
        connection = http.client.HTTPConnection(self._there, timeout=20)
        try:
            connection.request(request.method, path, request.body, dict(request.headers))
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
            return Answer(answer.status, answer.read(), headers)
        finally:
            connection.close()
