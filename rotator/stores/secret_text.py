"""A secret's text: our fields of it, and the same text with other values in their place. Pure.

A JSON object is edited where our values stand and nowhere else: order, spacing, escapes, numbers and nested
values of other fields stay byte for byte as they were. No error here shows what is in a secret.
"""

import hmac
import json
import re
from dataclasses import dataclass

from rotator.errors import NeedsPerson, Refused
from rotator.model import Credential, Target

BYTES_MAX = 65_536  # of a secret's text (Secrets Manager quotas)
EMPTY = "{}"  # what a secret without a version is seeded with
_SPACE = re.compile(r"[ \t\n\r]*")


def _number(_: str) -> int:
    """Numbers are never read, only kept."""
    return 0


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_number)


@dataclass(frozen=True, slots=True, repr=False)
class Member:
    """One member of a JSON object: its value, and where that stands in the text."""

    key: str
    value: object
    start: int
    end: int


def same(one: str, other: str) -> bool:
    """Whether two texts are alike; takes the same time wherever they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def understood(target: Target, text: str) -> Credential:
    """Our fields of a secret's text, under our names.

    Fields that ``target.fields`` names are looked up under the secret's names; other text fields of the
    object keep theirs. Raises NeedsPerson for a text that is not what ``target.format`` says.
    """
    if target.format == "text":
        return Credential({} if text == EMPTY else {_only_field(target): _plain(target.secret, text)})
    return Credential(_fields(target, members(target.secret, text)))


def _fields(target: Target, found: tuple[Member, ...]) -> dict[str, str]:
    theirs = {name: ours for ours, name in target.fields.items() if name is not None}
    fields: dict[str, str] = {}
    for member in found:
        ours = theirs.get(member.key)
        if ours is not None and member.value is not None:
            fields[ours] = _text(target.secret, member)
        elif ours is None and member.key not in target.fields and _is_text(member.value):
            fields[member.key] = str(member.value)
    return fields


def texts(secret: str, text: str) -> dict[str, str]:
    """Every text field of a secret's JSON object."""
    return {m.key: str(m.value) for m in members(secret, text) if _is_text(m.value)}


def written(target: Target, credential: Credential, onto: str) -> str:
    """``onto`` with the credential's fields in it. Raises NeedsPerson, and Refused for a text too long."""
    values = {
        theirs: value
        for name, value in credential.reveal().items()
        if (theirs := target.fields.get(name, name)) is not None
    }
    if target.format != "text":
        return replaced(target.secret, onto, values)
    if len(values) != 1:
        raise _not_one_field(target.secret)
    return fitting(target.secret, next(iter(values.values())))


def replaced(secret: str, text: str, values: dict[str, str]) -> str:
    """The JSON object with ``values`` in it; a field that is there already is replaced where it stands."""
    found = members(secret, text)
    for member in reversed(found):
        if member.key not in values or member.value == values[member.key]:
            continue
        if member.value is not None:
            _text(secret, member)
        text = text[: member.start] + _quoted(values[member.key]) + text[member.end :]
    known = {member.key for member in found}
    new = ", ".join(f"{_quoted(key)}: {_quoted(value)}" for key, value in values.items() if key not in known)
    return fitting(secret, _appended(text, new, first=not found) if new else text)


def _appended(text: str, new: str, *, first: bool) -> str:
    """Further members before the closing brace, on the last member's line."""
    body = text.rstrip()[:-1]
    kept = body.rstrip()
    return f"{kept}{'' if first else ', '}{new}{text[len(kept) :]}"


def fitting(secret: str, text: str) -> str:
    """The text itself, if the store can take it."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if 0 < size <= BYTES_MAX:
        return text
    raise Refused(
        "too-large" if size else "empty",
        f"Secret {secret!r} would have {size} bytes; it must have 1 to {BYTES_MAX}.",
        permanent=True,
    )


def members(secret: str, text: str) -> tuple[Member, ...]:
    """The members of a JSON object, in their order. Raises NeedsPerson if the text is none."""
    try:
        whole = _DECODER.decode(_plain(secret, text))
        found = tuple(_scan(text)) if isinstance(whole, dict) else None
    except (ValueError, RecursionError):
        whole = found = None
        broken = True
    else:
        broken = False
    if found is not None:
        return found
    raise NeedsPerson(
        "not-json" if broken else "not-an-object",
        f"Secret {secret!r} is not {'JSON' if broken else 'a JSON object'}.",
        todo="Make its value a JSON object, or say `format: text` in the policy if it is one plain value.",
    )


def _scan(text: str) -> list[Member]:
    """The members of a text that is known to be a JSON object."""
    found: list[Member] = []
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        value, end = _DECODER.raw_decode(text, start)
        found.append(Member(key, value, start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _encodable(value)


def _encodable(value: str) -> bool:
    """Whether this is Unicode text; half a surrogate pair is not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(secret: str, member: Member) -> str:
    if not _is_text(member.value):
        raise NeedsPerson(
            "field-not-text",
            f"Field {member.key!r} of secret {secret!r} is not text.",
            todo="Make it a text field, or map our field to another name with `fields` in the policy.",
        )
    return str(member.value)


def _plain(secret: str, text: str) -> str:
    if not _encodable(text):
        raise NeedsPerson(
            "not-text",
            f"Secret {secret!r} holds characters that are not Unicode text.",
            todo="Write its value again as JSON or plain text.",
        )
    return text


def _only_field(target: Target) -> str:
    """The one field that a plain secret holds: the one that the policy maps to a name."""
    names = [ours for ours, theirs in target.fields.items() if theirs is not None]
    if len(names) != 1:
        raise _not_one_field(target.secret)
    return names[0]


def _not_one_field(secret: str) -> NeedsPerson:
    return NeedsPerson(
        "not-one-field",
        f"Secret {secret!r} is one plain value, but not exactly one field is mapped to it.",
        todo="Use `format: json`, or map every field but one to null with `fields` in the policy.",
    )
