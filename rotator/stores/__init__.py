"""Where secrets live: one adapter for each type of store, found by an explicit table."""

from importlib import import_module
from typing import Any

from rotator.interfaces import Clock, SecretStore
from rotator.model import StoreRef

_ADAPTERS = {
    "aws-secrets-manager": "rotator.stores.aws_secrets_manager:AwsSecretsManager",
    "vault-kv2": "rotator.stores.vault_kv2:VaultKv2",
}


def names() -> tuple[str, ...]:
    """The types that a policy file may name, in alphabetical order."""
    return tuple(sorted(_ADAPTERS))


def adapter(store_type: str) -> Any:
    """The adapter's class, imported when it is first asked for; KeyError for a type that is not known.

    Every adapter has ``Settings`` (a pydantic model), ``RIGHTS`` and the pure ``canonical``; its library
    is imported only when a first call is made.
    """
    module, _, name = _ADAPTERS[store_type].partition(":")
    return getattr(import_module(module), name)


def make(ref: StoreRef, clock: Clock) -> SecretStore:
    """The store that ``ref`` describes. Raises KeyError, and ValueError for settings that are wrong."""
    kind = adapter(ref.type)
    store: SecretStore = kind(kind.Settings.model_validate(dict(ref.settings)), clock)
    return store
