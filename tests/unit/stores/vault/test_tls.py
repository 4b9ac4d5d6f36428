import json
from pathlib import Path

import pytest

from rotator.errors import NotSent
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import target
from tests.unit.certificates import certified
from tests.unit.providers.raw_server import RawServer, say

# What is asked of a token's life and of a secret, in one answer.
ANSWER = {"data": {"ttl": 0, "renewable": False, "data": {"token": "one"}, "metadata": {"version": 1}}}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    """A Vault's settings but its address: a token from a file, and secrets that may be made."""
    token = tmp_path / "token"
    token.write_text("any")
    return {"auth": {"method": "token", "token_file": str(token)}, "create_missing": True}


def test_a_certificate_that_nobody_trusts_gets_no_token(tmp_path: Path, settings: dict[str, object]) -> None:
    """Nothing is sent, and that is what is said."""
    _, context = certified(tmp_path)
    with RawServer(say("200 OK", b"{}"), tls=context) as server:
        store = VaultKv2(VaultKv2.Settings.model_validate({"url": server.url, **settings}), ManualClock())
        with pytest.raises(NotSent):
            store.look(target("app/one"))
        assert server.requests == []
        store.close()


def test_an_authority_of_ones_own_is_trusted_where_it_is_named(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    """``ca_file`` decides whom to trust, whatever the environment says."""
    file, context = certified(tmp_path)
    answer = say("200 OK", json.dumps(ANSWER).encode(), "Content-Type: application/json")
    with RawServer(answer, tls=context) as server:
        given = {"url": server.url, "ca_file": str(file), **settings}
        store = VaultKv2(VaultKv2.Settings.model_validate(given), ManualClock())
        assert store.raw("app/admin").reveal() == {"token": "one"}
        store.close()
