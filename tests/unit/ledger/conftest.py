from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.ledger.sql import SqlLedger
from tests.unit.ledger.lives import opened_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqlLedger]:
    """A ledger in that file."""
    opened = opened_at(path)
    yield opened
    opened.close()
