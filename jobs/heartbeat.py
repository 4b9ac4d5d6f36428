"""The worker's sign of life: a file whose time of change is the last beat.

A file and not a row: a database that is down must not make a platform restart every worker.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

SHORTEST = timedelta(seconds=60)
TICKS = 10
_MOST = 1000  # bytes of what a worker says


def stale_after(tick: timedelta) -> timedelta:
    """How long a worker that beats every ``tick`` may be silent: 10 ticks, at least a minute."""
    return max(SHORTEST, TICKS * tick)


def beat(path: Path, said: str = "") -> None:
    """Touch the file, made with mode 0600 where it is missing. Raises OSError; never follows a link.

    It holds what the worker has to say, such as who stopped it; mostly nothing.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, 0)
        os.write(fd, said.encode()[:_MOST])
        os.utime(fd)
    finally:
        os.close(fd)


def age(path: Path) -> timedelta | None:
    """Time since the last beat, None if there was none. Negative where the clock was set back."""
    try:
        last = path.stat().st_mtime
    except OSError:
        return None
    return datetime.now(UTC) - datetime.fromtimestamp(last, UTC)


def healthy(path: Path, tick: timedelta) -> tuple[bool, str]:
    """Whether the worker that beats there every ``tick`` is alive, and a sentence that says why."""
    since = age(path)
    if since is None:
        return False, f"There is no heartbeat at {path}: no worker has run with this state folder."
    limit = stale_after(tick)
    if since < -limit:
        return (
            False,
            "The last heartbeat lies in the future: the clock was set back and no worker beat since.",
        )
    seconds = max(0, round(since.total_seconds()))
    if since > limit:
        most = round(limit.total_seconds())
        return (
            False,
            f"The last heartbeat was {seconds} s ago, more than {most} s: the worker hangs or has ended.",
        )
    return True, " ".join((f"The last heartbeat was {seconds} s ago.", *_said(path)))


def _said(path: Path) -> tuple[str, ...]:
    """What the worker had to say at its last beat."""
    try:
        with path.open("rb") as file:
            said = file.read(_MOST).decode(errors="replace")
    except OSError:
        return ()
    return (said,) if said else ()
