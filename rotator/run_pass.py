"""One pass: claim what is due, work each secret apart, side by side.

A pass submits to a bounded pool and returns, so that one secret that hangs holds up no other. What is due
again within seconds (a key that is being verified) is taken up by a waker in this process; everything else
waits for the next pass, here or in another worker: only the ledger knows what is due.
"""

import heapq
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from rotator import caseload, safe_mode
from rotator.desk import Desk
from rotator.errors import Fenced, LedgerUnusable
from rotator.interfaces import Notifier, World
from rotator.likeness import Likeness
from rotator.memory import Memory
from rotator.model import Claim, Event, Level, Policy, SecretState
from rotator.policies import Book
from rotator.stopping import news, sentence, stop_of

CLAIM = timedelta(seconds=90)  # longer than an effect may last, and renewed before each
SOON = timedelta(seconds=30)  # what is due again within this time is not left to the next pass
_FAULT_PAUSE = timedelta(minutes=10)
_TAKEN = timedelta(seconds=2)
_ALARMS = "alarms"  # the lock of the worker that tells them
_TELLING = timedelta(seconds=30)  # after which another tells what this one handed over and nobody took
_NOTHING_SOON = 5.0
_LEDGER_PAUSE = timedelta(seconds=5)
_BUSY_PAUSE = timedelta(seconds=2)

log = logging.getLogger("rotator.pass")

Act = Callable[[Desk, Policy | None], datetime | None]
"""What is done at a secret's desk, and when to look at it again."""


class Worker:
    """Works what is due. ``holder`` names this process in claims; ``threads`` bounds the pool."""

    def __init__(
        self, world: World, book: Book, notifier: Notifier, *, holder: str, threads: int = 16
    ) -> None:
        self.world = world
        self.book = book
        self.trouble = False
        self.holds = ""  # a stop, as a sentence for people
        self._notifier = notifier
        self._holder = holder
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._memory = Memory()
        self._state = threading.Condition()
        self._running: set[str] = set()  # submitted, and not over
        self._waiting: list[str] = []  # those of them that have no thread yet
        self._busy: Counter[str] = Counter()  # those that have one, by account
        self._handed: set[int] = set()  # alarms told in this process and not yet taken
        self._soon: list[tuple[datetime, str]] = []
        self._more = False  # the last look found more that is due than there was room for
        self._closing = False
        self._waker: threading.Thread | None = None
        self.use(book)

    # policies

    def use(self, book: Book) -> None:
        """Work by these policies from now on: new secrets are enrolled, changed ones looked at anew."""
        ledger, now = self.world.ledger, self.world.ledger.now()
        digests = {policy.target.id: caseload.digest(policy) for policy in book.policies}
        self.book, self._likeness = book, Likeness(digests, now)
        ledger.enroll(
            SecretState(
                p.target.id,
                p.name,
                p.provider.principal,
                now,
                p.parent,
                self._drawn(),
                target=p.target,
                provider=p.provider,
            )
            for p in book.policies
        )
        self._memory.forget_secrets()
        changed = [
            state.id
            for state, _ in ledger.secrets()
            if digests.get(state.id, "") != state.digest
            or state.gone != (state.id not in digests)
            or (None in (state.target, state.provider) and not state.gone)
        ]
        ledger.nudge(changed)

    def _drawn(self) -> float:
        """A share of the jitter, in [0, 1)."""
        return int(self.world.random_hex()[:8], 16) / 2**32

    # a pass

    def run_pass(self, only: Collection[str] | None = None) -> int:
        """Submit what is due, or what of ``only`` is due; how many were submitted. Returns at once."""
        stop = stop_of(self.world.ledger)
        self.holds = sentence(stop) if stop else ""
        if self.world.stopping() or stop:
            self._more = False
            return 0
        self._mend_likeness()
        room = self._threads * 4 - len(self._running)
        if room <= 0:
            return 0
        found = self.world.ledger.due(room if only is None else 1_000_000)
        submitted = sum(self._submit(secret) for secret in found if only is None or secret in only)
        # Only now: whoever drains would see neither what was found before nor what is submitted here.
        self._more = only is None and len(found) == room and not self.world.stopping()
        return submitted

    def _mend_likeness(self) -> None:
        """Take up what a worker with other policies marked as deleted, just before asking what is due."""
        news = self._likeness.mend(self.world.ledger)
        if news is not None:
            self._notifier.tell(news)

    def _submit(self, secret_id: str) -> bool:
        """Have a thread work a secret, unless one does already."""
        with self._state:
            if secret_id in self._running or self._closing:
                return False
            self._running.add(secret_id)
            pool = self._threads_started()
            self._waiting.append(secret_id)
        pool.submit(self._work_next)
        return True

    def _threads_started(self) -> ThreadPoolExecutor:
        """The pool and the waker, made when there is something to do."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="worker")
            self._waker = threading.Thread(target=self._wake, name="waker", daemon=True)
            self._waker.start()
        return self._pool

    def _work_next(self) -> None:
        """Work, of what was submitted, a secret of the account at which the fewest are worked now: who waits
        for its turn at one account shall not be missing at another.
        """
        with self._state:
            secret_id = min(self._waiting, key=lambda one: self._busy[self._account(one)])
            self._waiting.remove(secret_id)
            account = self._account(secret_id)
            self._busy[account] += 1
        try:
            self._work(secret_id)
        finally:
            with self._state:
                self._busy[account] -= 1

    def _account(self, secret_id: str) -> str:
        """Where a secret's calls count; empty for one whose policy is gone."""
        policy = self.book.by_secret.get(secret_id)
        return policy.provider.principal if policy is not None else ""

    def _work(self, secret_id: str) -> None:
        """Claim, work, release; never raises."""
        next_at: datetime | None = None
        try:
            next_at = self.work(secret_id)
        except Fenced:
            log.warning("another worker went on with it", extra={"secret": secret_id})
        except LedgerUnusable as error:
            self.trouble = True
            log.error("the ledger failed: %s", error, extra={"secret": secret_id})  # noqa: TRY400
        finally:
            with self._state:
                self._running.discard(secret_id)
                soon = self.world.ledger.now() + SOON
                if next_at is not None and next_at <= soon and not self.world.stopping():
                    heapq.heappush(self._soon, (next_at, secret_id))
                self._state.notify_all()

    def work(self, secret_id: str, act: Act = caseload.work) -> datetime | None:
        """Work one secret under a claim, in this thread; when to look again, None if another holds it.

        ``act`` is what is done at its desk. Raises Fenced and LedgerUnusable.
        """
        ledger = self.world.ledger
        claim = ledger.claim(secret_id, self._holder, CLAIM)
        state = ledger.secret(secret_id) if claim else None
        if claim is None or state is None:
            return None
        policy = self.book.by_secret.get(secret_id)
        next_at: datetime | None = ledger.now() + _LEDGER_PAUSE
        lock = self._exclusive(policy)
        name = f"{self._holder}/{secret_id}"
        if lock is not None and not ledger.lock(lock, name, CLAIM):
            next_at = ledger.now() + _BUSY_PAUSE
            ledger.release(claim, next_at)
            return next_at
        try:
            next_at = self._at_desk(claim, state, policy, act)
        finally:
            if lock is not None:
                ledger.unlock(lock, name)
            ledger.release(claim, next_at)
        return next_at

    def _exclusive(self, policy: Policy | None) -> str | None:
        """The lock of a principal whose rate limit is so low that one worker at a time may call it."""
        if policy is None or not self.world.provider(policy.provider).traits.exclusive:
            return None
        return f"principal:{policy.provider.principal}"

    def _at_desk(self, claim: Claim, state: SecretState, policy: Policy | None, act: Act) -> datetime | None:
        """Work, and turn a fault of the program into an alarm of this one secret."""
        desk = Desk(self.world, self._memory, claim, state)
        try:
            return act(desk, policy)
        except (Fenced, LedgerUnusable):
            raise
        except Exception as fault:  # noqa: BLE001  # the boundary: each policy apart
            text = f"a fault in rotator: {type(fault).__name__} at {_where(fault)}"
            log.error(text, extra={"secret": state.id, "policy": state.policy})  # noqa: TRY400
            desk.write(
                events=[
                    desk.event("fault", text, level=Level.ALARM, error=type(fault).__name__, step="fault")
                ]
            )
            return self.world.ledger.now() + _FAULT_PAUSE
        finally:
            self.trouble = self.trouble or desk.trouble

    # what is due again soon

    def _wake(self) -> None:
        """Submit again what is due within seconds, until the worker closes."""
        while True:
            with self._state:
                if self._closing:
                    return
                refill = self._more and len(self._running) < self._threads * 2
                wait = 0.0 if refill else self._until_next()
                if wait > 0:
                    self._state.wait(wait)
                    continue
                if not refill:  # in one breath, or whoever drains would see it neither waiting nor running
                    secret_id = heapq.heappop(self._soon)[1]
                    if not self.world.stopping():
                        self._submit(secret_id)
            if refill:
                self._refill()
            with self._state:
                self._state.notify_all()

    def _refill(self) -> None:
        """Take up more of what is due, so that a long queue need not wait for the clock's next pass."""
        try:
            self.run_pass()
        except LedgerUnusable as error:  # the next pass tries again
            self._more = False
            log.error("the ledger failed: %s", error)  # noqa: TRY400

    def _until_next(self) -> float:
        """Seconds until the first of them is due; a few where there is none: whoever adds one wakes us."""
        if not self._soon:
            return _NOTHING_SOON
        return (self._soon[0][0] - self.world.ledger.now()).total_seconds()

    # the end

    def stop(self) -> None:
        """Let no new effect begin; what is under way ends at its next step."""
        self.world.stop()
        with self._state:
            self._more = False
            self._soon.clear()
            self._state.notify_all()

    def drain(self, timeout: timedelta) -> bool:
        """Wait until nothing runs and nothing is due again soon; whether that was so within ``timeout``."""
        with self._state:
            return self._state.wait_for(
                lambda: not (self._running or self._soon or self._more), timeout.total_seconds()
            )

    def busy(self) -> tuple[str, ...]:
        """The secrets that are being worked now."""
        with self._state:
            return tuple(sorted(self._running))

    def tell_alarms(self) -> None:
        """Hand each alarm to the notifier once; the ledger forgets it when people's side took it.

        One worker at a time tells. What was handed over but not taken is told again by the next process.
        """
        ledger = self.world.ledger
        of_stop = news(ledger)
        if of_stop is not None:
            self._notifier.tell(of_stop)
        if not self._untold() or not ledger.lock(_ALARMS, self._holder, _TELLING):
            return
        untold = self._untold()
        for event in untold:
            if event.seq not in self._handed:
                self._notifier.tell(event)
                self._handed.add(event.seq)
        if not self._handed or self._notifier.flush(_TAKEN):
            ledger.told(self._handed)
            for alarm in untold:
                if not alarm.seq:
                    safe_mode.told(ledger, alarm)
            self._handed.clear()
            ledger.unlock(_ALARMS, self._holder)

    def _untold(self) -> list[Event]:
        """Alarms that people have not been told: safe mode, which is of no one secret and has no number, and
        those of secrets, oldest first.
        """
        doubt = safe_mode.untold(self.world.ledger)
        return [*([doubt] if doubt else []), *self.world.ledger.untold()]

    def close(self) -> None:
        """End the threads; waits for what is running."""
        with self._state:
            self._closing = True
            self._more = False
            self._soon.clear()
            self._state.notify_all()
        if self._pool is not None and self._waker is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._waker.join()


def _where(fault: BaseException) -> str:
    """File and line of the innermost frame: the exception's text may hold a value, its place does not."""
    frames = traceback.extract_tb(fault.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
