from pathlib import Path

import pytest

from rotator.errors import LedgerUnusable
from rotator.model import ProviderRef, StoreRef
from rotator.wiring import SystemClock, holder, traits, wire
from tests.unit.cli.records import STORE, policy


def test_adapters_are_made_once(tmp_path: Path) -> None:
    """Equal references share one adapter, and so its limits; another address has another."""
    ref = policy().provider
    same = ProviderRef(ref.name, ref.type, ref.base_url, ref.admin)
    with wire(f"sqlite:///{tmp_path}/l.db") as world:
        assert world.provider(ref) is world.provider(same)
        assert world.provider(ref) is not world.provider(policy(provider="other").provider)
        assert world.store(STORE) is world.store(StoreRef(STORE.name, STORE.type, dict(STORE.settings)))


def test_a_world_stops_when_it_is_told(tmp_path: Path) -> None:
    """Once stopped, no effect may begin any more."""
    with wire(f"sqlite:///{tmp_path}/l.db") as world:
        assert not world.stopping()
        world.stop()
        assert world.stopping()


def test_a_ledger_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    """A command that only goes on from what was done makes no ledger."""
    with pytest.raises(LedgerUnusable, match="no ledger"):
        wire(f"sqlite:///{tmp_path}/l.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_names_and_declarations() -> None:
    """No two processes hold claims under one name; declarations are those of the adapter."""
    assert holder() != holder()
    assert "api_secret" in traits("buildmarkets").admin_fields
    assert SystemClock().now().utcoffset() is not None
