"""A server that repeats what it was sent, wherever an answer has room for it."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, get_args
from urllib.parse import parse_qsl

from rotator.lab.faults import Kind, garbled
from rotator.lab.wire import Answer, Request, Respond

STATUSES = (200, 201, 204, 301, 307, 400, 401, 403, 404, 409, 412, 422, 429, 473, 500, 503)
KINDS = tuple(
    kind for kind in get_args(Kind) if kind != "huge"
)  # slow to make, and nothing is repeated in it
_CARRIERS = ("authorization", "cookie", "x-api-key", "x-api-secret", "x-vault-token", "x-amz-security-token")
_NAMES = (
    "error", "message", "code", "__type", "Code", "Message", "type", "error_description", "detail",
    "request_id", "id", "key_id", "name", "label", "status", "created_at", "expires_at", "scopes",
    "publicKey", "account", "userId", "tenantId", "next_cursor", "token_type", "expires", "expires_in",
    "version", "VersionId", "ARN", "Name", "method", "key_prefix", "created_time", "lease_duration", "ttl",
)  # fmt: skip

Hook = Callable[[Request, Respond], Answer | None]


def heard(request: Request) -> tuple[str, ...]:
    """The secrets of a request: of its headers, without their scheme, and of its body."""
    found = [
        request.headers[name].partition(" ")[2] or request.headers[name]
        for name in _CARRIERS
        if name in request.headers
    ]
    found += [value.partition("=")[2] for value in found if value.startswith("sb-access-token=")]
    body = request.json()
    found += [each for each in _texts(body) if len(each) >= 8]
    return tuple(dict.fromkeys(each for each in found if each)) or ("nothing",)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, and in JSON that is a text."""
    match value:
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case str():
            yield value
            if value.startswith("{"):
                yield from _texts(json.loads(value))


def echoed(request: Request, status: int, form: int) -> Answer:
    """One answer that repeats a request in its body and in every header that a client may read."""
    told = heard(request)
    one = told[form % len(told)]
    row: dict[str, Any] = dict.fromkeys(_NAMES, one)
    row["scopes"] = [one]
    bodies: tuple[Any, ...] = (
        {**row, "error": {**row}, "errors": [one, *told], "warnings": [one], "echo": dict(request.headers)},
        {"keys": [row, {**row, "id": f"{one}-2"}], "data": [row], "agent": row, "auth": row, "total": 10**6},
        {"data": {**row, "data": row, "metadata": row, "keys": [one]}, "auth": {**row, "client_token": one}},
        [row],
        f"<html><b>{status}</b> {one} {base64.b64encode(one.encode()).decode()} {request.headers}</html>",
        one,
        f'{{"error": "{one}',
    )
    return Answer.of(status, bodies[form % len(bodies)]).plus(_headers(one, status))


FORMS = 7


def _headers(one: str, status: int) -> dict[str, str]:
    line = one.replace("\r", "").replace("\n", "").encode("latin-1", "replace").decode("latin-1")
    told = {
        "WWW-Authenticate": f'Bearer realm="{line}"',
        "Set-Cookie": f"session={line}",
        "Location": f"http://127.0.0.1:9/{line}" if status in (301, 307) else line,
        "X-RateLimit-Remaining": line,
        "X-RateLimit-Reset": line,
        "x-amzn-RequestId": line,
        "x-amzn-ErrorType": line,
        "X-Request-Id": line,
        line.translate(_NOT_IN_NAMES) or "X": line,
    }
    return told if status != 429 else {**told, "Retry-After": line}


_NOT_IN_NAMES = {code: None for code in range(256) if not (chr(code).isascii() and chr(code).isalnum())}


def poisoned(request: Request, answer: Answer) -> Answer:
    """The true answer, but its names, labels and ids of keys are secrets of the request."""
    told = heard(request)[0]
    try:
        body = json.loads(answer.content)
    except ValueError:
        return answer
    return Answer(answer.status, json.dumps(_poison(body, told)).encode(), answer.headers)


def _poison(value: Any, told: str) -> Any:
    match value:
        case dict():
            open_names = ("name", "label", "id", "publicKey", "userId", "key_prefix", "code", "status")
            return {
                name: told if name in open_names and isinstance(inner, str) else _poison(inner, told)
                for name, inner in value.items()
            }
        case list():
            return [_poison(inner, told) for inner in value]
    return value


class Hostility:
    """A hook that lets some requests through, and answers others with a fault that repeats what it heard."""

    def __init__(self, seed: int, odds: float, meant: bytes = b"") -> None:
        self._random = random.Random(seed)
        self.odds = odds
        self._meant = meant
        self.struck = 0

    def __call__(self, request: Request, respond: Respond) -> Answer | None:
        """Answer one request. Only those that hold ``meant`` in their path or body are struck."""
        meant = self._meant in request.body or self._meant in request.path.encode()
        draw = self._random.random()
        if not meant or draw >= self.odds:
            return respond(request)
        self.struck += 1
        return self._struck(request, respond)

    def _struck(self, request: Request, respond: Respond) -> Answer | None:
        pick = self._random.randrange(10)
        if pick < 6:
            return echoed(request, self._random.choice(STATUSES), self._random.randrange(10**6))
        answer = respond(request)
        if pick == 6 or answer is None:
            return None
        if pick < 9:
            return poisoned(request, answer)
        return garbled(answer, self._random.choice(KINDS), ("api_secret", "key", "privateKey", "data"))


def arguments(request: Request) -> dict[str, str]:
    """What a form or a query names."""
    return dict(parse_qsl(request.query or request.body.decode("latin-1")))
