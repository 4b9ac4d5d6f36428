"""Python imports this before a command: every logger says all that it can, whatever level it is given.

CHATTY names a file for the number of records that libraries made below WARNING. LEAK is a deliberate leak: it
has the process write its credentials, in Base64, where the search must find them.
"""

import atexit
import base64
import logging
import os
import sys
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

    Credential.__init__ = keep  # type: ignore[method-assign]
    atexit.register(write)


if "CHATTY" in os.environ:
    logging.setLogRecordFactory(_record)
    logging.Logger.setLevel = lambda self, level: _set_level(self, logging.DEBUG)  # type: ignore[method-assign]
    logging.getLogger().setLevel(logging.DEBUG)
    atexit.register(_told)
if "LEAK" in os.environ:
    _leak()
