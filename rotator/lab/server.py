"""What every local provider has in common: keys, limits, faults, and what a test or a person may ask it."""

import math
import secrets
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar, Self

from rotator.lab.faults import (
    Drop,
    Fault,
    Garbage,
    Late,
    Lose,
    Redirect,
    Refuse,
    Slow,
    Widen,
    garbled,
    matches,
)
from rotator.lab.keys import Call, Gauge, Key, Limit, LocalKey, real_time
from rotator.lab.wire import Answer, Listener, Request


class LocalProvider(ABC):
    """A provider on 127.0.0.1 that behaves as documented, and misbehaves when it is told to.

    ``limits`` None: the documented ones; ``()``: none. ``key_limit`` None: the documented one. ``latency``
    is added to every request, in seconds. Settings that may be changed at any time, for keys made by
    requests from then on: ``new_keys_refused`` (requests until a new key works; ``math.inf``: never),
    ``flapping`` (requests of a new key that are accepted and refused by turns), ``listing_lag`` (lists until
    a new key appears). For all keys: ``revocation_ignored`` (success is answered, the key lives),
    ``revocation_lag`` (requests for which a revoked key still works), ``accepts_anything`` (no value of a
    key is checked).
    """

    type_name: ClassVar[str]  # of a policy file
    ISSUE: ClassVar[str]  # patterns for fail_next, METHOD and path
    LIST: ClassVar[str]
    REVOKE: ClassVar[str]
    PROBE: ClassVar[str]
    prefix: ClassVar[str] = ""
    secret_names: ClassVar[tuple[str, ...]]  # of an answer that hands over a new key
    proof_names: ClassVar[tuple[str, ...]]  # fields of a credential that authenticate
    documented_limits: ClassVar[tuple[Limit, ...]]
    documented_key_limit: ClassVar[int | None] = None
    widest: ClassVar[Mapping[str, Any]]

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = real_time,
        limits: Sequence[Limit] | None = None,
        key_limit: int | None = None,
        latency: float = 0.0,
    ) -> None:
        self.clock = clock
        self.latency = latency
        self.key_limit = self.documented_key_limit if key_limit is None else key_limit
        self.new_keys_refused: float = 0
        self.flapping = 0
        self.listing_lag = 0
        self.revocation_ignored = False
        self.revocation_lag: float = 0
        self.accepts_anything = False
        self.account = str(uuid.uuid4())
        self._limits = self.documented_limits if limits is None else tuple(limits)
        self._gauges: dict[tuple[str, Limit], Gauge] = {}
        self._lock = threading.RLock()
        self._keys: dict[str, Key] = {}
        self._calls: list[Call] = []
        self._faults: list[tuple[str, bytes, Fault]] = []
        self._late: list[Request] = []
        self._timers: list[threading.Timer] = []
        self._widen: Widen | None = None
        self._stopping = threading.Event()
        self._listener: Listener | None = None
        self._admin: dict[str, str] = {}
        self.renew_admin()

    # --- running -----------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen. May be called once."""
        self._listener = Listener(self._respond, self.clock)
        return self

    def stop(self) -> None:
        """Close everything and wait for it. May be called twice."""
        self._stopping.set()
        for timer in self._timers:
            timer.cancel()
            timer.join()
        if self._listener:
            self._listener.end()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL for a policy file."""
        assert self._listener, "start() first"
        return f"http://127.0.0.1:{self._listener.server_port}{self.prefix}"

    # --- what a test or a person may ask and do ----------------------------------------------------------

    @property
    def admin(self) -> dict[str, str]:
        """The fields of the admin secret that are valid now."""
        with self._lock:
            return dict(self._admin)

    def renew_admin(self) -> dict[str, str]:
        """A new admin credential; the one before it is refused from now on."""
        with self._lock:
            self.expire_admin()
            self._admin = self._new_admin()
            return dict(self._admin)

    @abstractmethod
    def expire_admin(self) -> None:
        """The admin credential is refused from now on."""

    def keys(self, *made_by: str) -> list[LocalKey]:
        """Every key there ever was, oldest first; of these makers where some are named."""
        with self._lock:
            now = self.clock()
            return [k.shown(now) for k in self._keys.values() if not made_by or k.made_by in made_by]

    def create(self, label: str, **settings: Any) -> dict[str, str]:
        """A key made without a request, as the fields of the secret that consumers read."""
        with self._lock:
            return dict(self._add(label, {**self._plain(), **settings}, made_by="initial").fields)

    def add_foreign(self, label: str) -> LocalKey:
        """A key of somebody else."""
        with self._lock:
            return self._add(label, self._plain(), made_by="foreign").shown(self.clock())

    def withdraw(self, key_id: str) -> None:
        """Revoke a key as a person does in the web page, whatever ``revocation_ignored`` says."""
        with self._lock:
            self._keys[key_id].revoked_at = self.clock()

    def accepts(self, fields: Mapping[str, str]) -> bool:
        """Whether a key with these values would authenticate now; counts as no request."""
        with self._lock:
            return any(
                key.works(self.clock()) and not key.refusals
                for key in self._keys.values()
                if all(secrets.compare_digest(key.fields[n], fields.get(n, "")) for n in self.proof_names)
            )

    def values(self) -> frozenset[str]:
        """Every secret value it handed out: what must not appear in any output of a worker."""
        with self._lock:
            told = {key.fields[name] for key in self._keys.values() for name in self.proof_names}
            return frozenset((told - set(self._keys)) | set(self._admin.values()))

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request served, in order."""
        with self._lock:
            return tuple(self._calls)

    def count(self, pattern: str = "*") -> int:
        """How many requests fit a pattern such as :attr:`ISSUE`."""
        return sum(matches(pattern, Request(c.method, c.path, "", {})) for c in self.calls)

    def fail_next(self, pattern: str, fault: Fault, times: int = 1, *, body: str = "") -> None:
        """Act ``fault`` out for the next ``times`` requests that fit, and hold ``body``; first told, first
        done.
        """
        with self._lock:
            self._faults.extend([(pattern, body.encode(), fault)] * times)

    def land(self) -> int:
        """Do now what a :class:`Late` without seconds has put off; how many requests that were."""
        with self._lock:
            late, self._late = self._late, []
        for request in late:
            self._do(request)
        return len(late)

    # --- serving a request -------------------------------------------------------------------------------

    def _respond(self, request: Request) -> Answer | None:
        if not request.path.startswith(self.prefix):
            return Answer.of(404, "Not Found")
        request = replace(request, path=request.path[len(self.prefix) :])
        self._stopping.wait(self.latency)
        answer = self._act(request, self._next_fault(request))
        with self._lock:
            self._calls.append(Call(request.method, request.path, answer.status if answer else None))
        return answer

    def _next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for index, (pattern, body, fault) in enumerate(self._faults):
                if matches(pattern, request) and body in request.body:
                    del self._faults[index]
                    return fault
        return None

    def _act(self, request: Request, fault: Fault | None) -> Answer | None:  # noqa: PLR0911 - one for each fault
        match fault:
            case Drop():
                return None
            case Refuse(status, body, headers):
                return Answer.of(status, body).plus(headers)
            case Redirect(location, status):
                return Answer.of(status, None, Location=location)
            case Late(seconds):
                self._put_off(request, seconds)
                return None
            case Slow(seconds):
                self._stopping.wait(seconds)
                return self._do(request)
            case Lose():
                self._do(request)
                return None
            case Garbage(kind):
                return garbled(self._do(request), kind, self.secret_names)
            case Widen():
                return self._do(request, fault)
        return self._do(request)

    def _put_off(self, request: Request, seconds: float | None) -> None:
        with self._lock:
            if seconds is None:
                self._late.append(request)
                return
            timer = threading.Timer(seconds, self._do, (request,))
            self._timers.append(timer)
        timer.start()

    def _do(self, request: Request, widen: Widen | None = None) -> Answer:
        with self._lock:
            self._widen = widen
            try:
                gauges = self._counted(request)
                if all([gauge.take(self.clock().timestamp()) for gauge in gauges]):  # noqa: C419 - count in each
                    return self._measured(self._handle(request), request, gauges)
                return self._measured(self._too_many(gauges), request, gauges)
            finally:
                self._widen = None

    def _counted(self, request: Request) -> list[Gauge]:
        """The gauges of this request's caller."""
        caller = self._caller(request)
        if caller is None:
            return []
        limits = [limit for limit in self._limits if request.path.startswith(limit.prefix)]
        return [self._gauges.setdefault((caller, limit), Gauge(limit)) for limit in limits]

    def _retry_after(self, gauges: Sequence[Gauge]) -> int:
        """Whole seconds until every gauge has room."""
        now = self.clock().timestamp()
        return max((math.ceil(g.reset(now) - now) for g in gauges if not g.remaining), default=1)

    # --- what each provider documents --------------------------------------------------------------------

    @abstractmethod
    def _new_admin(self) -> dict[str, str]:
        """A new admin credential, valid from now on."""

    @abstractmethod
    def _plain(self) -> dict[str, Any]:
        """The settings of a key about which nothing was said."""

    @abstractmethod
    def _draw(self) -> tuple[str, dict[str, str]]:
        """A new key's id and the fields of its secret, at random."""

    @abstractmethod
    def _handle(self, request: Request) -> Answer:
        """Do what a request asks."""

    @abstractmethod
    def _caller(self, request: Request) -> str | None:
        """Whose requests are counted together; None: this one is not counted."""

    @abstractmethod
    def _too_many(self, gauges: Sequence[Gauge]) -> Answer:
        """The answer where a limit is exceeded."""

    def _measured(self, answer: Answer, request: Request, gauges: Sequence[Gauge]) -> Answer:  # noqa: ARG002
        """The answer with the headers that tell the limits, where a provider has such."""
        return answer

    # --- keys --------------------------------------------------------------------------------------------

    def _add(
        self, label: str, settings: Mapping[str, Any], *, made_by: str, expires_at: datetime | None = None
    ) -> Key:
        key_id, fields = self._draw()
        key = Key(key_id, label, self.clock(), fields, dict(settings), made_by, expires_at)
        if made_by == "api":
            key.refusals, key.flaps, key.unlisted = self.new_keys_refused, self.flapping, self.listing_lag
            if self._widen:
                key.granted.update(self._widen.settings or self.widest)
        self._keys[key_id] = key
        return key

    def _told(self, key: Key, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings that the answer to a creation repeats."""
        return asked if self._widen and self._widen.quiet else key.granted

    def _live(self, key: Key) -> bool:
        return key.live(self.clock())

    def _full(self) -> bool:
        """Whether no further key may be made."""
        live = sum(self._live(key) for key in self._keys.values() if key.made_by != "admin")
        return self.key_limit is not None and live >= self.key_limit

    def _used(self, key: Key) -> bool:
        """Count one authenticated request of a key whose values were right; whether it is let in."""
        return key.use(self.clock())

    def _revoke(self, key: Key) -> None:
        if not self.revocation_ignored:
            key.revoked_at = self.clock()
            key.survives = self.revocation_lag

    def _listed(self) -> list[Key]:
        """The keys that a list shows now, revoked ones too; counts as a list for those not shown yet."""
        shown = []
        for key in self._keys.values():
            if key.unlisted > 0:
                key.unlisted -= 1
            else:
                shown.append(key)
        return shown
