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

_TABLE = {  # by type, then by kind; the first kind is the default
    "b2trader": {"key": "rotator.providers.b2trader:B2Trader"},
    "buildmarkets": {"key": "rotator.providers.buildmarkets:Buildmarkets"},
    "fattail": {"key": "rotator.providers.fattail:FatTail"},
    "figure": {
        "client": "rotator.providers.figure:FigureClient",
        "access-token": "rotator.providers.figure:FigureToken",
    },
    "fintechstudios": {
        "access-key": "rotator.providers.fintechstudios:FintechAccessKey",
        "token": "rotator.providers.fintechstudios:FintechToken",
    },
}


def names() -> tuple[str, ...]:
    """Every type that a provider's section may name, in order."""
    return tuple(sorted({*_TABLE, *_others()}))


def adapter(provider_type: str, kind: str | None = None) -> type[Any]:
    """The adapter's class, imported when first asked for; of the type's default kind where none is named.

    Raises KeyError for an unknown type, and for a kind that a type of ours does not have. An adapter has
    ``traits``, the pydantic models ``Settings`` (a policy's ``key:``) and ``Options`` (the provider's
    section), ``kinds`` (all of its type, the default first), ``check(policy) -> str | None``, and is made
    with (ref, admin, clock, network); one whose credential a person issues has ``shape(fields) -> str |
    None`` as well. Its module must not import an HTTP library: loading policies imports it. Other people's
    adapters are one class for all kinds.
    """
    if provider_type in _TABLE:
        kinds = _TABLE[provider_type]
        module, _, name = kinds[next(iter(kinds)) if kind is None else kind].partition(":")
        return cast("type[Any]", getattr(import_module(module), name))
    return cast("type[Any]", _others()[provider_type].load())


def pace(ref: ProviderRef) -> float | None:
    """How many requests a second we send to a provider: as its section says, else the adapter's own limit."""
    told = ref.options.get("requests_per_second")
    rate: float | None = told or getattr(adapter(ref.type, ref.kind), "rate", None)
    return rate


@cache
def _others() -> dict[str, EntryPoint]:
    """Other people's adapters; a name of ours is never overridden."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _TABLE}


def make(
    ref: ProviderRef, admin: "Admin | None", clock: Clock, network: "Network", kind: str | None = None
) -> Provider:
    """The adapter for a provider and a kind of credential.

    Raises KeyError for an unknown type or kind, NeedsPerson for unusable options.
    """
    return cast("Provider", adapter(ref.type, kind)(ref, admin, clock, network))
