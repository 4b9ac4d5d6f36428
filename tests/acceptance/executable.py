"""The program as a user starts it: another process, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = [sys.executable, "-m", "rotator"]
KEPT = ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_START", "VIRTUAL_ENV")

GOOD = """\
version: 1
stores:
  aws: {type: aws-secrets-manager, region: eu-west-1, endpoint_url: "http://127.0.0.1:1"}
providers:
  build:
    type: buildmarkets
    base_url: "http://127.0.0.1:1"
    admin: {store: aws, secret: admin}
policies:
  - name: orders
    provider: build
    store: aws
    secret: prod/orders
    every: 30d
    grace: 24h
    key: {scopes: ["accounts:read"]}
"""


@dataclass(frozen=True)
class Answer:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything that a person sees."""
        return self.out + self.err


@dataclass(frozen=True)
class Executable:
    """Starts rotator in a folder that is home, state and working directory at once."""

    folder: Path

    def __call__(
        self, *args: str, stdin: str = "", env: Mapping[str, str] | None = None, seconds: float = 60
    ) -> Answer:
        """Run to the end, and answer; a command that hangs fails the test."""
        given = {name: os.environ[name] for name in KEPT if name in os.environ}
        home = {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state"), **(env or {})}
        done = subprocess.run(
            [*PROGRAM, *args],
            cwd=self.folder,
            env={**given, **home},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def policies(self, text: str | bytes, name: str = "rotator.yaml") -> Path:
        """Write a policy file."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o644)
        return path

    def left(self) -> set[str]:
        """Every file there is."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
