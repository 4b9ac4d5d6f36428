"""Where the demo happens: local providers, a local Secrets Manager, a temporary folder, real commands."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from rotator.lab import Lab, LocalKey
from rotator.lab.cast import CAST, REGION, Part, admin_secret, initial_settings, provider_of, write_policies

_PATIENCE = 40.0  # seconds for a worker to end between effects
_HIDDEN = ("AWS_", "VAULT_", "ROTATOR_", "SENTRY_")  # what the user's shell says of real systems


@dataclass(slots=True)
class Command:
    """A ``rotator`` command that runs in a process of its own; what it prints goes to a file."""

    line: str
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.process.poll()

    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def ask(self) -> None:
        """Ask it to end; it ends between effects."""
        if self.code is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Ask it to end, and wait; one that takes too long, or a person who presses Ctrl-C again, ends it."""
        self.ask()
        try:
            self.process.wait(_PATIENCE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self.process.kill()
            self.process.wait()


class Scene:
    """A context that sets everything up, and takes all of it away at its end, whatever happened."""

    def __init__(self) -> None:
        self.lab = Lab()
        self._all = ExitStack()
        self._commands: list[Command] = []
        self._made: list[str] = []

    def __enter__(self) -> Self:
        with ExitStack() as made:
            self.folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="rotator-demo-")))
            made.enter_context(self.lab)
            self._start_store(made)
            self._furnish()
            made.callback(self._end_commands)
            self._all = made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()

    @property
    def policies(self) -> Path:
        """The policy file."""
        return self.folder / "rotator.yaml"

    @property
    def ledger_url(self) -> str:
        """The ledger."""
        return f"sqlite:///{self.folder / 'ledger.sqlite'}"

    # --- the store ---------------------------------------------------------------------------------------

    def _start_store(self, made: ExitStack) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        made.callback(server.stop)
        host, port = server.get_host_and_port()
        self.store_url = f"http://{host}:{port}"
        self._secrets: Any = boto3.client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url=self.store_url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(proxies={}, retries={"total_max_attempts": 2}),
        )
        made.callback(self._secrets.close)
        made.callback(self._empty_store)

    def _furnish(self) -> None:
        """Admin secrets, the secrets as they were before rotator, keys of others, and the policy file."""
        for name, local in zip(("build", "b2", "fat"), self.lab.providers, strict=True):
            self._put(admin_secret(name), local.admin)
            local.add_foreign("made by hand, not by rotator")
        for part in CAST:
            self._put(part.secret, self._before(part))
        write_policies(self.policies, self.lab, self.store_url)

    def _put(self, secret: str, fields: dict[str, str] | None) -> None:
        value = {} if fields is None else {"SecretString": json.dumps(fields)}
        self._secrets.create_secret(Name=secret, **value)
        self._made.append(secret)

    def _empty_store(self) -> None:
        """The local Secrets Manager keeps what it holds for as long as this process lives."""
        for secret in self._made:
            self._secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)

    def _before(self, part: Part) -> dict[str, str] | None:
        if part.before == "nothing":
            return None
        key = provider_of(part, self.lab).create(f"{part.policy} before rotator", **initial_settings(part))
        return {**key, **part.others}

    def current(self, part: Part) -> dict[str, str]:
        """What a consumer reads now; empty where the secret has no version."""
        with suppress(self._secrets.exceptions.ResourceNotFoundException):
            found = self._secrets.get_secret_value(SecretId=part.secret, VersionStage="AWSCURRENT")
            fields: dict[str, str] = json.loads(found["SecretString"])
            return fields
        return {}

    def initial_key(self, part: Part) -> str:
        """The id of the key that the secret held before rotator."""
        made = provider_of(part, self.lab).keys("initial")
        return next(key.key_id for key in made if ours(key, part))

    def calm(self) -> None:
        """Rewrite the policy file so that nothing more falls due; the worker takes it over by itself."""
        write_policies(self.policies, self.lab, self.store_url, calm=True)

    # --- processes ---------------------------------------------------------------------------------------

    def command(self, *words: str) -> Command:
        """Start ``rotator`` with these words, as a person would."""
        output = self.folder / f"output-{len(self._commands)}.txt"
        with output.open("wb") as written:
            process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                [sys.executable, "-m", "rotator", *words],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
            )
        made = Command(
            " ".join(("rotator", *(word if " " not in word else f'"{word}"' for word in words))),
            process,
            output,
        )
        self._commands.append(made)
        return made

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONUTF8": "1",
            "ROTATOR_LEDGER": self.ledger_url,
            "ROTATOR_POLICIES": str(self.policies),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def _end_commands(self) -> None:
        for command in self._commands:
            command.ask()
        for command in self._commands:
            command.end()

    def written(self) -> bytes:
        """All that the worker and the commands have left in files: ledger, logs, output."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path != self.policies)
        return b"\n".join(path.read_bytes() for path in files)


def ours(key: LocalKey, part: Part) -> bool:
    """Whether a key was made for a policy, as the human part of its label says."""
    return key.made_by in ("api", "initial") and key.label.split(" ", 1)[0] == part.policy
