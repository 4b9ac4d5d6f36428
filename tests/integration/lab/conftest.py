from collections.abc import Iterator

import httpx
import pytest

from rotator.lab import B2Trader, Buildmarkets, FatTail, LocalProvider
from tests.integration.lab.common import Hands


@pytest.fixture
def clock() -> Hands:
    """The providers' clock, which stands still."""
    return Hands()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client that reads nothing from the environment, nor certificates, which takes long."""
    with httpx.Client(timeout=5, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture(params=[Buildmarkets, B2Trader, FatTail], ids=lambda made: str(made.type_name))
def provider(request: pytest.FixtureRequest, clock: Hands) -> Iterator[LocalProvider]:
    """Each of the three, without rate limits."""
    with request.param(clock=clock, limits=()) as provider:
        yield provider
