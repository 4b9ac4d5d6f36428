"""Reading what providers send: tolerant of shape, strict about ids and secrets, silent about values."""

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import quote

from rotator.errors import Refused, Unknown
from rotator.model import Credential

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@=+-]{0,199}")
_SECRET = re.compile(r"[\x21-\x7e]{8,1024}")
_ENVELOPES = ("data", "keys", "accounts", "items", "results")
_LEAST_BITS = 40.0  # of a value, by how often it repeats its characters: "changeme" has 22
_MASK = re.compile(r"([^A-Za-z0-9])\1{5}")  # "******": shown in place of a key
_LONGEST_LABEL = 300
_LONGEST_CURSOR = 1024
_NAMED = 8  # things of an answer that a message lists
_LONGEST_NAME = 64
_ENDED = ("revoked", "expired", "inactive", "disabled", "deleted")


def garbage(what: str) -> Unknown:
    """For raising: the answer is not what was promised. ``what`` never quotes it."""
    return Unknown("garbage", f"The answer is not what the provider documents: {what}.")


def key_id(value: object) -> str:
    """A key's id out of an answer. Raises Unknown (``garbage``) for what may not enter a URL path."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _KEY_ID.fullmatch(text):
        raise garbage("a key's id is missing or holds characters that no id may hold")
    return text


def in_path(text: str) -> str:
    """A key's id, encoded for a URL path. Raises Refused for one that could lead elsewhere."""
    if not _KEY_ID.fullmatch(text):
        raise Refused("key-id", "This key id holds characters that no id may hold.", permanent=True)
    return quote(text, safe="")


def secret(row: Mapping[str, Any], name: str) -> str:
    """A secret field of an answer: 8 to 1024 printable ASCII characters. Raises Unknown (``garbage``)."""
    value = row.get(name)
    if not usable(value):
        raise garbage(f"{name} is missing, empty or holds characters that no key may hold")
    if guessable(value):
        raise garbage(f"{name} is masked, or too simple to be a key")
    return value


def usable(value: object) -> TypeGuard[str]:
    """Whether a value can be a key, or part of one, and can stand in a header."""
    return isinstance(value, str) and _SECRET.fullmatch(value) is not None


def guessable(value: str) -> bool:
    """Whether a value is too simple to have been drawn at random, or a mask in place of one."""
    counts = Counter(value).values()
    bits = sum(count * math.log2(len(value) / count) for count in counts)
    return bits < _LEAST_BITS or _MASK.search(value) is not None


def echoed(credential: Credential, names: Iterable[str], *told: object) -> bool:
    """Whether something that people will see (an id, a scope, an account) holds one of these fields' values.

    Ids are written down and shown, and a provider that mixes up its columns must not bring a key there.
    """
    values = [value for value in map(credential.get, names) if value]
    return any(value in each for each in _strings(told) for value in values)


def _strings(told: object) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, Mapping):
        yield from _strings(tuple(told.values()))
    elif isinstance(told, list | tuple):
        for each in told:
            yield from _strings(each)


def named(names: Sequence[str]) -> str:
    """What an answer lists, for a message: a few of them, each cut short."""
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:_NAMED]]
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*shown, *more])


def distinct(*values: str) -> None:
    """Two fields of a new key with one value are no key. Raises Unknown (``garbage``)."""
    if len(set(values)) < len(values):
        raise garbage("two fields of the new key are the same")


def text(value: object) -> str:
    """A label out of an answer, fit to be shown; what it ends with is kept, since the token is there."""
    if not isinstance(value, str):
        return ""
    kept = value[-_LONGEST_LABEL:]
    return kept if kept.isprintable() else "".join(c if c.isprintable() else "?" for c in kept)


def texts(value: object) -> list[str] | None:
    """A list of texts (scopes, addresses), or None where the answer has no such list."""
    if not isinstance(value, list):
        return None
    return [text(each) if isinstance(each, str) else "?" for each in value]


def moment(value: object) -> datetime | None:
    """A time in ISO 8601, taken as UTC where it names no zone; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def jwt_ending(token: str) -> int | None:
    """``exp`` of a token that is a JWT, in Unix seconds; None where it has none that can be read.

    Its signature is not checked: only the server that takes the token can do that.
    """
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    with suppress(ValueError, OverflowError, RecursionError):
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        payload = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        told = payload.get("exp") if isinstance(payload, dict) else None
        if isinstance(told, int | float) and not isinstance(told, bool):
            return int(told)
    return None


def unwrapped(payload: object) -> Mapping[str, Any]:
    """The one object of an answer, bare or in ``data``. Raises Unknown (``garbage``)."""
    inner = payload.get("data") if isinstance(payload, dict) and "data" in payload else payload
    if not isinstance(inner, dict):
        raise garbage("an object was promised")
    return inner


def rows(payload: object) -> Sequence[Mapping[str, Any]]:
    """The rows of a list, bare or in an envelope. Raises Unknown (``garbage``)."""
    found = payload
    for _ in range(2):
        if isinstance(found, dict):
            found = next((found[name] for name in _ENVELOPES if name in found), None)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise garbage("a list of keys was promised")
    return found


def is_live(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether a listed key still works, as far as the list says; what it does not say counts as live."""
    status = row.get("status")
    ended = isinstance(status, str) and status.lower() in _ENDED
    flagged = row.get("revoked") is True or row.get("is_active") is False or row.get("active") is False
    expires = moment(row.get("expires_at"))
    return not (ended or flagged or row.get("revoked_at") or (expires is not None and expires <= now))


def next_page(payload: object, seen: int) -> str | None:
    """The query that asks for the next page, or None if this was the last one.

    Understands ``next_cursor`` with ``has_more``, and ``total`` or ``has_more`` with an offset, in a
    ``pagination`` object or beside the rows. Raises Unknown (``garbage``) where these are of other types: a
    list that is cut short must not pass for a whole one.
    """
    if not isinstance(payload, dict):
        return None
    told = payload.get("pagination")
    told = told if isinstance(told, dict) else payload
    cursor, more, total = (told.get(name) for name in ("next_cursor", "has_more", "total"))
    if (
        not (_is(cursor, str, int) and _is(total, int) and (more is None or isinstance(more, bool)))
        or len(str(cursor)) > _LONGEST_CURSOR
    ):
        raise garbage("it is unclear whether the list has more pages")
    if cursor not in (None, ""):
        return None if more is False else f"?cursor={quote(str(cursor), safe='', errors='replace')}"
    return f"?offset={seen}" if more or (total or 0) > seen else None


def _is(value: object, *types: type) -> bool:
    """Whether a value is missing or of one of these types; a boolean is no number."""
    return value is None or (isinstance(value, types) and not isinstance(value, bool))
