"""Anchors outside of the ledger: a line of JSON each, appended to a file, or copied out of a log."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rotator.model import Anchor, Head

_VERSION = 1
_MOST = 2**63 - 1  # records: a database counts no further
_TAIL = 64 * 1024  # bytes at a file's end in which the newest anchor is looked for: about 300


def line(anchor: Anchor) -> str:
    """An anchor as text."""
    at = anchor.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    said = {
        "rotator_anchor": _VERSION,
        "ledger": anchor.ledger,
        "number": anchor.head.number,
        "mac": anchor.head.mac,
        "at": at,
        "records": anchor.seq,
    }
    return json.dumps(said, separators=(",", ":"))


def parsed(text: str) -> Anchor:
    """The anchor in a line, whatever stands around it, as in a log. Raises ValueError where there is none."""
    text = text.replace('\\"', '"')  # as in a log of JSON
    try:
        said, _ = json.JSONDecoder().raw_decode(text, text.index('{"rotator_anchor"'))
        head = Head(_count(said["number"]), str(said["mac"]))
        return Anchor(str(said["ledger"]), head, _moment(said["at"]), _count(said["records"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("There is no anchor in this line.") from None


def _moment(said: str) -> datetime:
    """A time with its zone. Raises TypeError and ValueError for any other, which is compared with none."""
    at = datetime.fromisoformat(said)
    if at.tzinfo is None:
        raise ValueError
    return at


def _count(said: object) -> int:
    """A number of records, as an anchor holds it. Raises ValueError for what no ledger can count."""
    if type(said) is not int or not 0 < said <= _MOST:
        raise ValueError
    return said


def read(path: Path, ledger_id: str, tail: int | None = None) -> Iterator[Anchor]:
    """The anchors of one ledger in a file, or in its last ``tail`` bytes; other lines are skipped.

    Raises OSError.
    """
    with path.open("rb") as file:
        if tail is not None:
            file.seek(max(0, path.stat().st_size - tail))
        for text in file:
            try:
                found = parsed(text.decode("utf-8", "replace"))
            except ValueError:  # half a line: the tail's first, or where a process was killed while it wrote
                continue
            if found.ledger == ledger_id:
                yield found


def newest(path: Path, ledger_id: str) -> Anchor | None:
    """What was given outside last of a ledger; None where nothing was.

    A ledger that does not hold it (`Ledger.holds`) was put back from an old backup, or rewritten.
    """
    try:
        found = read(path, ledger_id, tail=_TAIL)
        return max(found, key=lambda anchor: anchor.at, default=None)
    except FileNotFoundError:
        return None


def append(path: Path, anchor: Anchor) -> None:
    """Add an anchor to a file, which is made with mode 0600 where it is missing, and its folder with 0700.

    Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.write(descriptor, f"{line(anchor)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
