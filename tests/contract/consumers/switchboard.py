import http.server
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Answer = tuple[int, bytes]
HOSTILE = b'{"message": "hostile", "__type": "hostile"}'


@dataclass(frozen=True)
class Request:
    """One request, as it came; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Listener(http.server.ThreadingHTTPServer):
    """Prints what went wrong, unless it is that who asked has gone."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class Switchboard:
    """A local server that remembers what it was sent, and answers as it is told to."""

    answer: Callable[[Request], Answer]
    requests: list[Request] = field(default_factory=list)
    strayed: int = 0
    drop: bool = False
    cut: bool = False  # the connection ends before the body of an answer does

    def __post_init__(self) -> None:
        board = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                board.serve(self)

            do_GET = do_POST = do_PATCH = _any  # noqa: N815 - http.server looks for these names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Quiet."""

        self.http = Listener(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self._open = True

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Read, remember, answer."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        url = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if url.path == "/elsewhere":
            self.strayed += 1
        request = Request(handler.command, url.path, url.query, headers, body)
        self.requests.append(request)
        if self.drop:
            handler.close_connection = True
            return
        status, answer = self.answer(request)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(answer) + self.cut))
        handler.close_connection = handler.close_connection or self.cut
        if 300 <= status < 400:
            handler.send_header("Location", f"{self.url}/elsewhere")
        if status == 429:
            handler.send_header("Retry-After", "120")
        handler.end_headers()
        handler.wfile.write(answer)

    def close(self) -> None:
        """Stop listening. May be called twice."""
        if self._open:
            self._open = False
            self.http.shutdown()
            self._thread.join()
            self.http.server_close()
