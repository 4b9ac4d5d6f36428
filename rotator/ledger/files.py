"""Where a ledger's file lies and who may read it: nobody but its owner."""

import os
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rotator.errors import LedgerUnusable

_SIDE_FILES = ("", "-wal", "-shm", "-journal")
_OTHERS = 0o077
_DAY = 86_400.0  # seconds


def default_path(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The ledger in the user's state folder (XDG Base Directory Specification, or Apple's)."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("HOME") or Path.home())
    if platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        named = Path(environ.get("XDG_STATE_HOME", ""))
        folder = named if named.is_absolute() else home / ".local" / "state"
    return folder / "rotator" / "ledger.sqlite"


def prepare(path: Path, *, create: bool) -> None:
    """See that the file is there, is an ordinary file of ours, and is closed to others.

    A file that is missing is made, empty, with its directory. Raises LedgerUnusable.
    """
    try:
        if create and not os.path.lexists(path):
            _make(path)
        _check(path)
    except FileNotFoundError:
        raise LedgerUnusable(
            f"There is no ledger at {path}. See that the path is right; the first `rotator` command that "
            "rotates makes it. [missing]"
        ) from None
    except OSError as error:
        raise LedgerUnusable(
            f"The ledger {path} cannot be opened: {error.strerror or type(error).__name__}. See that its "
            "directory exists and that this user may write it. [open]"
        ) from None


def _make(path: Path) -> None:
    """An empty file, mode 0600, in a directory that is made 0700 where there is none.

    SQLite gives its side files the mode of the main one, whatever the umask.
    """
    for folder in [p for p in reversed(path.parents) if not p.exists()]:
        with suppress(FileExistsError):  # another process was first
            folder.mkdir(mode=0o700)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.close(descriptor)


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not an ordinary file"
        raise LedgerUnusable(
            f"{path} is {kind}: a ledger is opened only under its own name, so that it cannot be exchanged "
            "unnoticed. Name the file itself. [link]"
        )
    if found.st_uid != os.geteuid():
        raise LedgerUnusable(
            f"The ledger {path} belongs to another user (uid {found.st_uid}). Run rotator as that user, or "
            "name a ledger of your own. [owner]"
        )
    if not found.st_mode & stat.S_IWUSR:
        raise LedgerUnusable(
            f"The ledger {path} is read-only, and every step must be written before it is done. Make it "
            f"writable: chmod 600 {path} [read-only]"
        )


def unchecked(path: Path) -> bool:
    """Whether nobody looked through a large ledger for a day, by this machine's clock."""
    try:
        return not 0 <= time.time() - _mark(path).lstat().st_mtime < _DAY
    except OSError:
        return True


def checked(path: Path) -> None:
    """Note that a large ledger is whole; where that cannot be, it is looked through again."""
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(_mark(path), flags, 0o600))
        os.utime(_mark(path))


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def close_to_others(path: Path) -> None:
    """Let only our user read a file that is a ledger, and its side files."""
    for suffix in _SIDE_FILES:
        file = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            mode = file.lstat().st_mode
            if stat.S_ISREG(mode) and mode & _OTHERS:
                file.chmod(stat.S_IMODE(mode) & ~_OTHERS)
