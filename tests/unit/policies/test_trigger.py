"""Secrets that Secrets Manager rotates itself: no schedule of ours, and not for every secret."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotator.cli.check import schedule
from rotator.cli.planning import next_due
from rotator.due import due
from rotator.errors import PolicyError
from rotator.model import SecretState
from rotator.people import Known
from rotator.policies import load
from tests.unit.policies.test_tokens import HEAD, PARENT, TOKEN

NATIVE = "trigger: secrets-manager"
KEY = f"  - {{name: b, provider: fat, secret: b, {NATIVE}, key: {{scopes: [read]}}"


def write(tmp_path: Path, policy: str) -> Path:
    """A file with one more policy, and a Vault."""
    path = tmp_path / "rotator.yaml"
    vault = (
        "  vault: {type: vault-kv2, url: https://vault.example.com, auth: {method: token, token_file: /t}}"
    )
    path.write_text(HEAD.replace("providers:", f"{vault}\nproviders:", 1) + policy)
    return path


def test_a_secret_that_secrets_manager_rotates_has_no_schedule(tmp_path: Path) -> None:
    """Neither its own nor that of the defaults; grace is the policy's all the same."""
    policy = load(write(tmp_path, f"{KEY}}}\n")).by_name["b"]
    assert policy.target.native
    assert (policy.every, policy.cron, policy.renew) == (None, None, None)
    assert policy.grace.days == 1
    assert schedule(policy) == "when Secrets Manager calls"


def test_nothing_of_it_is_ever_due_but_a_first_look(tmp_path: Path) -> None:
    """However old the key is: the pass looks at it once."""
    policy, now = load(write(tmp_path, f"{KEY}}}\n")).by_name["b"], datetime(2026, 1, 1, tzinfo=UTC)
    state = SecretState(policy.target.id, "b", "p", datetime(2020, 1, 1, tzinfo=UTC))
    first = due(policy, state, {}, now)
    assert first is not None
    assert first.kind == "take-on"
    looked = SecretState(policy.target.id, "b", "p", now, looked_at=now)
    assert due(policy, looked, {}, now) is None
    assert next_due(policy, Known(looked), now)[1].startswith("when Secrets Manager calls")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (f"{KEY}, every: 1d}}", "every is not for trigger: secrets-manager"),
        (f"{KEY}, jitter: 1h, cron: '0 9 * * *'}}", "jitter is not for trigger: secrets-manager"),
        (f"{KEY}, store: vault}}", "store 'vault' of type vault-kv2 does not call rotator"),
        (f"  - {{name: b, provider: figure, secret: b, {NATIVE}}}", "a person issues"),
        (f"{TOKEN}{PARENT}, {NATIVE}}}", "a token is renewed before it expires"),
        (KEY.replace(NATIVE, "trigger: lambda") + "}", "trigger"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, policy: str, said: str) -> None:
    """By name and line, with what would be right."""
    with pytest.raises(PolicyError) as caught:
        load(write(tmp_path, policy + "\n"))
    assert said in str(caught.value)
