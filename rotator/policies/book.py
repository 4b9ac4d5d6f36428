"""What policy files say when nothing is wrong with them, and where adapters are looked up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from rotator.model import Policy, ProviderRef, StoreRef
from rotator.notices import Notices


class Table(Protocol):
    """Adapters by type."""

    def adapter(self, type: str, /) -> type[Any]:  # noqa: A002 - the policy file's word
        """The adapter's class; KeyError for an unknown type."""
        ...

    def names(self) -> Iterable[str]:
        """Every type there is."""
        ...


class KindTable(Table, Protocol):
    """Adapters by type, and by kind of credential where a type knows several."""

    def adapter(self, type: str, kind: str | None = None, /) -> type[Any]:  # noqa: A002
        """The adapter's class; KeyError for an unknown type."""
        ...


@dataclass(frozen=True, slots=True)
class Adapters:
    """The three tables."""

    providers: KindTable
    stores: Table
    consumers: Table


@dataclass(frozen=True)
class Book:
    """All policies of a file or folder. Its values do not change; a changed file makes another book."""

    stores: Mapping[str, StoreRef] = field(default_factory=dict)
    providers: Mapping[str, ProviderRef] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    notices: Notices = field(default_factory=Notices)

    @cached_property
    def by_secret(self) -> Mapping[str, Policy]:
        """The policy of each secret, by its canonical id."""
        return MappingProxyType({policy.target.id: policy for policy in self.policies})

    @cached_property
    def by_name(self) -> Mapping[str, Policy]:
        """The policy of each name."""
        return MappingProxyType({policy.name: policy for policy in self.policies})
