import pytest

from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.testing.store_contract import Backend, StoreContract
from tests.contract.stores.laid_open import LaidOpen


class TestFakeSecretsManager(StoreContract):
    @pytest.fixture
    def backend(self) -> Backend:
        """The adapter over the faithful fake."""
        service = FakeSecretsManager(clock := ManualClock())
        settings = AwsSecretsManager.Settings(region="eu-west-1")
        return LaidOpen(settings, clock, service.client)
