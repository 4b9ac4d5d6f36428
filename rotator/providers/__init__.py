"""Who issues keys: one file for each provider, found by an explicit table."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from rotator.interfaces import Clock, Provider
from rotator.model import ProviderRef

if TYPE_CHECKING:
    from rotator.providers.admin import Admin
    from rotator.providers.network import Network

GROUP = "rotator.providers"  # entry points of other people's adapters

_TABLE = {
    "b2trader": "rotator.providers.b2trader:B2Trader",
    "buildmarkets": "rotator.providers.buildmarkets:Buildmarkets",
    "fattail": "rotator.providers.fattail:FatTail",
}


def names() -> tuple[str, ...]:
    """Every type that a provider's section may name, in order."""
    return tuple(sorted({*_TABLE, *_others()}))


def adapter(provider_type: str) -> type[Any]:
    """The adapter's class, imported when first asked for. Raises KeyError for an unknown type.

    An adapter has ``traits``, the pydantic models ``Settings`` (a policy's ``key:``) and ``Options`` (the
    provider's section), ``kinds``, ``check(policy) -> str | None``, and is made with (ref, admin, clock,
    network). Its module must not import an HTTP library: loading policies imports it.
    """
    if provider_type in _TABLE:
        module, _, name = _TABLE[provider_type].partition(":")
        return cast("type[Any]", getattr(import_module(module), name))
    return cast("type[Any]", _others()[provider_type].load())


@cache
def _others() -> dict[str, EntryPoint]:
    """Other people's adapters; a name of ours is never overridden."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _TABLE}


def make(ref: ProviderRef, admin: "Admin | None", clock: Clock, network: "Network") -> Provider:
    """The adapter for a provider. Raises KeyError for an unknown type, NeedsPerson for unusable options."""
    return cast("Provider", adapter(ref.type)(ref, admin, clock, network))
