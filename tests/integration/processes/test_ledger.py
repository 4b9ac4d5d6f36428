"""The ledger's file in trouble, under real commands."""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.processes.scene import Scene, ended

PAGE = 4096


@pytest.mark.parametrize("pages", [9, 22])
def test_a_full_disk_costs_nothing_but_time(pages: int, tmp_path: Path) -> None:
    """When the ledger's log cannot grow, at an early or a later write: what to do is said, no effect begins
    whose intent is not written, and with space again it goes on.
    """
    with Scene(tmp_path) as scene:
        process = scene.start("tick")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (pages * PAGE, pages * PAGE))
        told = ended(process)
        assert told.code in (1, 2)
        assert "See " in told.err or "Free some space" in told.err
        assert "Traceback" not in told.err
        scene.healed()


def damaged(content: bytes, how: str) -> bytes:
    """The file after something happened to it."""
    middle = len(content) // PAGE // 2 * PAGE
    match how:
        case "head":
            return b"\0" * 16 + content[16:]
        case "schema":
            return content[:100] + b"\xff" * 200 + content[300:]
        case "page":
            return content[:middle] + b"\xa5" * PAGE + content[middle + PAGE :]
    return content[:middle]


@pytest.mark.parametrize("how", ["head", "schema", "page", "half"])
def test_a_corrupt_ledger_is_refused_and_left_as_it_is(how: str, tmp_path: Path) -> None:
    """Whatever is damaged: nothing is sent, not one byte of it changes, and a person is told what to do."""
    with Scene(tmp_path) as scene:
        content = damaged(scene.path.read_bytes(), how)
        scene.path.write_bytes(content)
        told = scene.run("tick")
        assert (told.code, scene.heard) == (2, [])
        assert "keep the damaged file aside" in told.err or "another program" in told.err
        assert "Traceback" not in told.err
        assert scene.path.read_bytes() == content


def test_a_read_only_ledger_is_refused(tmp_path: Path) -> None:
    """A ledger that may not be written: nothing is sent, and the command that mends it is told."""
    with Scene(tmp_path) as scene:
        scene.path.chmod(0o400)
        told = scene.run("tick")
        assert (told.code, scene.heard) == (2, [])
        assert f"chmod 600 {scene.path}" in told.err


def test_a_ledger_that_another_process_keeps_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """A process that never lets go of the ledger: the wait is bounded, and who it is can be found."""
    with Scene(tmp_path) as scene, closing(sqlite3.connect(scene.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = scene.run("tick")
        assert told.code != 0
        assert "kept busy by another process" in told.err
        assert "Traceback" not in told.err
        other.execute("ROLLBACK")
        scene.healed()
