"""The world outside a simulated worker: providers that lag, stores that forget, and who else is there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, ClassVar

from rotator.errors import NeedsPerson, Refused
from rotator.interfaces import Consumer, Ledger, Look, Provider, SecretStore, Stored
from rotator.model import (
    ConsumerRef,
    Credential,
    KeyRecord,
    Probe,
    ProviderRef,
    StoreRef,
    Target,
    Traits,
    Verdict,
)
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeKey, FakeProvider, FakeSecret, FakeStore

NOTHING = timedelta(0)
KEPT = timedelta(hours=24)  # an unlabelled version stays readable at least so long
SEEN_WITHIN = timedelta(seconds=20)


class SimProvider(FakeProvider):
    """A provider whose keys work, stop working and appear in its list only after a while."""

    traits: ClassVar[Traits] = replace(FakeProvider.traits, visibility_delay=SEEN_WITHIN)

    def __init__(self, name: str, clock: ManualClock, rng: Random, limit: int) -> None:
        super().__init__(clock, rng)
        self.name = name
        self.limit = limit
        self.works_after = NOTHING  # from issue until a new key is accepted
        self.dies_after = NOTHING  # from revoke until a dead one is refused
        self.lists_after = NOTHING  # until the list shows either
        self.died: dict[str, Any] = {}

    def add(self, label: str, granted: Mapping[str, Any] | None = None) -> FakeKey:
        """A key whose id says where it is from."""
        key = super().add(label, granted)
        del self.keys[key.key_id]
        key.key_id = f"{self.name}-{key.key_id}"
        self.keys[key.key_id] = key
        return key

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Any:
        """A new key; refused at the limit, which is this provider's own."""
        if self.admin_works and sum(key.live for key in self.keys.values()) >= self.limit:
            raise Refused("key-limit", "the limit of live keys is reached", permanent=True)
        return super().issue(label, wanted)

    def kill(self, key_id: str) -> None:
        """The key is dead from now on, whoever says so."""
        if key_id in self.keys and self.keys[key_id].live:
            self.keys[key_id].live = False
            self.died[key_id] = self._clock.now()

    def revoke(self, key_id: str) -> None:
        """Dead, once everybody knows."""
        self._admin()
        self.revoked.append(key_id)
        self.kill(key_id)

    def find(self) -> Sequence[KeyRecord]:
        """Every key, as the list knew them a moment ago."""
        self._admin()
        then = self._clock.now() - self.lists_after
        return [
            KeyRecord(key.key_id, key.label, self._lived(key, then), key.created_at, dict(key.granted))
            for key in self.keys.values()
            if key.created_at <= then
        ]

    def _lived(self, key: FakeKey, then: Any) -> bool:
        return key.live or self.died.get(key.key_id, then) > then

    def probe(self, credential: Credential) -> Probe:
        """LIVE for a key that works and is known to, or that everybody still believes in."""
        now, key = self._clock.now(), self.holder(credential)
        works = key is not None and (
            now >= key.created_at + self.works_after
            if key.live
            else now < self.died.get(key.key_id, key.created_at) + self.dies_after
        )
        return Probe(Verdict.LIVE if works else Verdict.DEAD, account=self.name)

    def holder(self, credential: Credential) -> FakeKey | None:
        """The key whose value this is."""
        value = credential.get("secret")
        return next((key for key in self.keys.values() if key.secret == value), None)

    @property
    def live(self) -> list[FakeKey]:
        """Every key that lives."""
        return [key for key in self.keys.values() if key.live]


class SimStore(FakeStore):
    """A store that forgets versions which carry no label, and whose replicas lag."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.marks: dict[tuple[str, str], set[str]] = {}
        self.unlabelled: dict[tuple[str, str], Any] = {}
        self.shown_after = NOTHING
        self.denies = False
        self.pending: dict[str, str] = {}
        self.deleted: set[str] = set()

    def read(self, target: Target, version: str | None = None) -> Stored | None:
        """A version that is not forgotten."""
        self._forget(target.secret)
        return super().read(target, version)

    def look(self, target: Target) -> Look:
        """What labels say."""
        self._forget(target.secret)
        return super().look(target)

    def stage(self, target: Target, credential: Credential, push: str, onto: Stored) -> Stored:
        """A pending version; the one that was pending loses that label."""
        if self.denies:
            raise NeedsPerson("denied", "the store refuses the write.", todo="let it write")
        self.unlabelled.pop((target.secret, push), None)  # what lands late may have been forgotten meanwhile
        stored = super().stage(target, credential, push, onto)
        self.pending[target.secret] = push
        return stored

    def shown(self, target: Target, version: str, since: Any) -> bool:
        """Whether replicas had the time to follow."""
        return bool(self._clock.now() >= since + self.shown_after)

    def keep(self, target: Target, version: str, mark: str) -> None:
        """A label of ours."""
        self.marks.setdefault((target.secret, version), set()).add(mark)

    def discard(self, target: Target, version: str, mark: str | None) -> None:
        """Our labels go; so does the pending one."""
        self.marks.pop((target.secret, version), None)
        if self.pending.get(target.secret) == version:
            del self.pending[target.secret]

    def _secret(self, name: str) -> FakeSecret:
        if name in self.deleted:
            raise NeedsPerson("deleted", "the secret is marked deleted.", todo="restore it")
        return super()._secret(name)

    def _forget(self, name: str) -> None:
        """Let versions go that carried no label for a day."""
        kept = self._secret(name)
        now = self._clock.now()
        labelled = {kept.current, kept.previous, self.pending.get(name)}
        for version in list(kept.versions):
            if version in labelled or self.marks.get((name, version)):
                self.unlabelled.pop((name, version), None)
            elif self.unlabelled.setdefault((name, version), now) < now - KEPT:
                del kept.versions[version]


class SimWorld:
    """What one process reaches: its ledger, and the same providers, store and consumer as everybody's."""

    def __init__(
        self,
        ledger: Ledger,
        providers: Mapping[str, Provider],
        store: SecretStore,
        consumer: Consumer,
        rng: Random,
    ) -> None:
        self._ledger = ledger
        self._providers = providers
        self._store = store
        self._consumer = consumer
        self._rng = rng
        self._stopping = False

    @property
    def ledger(self) -> Ledger:
        """The durable memory."""
        return self._ledger

    def provider(self, ref: ProviderRef) -> Provider:
        """By name."""
        return self._providers[ref.name]

    def store(self, ref: StoreRef) -> SecretStore:
        """The one store."""
        return self._store

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """The one consumer."""
        return self._consumer

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
