"""The HTTP under a local provider: HTTP/1.1 with keep-alive on a free port of 127.0.0.1."""

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

BODY_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived. ``query`` is the text after ``?`` as sent; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = "127.0.0.1"

    @property
    def arguments(self) -> dict[str, str]:
        """The query's arguments, decoded; the last of a name wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON, or None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def scheme(self, name: str) -> str | None:
        """What follows ``name`` in the Authorization header ("Bearer", "Basic"), or None."""
        scheme, _, rest = self.headers.get("authorization", "").partition(" ")
        return rest.strip() if scheme.lower() == name.lower() and rest else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and headers."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, value: Any = None, **headers: str) -> "Answer":
        """An answer in JSON; text goes as it stands, None is an empty body."""
        if value is None:
            return cls(status, b"", headers)
        if isinstance(value, str):
            return cls(status, value.encode(), {"Content-Type": "text/plain", **headers})
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def plus(self, headers: Mapping[str, str]) -> "Answer":
        """The same answer with more headers."""
        return Answer(self.status, self.content, {**self.headers, **headers})


Respond = Callable[[Request], Answer | None]


class _Handler(BaseHTTPRequestHandler):
    """Turns bytes into a Request and an Answer into bytes; None closes the connection unanswered."""

    server: "Listener"
    protocol_version = "HTTP/1.1"
    server_version = "local"
    sys_version = ""
    wbufsize = 65536
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX or "Transfer-Encoding" in self.headers:
            self._send(Answer.of(413, {"error": "Request too large"}))
            self.close_connection = True
            return
        answer = self.server.respond(
            Request(
                self.command,
                unquote(parts.path),
                parts.query,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
                str(self.client_address[0]),
            )
        )
        if answer is None:
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server calls

    def _send(self, answer: Answer) -> None:
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:  # noqa: PLR2004 - 204 has no body and no length
                self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)
            self.wfile.flush()
            return
        self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - http.server's shape
        """The Date header: the provider's clock, not the machine's."""
        return format_datetime(self.server.clock(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's shape
        """Silent: calls are counted, not printed."""


class Listener(ThreadingHTTPServer):
    """One listening socket and its open connections, all of which :meth:`end` closes."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, respond: Respond, clock: Callable[[], datetime]) -> None:
        self.respond = respond
        self.clock = clock
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._loop = threading.Thread(target=self.serve_forever, args=(0.01,), name="local-provider")
        self._loop.start()

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection before its thread starts."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Stop listening, close what is open, and wait for its threads."""
        self.shutdown()
        self._loop.join()
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
