"""Where the demo happens: local providers and stores, a temporary folder, real commands."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rotator.lab import Lab, LocalKey
from rotator.lab.cast import (
    ADMINS,
    CAST,
    TOKEN_LIVES,
    Part,
    admin_secret,
    initial_settings,
    provider_of,
    providers,
)
from rotator.lab.example import write_policies
from rotator.lab.stores import LocalStores
from rotator.ledger import need_not_last

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


@dataclass(frozen=True, slots=True)
class OurKey:
    """A key of a policy as its provider sees it, under the name that the worker has for it."""

    name: str
    key: LocalKey


class Scene:
    """A context that sets everything up, and takes all of it away at its end, whatever happened."""

    def __init__(self) -> None:
        self.lab = Lab()
        self._all = ExitStack()
        self._commands: list[Command] = []
        self._tokens: dict[str, list[tuple[str, str]]] = {}  # by policy: our name, and the provider's

    def __enter__(self) -> Self:
        with ExitStack() as made:
            self.folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="rotator-demo-")))
            need_not_last(self.folder)
            made.enter_context(self.lab)
            self.stores = LocalStores(made, self.folder)
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

    # --- secrets and keys --------------------------------------------------------------------------------

    def _furnish(self) -> None:
        """Admin secrets, the secrets as they were before rotator, keys of others, and the policy file."""
        self.lab.figure.lifetime = TOKEN_LIVES["figure"]
        self.lab.fintechstudios.lifetime = TOKEN_LIVES["fts"]
        for name, local in providers(self.lab).items():
            local.add_foreign("made by hand, not by rotator")
            if name in ADMINS:
                self.stores.put(ADMINS[name], admin_secret(name), local.admin)
        for part in CAST:
            self.stores.put(part.store, part.secret, self._before(part), part.age)
        write_policies(self.policies, self.lab, self.stores.addresses)

    def _before(self, part: Part) -> dict[str, str] | None:
        if part.before == "nothing":
            return None
        key = provider_of(part, self.lab).create(f"{part.policy} before rotator", **initial_settings(part))
        return {**key, **part.others}

    def current(self, part: Part) -> dict[str, str]:
        """What a consumer reads now; empty where the secret has no version."""
        return self.stores.current(part.store, part.secret)

    def initial_key(self, part: Part) -> str:
        """The id of the key that the secret held before rotator."""
        made = provider_of(part, self.lab).keys("initial")
        return next(key.key_id for key in made if ours(key, part))

    def note_token(self, part: Part, name: str) -> None:
        """Note which of its provider's tokens the secret holds now, under the name the worker gave it."""
        local = provider_of(part, self.lab)
        token = next((one.key_of(self.current(part)) for one in self.lab.logins if one is local), None)
        if token is not None:
            self._tokens.setdefault(part.policy, []).append((name, token.key_id))

    def keys(self, part: Part) -> list[OurKey]:
        """Every key ever made for a policy, oldest first; of tokens, those that came into service."""
        local = provider_of(part, self.lab)
        if part.issued_by == "login":
            known = {key.key_id: key for key in local.keys("api")}
            return [OurKey(name, known[key_id]) for name, key_id in self._tokens.get(part.policy, [])]
        made = [key for key in local.keys("api", "initial", "hand") if ours(key, part)]
        if part.kind == "access-key":  # its key is a secret: it goes by the user's e-mail address
            return [OurKey(self.current(part).get("email", ""), key) for key in made]
        return [OurKey(key.key_id, key) for key in made]

    def calm(self) -> None:
        """Rewrite the policy file so that nothing more falls due; the worker takes it over by itself."""
        write_policies(self.policies, self.lab, self.stores.addresses, calm=True)

    # --- processes ---------------------------------------------------------------------------------------

    def command(self, *words: str, given: Mapping[str, str] | None = None) -> Command:
        """Start ``rotator`` with these words, as a person would; ``given`` is its input, as JSON."""
        output = self.folder / f"output-{len(self._commands)}.txt"
        with output.open("wb") as written:
            process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                [sys.executable, "-m", "rotator", *words],
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
            )
        line = " ".join(("rotator", *(word if " " not in word else f'"{word}"' for word in words)))
        made = Command(line, process, output)
        self._commands.append(made)
        if process.stdin is not None:
            with process.stdin as pipe:  # small enough to fit into the pipe, whatever the process does
                pipe.write(json.dumps(given).encode())
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
        given = {self.policies, self.stores.token_file}
        files = (path for path in self.folder.rglob("*") if path.is_file() and path not in given)
        return b"\n".join(path.read_bytes() for path in files)


def ours(key: LocalKey, part: Part) -> bool:
    """Whether a key was made for a policy, as the human part of its label says."""
    return key.made_by in ("api", "initial", "hand") and key.label.split(" ", 1)[0] == part.policy
