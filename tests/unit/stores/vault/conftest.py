from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rotator.lab.vault import LocalVault
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock

Make = Callable[..., VaultKv2]


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when it is told to."""
    return ManualClock()


@pytest.fixture
def vault(clock: ManualClock) -> Iterator[LocalVault]:
    """A Vault with one secret, on the same clock."""
    with LocalVault(clock=clock.now) as vault:
        vault.put("app/one", api_key="first", key_id="1", host="example.test")
        yield vault


@pytest.fixture
def make(vault: LocalVault, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes adapters for that Vault; with nothing said, one whose token may do everything."""
    made: list[VaultKv2] = []

    def store(auth: dict[str, Any] | None = None, **settings: Any) -> VaultKv2:
        if auth is None:
            monkeypatch.setenv("VAULT_TOKEN", vault.root)
        given = {"url": vault.url, "auth": auth or {"method": "token"}, **settings}
        made.append(VaultKv2(VaultKv2.Settings.model_validate(given), clock))
        return made[-1]

    yield store
    for each in made:
        each.close()
