from collections.abc import Iterator
from typing import Any

import pytest

from rotator.lab.fintechstudios import PROBE_PATH, FintechStudios
from rotator.testing.clock import ManualClock
from rotator.testing.login_contract import PersonContract, TokenContract
from tests.contract.providers.logins import LabLogins
from tests.contract.providers.test_lab import Elsewhere

SPELLINGS: dict[str, dict[str, Any]] = {
    "as-the-page": {},
    "as-the-newer-page": {"token_path": "/auth/login", "token_header": "raw"},
    "as-the-client": {"token_path": "/auth/login", "token_header": "x-api-token"},
}
PROBED = {"without-probe-path": None, "with-probe-path": PROBE_PATH}


@pytest.fixture(params=list(SPELLINGS.values()), ids=list(SPELLINGS))
def spelling(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each spelling of path and header that the vendor's pages have."""
    chosen: dict[str, Any] = request.param
    return chosen


@pytest.fixture(params=list(PROBED.values()), ids=list(PROBED))
def probed(request: pytest.FixtureRequest) -> dict[str, Any]:
    """With and without a path that proves the organisation's key."""
    return {} if request.param is None else {"probe_path": request.param}


@pytest.fixture
def clock() -> ManualClock:
    """One clock for both sides."""
    return ManualClock()


class TestAccessKey(PersonContract):
    @pytest.fixture
    def subject(
        self, elsewhere: Elsewhere, clock: ManualClock, probed: dict[str, Any]
    ) -> Iterator[LabLogins]:
        with FintechStudios(clock=clock.now) as server:
            subject = LabLogins(server, "access-key", clock, elsewhere, **probed)
            yield subject
            subject.network.close()


class TestToken(TokenContract):
    @pytest.fixture
    def subject(
        self, elsewhere: Elsewhere, clock: ManualClock, probed: dict[str, Any]
    ) -> Iterator[LabLogins]:
        with FintechStudios(clock=clock.now) as server:
            subject = LabLogins(server, "token", clock, elsewhere, **probed)
            yield subject
            subject.network.close()


def test_each_spelling_is_spoken(elsewhere: Elsewhere, clock: ManualClock, spelling: dict[str, Any]) -> None:
    """Path and header as each of the vendor's pages has them: one login, and the token is let in."""
    with FintechStudios(clock=clock.now, **spelling) as server:
        subject = LabLogins(server, "token", clock, elsewhere, probe_path=PROBE_PATH, **spelling)
        issued = subject.provider.issue("", {})
        assert subject.provider.probe(issued.credential).verdict == "live"
        subject.network.close()
        assert [(call.path, call.status) for call in server.calls] == [
            (server.token_path, 200),
            (PROBE_PATH, 200),
        ]
