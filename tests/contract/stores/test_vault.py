from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.lab.vault import LocalVault
from rotator.testing.clock import ManualClock
from tests.contract.stores.vault_contract import VaultContract
from tests.contract.stores.vault_laid_open import Admin, VaultLaidOpen, policy


class TestLocalVault(VaultContract):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[VaultLaidOpen]:
        """The adapter over HTTP, with a Vault of our own behind it."""
        clock, token = ManualClock(), tmp_path / "token"
        with LocalVault(clock=clock.now) as vault:
            token.write_text(vault.access.token(policy=policy("secret")))
            laid_open = VaultLaidOpen(Admin(vault.url, vault.root), clock, token)
            yield laid_open
            laid_open.close()
