from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_contract import LedgerContract


class TestSqliteFile(LedgerContract):
    @pytest.fixture
    def ledger(self, clock: ManualClock, tmp_path: Path) -> Iterator[Ledger]:
        opened = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite", clock)
        yield opened
        opened.close()


class TestSqliteMemory(LedgerContract):
    @pytest.fixture
    def ledger(self, clock: ManualClock) -> Iterator[Ledger]:
        opened = open_ledger("sqlite://", clock)
        yield opened
        opened.close()
