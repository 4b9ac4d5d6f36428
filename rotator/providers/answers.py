"""What a server answered, and what that means: done, refused, unknown. Bodies never reach a message."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from rotator.errors import EffectError, Refused, Unknown
from rotator.model import Credential

HIDDEN = "hidden"  # stands where a server repeats a secret; too short to be taken for a key
LONGEST_WAIT = 3600.0  # seconds: no server makes us wait longer before we look again
_SHORTEST = 8  # characters of a secret; anything shorter may stand in an answer by chance
_PLAIN_WAIT = 5.0  # where a server asks to wait and does not say how long
_EPOCH = 1_000_000_000  # X-RateLimit-Reset above this is a time, below it a number of seconds
_DATE = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT", re.ASCII)
_SECONDS = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. Header names are in lower case; ``body`` is None if it was encoded, too long, or
    not read.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=b"", repr=False)
    sent: tuple[str, ...] = field(default=(), repr=False)  # secrets of the request, see ``to``

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def gone(self) -> bool:
        """Whether the server says that there is no such thing."""
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

    def to(self, credential: Credential, names: Iterable[str]) -> "Answer":
        """The same answer, to a request that carried these fields: where it repeats one, ``json`` hides it.

        Ids, labels and accounts are read out of answers, written down and shown.
        """
        values = (credential.get(name) or "" for name in names)
        return replace(self, sent=tuple(value for value in values if len(value) >= _SHORTEST))

    def json(self) -> Any:
        """The body as JSON. Raises Unknown (``garbage``) for anything else, without quoting it."""
        if self.body is None:
            raise Unknown("garbage", "The answer is encoded or longer than 1 MiB.")
        with suppress(ValueError, RecursionError):
            value = json.loads(self.body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
            return _unsaid(value, self.sent) if self._may_repeat(self.body) else value
        # Raised out here: json's error holds the body, and must not hang on as its context.
        raise Unknown("garbage", f"The answer (status {self.status}) is not JSON.")

    def _may_repeat(self, body: bytes) -> bool:
        """Whether a secret of the request may stand in a body: as it is, or escaped."""
        return b"\\" in body or any(each.encode(errors="surrogatepass") in body for each in self.sent)

    def shape(self) -> Any:
        """The body as JSON, or None: for looking at the form of a refusal."""
        try:
            return self.json()
        except Unknown:
            return None

    def date(self) -> datetime | None:
        """The server's clock as its ``Date`` header tells it, to the second."""
        return _http_date(self.headers.get("date", ""))


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. One that names a member twice is none: readers disagree about which of them counts."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError
    return found


def _no_number(_: str) -> Any:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError


def _unsaid(value: Any, sent: tuple[str, ...]) -> Any:
    """A JSON value with HIDDEN in place of what was sent."""
    if not sent:
        return value
    match value:
        case dict():
            return {name: _unsaid(inner, sent) for name, inner in value.items()}
        case list():
            return [_unsaid(inner, sent) for inner in value]
        case str():
            for each in sent:
                value = value.replace(each, HIDDEN)
    return value


def _http_date(text: str) -> datetime | None:
    """A date in the one form that HTTP sends; the library's parser would also take two dates for one."""
    if not _DATE.fullmatch(text.strip()):
        return None
    try:
        return parsedate_to_datetime(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _capped(seconds: float) -> float:
    return min(max(seconds, 1.0), LONGEST_WAIT) if math.isfinite(seconds) else LONGEST_WAIT


def retry_seconds(headers: Mapping[str, str], now: datetime, plain: float = _PLAIN_WAIT) -> float:
    """Seconds that ``Retry-After`` asks for, as a number or a date: at least 1, at most an hour.

    ``plain`` where the header is missing or says nothing that can be read.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return _capped(float(text))
    if text.isascii() and text.isdecimal():
        return LONGEST_WAIT
    at = _http_date(text)
    return plain if at is None else _capped((at - now).total_seconds())


def reset_seconds(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds until ``X-RateLimit-Reset``, given as Unix seconds or as a number of seconds."""
    text = headers.get("x-ratelimit-reset", "").strip()
    if not _SECONDS.fullmatch(text):
        return 1.0
    value = float(text)
    return _capped(value - now.timestamp() if value > _EPOCH else value)


_TRANSIENT = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY)


def unwelcome(answer: Answer, doing: str, now: datetime, *, reads: bool) -> EffectError:
    """What an answer other than 2xx means to a management call.

    A 4xx says that nothing happened: Refused. A redirect is never followed; on a read it is Refused, on a
    write, as 408 and everything from 500 up, Unknown.
    """
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        at = now + timedelta(seconds=retry_seconds(answer.headers, now))
        return Refused("http-429", f"{doing}: the server asks to slow down.", retry_at=at)
    said = f"{doing}: the server answered {status}."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        said = f"{doing}: the server redirects ({status}), which is never followed; check base_url."
        return Refused("redirect", said, permanent=True) if reads else Unknown("redirect", said)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        if status == HTTPStatus.REQUEST_TIMEOUT:
            return Unknown("http-408", said)
        return Refused(f"http-{status}", said, permanent=status not in _TRANSIENT)
    named = "retry-after" in answer.headers
    retry_at = now + timedelta(seconds=retry_seconds(answer.headers, now)) if named else None
    return Unknown(f"http-{status}", said, retry_at=retry_at)
