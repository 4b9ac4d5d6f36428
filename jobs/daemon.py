"""The long-running worker: APScheduler as a metronome, signals, and a watchdog.

The scheduler only says "look now", in memory and in UTC: what is due is the ledger's business. One thread
ticks; the worker's own pool does the work.
"""

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_SCHEDULER_STARTED,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from jobs import signals
from jobs.anchoring import Anchoring
from jobs.daily import JITTER, WAKE, Daily, Reconcile
from jobs.heartbeat import beat, stale_after
from jobs.parts import Held, Worker
from jobs.passes import Passes
from jobs.watchdog import Watchdog, give_up
from rotator.interfaces import Clock
from rotator.telemetry.sentry import Alarms

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=50)  # platforms send SIGKILL 60 s after SIGTERM
SLICE = timedelta(seconds=0.25)  # between two looks whether the work is over
LAST = timedelta(seconds=5)  # of those 60, for telling the last alarms


def run(
    worker: Worker,
    *,
    tick: timedelta,
    heartbeat: Path,
    reload: Callable[[], None],
    notifier: Alarms,
    clock: Clock,
    anchoring: Anchoring | None = None,
    daily: Daily | None = None,
    stop: threading.Event | None = None,
    patience: timedelta = PATIENCE,
    stalled: timedelta | None = None,
) -> int:
    """Tick until SIGTERM or SIGINT, let the effects in flight end, and return the exit code 0.

    Runs in the main thread. ``reload`` is called before each pass and raises PolicyError for policies
    that cannot be used; ``daily`` is woken every hour, in a thread of its own. ``stop`` is from
    :func:`jobs.signals.catch`, where that was called earlier. If something still runs ``patience`` after the
    signal, or no tick ends for ``stalled`` (10 ticks, at least a minute), the process ends here with exit
    code 1. Raises ValueError for a tick that is not positive.
    """
    if tick <= timedelta(0):
        raise ValueError("The tick must be longer than nothing.")
    stop = stop or signals.catch()
    watchdog = Watchdog(stalled or stale_after(tick), clock, partial(give_up, worker))
    passes = Passes(
        worker,
        reload=reload,
        notifier=notifier,
        clock=clock,
        beat=partial(_beat, heartbeat, watchdog, worker),
        anchoring=anchoring,
    )
    heartbeat.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    watchdog.start()
    ending = _Ending(worker, watchdog, stop, clock, patience)
    scheduler = _scheduler(passes, tick, stop, clock)
    if daily is not None:
        _wake_daily(scheduler, Reconcile(daily, notifier), stop, clock)
    _tick_until(stop, ending, scheduler)
    return _end(worker, passes, notifier, watchdog, ending)


class _Ending(threading.Thread):
    """Waits for the signal, then stops the worker and the scheduler: a handler can do neither safely."""

    def __init__(
        self, worker: Worker, watchdog: Watchdog, stop: threading.Event, clock: Clock, patience: timedelta
    ) -> None:
        super().__init__(name="ending", daemon=True)
        self._worker = worker
        self._watchdog = watchdog
        self._stop_asked = stop
        self._clock = clock
        self._patience = patience
        self._deadline = 0.0
        self.ticking = threading.Event()  # the scheduler runs: before that it cannot be shut down
        self.scheduler: BlockingScheduler | None = None

    def run(self) -> None:
        """Wait, then end things in their order."""
        self._stop_asked.wait()
        self._deadline = self._clock.monotonic() + self._patience.total_seconds()
        self._watchdog.expect_end(self._patience, "it was asked to stop and the pass did not end")
        self._worker.stop()
        log.info("asked to stop: what is in flight ends, nothing new begins")
        if self.scheduler is not None:
            self.ticking.wait()
            self.scheduler.shutdown(wait=True)

    def left(self) -> timedelta:
        """What is left of the patience."""
        return timedelta(seconds=max(0.0, self._deadline - self._clock.monotonic()))


def _tick_until(stop: threading.Event, ending: _Ending, scheduler: BlockingScheduler) -> None:
    """Run the scheduler until the signal; not at all where the signal came first."""
    if not stop.is_set():
        ending.scheduler = scheduler
        scheduler.add_listener(lambda _: ending.ticking.set(), EVENT_SCHEDULER_STARTED)
        ending.start()
        scheduler.start()
    else:
        ending.start()
    ending.join()


def _scheduler(passes: Passes, tick: timedelta, stop: threading.Event, clock: Clock) -> BlockingScheduler:
    """One job, the first time now; late runs are run, several late ones once, never two at a time."""
    scheduler = BlockingScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max_workers=1), "daily": ThreadPoolExecutor(max_workers=1)},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )

    def metronome() -> None:
        if not stop.is_set():
            passes.tick()

    scheduler.add_job(
        metronome, "interval", seconds=tick.total_seconds(), id="pass", next_run_time=clock.now()
    )
    scheduler.add_listener(_on_scheduler, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    return scheduler


def _wake_daily(
    scheduler: BlockingScheduler, reconcile: Reconcile, stop: threading.Event, clock: Clock
) -> None:
    """A second job, which holds up no tick, nor a tick it; the first time within the jitter."""

    def wake() -> None:
        if not stop.is_set():
            reconcile.wake()

    seconds, jitter = WAKE.total_seconds(), int(JITTER.total_seconds())
    first = clock.now() + JITTER * random.random()  # noqa: S311 - no secret: workers shall not ask at once
    scheduler.add_job(
        wake, "interval", seconds=seconds, jitter=jitter, id="daily", executor="daily", next_run_time=first
    )


def _on_scheduler(event: Any) -> None:
    """What the scheduler did not do, in our words."""
    if event.code == EVENT_JOB_ERROR:
        log.error("a tick ended by an exception", extra={"error": event.exception})
    elif event.code == EVENT_JOB_MISSED:
        log.warning("a tick was missed")
    else:
        log.warning("a tick was left out: the one before it still runs")


def _beat(heartbeat: Path, watchdog: Watchdog, worker: Worker) -> None:
    """A sign of life to the watchdog and to the outside. A full disk is no reason to stop working."""
    watchdog.beat()
    try:
        beat(heartbeat, worker.holds if isinstance(worker, Held) else "")
    except OSError as error:
        log.error("the heartbeat cannot be written: %s", error.strerror, extra={"error": error})  # noqa: TRY400


def _end(worker: Worker, passes: Passes, notifier: Alarms, watchdog: Watchdog, ending: _Ending) -> int:
    """After the last tick: wait for what is in flight, tell what is untold."""
    watchdog.expect_end(ending.left() + LAST, "it was asked to stop and the end took too long")
    while not worker.drain(min(ending.left(), SLICE)):
        if not ending.left():
            give_up(worker, "it was asked to stop and work did not end")
        worker.stop()  # again: a step that ended meanwhile may have asked for its next one
    passes.end()
    notifier.flush(LAST / 2)
    watchdog.dismiss()
    notifier.close()
    log.info("stopped between effects")
    return 0
