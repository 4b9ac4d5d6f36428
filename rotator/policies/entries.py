"""The sections ``defaults`` and ``policies``: each policy apart, merged with the defaults."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from rotator import cron, durations
from rotator.model import (
    AdminRef,
    ConsumerRef,
    Policy,
    ProviderRef,
    StoreRef,
    Target,
    Traits,
    WhenNotTold,
)
from rotator.policies.drafts import Draft
from rotator.policies.problems import Path, meant, shown
from rotator.policies.references import References
from rotator.policies.sections import Common, DefaultsSection, PolicySection, WindowSection
from rotator.policies.spelling import spelling
from rotator.policies.words import validate

_When = tuple[timedelta | None, str | None]  # every, cron
_RENEW = 0.25  # share of a token's life that is left when it is renewed, where the policy does not say
_NOT_OF_TOKENS = (
    "every",
    "cron",
    "timezone",
    "windows",
    "jitter",
    "grace",
    "consumers",
    "when_not_told",
    "drill",
)
_NOT_OF_NATIVE = ("every", "cron", "timezone", "windows", "jitter", "drill")
_SCHEDULE = "schedule"
_Key = tuple[dict[str, Any], str]  # settings, kind


@dataclass(frozen=True, slots=True)
class Defaults:
    """What policies leave out; ``wrong`` names keys that are given, but not right: they are said once."""

    section: DefaultsSection = field(default_factory=DefaultsSection)
    wrong: frozenset[str] = frozenset()

    def gives(self, key: str) -> bool:
        """Whether a policy may leave this key out."""
        return key in self.section.model_fields_set or key in self.wrong


def defaults(draft: Draft) -> Defaults:
    """The section of the main file, without the keys that are wrong."""
    data = _without_nothing(draft, ("defaults",), draft.section("defaults"))
    section, findings = validate(DefaultsSection, data, ("defaults",))
    draft.say_all(findings)
    wrong = {str(each.path[1]) for each in findings if len(each.path) > 1}
    if section is None:
        section, _ = validate(DefaultsSection, {key: data[key] for key in data if key not in wrong}, ())
    section = section or DefaultsSection()
    if section.every and section.cron:
        draft.say(
            ("defaults", "cron"),
            "defaults give both every and cron.",
            "Keep one; a policy may give the other.",
        )
    _check_lengths(draft, ("defaults",), section, (section.every, section.cron), set(data))
    return Defaults(section, frozenset(wrong))


def _without_nothing(draft: Draft, path: Path, data: object) -> dict[str, Any]:
    """A mapping without the keys that have no value: said, since they may be meant as something."""
    if not isinstance(data, dict):
        return {}
    for key in [key for key, value in data.items() if value is None]:
        draft.say(
            (*path, key), f"{key}: nothing is given.", "Give it a value, or leave the key out.", final=True
        )
    return {key: value for key, value in data.items() if value is not None}


@dataclass(slots=True)
class Entry:
    """A policy and the place that it stands at. ``policy`` is None for one that is wrong in itself; what is
    known of it then still counts when policies are compared.
    """

    draft: Draft
    path: Path
    name: str | None = None
    secret_id: str | None = None
    provider: ProviderRef | None = None
    policy: Policy | None = None

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.draft.source.name}:{self.draft.tree.line(self.path)}"


def entries(draft: Draft, refs: References, common: Defaults) -> list[Entry]:
    """Every policy of one file."""
    found = []
    for index, data in enumerate(draft.policies()):
        entry = Entry(draft, ("policies", index))
        entry.policy = _Reader(draft, entry.path, refs, common, entry).policy(data)
        found.append(entry)
        if draft.gives_up():
            break
    return found


@dataclass(slots=True)
class _Reader:
    """One policy on its way: what is missing is None, and has been said."""

    draft: Draft
    path: Path
    refs: References
    common: Defaults
    entry: Entry

    def policy(self, data: object) -> Policy | None:
        before = len(self.draft.findings)
        given = _without_nothing(self.draft, self.path, data) if isinstance(data, dict) else data
        own, findings = validate(PolicySection, given, self.path)
        self.draft.say_all(findings)
        if not isinstance(given, dict):
            return None
        self.entry.name = given["name"] if isinstance(given.get("name"), str) else None
        self.entry.provider = provider = self._provider(given)
        store = self._store(given)
        self.entry.secret_id = secret_id = self._secret(store, given)
        made = self._key(provider, given)
        if own is None:
            return None
        provider = self.entry.provider = self._of_kind(provider, own, given, made[1])
        native = self._native(own, given, provider, store)
        unscheduled = native or self._expires(provider)
        when = (None, None) if unscheduled else self._schedule(own)
        target = self._target(own, store, secret_id, provider)
        told = self._consumers(own)
        if len(self.draft.findings) > before or not (provider and target):
            return None
        if not any(when) and not unscheduled:
            return None
        policy = replace(self._made(own, provider, target, when, made), consumers=told)
        self._check(policy)
        return policy if len(self.draft.findings) == before else None

    def _made(
        self, own: PolicySection, provider: ProviderRef, target: Target, when: _When, made: _Key
    ) -> Policy:
        if self._expires(provider):
            return self._token(own, provider, target, made)
        windows: list[WindowSection] = self._pick(own, "windows")
        return Policy(
            name=own.name,
            provider=provider,
            target=target,
            every=when[0],
            cron=when[1],
            timezone=self._pick(own, "timezone"),
            windows=tuple(window.value() for window in windows),
            jitter=self._pick(own, "jitter"),
            grace=self._grace(own, when),
            key=made[0],
            kind=made[1],
            tags={**self.common.section.tags, **own.tags},
            owner=self._pick(own, "owner"),
            when_not_told=WhenNotTold(self._pick(own, "when_not_told")),
            drill=self._pick(own, "drill"),
            place=self.entry.place,
        )

    def _grace(self, own: PolicySection, when: _When) -> timedelta:
        """What is given; else a day, or half the time between two rotations where that is less."""
        given: timedelta = self._pick(own, "grace")
        gap = when[0] or (cron.shortest_gap(when[1]) if when[1] else None)
        if "grace" in own.model_fields_set or self.common.gives("grace") or gap is None:
            return given
        return min(given, gap / 2)

    def _token(self, own: PolicySection, provider: ProviderRef, target: Target, made: _Key) -> Policy:
        """A token has no schedule, no windows and no grace: it is renewed before it expires."""
        if provider.account == target.id:
            self.draft.say(
                (*self.path, "from"), "from: it is the token's own secret.", "Keep the two in two secrets."
            )
        return Policy(
            name=own.name,
            provider=provider,
            target=target,
            renew=own.renew_before or _RENEW,
            parent=provider.account,
            grace=timedelta(0),
            key=made[0],
            kind=made[1],
            tags={**self.common.section.tags, **own.tags},
            owner=self._pick(own, "owner"),
            place=self.entry.place,
        )

    def _pick(self, own: Common, name: str) -> Any:
        return getattr(own if name in own.model_fields_set else self.common.section, name)

    # --- its kind ---

    def _adapter(self, provider: ProviderRef) -> type[Any]:
        """The adapter of the provider's type, of the policy's kind."""
        table = self.refs.adapters.providers
        return table.adapter(provider.type, provider.kind) if provider.kind else table.adapter(provider.type)

    def _expires(self, provider: ProviderRef | None) -> bool:
        return provider is not None and bool(self._adapter(provider).traits.expires)

    def _of_kind(
        self, provider: ProviderRef | None, own: PolicySection, given: dict[str, Any], kind: str
    ) -> ProviderRef | None:
        """The provider for one kind of its credentials: a token's has its parent where others have admin."""
        if provider is None or kind not in getattr(self._adapter(provider), "kinds", ("key",)):
            return None
        if kind != getattr(self._adapter(provider), "kinds", ("key",))[0]:
            provider = replace(provider, kind=kind)
        if not self._adapter(provider).traits.expires:
            self._only(given, ("from", "renew_before"), "is for tokens; this credential does not expire")
            return provider
        self._only(given, _NOT_OF_TOKENS, "is not for tokens: they are renewed before they expire")
        if own.from_ is None:
            self.draft.say(
                (*self.path, "from"),
                "from is missing: a token is minted from a parent credential.",
                "Add `from: {store: …, secret: …}`, the secret that holds "
                f"{', '.join(self._adapter(provider).traits.admin_fields)}.",
            )
            return None
        store = self.refs.store(self.draft, (*self.path, "from", "store"), own.from_.store)
        at = (*self.path, "from", "secret")
        parent = self.refs.canonical(self.draft, at, store, own.from_.secret) if store else None
        if store is None or parent is None:
            return None
        return replace(provider, admin=AdminRef(store, own.from_.secret), account=parent)

    def _native(
        self,
        own: PolicySection,
        given: dict[str, Any],
        provider: ProviderRef | None,
        store: StoreRef | None,
    ) -> bool:
        """Whether the store's own rotation says when: then no schedule of ours may be given."""
        if own.trigger == _SCHEDULE:
            return False
        self._only(given, _NOT_OF_NATIVE, f"is not for trigger: {own.trigger}, whose own rotation says when")
        if store is not None and self._trigger_of(store) != own.trigger:
            self._wrong_trigger(own, f"store {shown(store.name)} of type {store.type} does not call rotator")
        if provider is not None and not self._adapter(provider).traits.issues:
            self._wrong_trigger(
                own, f"at {shown(provider.name)} a person issues, and no call can wait for one"
            )
        elif self._expires(provider):
            self._wrong_trigger(own, "a token is renewed before it expires, whenever that is")
        return True

    def _trigger_of(self, store: StoreRef) -> str | None:
        """The trigger of secrets that a store rotates by calling us, where it does."""
        found: str | None = getattr(self.refs.adapters.stores.adapter(store.type), "NATIVE", None)
        return found

    def _wrong_trigger(self, own: PolicySection, why: str) -> None:
        self.draft.say((*self.path, "trigger"), f"trigger: {own.trigger} cannot be: {why}.", "Leave it out.")

    def _only(self, given: dict[str, Any], keys: tuple[str, ...], why: str) -> None:
        for key in keys:
            if key in given:
                self.draft.say((*self.path, key), f"{key} {why}.", "Leave it out.")

    # --- what it refers to ---

    def _named(self, given: dict[str, Any], what: str) -> str | None:
        """The store's or provider's name, from the policy or the defaults; says so where neither has it."""
        if what in given:
            name = given[what]
            return name if isinstance(name, str) else None
        name = getattr(self.common.section, what)
        if name is None and not self.common.gives(what):
            self.draft.say(
                (*self.path, what), f"{what} is missing.", f"Add `{what}:`, here or under `defaults`."
            )
        return str(name) if name is not None else None

    def _provider(self, given: dict[str, Any]) -> ProviderRef | None:
        name = self._named(given, "provider")
        return None if name is None else self.refs.provider(self.draft, (*self.path, "provider"), name)

    def _store(self, given: dict[str, Any]) -> StoreRef | None:
        name = self._named(given, "store")
        return None if name is None else self.refs.store(self.draft, (*self.path, "store"), name)

    def _consumers(self, own: PolicySection) -> tuple[ConsumerRef, ...]:
        """Who is told of a new key, each once; a token's users are not: they read it again by themselves."""
        if self._expires(self.entry.provider):
            return ()
        return self.refs.told(self.draft, (*self.path, "consumers"), self._pick(own, "consumers"))

    def _key(self, provider: ProviderRef | None, given: dict[str, Any]) -> _Key:
        """The key settings, checked by the provider's adapter and without those left out, and the kind."""
        if provider is None:
            return {}, ""
        adapter = self._adapter(provider)
        kinds: tuple[str, ...] = getattr(adapter, "kinds", ("key",))
        kind = given.get("kind", kinds[0])
        if isinstance(kind, str) and kind not in kinds:
            self.draft.say(
                (*self.path, "kind"),
                f"kind: {provider.type} has no {shown(kind)}.",
                meant(kind, kinds, what="Kinds"),
            )
        elif isinstance(kind, str) and kind != kinds[0]:
            adapter = self._adapter(replace(provider, kind=kind))
        settings, findings = validate(adapter.Settings, given.get("key", {}), (*self.path, "key"))
        self.draft.say_all(
            findings, but=None if isinstance(given.get("key", {}), dict) else (*self.path, "key")
        )
        dumped = settings.model_dump(mode="json", by_alias=True, exclude_unset=True) if settings else {}
        return dumped, str(kind)

    def _schedule(self, own: PolicySection) -> _When:
        """Its own every or cron, else that of the defaults; exactly one."""
        if own.every and own.cron:
            self.draft.say((*self.path, "cron"), "every and cron are both given.", "Keep one of them.")
        chosen: Common = own if own.every or own.cron else self.common.section
        if not (chosen.every or chosen.cron) and not {"every", "cron"} & self.common.wrong:
            self.draft.say((*self.path, "every"), "It says neither every nor cron.", "Add `every: 30d`, say.")
        if chosen is own:
            return own.every, own.cron
        return (None, chosen.cron) if chosen.cron else (chosen.every, None)

    # --- where it is kept ---

    def _secret(self, store: StoreRef | None, given: dict[str, Any]) -> str | None:
        """The secret's one id, where its spelling is right."""
        secret = given.get("secret")
        if store is None or not isinstance(secret, str) or not secret.strip():
            return None
        return self.refs.canonical(self.draft, (*self.path, "secret"), store, secret)

    def _target(
        self, own: PolicySection, store: StoreRef | None, secret_id: str | None, provider: ProviderRef | None
    ) -> Target | None:
        if provider is None or store is None or secret_id is None:
            return None
        traits: Traits = self._adapter(provider).traits
        written = spelling(self.draft, self.path, own, traits)
        native = own.trigger != _SCHEDULE
        return None if written is None else Target(secret_id, store, own.secret, written, own.format, native)

    # --- whether it fits together ---

    def _check(self, policy: Policy) -> None:
        own = {
            name
            for name in ("grace", "jitter", "every", "cron")
            if (*self.path, name) in self.draft.tree.lines
        }
        if own or not self.common.gives("grace"):  # what the defaults alone say was checked there
            _check_lengths(self.draft, self.path, policy, (policy.every, policy.cron), own)
        check = getattr(self._adapter(policy.provider), "check", None)
        said = check(policy) if check else None
        if said:
            self.draft.say((*self.path, "key"), f"key: {str(said).rstrip('.')}.", "Change one of the two.")


def _check_lengths(draft: Draft, path: Path, of: Any, when: _When, own: set[str]) -> None:
    """Grace and jitter must be shorter than the time between two rotations."""
    every, expression = when
    gap = every or (cron.shortest_gap(expression) if expression else None)
    if gap is None:
        return
    times = f"every {durations.text(gap)}" if every else f"cron, which may fire {durations.text(gap)} apart"
    for name in ("grace", "jitter"):
        value: timedelta = getattr(of, name)
        if value >= gap:
            place = name if name in own else "every" if every else "cron"
            draft.say(
                (*path, place),
                f"{name} {durations.text(value)} is not shorter than {times}.",
                f"Write {name} shorter than {durations.text(gap)}, or rotate less often.",
            )
