"""The second net: whatever text leaves, live credentials and things shaped like one are taken out of it.

The first net is that nothing secret is ever handed to a log call. This one is for the day on which it is.
"""

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus
from weakref import WeakKeyDictionary

from rotator.model import Credential

HIDDEN = "[redacted]"
SHORTEST = 6  # shorter values ("true", "7") are in every other sentence: hiding them would hide the sentence
PREFIX = 12  # of a long value: what a library shows that cuts values short
LONG = 20
NOT_SECRET = frozenset({"key_id", "client_id", "public_key", "token_type", "expires_at"})  # people need ids

_NAMED = (
    r"((?:pass(?:word|wd|phrase)|api[_-]?(?:key|secret)|client[_-]?secret|secret[_-]?(?:key|string)"
    r"|secret[_-]?access[_-]?key|private[_-]?key|(?:access|refresh|auth|id|bearer|session|vault)[_-]?token)"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", HIDDEN),
        (r"\b(bearer|basic|digest)\s+[\w.~+/=-]{16,}", rf"\1 {HIDDEN}"),
        (r"\b((?:set-)?cookie|(?:proxy-)?authorization)(['\"]?\s*[:=]\s*)[^\r\n]+", rf"\1\2{HIDDEN}"),
        (r"(://[^/\s:@]*):[^/\s@]+@", rf"\1:{HIDDEN}@"),
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", HIDDEN),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", HIDDEN),
        (r"\b(?:hv[sbr]\.|gh[pousr]_|github_pat_|xox[abprs]-|sk-|sk_live_)[\w-]{10,}", HIDDEN),
        (_NAMED + r"\\?['\"]?\s*[:=]\s*\\?['\"]?)[^\s'\"\\,;&)}\]]{8,}", rf"\1{HIDDEN}"),
    )
)

_variants: "WeakKeyDictionary[Credential, tuple[str, ...]]" = WeakKeyDictionary()


def scrub(text: str) -> str:
    """``text`` without any live credential's value, as it is or encoded, and without what looks like one.

    Hidden are the values of 6 characters and more, also in Base64, percent- and JSON-escaped, and the
    first 12 characters of long ones; ids of keys stay readable.
    """
    for credential in Credential.live():
        for variant in _spellings(credential):
            if variant in text:
                text = text.replace(variant, HIDDEN)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def _spellings(credential: Credential) -> tuple[str, ...]:
    """Every way in which the credential's values may appear, longest first; kept as long as it lives."""
    known = _variants.get(credential)
    if known is None:
        values = (credential.get(name) or "" for name in credential.names if name not in NOT_SECRET)
        found = {spelling for value in values if len(value) >= SHORTEST for spelling in _spelled(value)}
        known = _variants[credential] = tuple(sorted(found, key=len, reverse=True))
    return known


def _spelled(value: str) -> Iterator[str]:
    """One value in every encoding that our libraries may print it in."""
    yield value
    yield quote(value, safe="", errors="replace")
    yield quote(value, errors="replace")
    yield quote_plus(value, errors="replace")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield from _base64_spellings(value.encode("utf-8", "replace"))
    if len(value) >= LONG:
        yield value[:PREFIX]


def _base64_spellings(raw: bytes) -> Iterator[str]:
    """The Base64 of the bytes alone and inside of others (``user:password``), standard and for URLs.

    Three bytes make four characters, so there are three alignments; characters that also depend on the
    neighbours are left off.
    """
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw).decode().rstrip("=")
            spare = (len(raw) + shift) % 3
            yield whole[(0, 2, 3)[shift] : len(whole) - 1 if spare else None]
