from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rotator.interfaces import Stored
from rotator.model import Target
from rotator.stores.aws_secrets_manager import AwsSecretsManager
from rotator.testing.clock import ManualClock
from rotator.testing.store_contract import Backend, StoreContract
from tests.contract.stores.laid_open import LaidOpen

Made = tuple[Target, Stored]


@pytest.fixture(scope="module")
def clients() -> Iterator[Callable[[str], Any]]:
    """boto3's own clients, made once: each takes a fifth of a second."""
    made = []

    @cache
    def client(region: str) -> Any:
        session = boto3.Session("testing", "testing")
        made.append(session.client("secretsmanager", region_name=region))
        return made[-1]

    yield client
    for each in made:
        each.close()


class TestMoto(StoreContract):
    @pytest.fixture
    def backend(self, clients: Callable[[str], Any]) -> Iterator[Backend]:
        """The adapter over boto3's own clients, with moto behind them."""
        with mock_aws():
            yield LaidOpen(AwsSecretsManager.Settings(region="eu-west-1"), ManualClock(), clients)

    @pytest.mark.xfail(reason="moto overwrites the value of a version that is still AWSPENDING")
    def test_stage_refuses_another_value_under_a_used_token(self, backend: Backend, made: Made) -> None:
        """A token that was used with another value is a Conflict, and what was staged stays."""
        super().test_stage_refuses_another_value_under_a_used_token(backend, made)

    @pytest.mark.xfail(reason="moto's read without a stage stays at the old version after a promotion")
    def test_consumers_read_what_was_promoted(self, backend: Backend, made: Made) -> None:
        """A consumer who names neither version nor stage gets the promoted value."""
        super().test_consumers_read_what_was_promoted(backend, made)

    @pytest.mark.xfail(reason="moto takes AWSCURRENT off before it finds that the target does not exist")
    def test_promote_of_no_version_changes_nothing(self, backend: Backend, made: Made) -> None:
        """A version that does not exist cannot become current, and the current one stays."""
        super().test_promote_of_no_version_changes_nothing(backend, made)
