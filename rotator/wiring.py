"""From settings to real objects: the only room that knows them all."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self, TypeVar

from rotator import consumers, providers, stores
from rotator import ledger as ledgers
from rotator.consumers.outside import Outside
from rotator.interfaces import Clock, Consumer, Ledger, Provider, SecretStore
from rotator.model import AdminRef, ConsumerRef, Credential, ProviderRef, StoreRef, Traits
from rotator.notices import Channel
from rotator.providers.admin import Admin
from rotator.providers.network import Network, Surroundings
from rotator.telemetry.everybody import Everybody
from rotator.telemetry.sentry import Alarms, QuietNotifier, SentryNotifier
from rotator.telemetry.services import Service

_Ref = TypeVar("_Ref", ProviderRef, StoreRef, ConsumerRef)
_Adapter = TypeVar("_Adapter")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Wiring:
    """The World of a real process: one ledger, and every adapter made once, when it is first asked for.

    Use it as a context manager: at the end it lets go of the ledger and of every connection.
    """

    def __init__(self, ledger: Ledger, clock: Clock, network: Network) -> None:
        self.clock = clock
        self._ledger = ledger
        self._network = network
        self._providers: list[tuple[ProviderRef, Provider]] = []
        self._stores: list[tuple[StoreRef, SecretStore]] = []
        self._consumers: list[tuple[ConsumerRef, Consumer]] = []
        self._admins: list[tuple[AdminRef, Admin]] = []
        self._making = threading.RLock()
        self._stopping = False

    @property
    def ledger(self) -> Ledger:
        """The durable memory."""
        return self._ledger

    def provider(self, ref: ProviderRef) -> Provider:
        """The adapter for a provider; its admin credential is read from its store when it is used."""
        with self._making:
            known = _known(self._providers, ref)
            if known is None:
                known = providers.make(ref, self._admin(ref), self.clock, self._network, ref.kind)
                self._providers.append((ref, known))
            return known

    def trial(self, ref: ProviderRef, credential: Credential) -> Provider:
        """An adapter of its own, whose admin credential is this one and is in no store yet."""
        admin = Admin(lambda: credential, traits(ref.type).admin_fields, ref.name, self.clock)
        return providers.make(ref, admin, self.clock, self._network)

    def store(self, ref: StoreRef) -> SecretStore:
        """The adapter for a store."""
        with self._making:
            known = _known(self._stores, ref)
            if known is None:
                known = stores.make(ref, self.clock)
                self._stores.append((ref, known))
            return known

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """The adapter for a consumer; the secret that signs is read from its store each time."""
        with self._making:
            known = _known(self._consumers, ref)
            if known is None:
                signing = ref.signing
                read = None if signing is None else lambda: self.store(signing.store).raw(signing.secret)
                known = consumers.make(ref, Outside(ref.name, self.clock, self._network, read))
                self._consumers.append((ref, known))
            return known

    def renewed(self, ref: ProviderRef) -> None:
        """Have the provider's admin or parent credential read anew at its next use."""
        with self._making:
            for known, admin in self._admins:
                if known == ref.admin:
                    admin.forget()

    def stop(self) -> None:
        """Begin no new effect from now on. May be called twice, from any thread and from a signal handler."""
        self._stopping = True

    def stopping(self) -> bool:
        """Whether no new effect may begin."""
        return self._stopping

    def random_hex(self) -> str:
        """32 hexadecimal digits from the system's generator."""
        return secrets.token_hex(16)

    def rest(self) -> None:
        """Before the process is frozen, for how long nobody knows: forget admin credentials, and close
        connections to providers, which may be gone when it goes on. The next call makes both anew.
        """
        with self._making:
            for _, admin in self._admins:
                admin.forget()
        self._network.close()

    def close(self) -> None:
        """Let go of the ledger, of every connection, and of tokens that stores logged in for. May be called
        twice.
        """
        with self._making:
            made = [*(store for _, store in self._stores), *(consumer for _, consumer in self._consumers)]
        for each in made:
            let_go = getattr(each, "close", None)  # one that holds nothing has none
            if let_go is not None:
                let_go()
        self._network.close()
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _admin(self, ref: ProviderRef) -> Admin | None:
        """Where the provider's adapter reads its admin credential; None where it needs none."""
        admin = ref.admin
        if admin is None:
            return None
        found = providers.adapter(ref.type, ref.kind)
        in_headers: tuple[str, ...] | None = getattr(
            found, "admin_in_headers", None
        )  # a password may hold blanks
        made = Admin(
            lambda: admin.read(self.store(admin.store).raw(admin.secret)),
            found.traits.admin_fields,
            ref.name,
            self.clock,
            in_headers,
            parent=f"{admin.secret} of {admin.store.name}" if found.traits.expires else None,
        )
        self._admins.append((admin, made))
        return made


def _known(made: list[tuple[_Ref, _Adapter]], ref: _Ref) -> _Adapter | None:
    """The adapter that was made for an equal ref; there are few, and a ref's mappings cannot be hashed."""
    return next((adapter for known, adapter in made if known == ref), None)


def wire(ledger_url: str | None, clock: Clock | None = None, *, create: bool = True) -> Wiring:
    """A world for this process. The ledger is made if there is none and ``create``. Raises LedgerUnusable.

    Proxy and CA settings are read from the environment here, once.
    """
    clock = clock or SystemClock()
    ledger = ledgers.open_ledger(ledger_url or ledgers.default_url(), clock, create=create)
    return Wiring(ledger, clock, Network(Surroundings.read(os.environ), clock))


def traits(provider_type: str, kind: str | None = None) -> Traits:
    """What the adapter for a type of provider, and a kind of its credentials, declares."""
    declared: Traits = providers.adapter(provider_type, kind).traits
    return declared


def pace(ref: ProviderRef) -> float | None:
    """How many requests a second we send to a provider's account; None where no limit is known."""
    return providers.pace(ref)


def canonical(ref: StoreRef, secret: str) -> str | None:
    """The one id of a secret in a store, however it is spelled; None for a spelling that is no secret's."""
    try:
        found: str = stores.adapter(ref.type).canonical(ref.settings, secret)
    except ValueError:
        return None
    return found


def misshapen(ref: ProviderRef, fields: Mapping[str, Any]) -> str | None:
    """What is wrong with the form of a credential that a person brings, as a sentence; None if nothing.

    Where the adapter does not judge the form: each field must be there, and be a text.
    """
    kind = providers.adapter(ref.type, ref.kind)
    shape = getattr(kind, "shape", None)
    if shape is not None:
        said: str | None = shape(fields)
        return said
    names = kind.traits.fields
    if set(fields) == set(names) and all(isinstance(value, str) and value for value in fields.values()):
        return None
    return f"It needs exactly {', '.join(names)}, each a text."


def store_costs(store_type: str) -> tuple[int, int] | None:
    """The calls that a store declares for a promotion and a revocation; None if it declares none."""
    try:
        declared: tuple[int, int] | None = getattr(stores.adapter(store_type), "CALLS", None)
    except KeyError:
        return None
    return declared


def holder() -> str:
    """A name for this process in claims: no other has it."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"


def notifier(clock: Clock, tick: timedelta) -> Alarms:
    """Who tells people besides channels: Sentry where SENTRY_DSN is set, else the log. Flush and close it at
    the end. Raises ValueError for a DSN that is none.
    """
    dsn, environment = os.environ.get("SENTRY_DSN"), os.environ.get("SENTRY_ENVIRONMENT")
    return SentryNotifier(dsn, clock=clock, tick=tick, environment=environment) if dsn else QuietNotifier()


def everybody(world: Wiring, tick: timedelta) -> Everybody:
    """All who tell people; which channels there are it is told by its ``use``. Raises as :func:`notifier`."""
    first = notifier(world.clock, tick)
    return Everybody(first, world.ledger, world.clock, partial(service, world), holder())


def service(world: Wiring, channel: Channel) -> Service:
    """What is behind a channel; its address is read from its store when it is used."""
    return Service(channel, lambda: world.store(channel.store).raw(channel.secret))
