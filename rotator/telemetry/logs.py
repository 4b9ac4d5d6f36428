"""Logs on standard error: one JSON object a line for machines, one readable line for people.

What is written is an allow-list: the event's sentence and the ``extra`` fields named in FIELDS. Exceptions
show their class, and their text only where it is ours. Everything passes :func:`redaction.scrub`. No log
call raises, whatever it is given.
"""

import contextlib
import json as json_format
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from rotator.errors import RotatorError
from rotator.telemetry.redaction import scrub

FIELDS = (
    "policy",
    "secret",  # a secret's id, never what is in it
    "provider",
    "owner",
    "store",
    "step",
    "phase",
    "rotation",
    "attempt",
    "debt",
    "key_id",
    "kind",
    "error",
    "count",
    "seconds",
    "signal",
    "where",
)
OURS = ("rotator", "jobs")
LIBRARIES = (  # they write headers, bodies and URLs below WARNING
    "apscheduler",
    "boto3",
    "botocore",
    "hvac",
    "httpcore",
    "httpx",
    "oauthlib",
    "requests_oauthlib",
    "s3transfer",
    "sentry_sdk",
    "sqlalchemy",
    "urllib3",
)
LONGEST = 4000  # characters of one value
_ROOT = Path(__file__).parents[2]
_UNPRINTABLE = {
    code: f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        0xFEFF,
    )
}


def configure(level: str, *, json: bool, stream: TextIO) -> None:
    """Send every log of this process to ``stream``: ours from ``level`` on, libraries' from WARNING on.

    May be called again: the last call holds. Raises ValueError for a level that logging does not know.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {clean(level)!r}. Use debug, info, warning or error.")
    root = logging.getLogger()
    for handler in [*root.handlers]:
        root.removeHandler(handler)
    root.addHandler(_Lines(stream, _as_json if json else _as_text))
    quiet = max(number, logging.WARNING)
    root.setLevel(quiet)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(quiet)
    _catch_uncaught()


def clean(text: str) -> str:
    """``text`` in one line: scrubbed, cut, and no character that could start a line or move a cursor."""
    return scrub(text)[:LONGEST].translate(_UNPRINTABLE)


def error_text(error: BaseException) -> str:
    """What may be told of an exception: its class, and its message where we wrote it."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, RotatorError) else name


def where(error: BaseException) -> str:
    """Where in our own code an exception came through, innermost first, as ``file:line``."""
    return " < ".join(f"{file}:{line}" for file, line in reversed([*_frames(error.__traceback__)]))


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    """File and line of the frames that are ours, outermost first."""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in OURS:
            yield str(path.relative_to(_ROOT)), trace.tb_lineno
        trace = trace.tb_next


class _Lines(logging.Handler):
    """Writes records to a stream, and never raises nor prints anything else.

    logging's own handler answers a failure with a traceback that shows the record's arguments.
    """

    def __init__(self, stream: TextIO, form: Any) -> None:
        super().__init__()
        self._stream = stream
        self._form = form

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        with contextlib.suppress(Exception):  # the boundary: no log call raises
            if _is_library(record.name) and record.levelno < logging.WARNING:
                return
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            line = self._form(_parts(record)).encode(encoding, "backslashreplace").decode(encoding)
            self._stream.write(line + "\n")
            self._stream.flush()


def _is_library(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    """A record as the fields that are written."""
    parts: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": clean(_sentence(record)),
    }
    for name in FIELDS:
        value = getattr(record, name, None)
        if value is not None:
            parts[name] = value if isinstance(value, int | float) else clean(_told(value))
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        parts["error"] = clean(error_text(error))
        parts["where"] = where(error)
    return parts


def _told(value: object) -> str:
    """A value as text; an object whose text cannot be made is named by its class."""
    if isinstance(value, BaseException):
        return error_text(value)
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the boundary: whatever somebody's __str__ does, the log goes on
        return f"<{type(value).__name__}>"


def _safe(value: object) -> object:
    return error_text(value) if isinstance(value, BaseException) else value


def _sentence(record: logging.LogRecord) -> str:
    """The message with its arguments, where they fit; exceptions among them are cut to what may be told."""
    try:
        if not record.args:
            return _told(record.msg)
        if isinstance(record.args, tuple):
            return str(record.msg) % tuple(_safe(value) for value in record.args)
        return str(record.msg) % {name: _safe(value) for name, value in record.args.items()}
    except Exception:  # noqa: BLE001 - the boundary: a wrong number of arguments loses only the arguments
        return _told(record.msg)


def _as_json(parts: dict[str, Any]) -> str:
    return json_format.dumps(parts)


def _as_text(parts: dict[str, Any]) -> str:
    """``09:00:00 warning rotator.x: sentence  policy=orders error=Refused``."""
    head = f"{parts['time'][11:19]} {parts['level']:<7} {parts['logger']}: {parts['event']}"
    tail = " ".join(f"{name}={parts[name]}" for name in FIELDS if name in parts)
    return f"{head}  {tail}".rstrip()


def _catch_uncaught() -> None:
    """Exceptions that nobody caught are logged as all others: Python would print their text."""
    log = logging.getLogger("rotator")

    def main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("nobody caught an exception", exc_info=(kind, error, trace))

    def thread(found: threading.ExceptHookArgs) -> None:
        if found.exc_value is not None:
            log.critical("a thread ended by an exception", exc_info=found.exc_value)

    def unraisable(found: Any) -> None:
        log.error("an exception in clean-up", exc_info=found.exc_value)

    sys.excepthook = main
    threading.excepthook = thread
    sys.unraisablehook = unraisable
