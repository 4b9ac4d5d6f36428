"""The sections ``stores``, ``providers`` and ``consumers``: each entry apart: one error hides no other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from rotator.model import AdminRef, ConsumerRef, ProviderRef, StoreRef
from rotator.policies.book import Adapters, Table
from rotator.policies.drafts import Draft
from rotator.policies.problems import Path, meant, shown
from rotator.policies.sections import (
    AdminSection,
    ConsumerSection,
    ProviderSection,
    StoreSection,
    check_name,
)
from rotator.policies.urls import wrong_url
from rotator.policies.words import validate

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class References:
    """Stores, providers and consumers that are right, and the names of those that exist but are not."""

    adapters: Adapters
    stores: dict[str, StoreRef] = field(default_factory=dict)
    providers: dict[str, ProviderRef] = field(default_factory=dict)
    consumers: dict[str, ConsumerRef] = field(default_factory=dict)
    wrong_stores: set[str] = field(default_factory=set)
    wrong_providers: set[str] = field(default_factory=set)
    wrong_consumers: set[str] = field(default_factory=set)

    def store(self, draft: Draft, path: Path, name: str) -> StoreRef | None:
        """The store of that name; says so where there is none."""
        _exists(draft, path, "store", name, {*self.stores, *self.wrong_stores})
        return self.stores.get(name)

    def provider(self, draft: Draft, path: Path, name: str) -> ProviderRef | None:
        """The provider of that name; says so where there is none."""
        _exists(draft, path, "provider", name, {*self.providers, *self.wrong_providers})
        return self.providers.get(name)

    def told(self, draft: Draft, path: Path, names: Sequence[str]) -> tuple[ConsumerRef, ...]:
        """The consumers of these names, each once; says so where there is none of a name."""
        for index, name in enumerate(names):
            _exists(draft, (*path, index), "consumer", name, {*self.consumers, *self.wrong_consumers})
        if len(set(names)) < len(names):
            draft.say(path, "consumers: one of them is named twice.", "Name each once.")
        return tuple(self.consumers[name] for name in names if name in self.consumers)

    def canonical(self, draft: Draft, path: Path, store: StoreRef, secret: str) -> str | None:
        """The secret's one id; says what is wrong with its spelling."""
        try:
            return str(self.adapters.stores.adapter(store.type).canonical(store.settings, secret))
        except ValueError as error:
            draft.say(path, f"secret: {str(error).rstrip('.')}.", "Correct the spelling of the secret.")
            return None

    def admin_id(self, provider: ProviderRef) -> str:
        """One id for the account of a provider: the admin secret's, whatever its spelling."""
        if provider.admin is None:
            return provider.name
        store = provider.admin.store
        return str(self.adapters.stores.adapter(store.type).canonical(store.settings, provider.admin.secret))


def _exists(draft: Draft, path: Path, what: str, name: str, names: set[str]) -> None:
    if name not in names:
        draft.say(path, f"{what}: there is no {what} {shown(name)}.", meant(name, names, what=f"In {what}s"))


def references(draft: Draft, adapters: Adapters) -> References:
    """Every store, provider and consumer of the main file."""
    found = References(adapters)
    for name, data in draft.section("stores").items():
        store = _store(draft, adapters.stores, name, data)
        if store:
            found.stores[name] = store
        else:
            found.wrong_stores.add(name)
    for name, data in draft.section("providers").items():
        provider = _provider(draft, found, name, data)
        if provider:
            found.providers[name] = provider
        else:
            found.wrong_providers.add(name)
    for name, data in draft.section("consumers").items():
        consumer = _consumer(draft, found, name, data)
        if consumer:
            found.consumers[name] = consumer
        else:
            found.wrong_consumers.add(name)
    return found


def _store(draft: Draft, table: Table, name: str, data: object) -> StoreRef | None:
    path: Path = ("stores", name)
    section = _section(draft, StoreSection, path, data)
    adapter = _adapter(draft, table, path, section.type) if section else None
    if section is None or adapter is None:
        return None
    settings = _own(draft, adapter.Settings, path, data, StoreSection)
    return None if settings is None else StoreRef(name, section.type, settings)


def _provider(draft: Draft, found: References, name: str, data: object) -> ProviderRef | None:
    path: Path = ("providers", name)
    before = len(draft.findings)
    section = _section(draft, ProviderSection, path, data)
    kind = data.get("type") if isinstance(data, dict) else None
    adapter = _adapter(draft, found.adapters.providers, path, kind) if isinstance(kind, str) else None
    if adapter is None:
        return None
    options = _own(draft, adapter.Options, path, data, ProviderSection)
    if section is None:
        return None
    admin = _kept(draft, found, (*path, "admin"), section.admin)
    _check_admin(draft, path, section, adapter)
    if options is None or len(draft.findings) > before or (section.admin and not admin):
        return None
    made = ProviderRef(name, section.type, section.base_url, admin, options)
    return replace(made, account=found.admin_id(made)) if admin else made


def _consumer(draft: Draft, found: References, name: str, data: object) -> ConsumerRef | None:
    path: Path = ("consumers", name)
    section = _section(draft, ConsumerSection, path, data)
    adapter = _adapter(draft, found.adapters.consumers, path, section.type) if section else None
    if section is None or adapter is None:
        return None
    settings = _own(draft, adapter.Settings, path, data, ConsumerSection)
    signing = _kept(draft, found, (*path, "signing"), section.signing)
    _check_signing(draft, path, section, adapter.SIGNS)
    if settings is None or (adapter.SIGNS is None) != (signing is None):
        return None
    return ConsumerRef(name, section.type, settings, signing)


def _check_signing(draft: Draft, path: Path, section: ConsumerSection, field_name: str | None) -> None:
    place = (*path, "signing")
    if field_name is not None and section.signing is None:
        why = f"signing is missing: without it a {section.type} cannot tell who speaks."
        draft.say(
            place,
            why,
            f"Add `signing: {{store: …, secret: …}}`; the secret holds {field_name}, a random key.",
        )
    if section.signing is not None and field_name is None:
        draft.say(place, f"signing: {section.type} has no use for it.", "Leave it out.")


def _kept(draft: Draft, found: References, path: Path, section: AdminSection | None) -> AdminRef | None:
    """Where a credential is kept, as ``section`` says; what is wrong with it is said."""
    if section is None:
        return None
    store = found.store(draft, (*path, "store"), section.store)
    if store is None or found.canonical(draft, (*path, "secret"), store, section.secret) is None:
        return None
    return AdminRef(store, section.secret)


def _check_admin(draft: Draft, path: Path, section: ProviderSection, adapter: type[Any]) -> None:
    needed = adapter.traits.admin_fields
    if needed and section.admin is None:
        draft.say(
            (*path, "admin"),
            f"admin is missing: {section.type} issues keys by a credential that may manage them.",
            f"Add `admin: {{store: …, secret: …}}`; the secret holds {', '.join(needed)}.",
        )
    if section.admin and not needed:
        draft.say((*path, "admin"), f"admin: {section.type} has no use for it.", "Leave it out.")


def _section(draft: Draft, model: type[M], path: Path, data: object) -> M | None:
    wrong = check_name(str(path[-1]))
    if wrong:
        draft.say(path, *wrong)
    section, findings = validate(model, data, path)
    draft.say_all(findings)
    return None if wrong else section


def _adapter(draft: Draft, table: Table, path: Path, kind: str) -> type[Any] | None:
    try:
        return table.adapter(kind)
    except KeyError:
        names = list(table.names())
        draft.say((*path, "type"), f"type: unknown type {shown(kind)}.", meant(kind, names, what="Types"))
        return None


def _own(
    draft: Draft, model: type[BaseModel], path: Path, data: object, section: type[BaseModel]
) -> Mapping[str, Any] | None:
    """The type's own keys of an entry, as JSON has them, without those that were left out."""
    beside = tuple(section.model_fields)
    own = {key: value for key, value in data.items() if key not in beside} if isinstance(data, dict) else {}
    wrong = list(_wrong_urls(own))
    for key, message, remedy in wrong:
        draft.say((*path, key), f"{key}: {message}", remedy, final=True)
        del own[key]
    settings, findings = validate(model, own, path, known=beside)
    draft.say_all(findings)
    if settings is None or wrong:
        return None
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _wrong_urls(own: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Every address among the keys: the same rules hold, whatever the adapter checks itself."""
    for key, value in own.items():
        if isinstance(value, str) and (key == "url" or key.endswith("_url")):
            found = wrong_url(value)
            if found:
                yield key, *found
