"""The worker under measure: real stories, real pass, real ledger in a file, real adapters."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from sqlalchemy import text

from rotator import caseload
from rotator.due import settings_digest
from rotator.interfaces import Ledger, SecretStore
from rotator.ledger import open_ledger
from rotator.ledger.sql import SqlLedger
from rotator.model import (
    AdminRef,
    CurrentKey,
    Policy,
    Provenance,
    ProviderRef,
    SecretState,
    StoreRef,
    Target,
)
from rotator.policies import Book
from rotator.providers.network import Network, Surroundings
from rotator.run_pass import Worker
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.testing.fakes import Told
from rotator.wiring import SystemClock, Wiring
from tests.bench.outside import REGION, SCOPES, Outside, admin_secret

LAST = timedelta(days=40)  # how long ago each key was issued: all are due
_TICK = 15.0  # seconds between passes, as the daemon's default


class World(Wiring):
    """As in a real process, but that the store may be one in memory."""

    def __init__(self, ledger: Ledger, service: FakeSecretsManager | None) -> None:
        clock = SystemClock()
        super().__init__(ledger, clock, Network(Surroundings(), clock))
        self._in_memory = service.store() if service else None

    def store(self, ref: StoreRef) -> SecretStore:
        """The store in memory, or the adapter over boto3."""
        return self._in_memory or super().store(ref)


@dataclass
class Counts:
    """What was done to the ledger."""

    commits: int = 0
    statements: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What a number of rotations took. Calls by method and kind; seconds."""

    rotations: int
    store: dict[str, int]
    provider: dict[str, int]
    commits: int
    statements: int
    cpu: float
    wall: float
    threads: int
    latency: float = field(default=0.0)  # of all calls together

    @property
    def store_calls(self) -> float:
        """For one rotation."""
        return sum(self.store.values()) / self.rotations

    @property
    def cpu_each(self) -> float:
        """Seconds of CPU for one rotation."""
        return self.cpu / self.rotations

    @property
    def provider_calls(self) -> float:
        """For one rotation."""
        return sum(self.provider.values()) / self.rotations


def book(outside: Outside, store: StoreRef) -> Book:
    """A policy for each key."""
    providers = [
        ProviderRef(
            f"build-{number}",
            "buildmarkets",
            url,
            AdminRef(store, admin_secret(number)),
            {"requests_per_second": 10_000.0},
        )
        for number, url in enumerate(outside.accounts)
    ]
    policies = tuple(
        Policy(
            f"policy-{one.secret[5:]}",
            providers[one.account],
            Target(AwsSecretsManager.canonical(store.settings, one.secret), store, one.secret),
            every=timedelta(days=30),
            grace=timedelta(0),
            key={"scopes": list(SCOPES)},
        )
        for one in outside.held
    )
    return Book({store.name: store}, {provider.name: provider for provider in providers}, policies)


def take_on(ledger: Ledger, book: Book, outside: Outside) -> None:
    """The ledger as it would be if each key had been adopted, and had become too old."""
    now = ledger.now()
    since = now - LAST
    ledger.enroll(
        SecretState(
            id=policy.target.id,
            policy=policy.name,
            principal=policy.provider.principal,
            enrolled_at=since,
            looked_at=since,
            current=CurrentKey(one.version, one.fields["key_id"], Provenance.ADOPTED, since),
            rotated_at=since,
            settings=settings_digest(policy),
            rehearsed_at=now,
            digest=caseload.digest(policy),
        )
        for policy, one in zip(book.policies, outside.held, strict=True)
    )


def rotate(outside: Outside, folder: Path, *, over_http: bool, threads: int = 16) -> Run:
    """Rotate every key, until every old one is proven dead."""
    service = None
    settings: dict[str, str] = {"region": REGION}
    if over_http:
        settings["endpoint_url"] = outside.store_url
    else:
        service = FakeSecretsManager(SystemClock(), region=REGION)
        outside.furnish(service)
        service._latency = outside.size.store_latency
    store = StoreRef("aws", "aws-secrets-manager", settings)
    with _counting():
        return _rotated(outside, folder, store, service, threads)


def _rotated(
    outside: Outside, folder: Path, store: StoreRef, service: FakeSecretsManager | None, threads: int
) -> Run:
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", SystemClock())
    assert isinstance(ledger, SqlLedger), "the ledger in a file"
    policies = book(outside, store)
    take_on(ledger, policies, outside)
    with World(ledger, service) as world:
        worker = Worker(world, policies, Told(), holder="bench", threads=threads)
        try:
            _counts.commits = _counts.statements = 0
            began, cpu = time.monotonic(), time.process_time()
            _work(worker, ledger, len(outside.held))
            wall, cpu = time.monotonic() - began, time.process_time() - cpu
            counts = replace(_counts)
        finally:
            worker.close()
        for adapter in world._stores:
            closing = adapter[1]
            assert isinstance(closing, AwsSecretsManager), "there is no other"
            closing.close()
    calls = outside.calls()
    store_calls = dict(service.calls) if service else calls["store"]
    latency = outside.size.store_latency * sum(store_calls.values())
    latency += outside.size.provider_latency * sum(calls["provider"].values())
    return Run(
        len(outside.held),
        store_calls,
        calls["provider"],
        counts.commits,
        counts.statements,
        cpu,
        wall,
        threads,
        latency,
    )


def _work(worker: Worker, ledger: SqlLedger, rotations: int) -> None:
    """Pass as the daemon does, until so many keys are proven dead."""
    next_pass = 0.0
    while (dead := _dead(ledger)) < rotations:
        if time.monotonic() >= next_pass:
            next_pass = time.monotonic() + _TICK
            worker.run_pass()
        assert time.monotonic() < next_pass + 300, f"only {dead} are dead after five minutes"
        time.sleep(0.1)


def _dead(ledger: SqlLedger) -> int:
    with ledger._database.engine.connect() as connection:
        return int(connection.execute(_PAID).scalar_one())


_PAID_TEXT = "SELECT count(*) FROM debts WHERE open = 0"
_PAID = text(_PAID_TEXT)


class _Cursor(sqlite3.Cursor):
    """Counts what it runs."""

    def execute(self, sql: str, parameters: Any = ()) -> Self:
        _counts.statements += sql != _PAID_TEXT
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Self:
        _counts.statements += 1
        return super().executemany(sql, parameters)


class _Connection(sqlite3.Connection):
    """Counts its transactions that write. SQLAlchemy's events would cost what is to be measured."""

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        _counts.commits += self.in_transaction
        super().commit()


_counts = Counts()


@contextmanager
def _counting() -> Iterator[None]:
    """Let connections to ledgers count while it lasts."""
    with patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=_Connection)):
        yield
