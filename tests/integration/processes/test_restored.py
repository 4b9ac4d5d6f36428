"""A ledger file that is put back from a copy, and real commands that meet it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.integration.processes.scene import LATER, Scene

DAY = 86_400.0  # seconds


def copied(source: Path, target: Path) -> None:
    """A copy of a ledger as SQLite makes it; what was there is gone."""
    for suffix in ("", "-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)


def living(scene: Scene) -> set[str]:
    """The ids of the keys of the secret that live."""
    return {key.key_id for key in scene.provider.keys("api", "initial") if key.live}


def test_a_backup_that_is_put_back_revokes_nothing_until_a_person_agrees(tmp_path: Path) -> None:
    """A pass tells people of the safe mode and revokes nothing; a person agrees; then one key lives."""
    with Scene(tmp_path) as scene:
        scene.healed()
        backup = tmp_path / "backup.db"
        copied(scene.path, backup)
        order = "run-now orders --reason drill --yes --wait 50s"
        scene.run(order, 2 * LATER)
        copied(backup, scene.path)
        before, since = living(scene), len(scene.heard)
        later = 2 * LATER + DAY
        told = scene.run("tick", later)
        assert "older than the world" in told.out + told.err
        assert not [each for each in scene.heard[since:] if each.startswith("DELETE /v1/keys")]
        assert before <= living(scene)
        agreed = scene.run("reconcile --trust-ledger --reason drill --yes", later)
        assert (agreed.code, "The ledger is trusted again" in agreed.out) == (0, True)
        scene.run("reconcile --fix", later)
        scene.healed(later)
