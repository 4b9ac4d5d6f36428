"""What can go wrong between a worker and a provider, as values that a local provider acts out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from rotator.lab.wire import Answer, Request

Kind = Literal["html", "empty", "wrong-json", "truncated", "missing-secret", "wrong-types", "huge"]
HUGE = 8 * 1024 * 1024  # bytes of an answer that no key API sends


@dataclass(frozen=True, slots=True)
class Lose:
    """It is done, and the connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Drop:
    """It is not done, and the connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It is not done; the answer is this status and body (JSON, or text as it stands)."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Garbage:
    """It is done, and the answer keeps its status but not its content."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Slow:
    """It is done and answered ``seconds`` later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Late:
    """The connection is closed at once; it is done ``seconds`` later, or at ``land()`` where None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """It is not done; the client is sent elsewhere."""

    location: str
    status: int = 307


@dataclass(frozen=True, slots=True)
class Widen:
    """The key that is made may do more than was asked.

    ``settings`` are the provider's own names; empty: the widest that it has. ``quiet``: the answer repeats
    what was asked, and only the list and the key itself show more.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = False


Fault = Lose | Drop | Refuse | Garbage | Slow | Late | Redirect | Widen


def matches(pattern: str, request: Request) -> bool:
    """Whether ``METHOD /path`` fits a pattern of shell wildcards, for example ``DELETE /v1/keys/*``."""
    return fnmatchcase(f"{request.method} {request.path}", pattern)


def garbled(answer: Answer, kind: Kind, secret_names: tuple[str, ...]) -> Answer:
    """The answer with its content spoilt."""
    match kind:
        case "html":
            page = b"<!doctype html><title>Sign in</title><p>Your browser is being checked.</p>"
            return Answer(answer.status, page, {**answer.headers, "Content-Type": "text/html"})
        case "empty":
            content = b""
        case "wrong-json":
            content = b'{"ok": true}'
        case "truncated":
            content = answer.content[: len(answer.content) // 2]
        case "huge":
            content = answer.content + b" " * HUGE
        case "missing-secret":
            content = _dumped(_without(_loaded(answer), secret_names))
        case "wrong-types":
            content = _dumped(_retyped(_loaded(answer)))
    return Answer(answer.status, content, answer.headers)


def _loaded(answer: Answer) -> Any:
    return json.loads(answer.content or b"{}")


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, names) for name, inner in value.items() if name not in names}
    return value


def _retyped(value: Any) -> Any:
    """Objects keep their names; every text becomes a number, everything else a text."""
    if isinstance(value, dict):
        return {name: _retyped(inner) for name, inner in value.items()}
    return 7 if isinstance(value, str) else "seven"
