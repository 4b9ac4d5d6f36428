"""What adapters of providers without a key API have in common: people issue, and one call mints a token.

Such a provider has two kinds of credential: one that a person issues and revokes at the provider, which a
token call proves, and a short-lived token that such a call mints from it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from rotator.errors import EffectError, NeedsPerson, Refused, RotatorError, Scope, Unknown
from rotator.interfaces import Clock
from rotator.model import Credential, Issued, KeyRecord, Policy, Probe, ProviderRef, Traits, Verdict
from rotator.providers.admin import Admin
from rotator.providers.answers import Answer, unwelcome
from rotator.providers.http import TRIES, Api, Budget
from rotator.providers.managed import Pace, Part, options_of
from rotator.providers.network import Call, Network
from rotator.providers.parsing import echoed, garbage

_NO_SUCH_PATH = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class NoSettings(Part):
    """``key:`` of a policy: there is nothing to say about such a credential."""


class TokenEndpoint(Protocol):
    """Where a provider mints tokens, as its pages describe it. ``secrets``: fields of the parent."""

    secrets: tuple[str, ...]

    def call(self, parent: Credential) -> Call:
        """The request. Raises nothing."""
        ...

    def refuses(self, answer: Answer) -> bool:
        """Whether an answer is the plain refusal of a login. Pure."""
        ...

    def minted(self, answer: Answer, parent: Credential, sent: datetime) -> Issued:
        """The token of a 2xx answer, whose request was sent at ``sent``.

        Raises Unknown (``garbage``), and Refused where the answer tells a failure.
        """
        ...


class Login(ABC):
    """One kind of credential of such a provider, over HTTP and JSON.

    ``rate`` is in requests per second. ``endpoint`` is set by the adapter.
    """

    traits: ClassVar[Traits]
    Settings: ClassVar[type[BaseModel]] = NoSettings
    Options: ClassVar[type[Pace]] = Pace
    kinds: ClassVar[tuple[str, ...]]
    admin_in_headers: ClassVar[tuple[str, ...]] = ()  # of the parent's fields; the others go into a body
    rate: ClassVar[float]
    burst: ClassVar[int] = 1
    endpoint: TokenEndpoint
    clock_tolerance: ClassVar[timedelta | None] = None

    def __init__(self, ref: ProviderRef, admin: Admin | None, clock: Clock, network: Network) -> None:
        self._ref = ref
        self._admin = admin
        self._clock = clock
        self._options = options_of(ref, self.Options)
        rate = self._options.requests_per_second or self.rate
        burst = max(self.burst, int(self._options.requests_per_second or 0))
        limiter = network.limiter(ref.base_url, ref.principal, rate, burst)
        self._api = Api(ref, network, limiter, clock)

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far the server's clock was ahead of ours at its last answer."""
        return self._api.ahead

    def reach(self) -> None:
        """One GET of the base address, without a credential: any answer will do."""
        self._api.call(Call("GET", "/", {}, reads=True), Budget(self._clock), tries=1)

    @classmethod
    def check(cls, policy: Policy) -> str | None:  # noqa: ARG003 - nothing can contradict itself here
        """What is wrong with a policy that no single setting shows: nothing. Pure."""
        return None

    def wanted(self, key: Mapping[str, Any], old: KeyRecord | None) -> Mapping[str, Any]:  # noqa: ARG002
        """There are no settings to ask for. Pure."""
        return {}

    def excess(self, wanted: Mapping[str, Any], granted: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Where nothing can be asked, nothing can exceed it. Pure."""
        return None

    def find(self) -> Sequence[KeyRecord]:
        """No such provider lists: raises NeedsPerson, and is never called (``traits.lists``)."""
        raise self._by_hand("list credentials")

    def revoke(self, key_id: str) -> None:  # noqa: ARG002 - nothing can be revoked under any id
        """No such provider revokes by request: raises NeedsPerson, and is never called."""
        raise self._by_hand("revoke a credential")

    def _login(self, parent: Credential, budget: Budget, tries: int = TRIES) -> Answer:
        """One token call."""
        return self._api.call(self.endpoint.call(parent), budget, tries).to(parent, self.endpoint.secrets)

    def _by_hand(self, doing: str) -> NeedsPerson:
        todo = self.traits.todo_revoke if doing.startswith("revoke") else self.traits.todo_issue
        return NeedsPerson(
            "by-hand",
            f"{self._ref.name}: there is no request to {doing}.",
            todo=todo or "Look at the provider's own pages.",
        )


class PersonIssued(Login):
    """The kind that a person issues and revokes."""

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:  # noqa: ARG002
        """A person issues: raises NeedsPerson, and is never called (``traits.issues``)."""
        raise self._by_hand("issue a credential")

    @classmethod
    def shape(cls, fields: Mapping[str, Any]) -> str | None:
        """What is wrong with the form of a submitted credential, as a sentence; None if nothing. Pure.

        The sentence names fields of ours and quotes nothing of what was submitted.
        """
        names = cls.traits.fields
        for name in names:
            value = fields.get(name)
            if name not in fields or value == "":
                return f"{name} is {'missing' if name not in fields else 'empty'}: it needs {_and(names)}."
            if not isinstance(value, str):
                return f"{name} is not text."
            wrong = cls._misshapen(name, value)
            if wrong is not None:
                return f"{name} {wrong}."
        further = len(set(fields) - set(names))
        if further:
            return f"It has {further} other field{'s' * (further > 1)} than {_and(names)}: leave them out."
        if len({fields[name] for name in names}) < len(names):
            return f"Two of {_and(names)} are the same: one was copied twice."
        return None

    @classmethod
    @abstractmethod
    def _misshapen(cls, name: str, value: str) -> str | None:
        """What is wrong with one field, as the end of a sentence that begins with its name."""

    def probe(self, credential: Credential) -> Probe:
        """One token call; whatever goes wrong is UNKNOWN."""
        unfit = self._unfit(credential)
        if unfit is not None:
            return unfit
        try:
            return self._tried(credential)
        except (EffectError, NeedsPerson) as error:
            sent = isinstance(error, Unknown | Refused)  # all else is raised before a login is
            return doubt(error.kind, passing=not sent)

    def _unfit(self, credential: Credential) -> Probe | None:
        for name in self.traits.fields:
            value = credential.get(name)
            if not value:
                return doubt(f"incomplete: no {name}", passing=True)
            if self._misshapen(name, value) is not None:
                return doubt(f"malformed: {name}", passing=True)
        return None

    def _tried(self, credential: Credential) -> Probe:
        """LIVE: a token was minted. DEAD: the login was refused."""
        sent = self._clock.now()
        answer = self._login(credential, Budget(self._clock), tries=1)
        if not answer.ok:
            return said_of(answer, self.endpoint)
        self.endpoint.minted(answer, credential, sent)
        return Probe(Verdict.LIVE, "a token was minted")


class ShortLived(Login):
    """The kind that is minted. Its parent comes as an admin credential does: ``traits.admin_fields``."""

    def issue(self, label: str, wanted: Mapping[str, Any]) -> Issued:  # noqa: ARG002 - tokens have no label
        """One token call, never repeated once it was sent; whoever calls counts those that are refused.

        Only where the parent secret has changed since it was read is the new one tried at once.
        """
        budget, admin = Budget(self._clock), self._parent()
        parent = admin.credential()
        while True:  # each further round needs a parent secret that has changed
            sent = self._clock.now()
            answer = self._login(parent, budget)
            if answer.ok:
                return self._minted(answer, parent, sent)
            if not self.endpoint.refuses(answer) and answer.status != HTTPStatus.FORBIDDEN:
                raise self._failed(answer)
            fresh = self._changed(admin, parent)
            if fresh is None:
                raise self._refused(admin) if self.endpoint.refuses(answer) else self._forbidden()
            parent = fresh

    @staticmethod
    def _changed(admin: Admin, refused: Credential) -> Credential | None:
        """Another parent credential than the refused one; None where the store does not tell of any, too:
        the refusal must not be lost over it.
        """
        try:
            return admin.renewed(refused)
        except (EffectError, NeedsPerson):
            return None

    def _probed(self, call: Call, judge: Callable[[Answer], Probe]) -> Probe:
        """One request with the token itself; whatever goes wrong is UNKNOWN."""
        try:
            return judge(self._api.call(call, Budget(self._clock), tries=1))
        except (EffectError, NeedsPerson) as error:
            return doubt(error.kind)

    def _parent(self) -> Admin:
        if self._admin is None:
            raise NeedsPerson(
                "admin-missing",
                f"{self._ref.name}: there is no credential to mint tokens with.",
                todo="Add `from: {store: ..., secret: ...}` to the policy.",
                scope=Scope.PROVIDER,
            )
        return self._admin

    def _forbidden(self) -> NeedsPerson:
        return NeedsPerson(
            "admin-forbidden",
            f"{self._ref.name}: mint a token: the credential may not do this (403).",
            todo=f"Ask the provider to let it in; what is needed: {', '.join(self.traits.rights)}.",
            scope=Scope.PROVIDER,
        )

    def _refused(self, admin: Admin) -> NeedsPerson:
        told = admin.refused("the login failed")  # forgets what it read, so that a fresh one is seen at once
        return NeedsPerson(
            told.kind,
            f"{self._ref.name}: the login with the parent secret is refused; it is not tried again for a "
            "while, unless that secret changes.",
            todo="Have a new credential issued, and bring it into the parent secret (JSON with "
            f"{', '.join(self.traits.admin_fields)}).",
            scope=told.scope,
        )

    def _failed(self, answer: Answer) -> RotatorError:
        """What an answer means that is neither a token, nor about the login."""
        said = f"{self._ref.name}: mint a token"
        if answer.status in _NO_SUCH_PATH:
            return Refused(
                f"http-{answer.status}",
                f"{said}: the server knows no such path ({answer.status}). Check base_url and the other "
                "options of the provider's section; no second path was tried.",
                permanent=True,
            )
        return unwelcome(answer, said, self._clock.now(), reads=False)

    def _minted(self, answer: Answer, parent: Credential, sent: datetime) -> Issued:
        issued = self.endpoint.minted(answer, parent, sent)
        hidden, fields = self.traits.secret_fields, issued.credential
        told = [fields.get(name) for name in self.traits.fields if name not in hidden]
        if echoed(fields, hidden, issued.key_id, told):
            raise garbage("what is told of the token holds its value")
        return issued


def refusal(answer: Answer) -> Probe:
    """The verdict of a plain refusal."""
    return Probe(Verdict.DEAD, f"refused ({answer.status})")


def doubt(why: str, *, passing: bool = False) -> Probe:
    """The verdict where nothing is said plainly."""
    return Probe(Verdict.UNKNOWN, why, passing=passing)


def passing(answer: Answer) -> bool:
    """Whether an answer is about the path or the server's state, not about the login."""
    busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return busy or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _NO_SUCH_PATH


def said_of(answer: Answer, endpoint: TokenEndpoint) -> Probe:
    """What an answer other than 2xx says of a login."""
    if endpoint.refuses(answer):
        return refusal(answer)
    return doubt(f"http-{answer.status}", passing=passing(answer))


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
