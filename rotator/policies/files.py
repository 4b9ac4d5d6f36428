"""Which files hold policies, and their text. Nothing here understands YAML."""

import os
import stat as modes
from dataclasses import dataclass
from pathlib import Path

from rotator.errors import Problem

MAIN = "rotator.yaml"
LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """One file as it was read; ``main`` is the one that may say more than policies."""

    name: str
    text: str
    main: bool
    alone: bool


def read_all(path: Path) -> tuple[list[Source], list[Problem]]:
    """The files that a path stands for, the main one first, and why others could not be read."""
    try:
        names = _names(path)
    except OSError as error:
        return [], [unreadable(path, error)]
    problems = _wrong_folder(path) if path.is_dir() else []
    sources = []
    for count, name in enumerate(names):
        found = _read(name)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            sources.append(Source(str(name), found, main=count == 0, alone=not path.is_dir()))
    return sources, problems


def stamp(path: Path) -> object:
    """Something to compare: another value after a change of the files. Symbolic links are followed, since
    Kubernetes changes a mounted ConfigMap by changing a link. Never raises.
    """
    try:
        names = [path, *_names(path)]
    except OSError as error:
        return ("unreadable", error.errno)
    return tuple(_stamp(name) for name in names)


def _stamp(name: Path) -> tuple[object, ...]:
    try:
        found = os.stat(name)  # noqa: PTH116 - follows links, as Path.stat does, and is what that calls
    except OSError as error:
        return (str(name), error.errno)
    if modes.S_ISDIR(found.st_mode):
        return (str(name), found.st_dev, found.st_ino, found.st_mode)  # its times change with every lock file
    return (
        str(name),
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def _names(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    others = sorted(
        found
        for found in path.iterdir()
        if found.name.endswith(".yaml") and not found.name.startswith(".") and found.name != MAIN
    )
    return [path / MAIN, *others]


def _wrong_folder(path: Path) -> list[Problem]:
    """A folder that anybody may write to, or whose files would be passed over in silence."""
    problems = []
    try:
        if path.stat().st_mode & modes.S_IWOTH and not _kept_by_kubernetes(path):
            problems.append(
                Problem(
                    str(path),
                    0,
                    "Everybody on this machine may add policies to this folder.",
                    f"Run: chmod o-w {path}",
                )
            )
        problems += [
            Problem(
                str(found), 0, "Only files that end in .yaml are read.", "Rename it to .yaml, or remove it."
            )
            for found in sorted(path.glob("*.yml"))
        ]
    except OSError as error:
        problems.append(unreadable(path, error))
    return problems


def _kept_by_kubernetes(path: Path) -> bool:
    """Whether this is a mounted ConfigMap. Its folder has mode 0777, whatever was asked for (kubernetes,
    pkg/volume/emptydir), and lies where the node lets root alone in; the mount is read-only, and all in it is
    reached by a link that root made. Another folder may be read-only for us and open to others outside.
    """
    try:
        link = (path / "..data").lstat()
    except FileNotFoundError:
        return False
    read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return read_only and modes.S_ISLNK(link.st_mode) and link.st_uid in (0, os.geteuid())


def _read(name: Path) -> str | Problem:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not make us wait
        with open(handle, "rb") as file:  # noqa: PTH123 - of a descriptor
            found = os.fstat(handle)
            wrong = _wrong_file(name, found)
            return wrong or _text(name, file.read(LARGEST + 1))
    except OSError as error:
        return unreadable(name, error)


def _wrong_file(name: Path, found: os.stat_result) -> Problem | None:
    if not modes.S_ISREG(found.st_mode):
        return Problem(
            str(name), 0, "This is not a file.", "Name a YAML file, or a folder with rotator.yaml."
        )
    if found.st_mode & modes.S_IWOTH:
        real = name.resolve()
        return Problem(
            str(name), 0, "Everybody on this machine may change this file.", f"Run: chmod o-w {real}"
        )
    if found.st_size > LARGEST:
        return _too_large(name)
    return None


def _text(name: Path, content: bytes) -> str | Problem:
    if len(content) > LARGEST:
        return _too_large(name)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        return Problem(str(name), 0, "This is a binary file, or UTF-16.", "Save it as text in UTF-8.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    return Problem(str(name), line, "This line is not UTF-8.", "Save the file as text in UTF-8.")


def _too_large(name: Path) -> Problem:
    size = LARGEST // 1024 // 1024
    return Problem(str(name), 0, f"The file is larger than {size} MiB.", "Use a folder of several files.")


def unreadable(name: Path, error: OSError) -> Problem:
    """Why the system did not give us a file, and what to do."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if name.name == MAIN and name.parent.is_dir():
            return Problem(
                str(name),
                0,
                "There is no rotator.yaml in this folder.",
                "It holds stores, providers and defaults.",
            )
        return Problem(
            str(name), 0, "There is no such file.", "Name a file or folder by --policies or ROTATOR_POLICIES."
        )
    if isinstance(error, PermissionError):
        return Problem(str(name), 0, "This may not be read.", "Let the user who runs rotator read it.")
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    return Problem(str(name), 0, f"This cannot be read: {reason}.", "Look at the file system.")
