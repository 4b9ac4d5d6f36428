"""A provider, a store, a consumer and a world in memory, which keep what they promise: for simulations.

They hold the truth of a test: which keys live, which version is current, and everything that was done.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from rotator.errors import Conflict, EffectError, NeedsPerson, Refused, Scope
from rotator.interfaces import Clock, Consumer, Ledger, Look, Provider, SecretStore, Stored
from rotator.model import (
    ConsumerRef,
    Credential,
    Event,
    Issued,
    KeyRecord,
    News,
    Probe,
    ProviderRef,
    StoreRef,
    Target,
    Traits,
    Verdict,
)


@dataclass
class FakeKey:
    """A key as the fake provider sees it."""

    key_id: str
    label: str
    secret: str
    granted: Mapping[str, Any]
    created_at: datetime
    live: bool = True


class FakeProvider:
    """Issues keys with a label, lists them all, refuses what it revoked. At most ``key_limit`` live ones."""

    traits: ClassVar[Traits] = Traits(
        version="1",
        fields=("key_id", "secret"),
        secret_fields=("secret",),
        id_field="key_id",
        admin_fields=("admin",),
        label_setting="label",
        key_limit=4,
        visibility_delay=timedelta(seconds=2),
    )

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self.keys: dict[str, FakeKey] = {}
        self.revoked: list[str] = []
        self.admin_works = True

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:
        """What the policy says."""
        return dict(key)

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:
        """Scopes that were granted beyond those asked for."""
        if "scopes" not in granted or "scopes" not in wanted:
            return None
        more = set(granted["scopes"]) - set(wanted["scopes"])
        return f"more scopes than asked: {sorted(more)}" if more else None

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:
        """A new key; refused at the limit."""
        self._admin()
        if sum(key.live for key in self.keys.values()) >= (self.traits.key_limit or 1_000_000):
            raise Refused("key-limit", "the limit of live keys is reached", permanent=True)
        key = self.add(label, wanted)
        return Issued(key.key_id, Credential({"key_id": key.key_id, "secret": key.secret}), dict(key.granted))

    def add(self, label: str, granted: Mapping[str, Any] | None = None) -> FakeKey:
        """Make a key without asking anybody: for keys that were there before."""
        key_id = f"key-{len(self.keys) + 1}"
        key = FakeKey(
            key_id, label, f"value-{self._rng.getrandbits(64):016x}", granted or {}, self._clock.now()
        )
        self.keys[key_id] = key
        return key

    def find(self) -> Sequence[KeyRecord]:
        """Every key, dead ones too."""
        self._admin()
        return [
            KeyRecord(key.key_id, key.label, key.live, key.created_at, dict(key.granted))
            for key in self.keys.values()
        ]

    def probe(self, credential: Credential) -> Probe:
        """LIVE for the value of a live key, DEAD for any other."""
        works = self.accepts(credential.get("secret"))
        return Probe(Verdict.LIVE if works else Verdict.DEAD, account="one")

    def accepts(self, secret: str | None) -> bool:
        """Whether a value authenticates now."""
        return any(key.live and key.secret == secret for key in self.keys.values())

    def revoke(self, key_id: str) -> None:
        """The key is dead; an id that never was is no error."""
        self._admin()
        self.revoked.append(key_id)
        if key_id in self.keys:
            self.keys[key_id].live = False

    def _admin(self) -> None:
        if not self.admin_works:
            raise NeedsPerson("admin-refused", "refused.", todo="submit --admin", scope=Scope.PROVIDER)


@dataclass
class FakeSecret:
    """One secret: its versions' objects, and which is current."""

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    times: dict[str, datetime] = field(default_factory=dict)
    current: str | None = None
    previous: str | None = None
    history: list[str] = field(default_factory=list)


class FakeStore:
    """Versions by token, one of them current; promote is compare-and-swap."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.secrets: dict[str, FakeSecret] = {}
        self.replicas_show = True
        self.replicated = False

    @staticmethod
    def canonical(settings: Mapping[str, Any], secret: str) -> str:
        """The name itself."""
        return f"fake|{secret}"

    def put(self, secret: str, version: str, value: Mapping[str, str], *, current: bool) -> None:
        """Write a version as somebody else would."""
        kept = self.secrets.setdefault(secret, FakeSecret())
        kept.versions[version] = dict(value)
        kept.times[version] = self._clock.now()
        if current or kept.current is None:
            self._move(kept, version)

    @staticmethod
    def _move(kept: FakeSecret, version: str) -> None:
        kept.previous, kept.current = kept.current, version
        kept.history.append(version)

    def value(self, secret: str) -> Mapping[str, str]:
        """What consumers read now."""
        kept = self.secrets[secret]
        return kept.versions[kept.current] if kept.current else {}

    def look(self, target: Target) -> Look:
        """The versions."""
        kept = self._secret(target.secret)
        return Look(kept.current, kept.previous, tuple(kept.versions), self.replicated)

    def read(self, target: Target, version: str | None = None) -> Stored | None:
        """One version, all of whose fields are ours."""
        kept = self._secret(target.secret)
        name = version or kept.current
        if name is None or name not in kept.versions:
            return None
        value = kept.versions[name]
        ours = {name: held for name, held in value.items() if name in ("key_id", "secret")}
        return Stored(name, kept.times[name], Credential(ours), Credential(value))

    def seed(self, target: Target, push: str) -> str:
        """An empty object as the first version."""
        self.put(target.secret, push, {}, current=False)
        return push

    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """A pending version, read back."""
        kept = self._secret(target.secret)
        value = {**onto.whole.reveal(), **credential.reveal()}
        if kept.versions.get(push, value) != value:
            raise Conflict("token-taken", "the token was used with another value")
        self.put(target.secret, push, value, current=False)
        stored = self.read(target, push)
        assert stored is not None, "what was just written is there"
        return stored

    def promote(self, target: Target, version: str, expected: str) -> str:
        """Compare and swap."""
        kept = self._secret(target.secret)
        if kept.current != expected or version not in kept.versions:
            raise Conflict("moved", "another version is current")
        self._move(kept, version)
        return version

    def shown(self, target: Target, version: str, since: datetime) -> bool:
        """As the test says."""
        return self.replicas_show

    def keep(self, target: Target, version: str, mark: str) -> None:
        """Versions stay here for ever."""

    def discard(self, target: Target, version: str, mark: str | None) -> None:
        """Versions stay here for ever."""

    def raw(self, secret: str) -> Credential:
        """The current object."""
        return Credential(self.value(secret))

    def replace_raw(self, secret: str, fields: Mapping[str, str], push: str) -> None:
        """Write over the current object."""
        self.put(secret, push, {**self.value(secret), **fields}, current=True)

    def _secret(self, name: str) -> FakeSecret:
        if name not in self.secrets:
            raise NeedsPerson("missing", f"the secret {name} does not exist.", todo="create it")
        return self.secrets[name]


class FakeConsumer:
    """Remembers what it was told; ``fails`` is raised instead, while it is set."""

    def __init__(self) -> None:
        self.heard: list[News] = []
        self.fails: EffectError | NeedsPerson | None = None

    def tell(self, news: News) -> None:
        """Remember."""
        if self.fails is not None:
            raise self.fails
        self.heard.append(news)

    def check(self) -> None:
        """All is there."""


class FakeWorld:
    """One provider, one store, consumers by name, a real ledger, numbers from a seed. Wrap adapters to inject
    faults.
    """

    def __init__(
        self,
        ledger: Ledger,
        provider: Provider,
        store: SecretStore,
        rng: random.Random,
        consumers: Mapping[str, Consumer] | None = None,
    ) -> None:
        self._ledger = ledger
        self._provider = provider
        self._store = store
        self._rng = rng
        self._consumers = consumers or {}
        self._stopping = False

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process."""
        return self._ledger

    def provider(self, ref: ProviderRef) -> Provider:
        """The one provider."""
        return self._provider

    def store(self, ref: StoreRef) -> SecretStore:
        """The one store."""
        return self._store

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """By name."""
        return self._consumers[ref.name]

    def renewed(self, ref: ProviderRef) -> None:
        """Nothing is kept here."""

    def stopping(self) -> bool:
        """Whether stop was called."""
        return self._stopping

    def stop(self) -> None:
        """No new effect from now on."""
        self._stopping = True

    def random_hex(self) -> str:
        """32 digits, from the seed."""
        return f"{self._rng.getrandbits(128):032x}"


class Told:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        """Remember."""
        self.events.append(replace(event))

    def flush(self, timeout: timedelta) -> bool:
        """All is taken at once."""
        return True
