"""Which file system a path lies on, by what Linux says of a process's mounts. Pure.

The text is that of ``/proc/self/mountinfo`` (Linux manual, proc_pid_mountinfo(5)): one mount in a line,
fields apart by blanks, blanks within a field in octal.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")
_ROOT, _POINT, _OPTIONS, _FIRST_OPTIONAL = 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system at its place in the tree of files; ``kind`` is the kernel's name for it (ext4, nfs4),
    ``root`` the folder of the file system that is there.
    """

    point: str
    kind: str
    read_only: bool
    root: str = "/"


def mounted(mountinfo: str, path: PurePosixPath) -> Mount | None:
    """The mount that an absolute path, without links and dots, lies on; None where the text tells of none.

    The one nearest to it counts, and of two at one place the later one, which hides the earlier.
    """
    found: Mount | None = None
    for mount in filter(None, map(_parsed, mountinfo.splitlines())):
        near = found is None or len(mount.point) >= len(found.point)
        if near and path.is_relative_to(mount.point):
            found = mount
    return found


def _parsed(line: str) -> Mount | None:
    """A line; what is none says nothing."""
    fields = line.split(" ")
    try:
        ends = fields.index("-", _FIRST_OPTIONAL)
        kind, _, of_all = fields[ends + 1 : ends + 4]
    except ValueError:
        return None
    options = {*fields[_OPTIONS].split(","), *of_all.split(",")}
    return Mount(_plain(fields[_POINT]), _plain(kind), "ro" in options, _plain(fields[_ROOT]))


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), text)
