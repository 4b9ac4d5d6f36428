"""A container's conditions without an engine: namespaces of its own, all read-only but one folder."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

USER = 65532
_OUTER = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]
_INNER = ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}"]
# The folder may lie on a file system of its own, which the root's being read-only would not reach.
_CLOSED = """
mount --bind "$1" "$1"
mount --bind "$2" "$2"
mount -o remount,bind,ro "$1"
mount -o remount,bind,ro /
cd "$2"
shift 2
exec "$@"
"""


def command(words: Sequence[str], root: Path, writable: Path) -> list[str]:
    """``words`` as process 1 and user 65532, in ``writable``, the one folder that is not read-only.

    ``root`` is above it. The user is this one under another number: what is closed to others stays readable.
    """
    return [*_OUTER, "sh", "-ec", _CLOSED, "sh", str(root), str(writable), *_INNER, *words]


def possible(folder: Path) -> bool:
    """Whether this machine gives us namespaces."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command(["true"], folder, folder), capture_output=True, check=False).returncode == 0


class Contained:
    """A process in a sandbox, or beside one where none is possible; ended with its context."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], writable: Path, root: Path | None
    ) -> None:
        self._inside = root is not None
        self.popen = subprocess.Popen(
            command(words, root, writable) if root is not None else words,
            cwd=writable,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal as an engine does, from outside to process 1."""
        pid = self.popen.pid
        if self._inside:
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, number)

    def ended(self, seconds: float) -> tuple[int, str]:
        """Wait for the end; the exit code and what was said."""
        said, _ = self.popen.communicate(timeout=seconds)
        return self.popen.returncode, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()  # of the one outside: those inside die with it
        self.popen.communicate()
