"""A fleet to look after, and workers that share it: a local provider, a local Vault, and real processes."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import yaml

from rotator import policies
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.lab import Buildmarkets, LocalKey
from rotator.lab.vault import LocalVault
from rotator.ledger import open_ledger
from rotator.model import CurrentKey, Debt, Phase, Provenance, SecretState
from rotator.wiring import SystemClock

ROOT = Path(__file__).parents[3]
DEADLINE = 60.0  # seconds that nothing here should take


class Fleet:
    """``size`` secrets that are due, each with a key that must die; a context that ends its workers."""

    def __init__(self, url: str, folder: Path, size: int = 8, **provider: Any) -> None:
        self.url = url
        self.folder = folder
        self.names = [f"desk-{number}" for number in range(size)]
        self.provider = Buildmarkets(limits=(), **provider)
        self.vault = LocalVault()
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as made:
            made.enter_context(self.provider)
            made.enter_context(self.vault)
            self.vault.put("admin", **self.provider.admin)
            self.policies = self._written()
            self.ledger: Ledger = open_ledger(self.url, SystemClock())
            made.callback(self.ledger.close)
            self.ledger.enroll(self._known())
            made.callback(self._end)
            self._all = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()

    def start(self, count: int = 1) -> None:
        """More workers; what they log goes to a file each."""
        for _ in range(count):
            program = [sys.executable, "-m", "tests.integration.postgres.working"]
            with self._log(len(self.workers)).open("wb") as log:
                process = subprocess.Popen(
                    [*program, self.url, str(self.policies), str(self.folder)],
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    env=self._environment(),
                )
            self.workers.append(process)

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something, and fail with the workers' logs if it does not come."""
        deadline = time.monotonic() + DEADLINE
        while not self._now(true):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)

    @staticmethod
    def _now(true: Callable[[], bool]) -> bool:
        """Whether it is true, and the database there to tell."""
        try:
            return true()
        except LedgerUnusable:
            return False

    def signal(self, worker: int, number: signal.Signals) -> None:
        """Send a worker a signal."""
        self.workers[worker].send_signal(number)

    def cut_off(self) -> None:
        """End every connection to the database, ours too, whatever is under way."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    # what is, and what should be

    def issued(self) -> int:
        """Keys that were ever asked for."""
        return self.provider.count(Buildmarkets.ISSUE)

    def ours(self, name: str) -> list[LocalKey]:
        """The keys that are alive of a secret's."""
        mine = self.provider.keys("api", "initial")
        return [key for key in mine if key.live and key.label.split()[0] == name]

    def rotated(self) -> int:
        """Secrets whose new key is in service."""
        return sum(self._promotions(name) > 0 for name in self.names)

    def done(self) -> bool:
        """Whether every secret was rotated, and nothing is owed any more."""
        return self.rotated() == len(self.names) and not self.ledger.debts()

    def must_be_whole(self) -> None:
        """Each secret was rotated once, holds the only key that lives, and every other was proven dead."""
        for name in self.names:
            (alive,) = self.ours(name)
            fields = self.vault.fields(f"prod/{name}")
            assert alive.made_by == "api", name
            assert fields["key_id"] == alive.key_id, name
            assert self.provider.accepts(fields), name
            assert self._promotions(name) == 1, name
            assert {debt.phase for debt in self._debts(name)} == {"dead"}, name

    def written(self) -> tuple[object, ...]:
        """All that the ledger holds of the secrets; not who looked at them last."""
        with psycopg.connect(self.url) as connection:
            secrets = connection.execute("SELECT id, doc FROM secrets ORDER BY id").fetchall()
            others = connection.execute(
                "SELECT (SELECT max(seq) FROM events), (SELECT max(seq) FROM debts), "
                "(SELECT count(*) FROM attempts)"
            ).fetchall()
        return (*secrets, *others)

    def logs(self) -> str:
        """What all workers have said."""
        return "\n".join(self.log(worker) for worker in range(len(self.workers)))

    def log(self, worker: int) -> str:
        """What one worker has said."""
        return self._log(worker).read_text(errors="replace")

    def _log(self, worker: int) -> Path:
        return self.folder / f"worker-{worker}.log"

    def _promotions(self, name: str) -> int:
        phases = Counter(rotation.phase for rotation in self.ledger.rotations(self._id(name)))
        return phases[Phase.PROMOTED]

    def _debts(self, name: str) -> list[Debt]:
        return list(self.ledger.debts(self._id(name), ended=True))

    def _id(self, name: str) -> str:
        return self._ids[name]

    # furnishing

    def _written(self) -> Path:
        token = self.folder / "token"
        token.write_text(self.vault.root)
        token.chmod(0o600)
        auth = {"method": "token", "token_file": str(token)}
        document = {
            "version": 1,
            "stores": {
                "vault": {"type": "vault-kv2", "url": self.vault.url, "mount": "secret", "auth": auth}
            },
            "providers": {
                "build": {
                    "type": "buildmarkets",
                    "base_url": self.provider.url,
                    "requests_per_second": 1000,
                    "admin": {"store": "vault", "secret": "admin"},
                }
            },
            "defaults": {"every": "30d", "grace": "1s", "provider": "build", "store": "vault"},
            "policies": [
                {"name": name, "secret": f"prod/{name}", "key": {"scopes": ["accounts:read"]}}
                for name in self.names
            ],
        }
        path = self.folder / "rotator.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        path.chmod(0o600)
        return path

    def _known(self) -> list[SecretState]:
        """The secrets as the ledger knows them: taken on long ago, with a key that a person said is ours."""
        now = self.ledger.now()
        long_ago = now.replace(year=now.year - 1, day=1)
        states: list[SecretState] = []
        self._ids: Mapping[str, str] = {
            policy.name: policy.target.id for policy in policies.load(self.policies).policies
        }
        for policy in policies.load(self.policies).policies:
            key = self.provider.create(f"{policy.name} by hand", scopes=["accounts:read"])
            self.vault.put(f"prod/{policy.name}", **key)
            current = CurrentKey("1", key["key_id"], Provenance.ADOPTED, long_ago)
            principal = policy.provider.principal
            states.append(
                SecretState(
                    policy.target.id,
                    policy.name,
                    principal,
                    long_ago,
                    looked_at=long_ago,
                    rotated_at=long_ago,
                    current=current,
                )
            )
        return states

    def _environment(self) -> dict[str, str]:
        hidden = ("VAULT_", "SENTRY_", "ROTATOR_", "PG")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        key = os.environ["ROTATOR_AUDIT_KEY_FILE"]  # one for all of them, as on several hosts
        return {**kept, "ROTATOR_AUDIT_KEY_FILE": key, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)}

    def _end(self) -> None:
        """End the workers by their ids, also those that are stopped."""
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait()
