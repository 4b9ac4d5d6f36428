from collections.abc import Iterator

import pytest

from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """One clock for the adapter and the server that it speaks to."""
    return ManualClock()


@pytest.fixture
def network(clock: ManualClock) -> Iterator[Network]:
    """A door to the outside, closed at the end."""
    network = Network(Surroundings(), clock)
    yield network
    network.close()
