"""A process in which the daemon drives the real worker on a real ledger; issuing waits for a line."""

import random
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobs import daemon, signals
from rotator.interfaces import Stored
from rotator.ledger import open_ledger
from rotator.model import (
    Credential,
    CurrentKey,
    Issued,
    Order,
    Policy,
    Provenance,
    ProviderRef,
    SecretState,
    StoreRef,
    Target,
)
from rotator.policies import Book
from rotator.run_pass import Worker
from rotator.telemetry import logs
from rotator.telemetry.sentry import QuietNotifier
from rotator.testing.fakes import FakeProvider, FakeStore, FakeWorld
from rotator.wiring import SystemClock
from tests.integration.daemon.script import say

SECRET = "prod/orders"
TARGET = Target(FakeStore.canonical({}, SECRET), StoreRef("fake", "fake"), SECRET)
PROVIDER = ProviderRef("fake", "fake", "https://fake.invalid")
POLICY = Policy("orders", PROVIDER, TARGET, every=timedelta(days=30), grace=timedelta(hours=1))


class SlowProvider(FakeProvider):
    """Issues when the test lets it."""

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:
        """Say so, wait, issue."""
        say("effect begun")
        sys.stdin.readline()
        issued = super().issue(label, wanted)
        say("effect over")
        return issued


class LoudStore(FakeStore):
    """Says when it is written to."""

    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """Say so, and stage."""
        say("stage")
        return super().stage(target, credential, push, onto)

    def promote(self, target: Target, version: str, expected: str) -> str:
        """Say so, and promote."""
        say("promote")
        return super().promote(target, version, expected)


def main() -> int:
    """Rotate one secret because a person asked for it."""
    folder = Path(sys.argv[1])
    stop = signals.catch()
    logs.configure("info", json=True, stream=sys.stderr)
    clock = SystemClock()
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    provider, store = SlowProvider(clock, random.Random(1)), LoudStore(clock)
    old = provider.add("made by hand")
    store.put(SECRET, "v0", {"key_id": old.key_id, "secret": old.secret}, current=True)
    now = ledger.now()
    known = CurrentKey("v0", old.key_id, Provenance.ADOPTED, now)
    state = SecretState(
        TARGET.id, "orders", PROVIDER.principal, now, looked_at=now, rotated_at=now, current=known
    )
    ledger.enroll([state])
    ledger.give(TARGET.id, Order("run", "a person", "drill", now))
    world = FakeWorld(ledger, provider, store, random.Random(2))
    worker = Worker(world, Book(policies=(POLICY,)), QuietNotifier(), holder="test", threads=2)
    code = daemon.run(
        worker,
        tick=timedelta(seconds=0.1),
        heartbeat=folder / "heartbeat",
        reload=lambda: None,
        notifier=QuietNotifier(),
        clock=clock,
        stop=stop,
    )
    rotation = ledger.rotation(TARGET.id)
    assert rotation is not None
    say(f"phase {rotation.phase} key {rotation.attempt.key_id}")
    worker.close()
    ledger.close()
    return code


if __name__ == "__main__":
    code = main()
    say(f"returned {code}")
    sys.exit(code)
