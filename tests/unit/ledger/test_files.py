import os
import stat
import sys
from pathlib import Path

import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import default_url, files, open_ledger
from rotator.testing.clock import ManualClock


def mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_reads(tmp_path: Path) -> None:
    """The file, its side files and the directory made for it are closed to others, whatever the umask."""
    path = tmp_path / "new" / "state" / "ledger.sqlite"
    before = os.umask(0)
    try:
        ledger = open_ledger(f"sqlite:///{path}", ManualClock())
        ledger.remember("a", "fact")
        found = {file.name: mode(file) for file in path.parent.iterdir()}
        ledger.close()
    finally:
        os.umask(before)
    assert found == {f"ledger.sqlite{more}": 0o600 for more in ("", "-wal", "-shm", ".audit-key")}
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert {file.name for file in path.parent.iterdir()} == {"ledger.sqlite", "ledger.sqlite.audit-key"}


def test_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    """A ledger of ours that others could read is closed to them when it is opened."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(f"sqlite:///{path}", ManualClock()).close()
    path.chmod(0o664)
    open_ledger(f"sqlite:///{path}", ManualClock()).close()
    assert mode(path) == 0o600


def test_links_and_directories_are_refused(tmp_path: Path) -> None:
    """A ledger is neither a symbolic link nor anything but an ordinary file."""
    real, link = tmp_path / "real.sqlite", tmp_path / "link.sqlite"
    open_ledger(f"sqlite:///{real}", ManualClock()).close()
    link.symlink_to(real)
    with pytest.raises(LedgerUnusable, match="symbolic link"):
        open_ledger(f"sqlite:///{link}", ManualClock())
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(LedgerUnusable, match="symbolic link"):
        open_ledger(f"sqlite:///{link}", ManualClock())
    with pytest.raises(LedgerUnusable, match="not an ordinary file"):
        open_ledger(f"sqlite:///{tmp_path}", ManualClock())


def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that belongs to another user is refused."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(f"sqlite:///{path}", ManualClock()).close()
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(LedgerUnusable, match=f"uid {owner}"):
        open_ledger(f"sqlite:///{path}", ManualClock())


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    """A ledger that cannot be written is refused when it is opened, with what to do."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(f"sqlite:///{path}", ManualClock()).close()
    path.chmod(0o400)
    with pytest.raises(LedgerUnusable, match="chmod 600"):
        open_ledger(f"sqlite:///{path}", ManualClock())


@pytest.mark.parametrize("name", ["missing/ledger.sqlite", "empty.sqlite"])
def test_nothing_is_made_unasked(name: str, tmp_path: Path) -> None:
    """Without ``create`` a ledger that is not there is refused, and nothing is made in its place."""
    (tmp_path / "empty.sqlite").touch(0o600)
    with pytest.raises(LedgerUnusable, match="There is no ledger"):
        open_ledger(f"sqlite:///{tmp_path}/{name}", ManualClock(), create=False)
    assert [file.name for file in tmp_path.iterdir()] == ["empty.sqlite"]


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    """Where the directory cannot be made, the error says so and names the path."""
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite cannot be opened"):
        open_ledger(f"sqlite:///{tmp_path}/file/ledger.sqlite", ManualClock())


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"HOME": "/home/a"}, "linux", "/home/a/.local/state/rotator/ledger.sqlite"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "linux", "/s/rotator/ledger.sqlite"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "s"}, "linux", "/home/a/.local/state/rotator/ledger.sqlite"),
        ({"HOME": "/Users/a"}, "darwin", "/Users/a/Library/Application Support/rotator/ledger.sqlite"),
    ],
)
def test_default_path(environ: dict[str, str], platform: str, expected: str) -> None:
    """The default ledger lies in the user's state folder, as the platform has it."""
    assert files.default_path(environ, platform) == Path(expected)


def test_default_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default address names an absolute file."""
    monkeypatch.setenv("HOME", "/home/a")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_url() == f"sqlite:///{files.default_path(platform=sys.platform)}"
    assert default_url().startswith("sqlite:////home/a/")
