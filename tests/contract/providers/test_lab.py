from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from rotator import lab
from rotator.model import Credential, ProviderRef
from rotator.providers import adapter, make
from rotator.providers.admin import Admin
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock
from rotator.testing.provider_contract import ProviderContract
from rotator.testing.provider_subject import HOLD_SECONDS, Mishap, Step, Subject


class Elsewhere(ThreadingHTTPServer):
    def __init__(self) -> None:
        outer = self
        self.hits = 0

        class Count(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                outer.hits += 1
                self.send_error(500)

            do_GET = do_POST = do_DELETE = do_any  # noqa: N815 - the names http.server calls

        super().__init__(("127.0.0.1", 0), Count)


FAULTS: dict[Mishap, lab.Fault] = {
    Mishap.LOSE: lab.Lose(),
    Mishap.DROP: lab.Drop(),
    Mishap.DOWN: lab.Refuse(500, {"error": "unexpected"}),
    Mishap.BUSY: lab.Refuse(429, {"error": "slow down"}, {"Retry-After": str(HOLD_SECONDS)}),
    Mishap.WIDER: lab.Widen(),
    Mishap.QUIETLY_WIDER: lab.Widen(quiet=True),
}


class LabSubject(Subject):
    """One of the local providers with its adapter; both live by one manual clock."""

    def __init__(
        self, server: lab.LocalProvider, key: Mapping[str, Any], clock: ManualClock, elsewhere: Elsewhere
    ) -> None:
        self.server = server
        self.clock = clock
        self.key = key
        self._elsewhere = elsewhere
        self.held = server.admin
        kind = server.type_name
        ref = ProviderRef("here", kind, server.url, options={"requests_per_second": 1000})
        admin = Admin(lambda: Credential(self.held), adapter(kind).traits.admin_fields, "here", self.clock)
        self.network = Network(Surroundings(), self.clock)
        self.provider = make(ref, admin, self.clock, self.network)

    def live(self) -> Mapping[str, str]:
        return {k.key_id: k.label for k in self.server.keys("api", "foreign", "initial") if k.live}

    def add_foreign(self, label: str) -> str:
        return self.server.add_foreign(label).key_id

    def secrets(self) -> frozenset[str]:
        return self.server.values()

    def requests(self) -> int:
        return len(self.server.calls)

    def elsewhere(self) -> int:
        return self._elsewhere.hits

    def next(self, step: Step, mishap: Mishap, times: int = 1) -> None:
        pattern = {
            Step.ISSUE: self.server.ISSUE,
            Step.LIST: self.server.LIST,
            Step.REVOKE: self.server.REVOKE,
            Step.PROBE: self.server.PROBE,
        }[step]
        self.server.fail_next(pattern, self._fault(mishap), times)

    def _fault(self, mishap: Mishap) -> lab.Fault:
        if mishap is Mishap.ELSEWHERE:
            return lab.Redirect(f"http://127.0.0.1:{self._elsewhere.server_address[1]}/")
        if mishap in FAULTS:
            return FAULTS[mishap]
        return lab.Garbage(mishap.value)  # type: ignore[arg-type]  # the two enumerate the same words

    def renew_admin(self) -> None:
        self.server.renew_admin()

    def submit_admin(self) -> None:
        self.held = self.server.admin


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """A second server, which nobody may speak to."""
    server = Elsewhere()
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class LabContract(ProviderContract):
    key: ClassVar[Mapping[str, Any]]

    def server(self, clock: ManualClock) -> lab.LocalProvider:
        raise AssertionError("each provider names its own")

    @pytest.fixture
    def subject(self, elsewhere: Elsewhere) -> Iterator[LabSubject]:
        clock = ManualClock()
        with self.server(clock) as server:
            subject = LabSubject(server, self.key, clock, elsewhere)
            yield subject
            subject.network.close()


class TestBuildmarkets(LabContract):
    key: ClassVar = {"scopes": ["accounts:read", "trading:read"]}

    def server(self, clock: ManualClock) -> lab.LocalProvider:
        return lab.Buildmarkets(clock=clock.now, limits=())


class TestB2Trader(LabContract):
    key: ClassVar = {"isInfo": True, "isTrade": False, "ipWhiteList": ["127.0.0.1"]}

    def server(self, clock: ManualClock) -> lab.LocalProvider:
        return lab.B2Trader(clock=clock.now, limits=())


class TestFatTail(LabContract):
    key: ClassVar = {"scopes": ["read"], "expires_in_days": 90}

    def server(self, clock: ManualClock) -> lab.LocalProvider:
        return lab.FatTail(clock=clock.now, limits=())
