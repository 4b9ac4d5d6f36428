"""A secret that Secrets Manager rotates: its service, in memory, which calls the four steps and retries."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from rotator import native
from rotator.desk import Desk
from rotator.errors import LedgerUnusable
from rotator.interfaces import Clock, Ledger
from rotator.model import Policy
from rotator.native import DONE, Answer, Step
from rotator.run_pass import Worker
from rotator.testing.fake_secret import Secret
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.testing.fakes import FakeStore
from tests.simulation.engine import LedgerClock, _fresh
from tests.simulation.sim import APP, GRACE, PROVIDER, SECRET, TARGET, Crash, Sim, Violation

NATIVE = Policy("one", PROVIDER, replace(TARGET, native=True), grace=GRACE, consumers=(APP,))


class Kept:
    """The secret as the checker looks at it: which version is current, and which ever was."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self.history: list[str] = []

    @property
    def current(self) -> str | None:
        """The version that consumers read."""
        holds = self._secret.holder("AWSCURRENT")
        now = holds.id if holds else None
        if now is not None and now != next(iter(self.history[::-1]), None):
            self.history.append(now)
        return now


class NativeStore:
    """The real adapter over the service in memory, with what a simulation knows of a store."""

    replicas_show = True

    def __init__(self, clock: Clock) -> None:
        self.service = FakeSecretsManager(clock)
        self.client = self.service.client()
        self.adapter = self.service.store()
        self.secrets: dict[str, Kept] = {}

    def put(self, secret: str, version: str, value: Mapping[str, str], *, current: bool) -> None:
        """Write a version as somebody else would."""
        if secret not in self.secrets:
            self.client.create_secret(Name=secret)
            self.secrets[secret] = Kept(self.service._secrets[self.service.region, secret])
        labels = ["AWSCURRENT"] if current else ["AWSPENDING"]
        self.client.put_secret_value(
            SecretId=secret, SecretString=json.dumps(value), ClientRequestToken=version, VersionStages=labels
        )

    def value(self, secret: str) -> Mapping[str, str]:
        """What consumers read."""
        held: dict[str, str] = json.loads(self.client.get_secret_value(SecretId=secret)["SecretString"])
        return held

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)


class NativeSim(Sim):
    """The simulation of one secret, with the service in place of a schedule. ``token`` is the rotation's."""

    first = "00000000-0000-4000-8000-00000000000f"
    token = ""

    def __post_init__(self) -> None:
        self.policy = NATIVE
        super().__post_init__()
        self.aws.client.rotate_secret(SecretId=SECRET, RotateImmediately=False)

    def _opened(self) -> Ledger:
        return _fresh(LedgerClock(self.clock))

    def make_store(self) -> FakeStore:
        """Secrets Manager in place of the plain one."""
        self.aws = NativeStore(self.clock)
        return cast("FakeStore", self.aws)

    def rotate(self, token: str | None = None) -> None:
        """RotateSecret: the service names a version, and will call for it."""
        named = {} if token is None else {"ClientRequestToken": token}
        self.token = self.aws.client.rotate_secret(SecretId=SECRET, **named)["VersionId"]

    def step(self, step: Step, worker: Worker | None = None) -> Answer:
        """One call of the rotation function, as far as it goes without a wait."""
        answers: list[Answer] = []

        def act(desk: Desk, policy: Policy | None) -> datetime:
            assert policy is not None
            answers.append(native.take(desk, policy, step, self.token))
            return desk.now()

        (worker or self.start()).work(TARGET.id, act)
        return answers[0] if answers else Answer(False, "another holds it", self.clock.now())

    def invoke(self, step: Step, patience: timedelta = timedelta(minutes=5)) -> Answer:
        """One call of the rotation function, in a process of its own, which waits for what passes."""
        worker, ends = self.start(), self.clock.now() + patience
        while True:
            answer = self.step(step, worker)
            if answer.done or answer.at is None or max(answer.at, self.clock.now()) > ends:
                return answer
            self.clock.advance_to(max(answer.at, self.clock.now() + timedelta(seconds=1)))

    def all_steps(self) -> bool:
        """The four steps in their order, one failing ends them; whether all were done."""
        return all(self.tried(step) == DONE for step in Step)

    def tried(self, step: Step) -> Answer:
        """A call whose process may be killed: then the service hears of an error."""
        try:
            return self.invoke(step)
        except Crash:
            self.clock.advance(timedelta(seconds=95))
            return Answer(False, "killed")
        except LedgerUnusable as error:
            return Answer(False, str(error))

    def rotated(self, tries: int = 12) -> None:
        """Rotate as the service does, which calls again from the beginning; a pass every now and then."""
        self.rotate()
        for _ in range(tries):
            if self.all_steps():
                self.run()
                return
            self.clock.advance(timedelta(minutes=10))
            self.passes()
            pending = self.pending()
            if pending is None or pending == self.store.secrets[SECRET].current:
                if self.store.secrets[SECRET].current == self.token:
                    self.run()
                    return
                self.rotate()  # the next one on schedule has a new token
        raise Violation(f"never rotated: {self.where()}")

    def passes(self, steps: int = 60) -> None:
        """What scheduled passes do now: debts, and what was begun."""
        worker: Worker | None = None
        for _ in range(steps):
            try:
                worker = worker or self.start()
                due = self.ledger.due(1)
                if not due:
                    return
                worker.work(due[0])
            except Crash:
                worker = None
                self.clock.advance(timedelta(seconds=95))
            except LedgerUnusable:
                self.clock.advance(timedelta(seconds=5))

    def pending(self) -> str | None:
        """The version that has AWSPENDING."""
        holds = self.aws.service._secrets[self.aws.service.region, SECRET].holder("AWSPENDING")
        return holds.id if holds else None

    def rotate_anew(self) -> None:
        """A person takes the label back, and asks for another rotation."""
        pending = self.pending()
        if pending is not None:
            self.aws.client.update_secret_version_stage(
                SecretId=SECRET, VersionStage="AWSPENDING", RemoveFromVersionId=pending
            )
        self.rotate()

    def test_to_the_end(self) -> Answer:
        """testSecret, called for until it is done or will never be."""
        while True:
            answer = self.invoke(Step.TEST)
            if answer.done or answer.at is None:
                return answer
            self.clock.advance(timedelta(minutes=5))
