from collections.abc import Iterator

import pytest

from rotator.audit.keys import KeyRing
from rotator.interfaces import Ledger
from rotator.ledger.dynamodb.address import parsed
from rotator.ledger.dynamodb.ledger import begun
from rotator.ledger.dynamodb.table import Table, client
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_contract import LedgerContract
from rotator.wiring import SystemClock
from tests.embedded import dynamodb


class TestDynamoDB(LedgerContract):
    """By the contract's clock; that a worker's is the servers' is shown where that clock is tested."""

    @pytest.fixture
    def ledger(self, clock: ManualClock, dynamo: dynamodb.Server, table: str) -> Iterator[Ledger]:
        where = parsed(dynamo.address(table))
        opened = begun(
            Table(client(where), where, SystemClock(), 20.0), clock.now, KeyRing(None), "a process"
        )
        yield opened
        opened.close()
