"""What the clock does after it stood still."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from jobs import daemon
from rotator.testing.clock import ManualClock


class Counting:
    """Passes that are only counted."""

    def __init__(self) -> None:
        self.ticks = 0
        self.first = threading.Event()

    def tick(self) -> None:
        """One more."""
        self.ticks += 1
        self.first.set()


def test_one_pass_catches_up_after_many_that_were_missed() -> None:
    """After two days of ticks that nobody heard there is one pass at once, not one for each."""
    clock, passes = ManualClock(), Counting()
    clock.advance_to(datetime.now(UTC) - timedelta(days=2))
    ticking = daemon._scheduler(cast("Any", passes), timedelta(hours=1), threading.Event(), clock)
    thread = threading.Thread(target=ticking.start)
    thread.start()
    assert passes.first.wait(20)
    ticking.shutdown(wait=True)
    thread.join()
    assert passes.ticks == 1
