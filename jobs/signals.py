"""SIGTERM and SIGINT set an event, and do nothing else."""

import signal
import threading
from types import FrameType


def catch() -> threading.Event:
    """From now on, the event that the first SIGTERM or SIGINT sets. Call it early, in the main thread.

    Before this call the first process of a container ignores SIGTERM, and any other ends at once.
    """
    stop = threading.Event()
    seen = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        del number, frame
        if seen:  # a second signal may interrupt the first one's set(), whose lock cannot be taken twice
            return
        seen = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return stop
