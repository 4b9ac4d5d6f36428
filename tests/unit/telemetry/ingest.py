"""A local Sentry, or any other service that is posted to: takes bodies over real HTTP and keeps them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE = 10.0


@dataclass
class Ingest:
    """What arrived, and how the next request is answered."""

    port: int = 0
    status: int = 200
    retry_after: str | None = None
    location: str | None = None
    answer: bytes = b"{}"
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.port}/1"

    def items(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for body in self.raw:
            lines = body.split(b"\n")
            for header, payload in zip(lines[1::2], lines[2::2], strict=False):
                if json.loads(header)["type"] == kind:
                    found.append(json.loads(payload))
        return found

    def wait(self, ready: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(ready, DEADLINE), f"only {len(self.raw)} envelopes came"


@contextmanager
def ingest() -> Iterator[Ingest]:
    """Serve until the block ends."""
    state = Ingest()
    state.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.go_on.wait(DEADLINE)
            status = state.status
            with state.changed:
                state.raw.append(body)
                state.headers.append(dict(self.headers.items()))
                state.changed.notify_all()
            self.send_response(status)
            if state.retry_after:
                self.send_header("Retry-After", state.retry_after)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(state.answer)))
            with suppress(ConnectionError):  # who asked may have gone
                self.end_headers()
                self.wfile.write(state.answer)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
