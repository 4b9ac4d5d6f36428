"""What a warm Lambda function keeps between two invocations, and the work of one.

Kept are the ledger, clients and the policies as they were read last. Each invocation has a worker and
couriers of its own, so that no thread and no value of a secret outlives it; admin credentials are forgotten
and connections to providers closed before it returns, since nobody knows for how long the process is frozen
then.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from jobs.anchoring import Anchoring
from jobs.changes import WhenChanged
from jobs.daily import Reconcile
from jobs.lambda_events import NativeStep, WrongEvent
from jobs.lambda_time import LAST, Context, Until
from jobs.passes import Once, Passes
from rotator import native, wiring
from rotator.desk import Desk
from rotator.errors import LedgerUnusable, PolicyError, RotatorError
from rotator.model import Policy
from rotator.native import Answer, Step
from rotator.policies import Book, load, stamp
from rotator.reconcile.daily import Daily
from rotator.run_pass import Worker
from rotator.telemetry.everybody import Everybody
from rotator.telemetry.services import DEADLINE
from rotator.wiring import Wiring

log = logging.getLogger(__name__)

TICK = timedelta(minutes=5)  # what Sentry is told to expect of the schedule
_SLICE = timedelta(seconds=0.25)
_MESSAGE = timedelta(seconds=DEADLINE)  # for channels, where there is time; else the next event tells them
_BUSY = timedelta(seconds=1)  # until a secret that another worker holds is asked for again


class StepFailed(RotatorError):
    """A step of Secrets Manager's rotation was not done: it hears of an error, and calls again."""


class Function:
    """One ledger, one folder of policies. Raises PolicyError and LedgerUnusable where it cannot begin."""

    def __init__(self, policies: str, world: Wiring, tells: Everybody, anchors: Path) -> None:
        self._world = world
        self._tells = tells
        self._anchors = anchors
        self._told = Once(tells, "policies")
        path = Path(policies)
        self._book = load(path)
        self._reload = WhenChanged(partial(stamp, path), partial(self._load, path))

    def _load(self, path: Path) -> None:
        self._book = load(path)
        self._tells.use(self._book.notices, self._book.policies)

    def _policies(self) -> Book:
        """The policies as they are now; wrong ones change nothing, and people are told once."""
        try:
            self._reload()
        except PolicyError as error:
            kept = "the last good ones stay in force."
            self._told.wrong(f"The policies cannot be used as they are now; {kept}", error)
        else:
            self._told.right()
        return self._book

    # --- a schedule ---

    def tick(self, context: Context) -> Mapping[str, Any]:
        """One pass, and the day's comparison where that is due; what is left goes on at the next event."""
        with self._worker(context) as (worker, until):
            anchoring = Anchoring(self._world.ledger, self._anchors, self._tells, self._world.clock)
            passes = Passes(
                worker,
                reload=_nothing,
                notifier=self._tells,
                clock=self._world.clock,
                beat=_nothing,
                anchoring=anchoring,
            )
            good = until.stopping() or passes.one()
            short = _drain(worker, until)
            daily = Daily(until, lambda: self._book.policies, wiring.holder())
            good = (until.stopping() or Reconcile(daily, self._tells).wake()) and good
            good = passes.end() and good
            self._tells.checkin("ok" if good else "error", LAST)
            at = self._world.ledger.next_due()
        return {
            "rotator": "tick",
            "good": good and not worker.trouble,
            "cut_short": short,
            "stopped": worker.holds or None,
            "next": at.isoformat() if at else None,
        }

    # --- Secrets Manager's own rotation ---

    def step(self, asked: NativeStep, context: Context) -> Mapping[str, Any]:
        """A step of the contract, waited for while there is time. Raises StepFailed with the reason."""
        with self._worker(context) as (worker, until):
            policy = _policy_of(self._book, asked.secret)
            vouch = getattr(self._world.store(policy.target.store), "vouch", None)
            if vouch is not None:
                vouch(asked.token, asked.vouched)
            answer = self._waited_for(worker, until, policy, asked)
            worker.tell_alarms()
        if not answer.done:
            raise StepFailed(f"{asked.step} of {policy.name}: {answer.why}")
        return {"rotator": asked.step, "policy": policy.name, "done": True}

    def _waited_for(self, worker: Worker, until: Until, policy: Policy, asked: NativeStep) -> Answer:
        """Take the step, again and again while it answers that it may be taken soon."""
        clock, ledger = self._world.clock, self._world.ledger
        while True:
            answer = _taken(worker, policy, asked, ledger.now() + _BUSY)
            wait = (answer.at - ledger.now()) if answer.at is not None else None
            if answer.done or wait is None or wait >= until.left():
                return answer
            clock.sleep(max(wait.total_seconds(), _SLICE.total_seconds()))

    # --- one invocation ---

    @contextmanager
    def _worker(self, context: Context) -> Iterator[tuple[Worker, Until]]:
        """A worker for one invocation, none of whose threads outlives it; what it did is told."""
        until = Until(self._world, context, self._world.clock)
        self._tells.use(self._book.notices, self._book.policies)  # wrong policies are told there as well
        try:
            worker = Worker(until, self._policies(), self._tells, holder=wiring.holder())
            try:
                yield worker, until
            finally:
                worker.stop()
                worker.close()
        finally:
            self._tells.flush(LAST / 3)
            self._tells.rest(max(LAST / 3, min(until.left(), _MESSAGE)))
            self._world.rest()

    def close(self) -> None:
        """Let go of everything: for tests, since Lambda tells nobody when a function's life is over."""
        self._tells.close()
        self._world.close()


def _taken(worker: Worker, policy: Policy, asked: NativeStep, later: datetime) -> Answer:
    """One look at the step, under a claim; to be taken again ``later`` where another worker has that."""
    answers: list[Answer] = []

    def act(desk: Desk, in_force: Policy | None) -> datetime:
        answers.append(native.take(desk, in_force or policy, Step(asked.step), asked.token))
        return desk.now()  # a pass looks when the secret's next action is

    before = worker.trouble
    worker.work(policy.target.id, act)
    if answers:
        return answers[0]
    if worker.trouble and not before:
        return Answer(False, "a fault in rotator; see its alarms")
    return Answer(False, "another worker acts on the secret", later)


def _drain(worker: Worker, until: Until) -> bool:
    """Wait until all that was begun is over; whether the time was too short for all of it."""
    while not worker.drain(_SLICE):
        if until.stopping():
            worker.stop()
            log.info("the time is short: what is in flight ends, the next event goes on")
            return True
    return until.stopping()


def _policy_of(book: Book, secret: str) -> Policy:
    """The policy of a secret that Secrets Manager names."""
    ids = [one for store in book.stores.values() if (one := wiring.canonical(store, secret))]
    found = next((book.by_secret[one] for one in ids if one in book.by_secret), None)
    if found is None:
        raise WrongEvent("Secrets Manager calls for a secret of which there is no policy here.")
    if not found.target.native:
        raise WrongEvent(
            f"Policy {found.name} keeps its own schedule, so Secrets Manager's rotation of its secret is "
            "refused. Say `trigger: secrets-manager` there, or switch that rotation off."
        )
    return found


def _nothing() -> None:
    """Policies were loaded, and nobody watches a heart."""


__all__ = ["Function", "LedgerUnusable", "StepFailed"]
