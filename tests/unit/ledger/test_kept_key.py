"""The audit key in a secret of AWS Secrets Manager, with boto3's own calls and moto behind them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from rotator.audit.verify import verify
from rotator.errors import LedgerUnusable
from rotator.ledger import audit_keys, kept_key, open_ledger
from rotator.ledger.kept_key import VARIABLE, KeptKeyRing
from rotator.testing.clock import ManualClock

ELSEWHERE = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rotator/nothing-AbCdEf"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Makes a secret with a text, and names it to the worker; its ARN."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("ROTATOR_AUDIT_KEY_FILE", raising=False)

    def make(text: str) -> str:
        owner: Any = boto3.client("secretsmanager", region_name="eu-west-1")
        arn = str(owner.create_secret(Name="rotator/audit-key", SecretString=text)["ARN"])
        owner.close()
        monkeypatch.setenv(VARIABLE, arn)
        return arn

    with mock_aws():
        yield make


def test_a_trail_is_kept_and_verified_with_it(kept: Callable[[str], str], tmp_path: Path) -> None:
    """Records are made and verified with the key in the secret; no file with a key is made."""
    kept(f"{secrets.token_hex()}\n{secrets.token_hex()}\n")
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    ledger = open_ledger(url, ManualClock())
    assert verify(ledger, audit_keys(url)).findings == ()
    ledger.close()
    assert [path.name for path in tmp_path.iterdir() if "audit-key" in path.name] == []


def test_it_asks_for_what_it_declares(kept: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One GetSecretValue, once for a process; of KMS Secrets Manager itself asks, with our rights."""
    ring, called = KeptKeyRing(kept(secrets.token_hex())), []
    real: Callable[..., Any] = vars(BaseClient)["_make_api_call"]

    def recorded(client: Any, operation: str, request: Any) -> Any:
        called.append(f"{client.meta.service_model.service_name}:{operation}")
        return real(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
    assert ring.signing() is ring.signing()
    assert called == sorted(kept_key.RIGHTS - {"kms:Decrypt"})


@pytest.mark.parametrize("text", [" ", "no-digits", "ab" * 31])
def test_another_text_is_refused_and_not_shown(kept: Callable[[str], str], text: str) -> None:
    """What is not a key stops the worker, by a sentence that names the secret and not what it holds."""
    arn = kept(text)
    with pytest.raises(LedgerUnusable, match=r"\[audit-key\]") as raised:
        KeptKeyRing(arn).signing()
    assert arn in str(raised.value)
    assert not text.strip() or text not in str(raised.value)


def test_a_secret_that_is_not_there_is_told(kept: Callable[[str], str]) -> None:
    """It is never made behind a person's back; waiting would not bring it."""
    ring = KeptKeyRing(ELSEWHERE)
    ring.make()
    with pytest.raises(LedgerUnusable, match="is not read") as raised:
        ring.signing()
    assert not raised.value.passing
    assert raised.value.__context__ is None


def test_a_name_is_of_the_workers_own_region(
    kept: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lambda and ECS tell it; an ARN tells its own."""
    arn = kept(secrets.token_hex())
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    by_name = KeptKeyRing("rotator/audit-key").signing()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert KeptKeyRing(arn).signing().id == by_name.id


@pytest.mark.parametrize("secret", ["rotator/audit-key", "arn:aws:iam::123456789012:role/rotator", "a\nb"])
def test_a_secret_that_cannot_be_found_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a region, and what is the name of none: said before anything is asked of AWS."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(LedgerUnusable, match="is not the ARN of a secret"):
        KeptKeyRing(secret)


def test_a_file_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where both are named the file is read, and nothing is asked of AWS."""
    monkeypatch.setenv("ROTATOR_AUDIT_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv(VARIABLE, ELSEWHERE)
    assert audit_keys("postgresql://db.example.com/rotator").path == tmp_path / "key"
