"""A process that runs the daemon or a tick with a fake worker; it says what happens on standard output.

Its argument is a JSON object; a line on standard input lets an effect end.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from jobs import daemon, signals, tick
from jobs.harden import harden
from rotator.errors import LedgerUnusable
from rotator.telemetry import logs
from rotator.wiring import SystemClock, notifier

FOREVER = threading.Event()


def say(text: str) -> None:
    """Tell the test."""
    os.write(1, f"{text}\n".encode())


class FakeWorker:
    """``does`` says what a pass does: nothing, one effect, hang, fail."""

    trouble = False

    def __init__(self, does: str) -> None:
        self._does = does
        self._passes = 0
        self._effects: list[threading.Thread] = []

    def run_pass(self) -> int:
        self._passes += 1
        say(f"pass {self._passes}")
        if self._does == "hang" or (
            self._does == "slow" and self._passes == 1 and sys.stdin.readline() == ""
        ):
            FOREVER.wait()
        if self._does == "fail":
            raise LedgerUnusable("The ledger cannot be reached. Start the database.")
        if self._does == "effect" and self._passes == 1:
            self._effects.append(threading.Thread(target=self._effect, daemon=True))
            self._effects[0].start()
        return len(self._effects)

    def _effect(self) -> None:
        say("effect begun")
        sys.stdin.readline()
        say("effect over")

    def busy(self) -> Sequence[str]:
        return ["orders"]

    def stop(self) -> None:
        say("stop")

    def drain(self, timeout: timedelta) -> bool:
        for effect in self._effects:
            effect.join(timeout.total_seconds())
        return not any(effect.is_alive() for effect in self._effects)

    def tell_alarms(self) -> None:
        say("tell")


def main() -> int:
    """Run what the argument says."""
    settings = json.loads(sys.argv[1])
    harden()
    stop = signals.catch()
    logs.configure("info", json=True, stream=sys.stderr)
    clock = SystemClock()
    every = timedelta(seconds=settings.get("tick", 60))
    tells = notifier(clock, every)
    worker = FakeWorker(settings.get("does", "nothing"))
    patience = timedelta(seconds=settings.get("patience", 30))
    if settings.get("early"):
        os.kill(os.getpid(), signal.SIGTERM)
    if settings.get("deaf"):  # nobody reads our log: its pipe is full
        os.set_blocking(2, False)
        try:
            while True:
                os.write(2, b"x" * 512)
        except BlockingIOError:
            os.set_blocking(2, True)
    if settings.get("single"):
        return tick.run(worker, notifier=tells, clock=clock, stop=stop, patience=patience)
    return daemon.run(
        worker,
        tick=every,
        heartbeat=Path(settings["heartbeat"]),
        reload=lambda: None,
        notifier=tells,
        clock=clock,
        stop=stop,
        patience=patience,
        stalled=timedelta(seconds=settings["stalled"]) if "stalled" in settings else None,
    )


if __name__ == "__main__":
    code = main()
    say(f"returned {code}")
    sys.exit(code)
