"""SIGTERM and SIGINT set an event, and do nothing else."""

import os
import signal
import threading

NUMBERS = (signal.SIGTERM, signal.SIGINT)


def catch() -> threading.Event:
    """From now on, the event that the first SIGTERM or SIGINT sets. Call it early, in the main thread.

    Before this call the first process of a container ignores SIGTERM, and any other ends at once.

    A thread of its own waits for the signals. Handlers of Python would not do: they run in the main thread
    alone, and one that is about to sleep, or whose signal another thread was given, sleeps to the end first
    (a whole tick), while the platform counts its 60 seconds. What the interpreter writes to its wakeup
    descriptor comes at once, whoever was given the signal:
    https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    stop = threading.Event()
    comes, goes = os.pipe()
    os.set_blocking(goes, False)
    signal.set_wakeup_fd(goes, warn_on_full_buffer=False)
    for number in NUMBERS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_wait, args=(comes, stop), name="signals", daemon=True).start()
    return stop


def _wait(comes: int, stop: threading.Event) -> None:
    """Set the event when one of ours comes; each byte is a signal's number, and no byte is the end."""
    while arrived := os.read(comes, 64):
        if any(number in arrived for number in NUMBERS):
            stop.set()
    os.close(comes)
