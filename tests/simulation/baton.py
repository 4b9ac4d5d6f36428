"""Workers as threads in lockstep: only who has the baton runs, and a seeded draw says who gets it next.

The baton is passed at every call across a boundary. Time stands still while somebody can run; when nobody
can, it moves to the next moment at which something happens.
"""

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from rotator.testing.clock import ManualClock


class Gone(BaseException):
    """The process was killed: nothing of it runs any more."""


def _closed() -> threading.Lock:
    """A gate: who acquires it waits until somebody releases it, once. Much cheaper than a semaphore."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class Task:
    """One worker's thread, and when it can go on."""

    def __init__(self, name: str, now: datetime) -> None:
        self.name = name
        self.wake = now
        self.idle = False  # waits for something to do: whoever gives it something may wake it
        self.killed = False
        self.over = False
        self.thread: threading.Thread | None = None
        self.go = _closed()


class Baton:
    """Who runs, and what time it is. ``switch`` is how likely the baton is passed at a boundary."""

    def __init__(self, clock: ManualClock, rng: Random, switch: float) -> None:
        self.clock = clock
        self.fault: BaseException | None = None
        self._rng = rng
        self._switch = switch
        self._tasks: list[Task] = []
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbered = 0
        self._main = _closed()
        self._ends: Callable[[], bool] = lambda: False

    # tasks and timers

    def spawn(self, task: Task, run: Callable[[], None]) -> None:
        """Add a thread; it runs when it is given the baton."""

        def body() -> None:
            task.go.acquire()
            try:
                if not task.killed:
                    run()
            except Gone:
                pass
            except BaseException as fault:  # noqa: BLE001  # told by whoever started the run
                self.fault = self.fault or fault
            task.over = True
            self._tasks.remove(task)
            if not task.killed:
                self._next(None)

        task.thread = threading.Thread(target=body, name=task.name, daemon=True)
        self._tasks.append(task)
        task.thread.start()

    def at(self, when: datetime, act: Callable[[], None]) -> None:
        """Have something happen at a time, once everything before it has happened."""
        self._numbered += 1
        heapq.heappush(self._timers, (when, self._numbered, act))

    def wake_idle(self) -> None:
        """Let those look again that had nothing to do."""
        for task in self._tasks:
            if task.idle:
                task.wake = min(task.wake, self.clock.now())

    @property
    def waits(self) -> bool:
        """Whether something is still to happen."""
        return bool(self._timers)

    # passing it on

    def boundary(self, task: Task) -> None:
        """Somebody else may go first."""
        if (
            task.killed
            or self._due()
            or self._ends()
            or (len(self._tasks) > 1 and self._rng.random() < self._switch)
        ):
            self._pass(task)

    def wait(self, task: Task, until: datetime, *, idle: bool = False) -> None:
        """Go on at a time, or when woken if ``idle``."""
        task.wake, task.idle = until, idle
        self._pass(task)
        task.idle = False

    def _pass(self, task: Task) -> None:
        if not task.killed and self._next(task):
            task.go.acquire()
        if task.killed:
            raise Gone

    def _due(self) -> bool:
        return bool(self._timers) and self._timers[0][0] <= self.clock.now()

    def _next(self, me: Task | None) -> bool:
        """Hand the baton on; False where it stays with ``me``."""
        chosen = None if self.fault else self._chosen()
        if chosen is me and me is not None:
            return False
        (chosen.go if chosen else self._main).release()
        return True

    def _chosen(self) -> Task | None:
        """Who runs next; None where the run is over."""
        while not self._ends():
            while self._due():
                heapq.heappop(self._timers)[2]()
            now = self.clock.now()
            ready = [task for task in self._tasks if task.wake <= now]
            if ready:
                return ready[0] if len(ready) == 1 else self._rng.choice(ready)
            times = [task.wake for task in self._tasks] + [when for when, _, _ in self._timers[:1]]
            if not times:
                return None
            self.clock.advance_to(max(min(times), now + timedelta(microseconds=1)))
        return None

    # the run

    def run(self, ends: Callable[[], bool]) -> None:
        """Let the tasks run until ``ends``, or until nothing is left to happen."""
        self._ends = ends
        self._next(None)
        self._main.acquire()
        if self.fault:
            raise self.fault

    def kill_all(self) -> None:
        """End every thread, wherever it is."""
        for task in list(self._tasks):
            task.killed = True
            task.go.release()
            assert task.thread is not None, "a task that was spawned has a thread"
            task.thread.join()

    def deliver(self) -> None:
        """Let everything happen that is still to come, time moving on."""
        while self._timers:
            when, _, act = heapq.heappop(self._timers)
            self.clock.advance_to(when)
            act()
