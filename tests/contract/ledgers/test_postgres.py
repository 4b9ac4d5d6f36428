from collections.abc import Iterator

import pytest

from rotator.interfaces import Ledger
from rotator.ledger import postgres
from rotator.ledger.sql import SqlLedger
from rotator.ledger.times import HostTime
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_contract import LedgerContract


class TestPostgres(LedgerContract):
    """By the contract's clock; that a worker's is the database's is shown where the database is tested."""

    @pytest.fixture
    def ledger(self, clock: ManualClock, database: str) -> Iterator[Ledger]:
        time = HostTime(clock)
        made, ledger_id = postgres.at(database, time, 10.0, create=True)
        opened = SqlLedger(made, time, ledger_id)
        opened.begin()
        yield opened
        opened.close()
