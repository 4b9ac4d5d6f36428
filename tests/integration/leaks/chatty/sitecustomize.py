"""Python imports this before a command: every logger says all that it can, whatever level it is given.

CHATTY names a file for the number of records that libraries made below WARNING; beside it is written what
could not be seen afterwards: the arguments of other processes, and what was in files that are gone. LEAK is a
deliberate leak: it has the process write its credentials, in disguise, where the search must find them.
"""

import atexit
import base64
import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_heard: list[str] = []
_make = logging.getLogRecordFactory()
_set_level = logging.Logger.setLevel


def _record(name: str, level: int, *args: Any, **more: Any) -> logging.LogRecord:
    if level < logging.WARNING and not name.startswith(("rotator", "jobs")):
        _heard.append(name)
    return _make(name, level, *args, **more)


def _told() -> None:
    """How many records libraries made."""
    with Path(os.environ["CHATTY"]).open("a") as file:
        file.write("".join(f"{name}\n" for name in _heard))


def _watch() -> None:
    """Note what is gone when the process has ended; each event is heard before it happens."""
    folder = Path(os.environ["CHATTY"]).parent
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    arguments, gone = (os.open(folder / f"output-{name}", flags, 0o600) for name in ("arguments", "gone"))

    def note(event: str, given: tuple[Any, ...]) -> None:
        if event in _STARTS:
            os.write(arguments, f"{given[:2]}\n".encode("utf-8", "backslashreplace"))
        elif event == "os.remove":
            _keep(gone, *given)
        elif event == "os.rename":
            _keep(gone, given[1], given[3])
        elif event == "open" and isinstance(given[2], int) and given[2] & os.O_TRUNC:
            _keep(gone, given[0])

    sys.addaudithook(note)


_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")


def _keep(gone: int, path: Any, folder: int = -1) -> None:
    """Copy a file that is about to be removed, replaced or emptied, if it is there."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK, dir_fd=None if folder == -1 else folder)
    except (OSError, TypeError):
        return
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            while part := os.read(file, 1 << 16):
                os.write(gone, part)
    finally:
        os.close(file)


def _leak() -> None:
    """What no process may do."""
    from rotator.model import Credential  # noqa: PLC0415 - for this alone

    kept: list[str] = []
    init = Credential.__init__

    def keep(self: Credential, fields: Mapping[str, str]) -> None:
        init(self, fields)
        kept.extend(fields.values())

    def write() -> None:
        values = " ".join(kept).encode()
        sys.stderr.write(base64.b64encode(values).decode())
        Path(os.environ["HOME"], "left-behind").write_text(values.hex())
        subprocess.run(["true", values.hex()], check=True)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(values.hex())

    Credential.__init__ = keep  # type: ignore[method-assign]
    atexit.register(write)


if "CHATTY" in os.environ:
    logging.setLogRecordFactory(_record)
    logging.Logger.setLevel = lambda self, level: _set_level(self, logging.DEBUG)  # type: ignore[method-assign]
    logging.getLogger().setLevel(logging.DEBUG)
    atexit.register(_told)
    _watch()
if "LEAK" in os.environ:
    _leak()
