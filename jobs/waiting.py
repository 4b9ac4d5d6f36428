"""A daemon that is started while its ledger is away waits for it: who starts both need not order them."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs.heartbeat import beat
from rotator.errors import LedgerUnusable

log = logging.getLogger(__name__)

FIRST, LONGEST = 1.0, 15.0  # seconds between two tries: it beats with each, within what a health check allows
Made = TypeVar("Made")


class Ended(Exception):
    """SIGTERM came before the ledger did."""


def opened(opens: Callable[[], Made], *, stop: threading.Event, heartbeat: Path) -> Made:
    """What ``opens`` makes, as soon as the ledger is there: tried again later each time, with a sign of life.

    Raises LedgerUnusable where waiting would not help, and Ended once ``stop`` is set.
    """
    pause = FIRST
    while True:
        try:
            return opens()
        except LedgerUnusable as error:
            if not error.passing:
                raise
            log.error("the ledger is waited for: %s", error)  # noqa: TRY400 - our own sentence
            _beat(heartbeat, f"It waits for its ledger: {error}")
        if stop.wait(pause):
            raise Ended
        pause = min(pause * 2, LONGEST)


def _beat(heartbeat: Path, said: str) -> None:
    try:
        heartbeat.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beat(heartbeat, said)
    except OSError as error:
        log.error("the heartbeat cannot be written: %s", error.strerror, extra={"error": error})  # noqa: TRY400
