"""The local providers without a key API, each with the adapter of one of its kinds."""

from collections.abc import Mapping
from typing import Any

from rotator.lab.logins import LocalLogins
from rotator.model import Credential, ProviderRef
from rotator.providers import adapter, make
from rotator.providers.admin import Admin
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock
from rotator.testing.login_contract import LoginSubject
from tests.contract.providers.test_lab import Elsewhere, LabSubject


class LabLogins(LabSubject, LoginSubject):
    """A local provider with the adapter of one kind; both live by one manual clock."""

    server: LocalLogins

    def __init__(  # the kind decides which adapter it is
        self, server: LocalLogins, kind: str, clock: ManualClock, elsewhere: Elsewhere, **options: Any
    ) -> None:
        self.server = server
        self.clock = clock
        self.key = {}
        self._elsewhere = elsewhere
        self.held = server.admin
        settings = {"requests_per_second": 1000, **options}
        ref = ProviderRef("here", server.type_name, server.url, options=settings)
        found = adapter(server.type_name, kind)
        admin = Admin(
            lambda: Credential(self.held), found.traits.admin_fields, "here", clock, found.admin_in_headers
        )
        self.network = Network(Surroundings(), clock)
        self.provider = make(ref, admin, clock, self.network, kind)

    def issue_by_hand(self) -> Mapping[str, str]:
        return self.server.issue_by_hand()

    def revoke_by_hand(self, fields: Mapping[str, str]) -> None:
        known = {key.key_id for key in self.server.keys("hand")}
        (key_id,) = known & set(fields.values())
        self.server.revoke_by_hand(key_id)

    def token_calls(self) -> int:
        return self.server.token_calls
