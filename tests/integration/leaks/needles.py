"""Canaries, every spelling in which one may appear, and the search for all of them at once."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

PREFIX = 12  # characters of a value that give it away
LONG = 16  # a shorter value has no such beginning
HEADS = ("tapp_sandbox_", "ftm_live_", "sk_", "local.", "AKIA", "ASIA")  # with which all of a kind begin
JWT = "eyJ"  # begins with who it is for, which is no secret
SHORTEST = 8  # characters of a spelling that is looked for


@dataclass(frozen=True, slots=True)
class Canary:
    """A secret that must not appear anywhere; ``name`` says which one, and is all that is ever told."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hit:
    """A canary that was found: where, whose, and how it was spelled; never the value."""

    where: str
    canary: str
    spelling: str


def spellings(value: str) -> Iterator[tuple[str, bytes]]:
    """Every way to write a value that a library, a log or a file uses, with its name."""
    raw = value.encode()
    yield "raw", raw
    yield "utf-16", value.encode("utf-16-le")
    for safe in ("", "/"):
        for quoted in (quote(value, safe=safe), quote_plus(value, safe=safe)):
            yield "url", quoted.encode()
            yield "url", quoted.lower().encode()
    yield "json", json.dumps(value)[1:-1].encode()
    yield "json", json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield "json in json", json.dumps(json.dumps(value))[2:-2].encode()
    yield "json \\u", "".join(f"\\u{ord(letter):04x}" for letter in value).encode()
    yield "repr", repr(value)[1:-1].encode()
    yield "hex", raw.hex().encode()
    yield "hex", raw.hex().upper().encode()
    yield from (("base64", spelled) for spelled in _base64(raw))
    if len(value) >= LONG and not value.startswith(JWT):
        head = next((head for head in HEADS if value.startswith(head)), "")
        yield "first characters", value[: len(head) + PREFIX].encode()


def _base64(raw: bytes) -> Iterator[bytes]:
    """Base64 of the bytes alone and inside of others, which shift them by none, one or two places; only
    characters that do not depend on the neighbours.
    """
    for shift, first in enumerate((0, 2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw).rstrip(b"=")
            yield whole[first : len(whole) - 1 if (len(raw) + shift) % 3 else None]


class Search:
    """Looks for many canaries in one walk: by the first bytes of each spelling, then the whole of it."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._by_start: defaultdict[bytes, set[tuple[bytes, str, str]]] = defaultdict(set)
        for canary in canaries:
            for name, spelled in spellings(canary.value):
                assert len(spelled) >= SHORTEST, f"{canary.name} is too short to be looked for"
                self._by_start[spelled[:SHORTEST]].add((spelled, canary.name, name))

    def hits(self, places: Mapping[str, bytes]) -> list[Hit]:
        """Every canary in every place, in the order of the places."""
        return sorted(
            {hit for where, hay in places.items() for hit in self._in(where, hay)},
            key=lambda hit: (hit.where, hit.canary, hit.spelling),
        )

    def _in(self, where: str, hay: bytes) -> Iterator[Hit]:
        starts = self._by_start.keys()
        ends = len(hay) - SHORTEST + 1
        for start in {start for at in range(ends) if (start := hay[at : at + SHORTEST]) in starts}:
            for spelled, canary, name in self._by_start[start]:
                if spelled in hay:
                    yield Hit(where, canary, name)


def files(folder: Path, *given: Path) -> dict[str, bytes]:
    """Every file below a folder, whatever made it, but those that were ``given`` with secrets in them."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in given
    }
