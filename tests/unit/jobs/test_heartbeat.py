import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.heartbeat import age, beat, healthy, stale_after

TICK = timedelta(seconds=15)


def test_a_beat_makes_a_private_file_and_touches_it(tmp_path: Path) -> None:
    """The file is empty, for the owner alone, and as old as the last beat."""
    path = tmp_path / "heartbeat"
    beat(path)
    assert path.stat().st_mode & 0o777 == 0o600
    os.utime(path, (0, 0))
    beat(path)
    since = age(path)
    assert since is not None
    assert since < timedelta(minutes=1)
    assert path.read_bytes() == b""


def test_a_beat_never_follows_a_link(tmp_path: Path) -> None:
    """Somebody who may write to the folder cannot make us touch another file."""
    (tmp_path / "heartbeat").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        beat(tmp_path / "heartbeat")
    assert not (tmp_path / "other").exists()


def test_no_worker_yet_is_not_healthy(tmp_path: Path) -> None:
    """Without a file there is no age, and health says where it looked."""
    path = tmp_path / "heartbeat"
    assert age(path) is None
    good, why = healthy(path, TICK)
    assert not good
    assert str(path) in why


@pytest.mark.parametrize(
    ("seconds_ago", "good", "words"),
    [
        (5, True, "s ago."),
        (140, True, "s ago."),
        (-5, True, "0 s ago."),
        (160, False, "more than 150 s"),
        (-3600, False, "in the future"),
    ],
)
def test_health_is_a_beat_within_ten_ticks(tmp_path: Path, seconds_ago: int, good: bool, words: str) -> None:
    """A worker is healthy while its last beat is younger than ten ticks, and not far in the future."""
    path = tmp_path / "heartbeat"
    beat(path)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    found, why = healthy(path, TICK)
    assert found is good
    assert words in why


@pytest.mark.parametrize(("tick", "seconds"), [(1, 60), (6, 60), (15, 150), (300, 3000)])
def test_a_worker_may_be_silent_for_ten_ticks_and_a_minute_at_least(tick: int, seconds: int) -> None:
    """Short ticks do not make a nervous health check."""
    assert stale_after(timedelta(seconds=tick)) == timedelta(seconds=seconds)


def test_what_keeps_a_worker_from_working_is_told(tmp_path: Path) -> None:
    """A worker that a person stopped is healthy, and its sign of life says so until it goes on."""
    path = tmp_path / "heartbeat"
    beat(path, "Stopped by ann.")
    assert healthy(path, TICK)[0]
    assert healthy(path, TICK)[1].endswith("Stopped by ann.")
    beat(path)
    assert "ann" not in healthy(path, TICK)[1]
