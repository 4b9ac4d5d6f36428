"""A provider and a Vault in this process, real commands in others, and what strikes them at a request."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from rotator.interfaces import Ledger
from rotator.lab import Buildmarkets
from rotator.lab.faults import matches
from rotator.lab.vault import LocalVault
from rotator.lab.wire import Answer, Request, Respond
from rotator.ledger import open_ledger
from rotator.model import CurrentKey, Provenance, SecretState
from rotator.policies import load
from rotator.wiring import SystemClock
from tests.integration.front import Hook, hooked

ROOT = Path(__file__).parents[3]
SECRET = "prod/orders"
CHILD = [sys.executable, "-m", "tests.integration.processes.child"]
PATIENCE = 60.0  # seconds until a process that hangs fails its test
LATER = 200.0  # seconds: longer than a claim, and than the grace

EFFECTS = {  # of a whole rotation, by the first request that does it
    "issue": "POST /v1/keys",
    "stage": "POST /v1/secret/data/rotator/pending/*",
    "probe": "GET /v1/accounts",
    "promote": f"POST /v1/secret/data/{SECRET}",
    "revoke": "DELETE /v1/keys/*",
    "discard": "POST /v1/secret/destroy/*",
}
When = Literal["before", "after"]


@dataclass
class Strike:
    """A signal for the process that sends the first request of a kind, before or after it is done."""

    pattern: str
    when: When
    number: signal.Signals
    pid: int = 0
    at: int = 0  # requests that had been sent
    struck: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: Request, respond: Respond) -> Answer | None:
        """Answer, and strike once; ``struck`` is set when the server has done what it will do."""
        if not self.pid or not matches(self.pattern, request):
            return respond(request)
        pid, self.pid = self.pid, 0
        answer = respond(request) if self.when == "after" else None
        os.kill(pid, self.number)
        if self.when == "before" and self.number is not signal.SIGKILL:
            answer = respond(request)
        self.struck.set()
        return None if self.number is signal.SIGKILL else answer


class Scene:
    """A context: one secret of which the rotation is due, its provider and its Vault."""

    def __init__(self, folder: Path, *, policies: int = 1) -> None:
        self.folder = folder
        self.names = [SECRET, *(f"prod/orders-{number}" for number in range(2, policies + 1))]
        self.wrong: list[str] = []  # what was seen that must never be
        self.heard: list[str] = []
        self.contained: set[str] = set()  # keys that may die while a secret holds them
        self.strike: Strike | None = None
        self.hook: Hook | None = None  # what answers in a server's place
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as made:
            self.vault = made.enter_context(LocalVault())
            self.provider = made.enter_context(Buildmarkets(limits=()))
            made.callback(self._end)
            self.vault.put("rotator/admin", **self.provider.admin)
            for name in self.names:
                self.vault.put(name, **self.provider.create("by hand"))
            self._write()
            self._enroll()
            for server in (self.vault, self.provider):
                hooked(server._listener, self._answer)
            self._stack = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    # --- how it is furnished -----------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The ledger."""
        return self.folder / "state" / "ledger.db"

    def _write(self) -> None:
        policies = [
            {"name": name.removeprefix("prod/"), "provider": "build", "store": "vault", "secret": name}
            | {"every": "1h", "grace": "1s", "key": {"scopes": ["accounts:read"]}}
            for name in self.names
        ]
        build = {"type": "buildmarkets", "base_url": self.provider.url, "requests_per_second": 1000}
        document = {
            "version": 1,
            "stores": {"vault": {"type": "vault-kv2", "url": self.vault.url, "auth": {"method": "token"}}},
            "providers": {"build": {**build, "admin": {"store": "vault", "secret": "rotator/admin"}}},
            "policies": policies,
        }
        (self.folder / "rotator.yaml").write_text(json.dumps(document))
        (self.folder / "rotator.yaml").chmod(0o600)

    def _enroll(self) -> None:
        """Secrets that were taken on long ago, with keys that a person adopted."""
        now = datetime.now(UTC) - timedelta(hours=2)
        with closing(self.ledger()) as ledger:
            for policy in load(self.folder / "rotator.yaml").policies:
                held = self.vault.fields(policy.target.secret)
                key = CurrentKey("1", held["key_id"], Provenance.ADOPTED, now)
                known = SecretState(policy.target.id, policy.name, policy.provider.principal, now)
                ledger.enroll([replace(known, looked_at=now, rotated_at=now, current=key)])

    def ledger(self) -> Ledger:
        """The ledger, opened here."""
        return open_ledger(f"sqlite:///{self.path}", SystemClock())

    # --- requests ----------------------------------------------------------------------------------------

    def _answer(self, request: Request, respond: Respond) -> Answer | None:
        self.heard.append(f"{request.method} {request.path}")
        self._look()
        if self.strike and self.strike.pid:
            self.strike.at = len(self.heard)
        hook = self.strike or self.hook
        answer = hook(request, respond) if hook else respond(request)
        self._look()
        return answer

    def _look(self) -> None:
        """What consumers read must be accepted, at every moment."""
        held = {name: self.vault.fields(name) for name in self.names}
        works = (name for name, fields in held.items() if fields.get("key_id") not in self.contained)
        self.wrong += [name for name in works if not self.provider.accepts(held[name])]

    # --- processes ---------------------------------------------------------------------------------------

    def start(self, line: str, ahead: float = 0.0, **more: Any) -> "subprocess.Popen[bytes]":
        """A command on its way, ``ahead`` seconds later than it is."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        home = {
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "*",
            "VAULT_TOKEN": self.vault.root,
        }
        process = subprocess.Popen(
            [*CHILD, str(ahead), "--ledger", f"sqlite:///{self.path}", "--log-level", "info", *line.split()],
            cwd=self.folder,
            env={**kept, **home},
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
        )
        self._processes.append(process)
        return process

    def run(self, line: str, ahead: float = 0.0) -> "Ended":
        """A command, to its end."""
        return ended(self.start(line, ahead))

    def fed(self, line: str, given: str, ahead: float = 0.0) -> "Ended":
        """A command that is given something on standard input, to its end."""
        return ended(self.start(line, ahead, stdin=subprocess.PIPE), given)

    def struck(self, line: str, strike: Strike, ahead: float = 0.0) -> "subprocess.Popen[bytes]":
        """A command on its way, once it was struck."""
        self.strike = strike
        process = self.start(line, ahead)
        strike.pid = process.pid
        assert strike.struck.wait(PATIENCE), f"nothing like {strike.pattern} was sent: {self.heard}"
        return process

    def healed(self, since: float = 0.0) -> None:
        """Let a pass go over it, later and once more, as cron does; then all must be well."""
        for ahead in (since + LATER, since + 2 * LATER):
            if self.run("tick", ahead).code == 0 and not self._open():
                break
        self.settled()

    def _open(self) -> bool:
        with closing(self.ledger()) as ledger:
            return any(ledger.debts()) or any(ledger.rotation(state.id) for state, _ in ledger.secrets())

    def after_strike(self) -> set[str]:
        """The effects of which a request was sent after the process was struck."""
        assert self.strike is not None
        split = (each.split(" ", 1) for each in self.heard[self.strike.at :])
        writes = [Request(method, path, "", {}) for method, path in split if method != "GET"]
        return {name for name, pattern in EFFECTS.items() if any(matches(pattern, one) for one in writes)}

    # --- the truth ---------------------------------------------------------------------------------------

    def settled(self) -> None:
        """Each secret holds a new key of ours, which is all that lives of ours; nothing waits or is owed."""
        assert self.wrong == []
        held = {self.vault.fields(name)["key_id"] for name in self.names}
        live = {key.key_id for key in self.provider.keys("api", "initial") if key.live}
        assert live == held, [
            (key.key_id, key.made_by, key.live) for key in self.provider.keys("api", "initial")
        ]
        assert held <= {key.key_id for key in self.provider.keys("api")}
        left = [self.vault.fields(path) for path in self.vault.paths("rotator/pending/")]
        assert {
            fields["key_id"] for fields in left if "key_id" in fields
        } <= held  # copies, until the next one
        with closing(self.ledger()) as ledger:
            assert list(ledger.debts()) == []
            assert [ledger.rotation(state.id) for state, _ in ledger.secrets()] == [None] * len(self.names)
            assert not [event.text for event in ledger.events() if event.kind == "fault"]


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str


def ended(process: "subprocess.Popen[bytes]", given: str | None = None) -> Ended:
    """Wait for the end."""
    out, err = process.communicate(given.encode() if given is not None else None, timeout=PATIENCE)
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
