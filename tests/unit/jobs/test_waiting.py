import threading
from pathlib import Path

import pytest

from jobs import waiting
from rotator.errors import LedgerUnusable


class Stop(threading.Event):
    """A signal that comes at the given look; waiting takes no time."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.waited = at, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        """Remember for how long."""
        self.waited.append(timeout or 0)
        return len(self.waited) >= self.at


def away() -> str:
    """Open a ledger whose server is away."""
    raise LedgerUnusable("Its server does not answer. [down]", passing=True)


def test_a_daemon_waits_for_its_ledger_and_shows_that_it_lives(tmp_path: Path) -> None:
    """A ledger that is away is tried again later each time, with a heartbeat that says so."""
    stop, heartbeat, tries = Stop(at=100), tmp_path / "state" / "heartbeat", iter(range(7))

    def opens() -> str:
        return "opened" if next(tries) == 6 else away()

    assert waiting.opened(opens, stop=stop, heartbeat=heartbeat) == "opened"
    assert stop.waited == [1, 2, 4, 8, 15, 15]
    assert "waits for its ledger" in heartbeat.read_text()


def test_a_signal_ends_the_wait_for_a_ledger(tmp_path: Path) -> None:
    """SIGTERM is not held up by a server that is away."""
    with pytest.raises(waiting.Ended):
        waiting.opened(away, stop=Stop(at=2), heartbeat=tmp_path / "heartbeat")


def test_what_no_waiting_mends_is_told_at_once(tmp_path: Path) -> None:
    """A ledger that is set up wrongly ends the daemon with what to do."""

    def wrong() -> str:
        raise LedgerUnusable("Its address is not understood. [address]")

    stop = Stop(at=1)
    with pytest.raises(LedgerUnusable):
        waiting.opened(wrong, stop=stop, heartbeat=tmp_path / "heartbeat")
    assert stop.waited == []
