"""A DynamoDB on this machine: moto, whose requests are taken one after the other.

moto changes a table in several steps, and undoes a transaction by putting a copy of the whole table back, so
that two requests at once would undo each other's writes. One after the other, a request is as atomic as it is
at AWS. What moto never says by itself (that it is busy, that two transactions met) ``hook`` says for it.
"""

import copy
import io
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self

import botocore.session
from botocore.config import Config
from moto.dynamodb.models import table as moto_table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from rotator.ledger.dynamodb import TABLE

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
_HEADERS = [("Content-Type", "application/x-amz-json-1.0")]
Answer = tuple[str, Mapping[str, Any]]
Hook = Callable[[str], Answer | None]


_copies: dict[int, moto_table.Table] = {}


def _copied(table: moto_table.Table, memo: dict[int, Any]) -> moto_table.Table:
    """A table as it is before a transaction. moto copies it once for each member, and needs one copy."""
    if id(table) not in _copies:
        made: moto_table.Table = object.__new__(type(table))
        vars(made).update(copy.deepcopy(vars(table), memo))
        _copies[id(table)] = made
    return _copies[id(table)]


class Server:
    """A server of this process's own. A context manager."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._turn = threading.Lock()
        self._transactions: set[str] = set()  # that were done, by their tokens
        self.hook: Hook | None = None  # what is answered instead of doing what is asked
        self.lose: Callable[[str], bool] | None = None  # whether an answer is lost to what was done
        self.ahead = timedelta(0)  # of the true time is what the server says
        logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def __enter__(self) -> Self:
        moto_table.Table.__deepcopy__ = _copied  # type: ignore[attr-defined]
        server = self

        class Handler(WSGIRequestHandler):
            """Says what time it is as the test wants it."""

            def date_time_string(self, timestamp: float | None = None) -> str:
                """The Date of an answer."""
                del timestamp
                return format_datetime(datetime.now(UTC) + server.ahead, usegmt=True)

        self._server = make_server("127.0.0.1", 0, self._answered, threaded=True, request_handler=Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        session = botocore.session.Session()
        session.set_credentials("testing", "testing")
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        self.client: Any = session.create_client(
            "dynamodb", region_name=REGION, endpoint_url=self.url, config=config
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def address(self, table: str) -> str:
        """A ledger's address in a table of it."""
        return f"dynamodb://{table}?region={REGION}&endpoint_url={self.url}"

    @contextmanager
    def table(self) -> Iterator[str]:
        """A new table for a ledger; removed at the end, with what was hooked."""
        name = f"rotator-{secrets.token_hex(6)}"
        self.client.create_table(TableName=name, **TABLE)
        try:
            yield name
        finally:
            self.hook = self.lose = None
            self.ahead = timedelta(0)
            self.client.delete_table(TableName=name)

    def _answered(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        with self._turn:
            told = self.hook(operation) if self.hook else None
            if told is not None:
                return _refused(told, start)
            return self._done(operation, environ, start)

    def _done(self, operation: str, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """What moto answers. It would do a transaction anew that it did under this token; AWS does not."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        token = json.loads(body or b"{}").get("ClientRequestToken")
        if token in self._transactions:
            start("200 OK", _HEADERS)
            return [b"{}"]
        statuses: list[str] = []

        def begun(status: str, headers: Any, *more: Any) -> Any:
            statuses.append(status)
            lost = self.lose is not None and self.lose(operation)
            return start("500 Internal Server Error" if lost else status, headers, *more)

        _copies.clear()
        answer = list(self._app(environ, begun))
        if token is not None and statuses[0].startswith("200"):
            self._transactions.add(token)
        return answer


def _refused(told: Answer, start: Callable[..., Any]) -> Iterable[bytes]:
    code, more = told
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    status = "500 Internal Server Error" if code == "InternalServerError" else "400 Bad Request"
    start(status, _HEADERS)
    return [json.dumps({"__type": kind, "message": "as the test says", **more}).encode()]
