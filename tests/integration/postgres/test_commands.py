from pathlib import Path

from tests.acceptance.executable import GOOD, Executable


def test_commands_on_postgresql(database: str, tmp_path: Path) -> None:
    """Commands read and make a ledger there as in a file, by ``--ledger`` and by the environment."""
    rotator = Executable(tmp_path)
    rotator.policies(GOOD)
    empty = rotator("--ledger", database, "status")
    assert empty.code == 0
    assert "There is no ledger at postgresql://" in empty.err
    aws = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "NO_PROXY": "*"}
    paused = rotator(
        "pause", "orders", "--for", "2h", "--reason", "drill", env={**aws, "ROTATOR_LEDGER": database}
    )
    assert paused.code == 0, paused.all
    told = rotator("status", "orders", env={"ROTATOR_LEDGER": database})
    assert told.code == 0, told.all
    assert "paused" in told.out
    assert rotator.left() == {"rotator.yaml", "state/rotator/postgres.audit-key"}


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    """A command whose ledger cannot be reached says so in a sentence, and what to do."""
    rotator = Executable(tmp_path)
    rotator.policies(GOOD)
    answer = rotator("--ledger", f"postgresql:///rotator?host={tmp_path}", "status")
    assert answer.code == 1
    assert "does not answer" in answer.err
    assert "Traceback" not in answer.err
