from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from rotator.ledger import open_ledger
from rotator.ledger.dynamodb.ledger import DynamoLedger
from rotator.testing.clock import ManualClock
from tests.embedded.dynamodb import Server

Open = Callable[..., DynamoLedger]


@pytest.fixture
def opened(dynamo: Server, table: str) -> Iterator[Open]:
    """Opens the table's ledger as a worker does whose host believes to be in another year."""
    with ExitStack() as all_of_them:

        def opened(year: int = 1990, patience: float = 10.0, *, create: bool = True) -> DynamoLedger:
            clock = ManualClock(datetime(year, 1, 1, tzinfo=UTC))
            ledger = open_ledger(dynamo.address(table), clock, patience=patience, create=create)
            assert isinstance(ledger, DynamoLedger)
            all_of_them.callback(ledger.close)
            return ledger

        yield opened


@pytest.fixture
def ledger(opened: Open) -> DynamoLedger:
    """A ledger as a worker opens it."""
    return opened()
