"""A worker's process: the real daemon over real adapters, in a hurry.

Its arguments: the ledger's address, the policy file, and a folder for its heartbeat.
"""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jobs import daemon, signals
from rotator import backoff, policies, run_pass
from rotator.ledger import open_ledger
from rotator.model import Verification
from rotator.providers.buildmarkets import Buildmarkets
from rotator.providers.network import Network, Surroundings
from rotator.telemetry import logs
from rotator.telemetry.sentry import QuietNotifier
from rotator.wiring import SystemClock, Wiring, holder

CLAIM = timedelta(seconds=3)  # longer than any effect on this machine


def main() -> int:
    """Work until SIGTERM, by the clock of the test: seconds where a real worker has minutes."""
    url, book, folder = sys.argv[1:]
    stop = signals.catch()
    logs.configure("info", json=True, stream=sys.stderr)
    run_pass.CLAIM, backoff._FIRST = CLAIM, timedelta(seconds=0.2)
    Buildmarkets.traits = replace(
        Buildmarkets.traits,
        verification=Verification(successes=2, over=timedelta(0)),
        visibility_delay=timedelta(seconds=0.5),
    )
    clock = SystemClock()
    ledger = open_ledger(url, clock, patience=3.0)
    with Wiring(ledger, clock, Network(Surroundings.read(os.environ), clock)) as world:
        worker = run_pass.Worker(
            world, policies.load(Path(book)), QuietNotifier(), holder=holder(), threads=4
        )
        try:
            return daemon.run(
                worker,
                tick=timedelta(seconds=0.2),
                heartbeat=Path(folder) / "heartbeat",
                reload=lambda: None,
                notifier=QuietNotifier(),
                clock=clock,
                stop=stop,
            )
        finally:
            worker.close()


if __name__ == "__main__":
    sys.exit(main())
