import io
import json
import logging
import secrets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rotator.errors import Refused
from rotator.model import Credential
from rotator.telemetry import logs

log = logging.getLogger("rotator.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    levels = {name: logging.getLogger(name).level for name in (*logs.OURS, *logs.LIBRARIES)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def written(level: str = "debug", *, json: bool = True) -> io.StringIO:
    """A stream that gets the logs from now on."""
    stream = io.StringIO()
    logs.configure(level, json=json, stream=stream)
    return stream


def line(stream: io.StringIO) -> dict[str, Any]:
    """The only line of the stream."""
    (text,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_is_one_json_object_of_allowed_fields() -> None:
    """A record becomes time, level, logger, event and the allowed extra fields; all others are dropped."""
    stream = written()
    log.warning("issued %s", "a key", extra={"policy": "orders", "debt": "d1", "headers": "x", "count": 3})
    found = line(stream)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "warning",
        "logger": "rotator.test",
        "event": "issued a key",
        "policy": "orders",
        "debt": "d1",
        "count": 3,
    }


def test_on_a_terminal_a_line_is_readable() -> None:
    """People read time, level, logger, sentence and fields in one line."""
    stream = written(json=False)
    log.error("refused", extra={"policy": "orders", "error": "http-403"})
    assert stream.getvalue()[8:] == " error   rotator.test: refused  policy=orders error=http-403\n"


@pytest.mark.parametrize("name", [*logs.LIBRARIES, "botocore.hooks", "httpx._client", "unknown.library"])
def test_libraries_are_silent_below_warning_even_if_somebody_turns_them_up(name: str) -> None:
    """What a library logs below WARNING, where headers and bodies are, is not written at our level DEBUG."""
    stream = written()
    library = logging.getLogger(name)
    library.info("quiet")
    assert stream.getvalue() == ""
    if name == "botocore.hooks":
        library.setLevel(logging.DEBUG)
        library.debug("quiet")
        library.setLevel(logging.NOTSET)
        assert stream.getvalue() == ""
    library.warning("loud")
    assert line(stream)["event"] == "loud"


@pytest.mark.parametrize("json", [True, False])
def test_no_live_value_is_written_whichever_way_it_comes(json: bool) -> None:
    """Message, arguments, extra fields, exceptions and logger names are scrubbed in both forms."""
    stream = written(json=json)
    value = secrets.token_hex(20)
    live = Credential({"api_secret": value})
    log.error("it is %s", value)
    log.error(f"it is {value}", extra={"error": value, "policy": value})  # noqa: G004 - what must not matter
    log.error("a dict %s", {"x": {"y": value}}, extra={"where": [value]})
    log.error("%(here)s", {"here": value})
    log.error("%r", live)
    try:
        raise ValueError(value)  # noqa: TRY301
    except ValueError as error:
        log.exception("failed: %s", error)  # noqa: TRY401 - what must not matter
        log.warning(error)
        log.error("failed", extra={"error": error})  # noqa: TRY400
    assert value not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 8


def test_of_a_foreign_exception_the_class_and_our_lines_are_written() -> None:
    """A library's exception shows its class and where in our code it passed, not its text or a traceback."""
    stream = written()
    try:
        Credential({}).__reduce__()
    except TypeError:
        log.exception("failed")
    found = line(stream)
    assert found["error"] == "TypeError"
    assert found["where"].startswith("rotator/model.py:")
    assert "serialised" not in stream.getvalue()


def test_of_our_own_exception_the_message_is_written() -> None:
    """Our own exceptions say what happened, and the log repeats it."""
    stream = written()
    log.error("failed", extra={"error": Refused("http-403", "Markets refused the key of orders.")})
    assert line(stream)["error"] == "Refused: Markets refused the key of orders. [http-403]"


@pytest.mark.parametrize("json", [True, False])
def test_no_text_can_begin_a_line_or_move_the_cursor(json: bool) -> None:
    """Control characters, line separators, direction marks and lone surrogates are written escaped."""
    stream = written(json=json)
    log.error("a\nb\r\x1b[2Jc\u2028d\u202ee\ud800f\x85g", extra={"policy": "p\n{}"})
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    shown = line(stream)["event"] if json else text[:-1]
    assert all(char.isprintable() for char in shown)
    assert r"a\u000ab" in shown


class Awkward:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_log_call_never_raises() -> None:
    """Wrong arguments, objects without text, closed and narrow streams cost at most the line."""
    stream = written()
    log.error("%d and %d", "x")  # noqa: PLE1206 - wrong on purpose
    log.error("%s", Awkward())
    log.error(Awkward(), extra={"policy": Awkward()})
    assert len(stream.getvalue().splitlines()) == 3
    stream.close()
    log.error("into nothing")
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    logs.configure("info", json=False, stream=narrow)
    log.error("grün")
    narrow.seek(0)
    assert r"gr\xfcn" in narrow.read()
    narrow.close()


def test_an_unknown_level_is_said() -> None:
    """A level that does not exist is refused with those that do."""
    with pytest.raises(ValueError, match=r"no log level 'loud'. Use debug"):
        logs.configure("loud", json=True, stream=io.StringIO())


def test_an_exception_that_nobody_caught_shows_no_text() -> None:
    """Python's own last words, with the exception's text and the source line, are replaced by a log line."""
    value = secrets.token_hex(16)
    script = f"""
        import sys, threading
        from rotator.telemetry import logs
        logs.configure("info", json=True, stream=sys.stderr)
        def fail(): raise ValueError("{value}")
        thread = threading.Thread(target=fail); thread.start(); thread.join()
        fail()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    found = [json.loads(text) for text in done.stderr.splitlines()]
    assert [(each["level"], each["error"]) for each in found] == [("critical", "ValueError")] * 2
    assert value not in done.stderr
