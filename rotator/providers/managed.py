"""What adapters of providers with a key API have in common; what a provider's pages say is in its adapter."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Scope, Unknown
from rotator.interfaces import Clock
from rotator.model import Credential, Issued, KeyRecord, Policy, Probe, ProviderRef, Traits, Verdict
from rotator.providers.admin import Admin
from rotator.providers.answers import HIDDEN, Answer, unwelcome
from rotator.providers.http import Api, Budget
from rotator.providers.network import Call, Network
from rotator.providers.parsing import (
    echoed,
    garbage,
    in_path,
    jwt_ending,
    named,
    next_page,
    rows,
    usable,
)

_PAGES = 100
_MOST_KEYS = 20_000  # that a list may hold: what it holds is kept in memory
_LIST_FRESH = 60.0  # seconds in which a list still tells whether there is room for one more key
_LIMIT_STATUS = (400, 403, 409, 422)  # what providers answer when there are too many keys
_CONFIG = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Part(BaseModel):
    """Base of what an adapter adds to the policy file: unknown keys and other types are errors."""

    model_config = _CONFIG


class Pace(Part):
    """Options of every provider's section."""

    requests_per_second: float | None = Field(default=None, gt=0, le=10_000)


OptionsT = TypeVar("OptionsT", bound=Pace)


class Managed(ABC):
    """A provider whose keys are made, listed and revoked by an admin credential, over HTTP and JSON.

    ``rate`` is half the documented limit, in requests per second, since consumers share it. Where the
    provider counts each key by itself (``counts_keys``), what a probe learns holds up nobody else.
    """

    traits: ClassVar[Traits]
    Settings: ClassVar[type[BaseModel]]
    Options: ClassVar[type[Pace]]
    kinds: ClassVar[tuple[str, ...]] = ("key",)
    rate: ClassVar[float]
    burst: ClassVar[int] = 1
    counts_keys: ClassVar[bool] = False
    clock_tolerance: ClassVar[timedelta | None] = None
    proof_fields: ClassVar[tuple[str, ...]]  # of a credential, without which no probe can be sent

    def __init__(self, ref: ProviderRef, admin: Admin | None, clock: Clock, network: Network) -> None:
        self._ref = ref
        self._admin = admin
        self._clock = clock
        options = self._options(ref)
        rate = options.requests_per_second or self.rate
        burst = max(self.burst, int(options.requests_per_second or 0))
        limiter = network.limiter(ref.base_url, ref.principal, rate, burst)
        self._api = Api(ref, network, limiter, clock)
        self._counted: tuple[float, int] | None = None  # when keys were last listed, and how many lived

    @classmethod
    def _options(cls, ref: ProviderRef) -> Pace:
        return options_of(ref, cls.Options)

    @classmethod
    def check(cls, policy: Policy) -> str | None:  # noqa: ARG003 - adapters that have something to check do
        """What is wrong with a policy that no single setting shows, as a sentence; None if nothing. Pure."""
        return None

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far the server's clock was ahead of ours at its last answer."""
        return self._api.ahead

    def admin_excess(self, listed: Sequence[KeyRecord]) -> str | None:  # noqa: ARG002 - adapters that know do
        """What the admin credential may do beyond managing keys: nothing is known."""
        return None

    def admin_ends(self) -> datetime | None:
        """When it ends, where it is a JWT that says so."""
        held = self._admin.credential() if self._admin else Credential({})
        ends = [jwt_ending(held.get(name) or "") for name in self.traits.admin_fields]
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(min(each for each in ends if each is not None), UTC)
        return None

    # what an adapter adds

    @abstractmethod
    def _list_call(self, admin: Credential, query: str) -> Call: ...

    @abstractmethod
    def _record(self, row: Mapping[str, Any]) -> KeyRecord: ...

    @abstractmethod
    def _create_call(self, admin: Credential, label: str, wanted: Mapping[str, Any]) -> Call: ...

    @abstractmethod
    def _issued(self, payload: object) -> Issued: ...

    @abstractmethod
    def _revoke_call(self, admin: Credential, key_id: str) -> Call: ...

    @abstractmethod
    def _probe_call(self, credential: Credential) -> Call: ...

    @abstractmethod
    def _judged(self, answer: Answer, call: Call) -> Probe: ...

    # the Provider

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:
        """One create call, never repeated once it was sent."""
        budget = Budget(self._clock)
        self._need_room(budget)
        self._counted = None
        answer = self._manage(lambda admin: self._create_call(admin, label, wanted), budget)
        if not answer.ok:
            raise self._not_created(answer, budget)
        issued = self._issued(answer.json())
        if HIDDEN in issued.key_id:
            raise garbage("the new key's id repeats the admin credential")
        hidden = [name for name in self.proof_fields if name != self.traits.id_field]
        if echoed(issued.credential, hidden, issued.key_id, issued.granted):
            raise garbage("what is told of the new key holds its value")
        return issued

    def find(self) -> Sequence[KeyRecord]:
        """Every page of the list."""
        return self._listed(Budget(self._clock))

    def probe(self, credential: Credential) -> Probe:
        """One request with the key itself; whatever goes wrong is UNKNOWN."""
        for name in self.proof_fields:
            if not credential.get(name):
                return Probe(Verdict.UNKNOWN, f"incomplete: no {name}")
            if not usable(credential.get(name)):
                return Probe(Verdict.UNKNOWN, f"malformed: {name}")
        try:
            call = self._probe_call(credential)
            answer = self._api.call(call, Budget(self._clock), tries=1, learns=not self.counts_keys)
            return self._judged(answer.to(credential, self.traits.secret_fields), call)
        except (EffectError, NeedsPerson) as error:
            return Probe(Verdict.UNKNOWN, error.kind)

    def revoke(self, key_id: str) -> None:
        """One delete call. "No such key" is an answer, not an error; neither is a proof."""
        in_path(key_id)
        budget = Budget(self._clock)
        answer = self._manage(lambda admin: self._revoke_call(admin, key_id), budget)
        if not (answer.gone or self._done(answer)):
            raise self._failed(answer, "revoke a key", reads=False)

    # shared parts

    @staticmethod
    def _done(answer: Answer) -> bool:
        """Whether a delete was answered as promised: 204, or 200 with nothing or with JSON."""
        if answer.status == HTTPStatus.NO_CONTENT:
            return True
        if answer.status != HTTPStatus.OK:
            return False
        if answer.body != b"":
            answer.json()
        return True

    def _manage(self, make: Callable[[Credential], Call], budget: Budget) -> Answer:
        """Send with the admin credential. After a 401 the store is asked once for a fresher one."""
        if self._admin is None:
            raise NeedsPerson(
                "admin-missing",
                f"Provider {self._ref.name} has no admin credential to manage keys with.",
                todo="Add `admin: {store: ..., secret: ...}` to the provider's section.",
                scope=Scope.PROVIDER,
            )
        credential = self._admin.credential()
        answer = self._managed(make, credential, budget)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return answer
        fresh = self._admin.renewed(credential)
        if fresh is not None:
            answer = self._managed(make, fresh, budget)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise self._admin.refused("the server answered 401")
        return answer

    def _managed(self, make: Callable[[Credential], Call], admin: Credential, budget: Budget) -> Answer:
        return self._api.call(make(admin), budget).to(admin, self.traits.admin_fields)

    def _failed(self, answer: Answer, doing: str, *, reads: bool) -> RotatorError:
        said = f"{self._ref.name}: {doing}"
        if answer.status == HTTPStatus.FORBIDDEN:
            rights = ", ".join(self.traits.rights)
            return NeedsPerson(
                "admin-forbidden",
                f"{said}: the admin credential may not do this (403).",
                todo=f"Give it the rights it needs ({rights}), or run `rotator submit --admin "
                f"{self._ref.name}` with one that has them.",
                scope=Scope.PROVIDER,
            )
        if answer.ok:
            return Unknown("garbage", f"{said}: the answer is not what the provider documents.")
        return unwelcome(answer, said, self._clock.now(), reads=reads)

    def _listed(self, budget: Budget) -> Sequence[KeyRecord]:
        found: dict[str, KeyRecord] = {}
        asked: set[str] = set()
        query: str | None = ""
        while query is not None:
            if query in asked or len(asked) == _PAGES:
                raise garbage("the pages of the list go round, or never end")
            asked.add(query)
            payload = self._page(query, budget)
            before = len(found)
            for record in (self._record(row) for row in rows(payload)):
                if record.live or record.key_id not in found:  # listed twice, live and dead: it may live
                    found[record.key_id] = record
            if len(found) > _MOST_KEYS:
                raise garbage(f"the list holds more than {_MOST_KEYS} keys")
            query = next_page(payload, len(found))
            if query is not None and len(found) == before:
                raise garbage("a page of the list brings nothing new, though more is promised")
        self._counted = (self._clock.monotonic(), sum(record.live for record in found.values()))
        return tuple(found.values())

    def _page(self, query: str, budget: Budget) -> object:
        answer = self._manage(lambda admin: self._list_call(admin, query), budget)
        if answer.ok:
            return answer.json()
        if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            raise self._misplaced(answer.status, "list keys")
        raise self._failed(answer, "list keys", reads=True)

    def _misplaced(self, status: int, doing: str) -> NeedsPerson:
        return NeedsPerson(
            "configuration",
            f"{self._ref.name}: there is nothing to {doing} with at this address ({status}).",
            todo="Check base_url and the options in the provider's section.",
            scope=Scope.PROVIDER,
        )

    def _need_room(self, budget: Budget) -> None:
        """Look at the list before making a key, unless it was just looked at."""
        if self.traits.key_limit is None:
            return
        counted = self._counted
        if counted is None or self._clock.monotonic() - counted[0] > _LIST_FRESH:
            self._look_first(budget)
            counted = self._counted
        if counted is not None and counted[1] >= self.traits.key_limit:
            raise self._full(counted[1])

    def _look_first(self, budget: Budget) -> None:
        """List, where a failure cannot mean that a key was made. Raises NotSent in place of Unknown."""
        try:
            self._listed(budget)
        except Unknown as error:
            failed = NotSent(error.kind, f"No key was asked for: {error.message}", retry_at=error.retry_at)
        else:
            return
        raise failed

    def _full(self, live: int) -> Refused:
        return Refused(
            "key-limit",
            f"{self._ref.name}: {live} keys are live, and the provider allows {self.traits.key_limit}.",
        )

    def _not_created(self, answer: Answer, budget: Budget) -> RotatorError:
        limit = self.traits.key_limit
        if limit is not None and answer.status in _LIMIT_STATUS:
            try:
                live = sum(record.live for record in self._listed(budget))
            except EffectError:
                live = 0  # the refusal itself is told then
            if live >= limit:
                return self._full(live)
        return self._failed(answer, "create a key", reads=False)


def options_of(ref: ProviderRef, model: type[OptionsT]) -> OptionsT:
    """The options of a provider's section. Raises NeedsPerson, quoting no value, for any others."""
    with suppress(ValidationError):
        return model.model_validate(dict(ref.options))
    raise NeedsPerson(
        "configuration",
        f"The options of provider {ref.name} are not those of {ref.type}.",
        todo="Run `rotator validate`, and mend the provider's section.",
        scope=Scope.PROVIDER,
    )


def json_body(value: Mapping[str, Any]) -> bytes:
    """A request's body: compact JSON in ASCII."""
    return json.dumps(value, separators=(",", ":")).encode()


def settled(name: str, key: Mapping[str, Any], old: KeyRecord | None) -> Any:
    """A key setting: the policy's, else the old key's. Raises NeedsPerson where neither has it."""
    value = key.get(name)
    if value is None and old is not None:
        value = old.granted.get(name)
    if value is None:
        raise NeedsPerson(
            "key-settings",
            f"Neither the policy nor the key in use says which {name} a new key should have.",
            todo=f"Write {name} under `key:` in the policy.",
        )
    return value


def scope_difference(wanted: object, granted: object) -> str | None:
    """How two lists of scopes differ, as a sentence; None if they do not, or if one is not told."""
    if not isinstance(wanted, list | tuple) or not isinstance(granted, list | tuple):
        return None
    more = sorted(set(granted) - set(wanted))
    less = sorted(set(wanted) - set(granted))
    if more:
        return f"It may do more than was asked: {named(more)}."
    return f"It may do less than was asked: {named(less)} is missing." if less else None
