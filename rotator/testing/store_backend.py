"""What the contract of stores works on: a store with its inside laid open, tokens and keys."""

import secrets
from typing import Protocol

from rotator.interfaces import SecretStore, Stored
from rotator.model import Credential, StoreRef, Target

Made = tuple[Target, Stored]


class Backend(Protocol):
    """A store with its inside laid open: what other people and faults do to it."""

    @property
    def store(self) -> SecretStore:
        """The store under test."""
        ...

    def create(self, name: str, value: str | bytes | None) -> None:
        """A secret that somebody made: with a first value, or without any."""
        ...

    def overwrite(self, name: str, value: str) -> None:
        """Somebody else writes a new current value."""
        ...

    def mark_deleted(self, name: str) -> None:
        """Somebody marks the secret for deletion."""
        ...

    def rotate_natively(self, name: str) -> None:
        """Somebody switches the store's own rotation on."""
        ...

    def replicate(self, name: str) -> None:
        """Somebody adds a replica."""
        ...

    def lose_answer(self, verb: str) -> None:
        """The next ``stage`` or ``promote`` happens, but its answer does not arrive."""
        ...

    def consumed(self, name: str) -> str:
        """What a consumer reads now, who names neither version nor stage."""
        ...


def push() -> str:
    """A token as an attempt has one."""
    return f"r1-{secrets.token_hex(4)}-{secrets.token_hex(16)}"


def key(**more: str) -> Credential:
    """A credential that never was at any provider."""
    return Credential(
        {"key_id": secrets.token_hex(4), "api_key": f"not-a-key-{secrets.token_hex(8)}", **more}
    )


def target(secret: str, fields: dict[str, str | None] | None = None, form: str = "json") -> Target:
    """A policy's target in the store under test."""
    return Target(f"test|{secret}", StoreRef("test", "test"), secret, fields or {}, form)


# In the spelling of stores that keep an object and not its text: sorted, without spaces.
FIRST = '{"api_key":"nothing","host":"example.test","key_id":"none"}'


def read(backend: Backend, where: Target, version: str | None = None) -> Stored:
    """A version that must be there."""
    stored = backend.store.read(where, version)
    assert stored is not None, "the version was just written"
    return stored
