"""What a text may hold a key as: a person pastes what they found, with whatever stands around it.

It is taken apart in every way in which keys are usually wrapped, and each piece is a candidate. To compare
too many costs a moment; one that is missed would be taken for "nobody holds it".
"""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

SHORTEST = 8  # characters of a piece of a text that may be a key; a text in JSON may be shorter
MOST = 20_000  # candidates
_DEEPEST = 6  # texts within texts: JSON in JSON, Base64 in that
_ENCODED = 12  # characters, at least, of what is decoded

_INVISIBLE = re.compile("[\ufeff\u200b\u200c\u200d\u2060\x00]")  # what editors and chats leave
_CURLED = "\u2018\u2019\u201c\u201d"  # quotes that chats make of others
_QUOTES = tuple(re.compile(quotes) for quotes in ('"', "'", "`", f"[{_CURLED}]"))
_PEM = re.compile(r"-----BEGIN [^-]+-----.+?-----END [^-]+-----", re.DOTALL)
_BROKEN = re.compile(  # into lines, as tools write Base64
    r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{16,}+[ \t\r]*+\n[ \t]*+)+[A-Za-z0-9+/_-]+={0,2}"
)
_MARKS = "+-.!?*_~:"  # of a changed line, an end of a sentence, or bold print: a key may have them too
_FINER = tuple(  # each takes apart what the one before left; all that any of them leaves is a candidate
    re.compile(separators)
    for separators in (r"[\r\n]+", r"\s#|\s//", r"\s+", r"[,;&|<>(){}\[\]#]+", r"[=:\"'`\\]+", r"[/@?]+")
)
_NO_TEXT = frozenset({"null", "true", "false"})  # as JSON writes what is none
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class TooMany(Exception):
    """A text holds more candidates than are compared."""


def decoded(data: bytes) -> str:
    """The text that was written, as editors and shells write it. Raises UnicodeDecodeError."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig")


def candidates(text: str) -> tuple[str, ...]:
    """Every text in it that may be a key, the whole one first; none where it is empty. Raises TooMany."""
    found: dict[str, None] = {}
    texts = [_INVISIBLE.sub("", text).replace("\r\n", "\n").rstrip("\n")]
    for _ in range(_DEEPEST):
        inner: dict[str, None] = {}
        for one in texts:
            strings = _strings(one)
            inner.update(dict.fromkeys(strings or ()))
            for candidate in _pieces(one) if strings is None else ():
                found[candidate] = None
                if len(found) > MOST:
                    raise TooMany
                inner.update(dict.fromkeys(_spelled(candidate)))
        texts = [one for one in inner if one not in found]
    return tuple(found)


def _strings(text: str) -> list[str] | None:
    """Every text in a JSON object or list, long numbers as they are written; None where a text is neither."""
    try:
        document = json.loads(text, parse_int=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return list(_leaves(document)) if isinstance(document, dict | list) else None


def _number(digits: str) -> str | None:
    return digits if len(digits) >= SHORTEST else None


def _leaves(document: Any) -> Iterator[str]:
    left = [document]
    while left:
        one = left.pop(0)
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            left += one.values() if isinstance(one, dict) else one


def _pieces(text: str) -> Iterator[str]:
    """The text itself, also without blanks around it, and what it is made of, coarse pieces first."""
    yield from (whole for whole in (text, text.strip()) if whole and whole not in _NO_TEXT)
    quoted = [part for quotes in _QUOTES for part in quotes.split(text)]
    pieces = _bare([text, *_PEM.findall(text), *_joined(text), *quoted])
    yield from pieces
    for separators in _FINER:
        pieces = _bare(part for piece in pieces for part in separators.split(piece))
        yield from pieces


def _joined(text: str) -> Iterator[str]:
    """What was broken into lines, as one; also without the last of them, which may be another text."""
    for lines in _BROKEN.findall(text):
        yield "".join(lines.split())
        yield "".join(lines.rpartition("\n")[0].split())


def _bare(parts: Iterable[str]) -> list[str]:
    """Each part, and what follows a name in it, also without the quotes around it; those that are long
    enough.
    """
    found: dict[str, None] = {}
    for part in parts:
        for told in (part, part.partition("=")[2], part.partition(":")[2]):
            trimmed = told.strip()
            bare = trimmed.rstrip(",;").strip(f"\"'`\\{_CURLED}").strip()
            forms = (trimmed, bare, bare.strip(_MARKS))
            found.update(dict.fromkeys(one for one in forms if len(one) >= SHORTEST))
    return list(found)


def _spelled(piece: str) -> Iterator[str]:
    """What a piece may be a spelling of: JSON, a text with escapes, percent-encoded, or Base64."""
    if piece[0] in "{[":
        yield from _strings(piece) or ()
    if "\\" in piece:
        yield from _unescaped(piece)
    if "%" in piece:
        yield unquote(piece)
    if len(piece) >= _ENCODED and _BASE64.fullmatch(piece):
        yield from _of_base64(piece)


def _unescaped(piece: str) -> Iterator[str]:
    try:
        told = json.loads(f'"{piece}"', strict=False)
    except ValueError:
        return
    if isinstance(told, str):
        yield told


def _of_base64(piece: str) -> Iterator[str]:
    """The text that it encodes, if that is one: the data of a Kubernetes Secret, a login in a header."""
    standard = piece.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        told = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
    if told.replace("\n", "").isprintable():
        yield told
