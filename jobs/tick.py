"""One pass, then the end: for cron, a Kubernetes CronJob, a scheduled task."""

import logging
import threading
from datetime import timedelta
from functools import partial

from jobs import signals
from jobs.anchoring import Anchoring
from jobs.daemon import LAST, PATIENCE, SLICE
from jobs.daily import Daily, Reconcile
from jobs.parts import Worker
from jobs.passes import Passes
from jobs.watchdog import Watchdog, give_up
from rotator.interfaces import Clock
from rotator.telemetry.sentry import Alarms

log = logging.getLogger(__name__)

LONGEST = timedelta(hours=1)


def run(
    worker: Worker,
    *,
    notifier: Alarms,
    clock: Clock,
    anchoring: Anchoring | None = None,
    daily: Daily | None = None,
    stop: threading.Event | None = None,
    patience: timedelta = PATIENCE,
    longest: timedelta = LONGEST,
) -> int:
    """One pass, after the day's comparison where that is due; returns when everything that it began is over.

    The answer is the exit code: 0 if nothing failed, is blocked or was cut short, otherwise 1. After
    SIGTERM nothing new begins. What still runs ``patience`` later, or ``longest`` after the start, is left
    behind: the process ends here with exit code 1. Runs in the main thread, unless ``stop`` is given.
    """
    stop = stop or signals.catch()
    watchdog = Watchdog(longest, clock, partial(give_up, worker))
    watchdog.start()
    passes = Passes(
        worker, reload=_nothing, notifier=notifier, clock=clock, beat=_nothing, anchoring=anchoring
    )
    compared = stop.is_set() or daily is None or Reconcile(daily, notifier).wake()
    good = (stop.is_set() or passes.one()) and compared
    _drain(worker, stop, watchdog, patience)
    cut_short = stop.is_set()
    watchdog.expect_end(LAST, "the pass is over and the end took too long")
    good = passes.end() and good
    notifier.flush(LAST / 2)
    watchdog.dismiss()
    notifier.close()
    return 0 if good and not worker.trouble and not cut_short else 1


def _drain(worker: Worker, stop: threading.Event, watchdog: Watchdog, patience: timedelta) -> None:
    """Wait until all is over, and pass a signal on; the watchdog ends a wait that is too long."""
    stopped = False
    while not worker.drain(SLICE):
        if stop.is_set() and not stopped:
            stopped = True
            watchdog.expect_end(patience, "it was asked to stop and work did not end")
            worker.stop()
            log.info("asked to stop: what is in flight ends, nothing new begins")
        elif stopped:
            worker.stop()  # each time: a step that ended meanwhile may have asked for its next one


def _nothing() -> None:
    """A single pass has no policies to load again and nobody who watches its heart."""
