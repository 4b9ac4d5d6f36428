from collections.abc import Iterator

import pytest

from rotator.lab.figure import Figure
from rotator.testing.clock import ManualClock
from rotator.testing.login_contract import PersonContract, TokenContract
from tests.contract.providers.logins import LabLogins
from tests.contract.providers.test_lab import Elsewhere


class TestClient(PersonContract):
    @pytest.fixture
    def subject(self, elsewhere: Elsewhere) -> Iterator[LabLogins]:
        clock = ManualClock()
        with Figure(clock=clock.now) as server:
            subject = LabLogins(server, "client", clock, elsewhere)
            yield subject
            subject.network.close()


class TestAccessToken(TokenContract):
    @pytest.fixture
    def subject(self, elsewhere: Elsewhere) -> Iterator[LabLogins]:
        clock = ManualClock()
        with Figure(clock=clock.now) as server:
            subject = LabLogins(server, "access-token", clock, elsewhere)
            yield subject
            subject.network.close()
