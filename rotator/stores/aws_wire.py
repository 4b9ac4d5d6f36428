"""What botocore sends requests with, for answers of a bounded size that end in time.

botocore reads an answer to its end, however long that is, also in a thread that nobody waits for any more.
"""

import time
from typing import Any, Protocol

import urllib3
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from rotator.errors import Unknown
from rotator.stores.deadline import REQUEST_SECONDS

MOST_BYTES = 1024 * 1024  # of an answer: a secret of 64 KiB, with each character escaped, has 384 KiB


class _Session(Protocol):
    """botocore's session of HTTP connections, as far as its endpoints use it."""

    def send(self, request: Any) -> Any:
        """Send a prepared request; its answer."""

    def close(self) -> None:
        """Close every connection."""


class Bounded:
    """Such a session, whose answers are read piece by piece."""

    def __init__(self, inner: _Session, most: int = MOST_BYTES) -> None:
        self._inner = inner
        self._most = most

    def send(self, request: Any) -> Any:
        """The answer, with its body. Raises botocore's errors, and Unknown for too long a body."""
        request.stream_output = True  # the body is left to be read here
        ends = time.monotonic() + REQUEST_SECONDS
        answer = self._inner.send(request)
        try:
            answer._content = _body(answer, ends, self._most)  # noqa: SLF001 - as botocore's own `content` keeps it
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=type(error).__name__) from None
        return answer

    def close(self) -> None:
        """Close every connection. May be called twice."""
        self._inner.close()


def _body(answer: Any, ends: float, most: int) -> bytes:
    body = bytearray()
    for piece in answer.raw.stream():
        body += piece
        if len(body) > most:
            answer.raw.close()
            raise Unknown("too-long", "AWS answered with more than was asked for.")
        if time.monotonic() > ends:
            answer.raw.close()
            raise ReadTimeoutError(endpoint_url=answer.url)
    return bytes(body)


def bound(client: Any, most: int = MOST_BYTES) -> Any:
    """A boto3 client, which from now on reads answers of ``most`` bytes at most."""
    endpoint = client._endpoint  # noqa: SLF001 - botocore has no public way to give a client a session
    endpoint.http_session = Bounded(endpoint.http_session, most)
    return client
