"""The words of the field as values: policies, credentials, rotations, debts, verdicts. No I/O.

Times are aware and in UTC, durations are ``timedelta``. Everything here may be written to the ledger,
except :class:`Credential`, which refuses to be written anywhere.
"""

import hmac
import re
import string
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NoReturn

# --- credentials -----------------------------------------------------------------------------------------


class Credential:
    """One key at a provider: named fields, whose values leave only through :meth:`reveal` and :meth:`get`.

    It has no readable ``repr``, cannot be pickled, copied into JSON or compared with ``==``; live
    instances are known to :meth:`live_values`, so that logs and alarms can be scrubbed of them.
    """

    __slots__ = ("__weakref__", "_fields")
    _live: ClassVar["weakref.WeakSet[Credential]"] = weakref.WeakSet()

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)
        Credential._live.add(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, never their values."""
        return tuple(self._fields)

    def get(self, name: str) -> str | None:
        """The value of one field, or None where it has none."""
        return self._fields.get(name)

    def reveal(self) -> dict[str, str]:
        """Every field with its value, for the call that needs them."""
        return dict(self._fields)

    def same(self, other: "Credential", names: Iterable[str]) -> bool:
        """Whether both hold the same values under ``names``; takes the same time wherever they differ."""
        alike = [hmac.compare_digest(_raw(self.get(name)), _raw(other.get(name))) for name in names]
        return all(alike)

    def shares(self, other: "Credential", names: Iterable[str]) -> bool:
        """Whether a value that ``other`` has under one of ``names`` is among ours, whatever its name here.

        White space around a value does not count; all are compared, each in a time that tells nothing.
        """
        theirs = [value for name in names if (value := _raw(other.get(name)).strip())]
        ours = [_raw(value).strip() for value in self._fields.values()]
        alike = [hmac.compare_digest(one, value) for one in ours for value in theirs]
        return any(alike)

    def corrupted(self, names: Iterable[str]) -> "Credential":
        """A copy that must not work: one character of each named field differs, its shape does not."""
        return Credential(
            {**self._fields, **{n: _nudged(self._fields[n]) for n in names if n in self._fields}}
        )

    @classmethod
    def live(cls) -> "list[Credential]":
        """Every credential now in memory."""
        while True:
            try:
                return list(cls._live)
            except RuntimeError:  # another thread made one while we walked: walk again
                continue

    @classmethod
    def live_values(cls) -> Iterator[str]:
        """Every value of every credential now in memory: what must not appear in any output."""
        for credential in cls.live():
            yield from (value for value in credential._fields.values() if value)

    def __repr__(self) -> str:
        return f"Credential({', '.join(self._fields)})"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is never serialised")


def _raw(value: str | None) -> bytes:
    """A value for comparing; a JSON escape can make a surrogate that no encoding has."""
    return (value or "").encode(errors="surrogatepass")


def _nudged(value: str) -> str:
    """The same text with its last letter or digit replaced by another of its kind (hex stays hex)."""
    for index in range(len(value) - 1, -1, -1):
        for alphabet in (string.digits, "abcdef", "ABCDEF", string.ascii_lowercase, string.ascii_uppercase):
            if value[index] in alphabet:
                other = alphabet[(alphabet.index(value[index]) + 1) % len(alphabet)]
                return value[:index] + other + value[index + 1 :]
    return value + "0"


class Verdict(StrEnum):
    """What a probe says of a key. Only a plain refusal is DEAD; silence is UNKNOWN."""

    LIVE = "live"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe's answer: the verdict, whose account it is and what the key may do, where that is told.

    ``passing``: it says nothing of a login, which was not sent, or met a server that is busy, down or has no
    such path. All else that is not LIVE may be a refused one.
    """

    verdict: Verdict
    why: str = ""
    account: str | None = None
    granted: Mapping[str, Any] | None = None
    passing: bool = False


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as its provider lists it. ``live`` is False once it is listed as revoked or expired."""

    key_id: str
    label: str
    live: bool = True
    created_at: datetime | None = None
    granted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key: its id, its value (told this once) and what the provider says that it may do."""

    key_id: str
    credential: Credential
    granted: Mapping[str, Any]
    expires_at: datetime | None = None  # of a short-lived one


# --- labels ----------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"r1-([0-9a-f]{8})-[0-9a-f]{32}$")


def token_for(ledger_id: str, random_hex: str) -> str:
    """An attempt's token, 44 characters: the store's idempotency token and the end of the key's label."""
    token = f"r1-{ledger_id}-{random_hex}"
    assert _TOKEN.fullmatch(token), "a ledger id has 8 hexadecimal digits, a token 32 more"
    return token


def label_for(human: str, token: str, label_max: int) -> str:
    """The label of a key: a part for people, cut to fit, and the whole token at its end."""
    return f"{human[: label_max - len(token) - 1]} {token}".strip()


def token_in(label: str) -> tuple[str, str] | None:
    """(ledger id, token) of a label that rotator wrote, or None for anybody else's."""
    found = _TOKEN.search(label)
    return (found.group(1), found.group(0)) if found else None


# --- policies --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreRef:
    """Where secrets live: the type names the adapter, ``settings`` are its own (region, role_arn, …)."""

    name: str
    type: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdminRef:
    """Where the credential is kept that may manage a provider's keys, that a token is minted from, or that
    signs what a consumer is told.

    ``fields`` is the :class:`Target`'s of the same secret, where a policy rotates it.
    """

    store: StoreRef
    secret: str
    fields: Mapping[str, str | None] = field(default_factory=dict)

    def read(self, found: Credential) -> Credential:
        """What the secret holds, under our field names."""
        held = found.reveal()
        ours = {own: held[theirs] for own, theirs in self.fields.items() if theirs in held}
        return Credential({**held, **ours})

    def spelled(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Our fields under the secret's names; those that it does not write are left out."""
        named = {self.fields.get(own, own): value for own, value in fields.items()}
        return {theirs: value for theirs, value in named.items() if theirs is not None}


@dataclass(frozen=True, slots=True)
class ProviderRef:
    """Who issues keys: the type names the adapter; ``options`` are its own."""

    name: str
    type: str
    base_url: str
    admin: AdminRef | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None  # of credential, where the type knows several; None: its first
    account: str = ""  # the canonical id of the admin secret: one account, however its secret is spelled

    @property
    def principal(self) -> str:
        """The account whose keys count against one limit: one admin credential at one address."""
        admin = f"{self.admin.store.name}/{self.admin.secret}" if self.admin else self.name
        return f"{self.address}{self.account or admin}"

    @property
    def address(self) -> str:
        """How every principal there begins: two of them may be one account, with two admin credentials."""
        return f"{self.type}|{self.base_url}|"


@dataclass(frozen=True, slots=True)
class ConsumerRef:
    """Who is told that a secret holds a new key: the type names the adapter, ``settings`` are its own."""

    name: str
    type: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    signing: AdminRef | None = None  # where the key is kept that signs what is sent


class WhenNotTold(StrEnum):
    """What becomes of a replaced key while a consumer could not be told of the new one."""

    HOLD = "hold"  # it lives
    GO_ON = "go-on"  # it dies when its grace is over


@dataclass(frozen=True, slots=True)
class Target:
    """One secret: its store, its id there, and how a credential's fields are spelled in it.

    ``id`` is canonical: two spellings of one secret (a name and an ARN) have the same one. ``fields`` maps
    our field names to the secret's; None means that a field is not written. ``format`` is ``json`` or
    ``text`` (one plain value). ``native``: the store's own rotation begins each rotation of it, and draws
    the id of its version.
    """

    id: str
    store: StoreRef
    secret: str
    fields: Mapping[str, str | None] = field(default_factory=dict)
    format: str = "json"
    native: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Scheduled work may happen on these days (0 is Monday), from ``start`` until ``end``, local time.

    An ``end`` not after ``start`` is on the next day.
    """

    days: tuple[int, ...]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Policy:
    """What is rotated, how often, and where it is kept.

    Exactly one of ``every``, ``cron`` and ``renew`` is set, and none where the target is ``native``;
    ``renew`` is for tokens that expire: how long before, or at which share of their life left. A token is
    minted from ``parent``, the canonical id of the secret that holds its parent credential; its provider's
    ``admin`` names the same secret. ``key`` holds the provider's own settings of a key (scopes,
    allow-lists). ``consumers`` are told of each new key. ``place`` is ``file:line``.
    """

    name: str
    provider: ProviderRef
    target: Target
    every: timedelta | None = None
    cron: str | None = None
    timezone: str = "UTC"
    windows: tuple[Window, ...] = ()
    jitter: timedelta = timedelta(0)
    grace: timedelta = timedelta(hours=24)
    key: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "key"
    renew: timedelta | float | None = None
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    consumers: tuple[ConsumerRef, ...] = ()
    when_not_told: WhenNotTold = WhenNotTold.HOLD
    drill: timedelta | None = None  # how often the path is tried with a key that nobody uses
    place: str = ""


# --- what a provider's adapter declares ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verification:
    """How a new key is verified: so many successes in a row, over at least so long, within the deadline."""

    successes: int = 3
    over: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Traits:
    """What an adapter can do and needs. The stories ask these, never the adapter's name."""

    version: str
    fields: tuple[str, ...]  # of the credential, in the order in which a person expects them
    secret_fields: tuple[str, ...]  # those whose corruption must make a probe fail
    id_field: str  # the field that holds the key's id
    admin_fields: tuple[str, ...]  # of the admin secret
    label_setting: str  # the key setting that names a key for people: "label", "name"
    label_max: int = 100
    issues: bool = True
    lists: bool = True
    key_limit: int | None = None  # live keys of one principal
    visibility_delay: timedelta = timedelta(seconds=5)  # from an answer lost until a key must be listed
    control: bool = True  # whether a corrupted key may be probed (not where refusals cost an account)
    exclusive: bool = False  # a low rate limit: one worker at a time speaks for the principal
    verification: Verification = Verification()
    revokes: bool = True  # False: a person revokes; then ``todo_revoke`` says how
    provable: bool = True  # False: no probe can prove its death; a person settles the debt
    expires: bool = False  # short-lived: its debt is settled when it expires
    shared_id: bool = False  # several keys may bear one id (a user's e-mail): it does not tell which is meant
    todo_issue: str = ""  # what a person must do where the provider cannot issue
    todo_revoke: str = ""
    rights: tuple[str, ...] = ()  # what the admin credential must be allowed, for people

    @property
    def dying(self) -> tuple[str, ...]:
        """The fields that end with a key. Where several bear one id its first secret field is the key: a
        password beside it belongs to the user, and changes while the key lives on.
        """
        return self.secret_fields[:1] if self.shared_id else self.fields


# --- the ledger's records --------------------------------------------------------------------------------


class Provenance(StrEnum):
    """How we know that a key is ours to revoke."""

    ISSUED = "issued"  # by us, under a label of ours
    ADOPTED = "adopted"  # a person said so
    UNKNOWN = "unknown"  # it was there before us: never revoked by guess


@dataclass(frozen=True, slots=True)
class CurrentKey:
    """The key that the secret holds, as the ledger knows it. ``version`` is the store's."""

    version: str
    key_id: str | None
    provenance: Provenance
    since: datetime
    token: str | None = None  # of the attempt that made it: its slot
    expires_at: datetime | None = None
    dead_by: datetime | None = None  # when it has surely expired: the answer's way and rounding counted
    made_with: str | None = None  # the version of the parent secret that a token was minted with
    made_from: str | None = None  # that secret; None where it was not noted: the one of its policy
    contained: bool = False  # proven dead though the secret holds it: nothing is owed for it any more
    issued_at: datetime | None = None  # when issue was sent; None: not by us, or it was not noted
    under: Policy | None = None  # as its policy was before it moved to another account, where this key is not


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing happens until a person acts, and what to do."""

    kind: str
    reason: str
    todo: str
    since: datetime
    told: int = 1  # times that people were told
    told_at: datetime | None = None  # when they were told last; None: at ``since``


@dataclass(frozen=True, slots=True)
class News:
    """What consumers are told: since when a secret holds which key. Names, ids and times, never a value."""

    id: str  # of the rotation: the same however often it is told
    policy: str
    provider: str
    store: str
    secret: str  # as the policy spells it
    version: str  # of the store, which holds the new key
    key_id: str | None
    previous: str | None  # the version that it took the place of
    replaced: str | None  # id of the key that was in it
    promoted_at: datetime
    not_before: datetime | None  # what was replaced dies no sooner; None: there was no key
    reason: str  # why it was rotated


@dataclass(frozen=True, slots=True)
class Untold:
    """A consumer that is still to be told."""

    consumer: ConsumerRef
    since: datetime  # of the first news that it does not know
    holds: bool = True  # no replaced key of the secret dies meanwhile
    tries: int = 0
    look_at: datetime | None = None
    error: str = ""  # what the last try met, as a sentence
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """The newest key of a secret, and who is still to be told of it; ``owner`` is whom to ask."""

    news: News
    untold: tuple[Untold, ...]
    owner: str | None = None
    replicated: Target | None = None  # whose replicas must show it before anybody is told; None: it has none

    @property
    def holding(self) -> tuple[str, ...]:
        """The consumers for which replaced keys must live."""
        return tuple(one.consumer.name for one in self.untold if one.holds)

    def without(self, names: Collection[str]) -> "Telling | None":
        """What is left once these consumers know; None if nothing."""
        untold = tuple(one for one in self.untold if one.consumer.name not in names)
        return replace(self, untold=untold) if untold else None


@dataclass(frozen=True, slots=True)
class Drill:
    """What came of the last drill of a secret. ``ok`` is None until the key is proven dead, and where none
    was tried. ``took`` tells in seconds how long it was until its key was issued, verified, revoked and
    proven dead.
    """

    at: datetime
    ok: bool | None = None
    why: str = ""
    debt: str | None = None  # of the key that was tried
    ended_at: datetime | None = None
    took: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecretState:
    """What the ledger knows of one secret. State belongs to the secret, not to the policy's name."""

    id: str  # canonical, as Target.id
    policy: str  # the name it was last seen under
    principal: str
    enrolled_at: datetime
    parent: str | None = None  # the secret that holds its parent credential
    jitter: float = 0.0  # share of the policy's jitter, drawn once and kept, in [0, 1)
    looked_at: datetime | None = None  # first look at the store: None until it was taken on
    spread_until: datetime | None = None  # what was overdue when taken on waits until then
    current: CurrentKey | None = None
    holds: str | None = None  # id of the key that was seen in it instead of ``current`` ("": unknown)
    rotated_at: datetime | None = None  # last promotion, or the age of the version found when taken on
    settings: str | None = None  # digest of the key settings that the current key was issued with
    account: str | None = None  # whose account the current key belongs to, where the provider tells
    failures: int = 0  # rotations that failed since the last one that succeeded
    failed_at: datetime | None = None
    block: Block | None = None
    pushes: tuple[datetime, ...] = ()  # versions written in the last 24 hours
    revokes: tuple[datetime, ...] = ()  # keys that the schedule let die in the last hour
    copies: tuple[str, ...] = ()  # debts that are over, and whose copy in the store is still to be taken away
    rehearsed_at: datetime | None = None  # the admin credential was last tried ahead of its need
    digest: str = ""  # of the policy as it was last worked with: a changed one is looked at anew
    gone: bool = False  # its policy was deleted: nothing is rotated, debts are still paid
    drill: Drill | None = None  # the last one
    telling: Telling | None = None  # consumers that are still to be told of the current key
    target: Target | None = None  # where it is, as its policy said last: so any worker can read it
    provider: ProviderRef | None = None  # who issues its keys, as its policy said last

    @property
    def issued_at(self) -> datetime | None:
        """When the key in service was issued, or a time after that, as far as is known: since when the secret
        holds it tells nothing where nobody vouched for it.
        """
        current = self.current
        if current is None or self.holds is not None:
            return None
        ours = current.provenance is not Provenance.UNKNOWN
        return current.issued_at or (self.rotated_at if ours else None)

    @property
    def issuer(self) -> str:
        """The principal of the key that it holds: its policy may have moved to another one since."""
        under = self.current.under if self.current else None
        return under.provider.principal if under else self.principal

    @property
    def holder(self) -> Target | None:
        """Where the key is that it holds, spelled as when it came there."""
        under = self.current.under if self.current else None
        return under.target if under else self.target

    @property
    def unnamed(self) -> bool:
        """Whether an id does not tell which key of an account it holds: none is written to it, nobody looked
        yet, or its policy moved to another account since.
        """
        if self.issuer != self.principal:
            return True
        if self.holds is not None:
            return not self.holds
        return self.current is None or self.current.key_id is None


class Phase(StrEnum):
    """Where a rotation stands. From PROMOTING it only goes forward."""

    PLANNED = "planned"
    ISSUING = "issuing"  # intent: a key may exist under the attempt's label
    ISSUED = "issued"  # a key exists; its value may be in the store
    STAGED = "staged"
    VERIFIED = "verified"
    PROMOTING = "promoting"
    CONFLICT = "conflict"  # somebody else wrote the secret: a person decides
    PROMOTED = "promoted"  # ended well
    FAILED = "failed"  # ended; the old key stays
    DRILLED = "drilled"  # ended: a drill, whatever came of it

    @property
    def ended(self) -> bool:
        """Whether the rotation is over."""
        return self in (Phase.PROMOTED, Phase.FAILED, Phase.DRILLED)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a rotation. ``token`` is the end of the key's label, ``push`` the token of the version."""

    token: str
    number: int
    push: str
    key_id: str | None = None
    version: str | None = None  # of the store, once staged
    issued_at: datetime | None = None  # when issue was sent
    staged_at: datetime | None = None
    successes: int = 0
    first_success: datetime | None = None
    verified_at: datetime | None = None
    expires_at: datetime | None = None
    dead_by: datetime | None = None
    made_with: str | None = None
    made_from: str | None = None
    promoted_at: datetime | None = None  # when promote was first sent: from then on only forward
    doubted: bool = False  # promote was sent, and nobody knows what it did: its key may have been in service
    refused: bool = False  # as a login that a person brought, or it may be: not sent again by itself


@dataclass(frozen=True, slots=True)
class Back:
    """A rollback: the debt whose key comes into service again, who asked, how long the policy rests, and when
    that was asked: in spite of a pause from before, which holds it no more than it ends.
    """

    debt: str
    by: str
    rest: timedelta
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """Bringing one new credential into service, under the policy as it was when it began."""

    id: str
    secret: str
    policy: Policy
    reason: str
    began_at: datetime
    phase: Phase
    attempt: Attempt
    wanted: Mapping[str, Any] = field(default_factory=dict)  # key settings asked for
    expected: str | None = None  # the version that promote replaces
    old: CurrentKey | None = None  # the key that is replaced
    replicated: bool = False  # grace waits for the store's replicas
    grace: timedelta = timedelta(0)
    urgent: bool = False  # run-now: windows do not hold it
    look_at: datetime | None = None  # when to look again
    looks: int = 0  # looks since the last step forward, for back-off
    ended_at: datetime | None = None
    error: str | None = None  # kind of the last error
    why: str = ""  # that error in words; of a rotation that failed, what led to its end
    todo: str = ""  # of a rotation that failed: what a person does about it
    asked: Phase | None = None  # how far the store's own rotation asked to go; None: to the end, at once
    back: Back | None = None  # it brings no new key, but the one before
    drill: bool = False  # its key is only tried: it never reaches the store, and dies


class DebtReason(StrEnum):
    """Why a key must die."""

    REPLACED = "replaced"  # a newer key was promoted
    ABANDONED = "abandoned"  # a candidate that was given up
    STRAY = "stray"  # carries our label, but nobody's: its creation was lost
    LEAKED = "leaked"  # others know it, or may: owed while it is in service, before there is a newer one
    DRILL = "drill"  # was issued to be tried, and never came into service

    @property
    def of_service(self) -> bool:
        """Whether the key was in service, or still is."""
        return self in (DebtReason.REPLACED, DebtReason.LEAKED)


class DebtPhase(StrEnum):
    """Where a revocation stands."""

    OWED = "owed"
    REVOKING = "revoking"  # intent: revoke may have been sent
    DEAD = "dead"  # proven
    SETTLED = "settled"  # a person declared it: never proven
    VOID = "void"  # the key came into service (again): it is owed anew once it is replaced

    @property
    def ended(self) -> bool:
        """Whether the debt is over."""
        return self in (DebtPhase.DEAD, DebtPhase.SETTLED, DebtPhase.VOID)


@dataclass(frozen=True, slots=True)
class Debt:
    """A key that must die, kept until it is proven dead. Outlives its rotation and its policy's file."""

    id: str
    secret: str
    policy: Policy  # as it was: names the provider, its admin credential and the store
    reason: DebtReason
    key_id: str | None
    provenance: Provenance
    since: datetime
    token: str | None = None  # of the attempt that made the key: its slot
    version: str | None = None  # where its value may be read
    served: datetime | None = None  # when it came into service; None: it never did
    issued_at: datetime | None = None  # when issue was sent; None: not by us, or it was not noted
    grace: timedelta = timedelta(0)
    expires_at: datetime | None = None  # a short-lived key dies by itself
    not_before: datetime | None = None  # None until every replica shows the new version, and who must is told
    urgent: bool = False
    leaked_fields: tuple[str, ...] = ()  # what of the key others know, where that was said
    contain: bool = False  # it may die while the secret holds it: a person chose that, for this key alone
    phase: DebtPhase = DebtPhase.OWED
    kept: str | None = None  # our own label on its version
    baseline_at: datetime | None = None  # LIVE just before the revoke
    revoked_at: datetime | None = None  # first revoke sent
    refused_at: datetime | None = None  # of one that dies in service: refused since, not yet proven dead
    ended_at: datetime | None = None
    proof: str | None = None
    look_at: datetime | None = None
    looks: int = 0
    why: str = ""  # that it was not proven dead at the last look, in words
    block: Block | None = None

    @property
    def born(self) -> datetime | None:
        """When the key was issued, or a time after that; None: nobody vouched for it."""
        ours = self.provenance is not Provenance.UNKNOWN
        return self.issued_at or ((self.served or self.since) if ours else None)


def locked_out(state: SecretState, debts: Iterable[Debt]) -> bool:
    """Whether the key that a secret holds died before there was another one, so that whoever reads the secret
    is locked out; ``debts`` are its open ones: a refused key may still be to be proven dead.
    """
    current = state.current
    if current is None:
        return False
    refused = (debt for debt in debts if debt.contain and debt.refused_at is not None)
    return current.contained or any(debt.key_id == current.key_id for debt in refused)


LOCKED_OUT = "locked_out"  # in the data of an alarm about such a secret


class Level(StrEnum):
    """How loud an event is."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"  # told to people: Sentry


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a secret. ``data`` holds ids, never values."""

    secret: str
    kind: str  # issued, staged, verified, promoted, revoked, dead, blocked, failed, …
    text: str
    level: Level = Level.INFO
    rotation: str | None = None
    debt: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)  # policy, provider, step, error, key_id, …
    at: datetime | None = None  # the ledger's clock, when it was written
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: ``run`` (rotate now), ``rollback`` (bring the key before back), ``drill`` (try the
    path), ``pause`` (until ``until``), or ``renew``: a token whose parent credential was replaced. ``stop``
    is given to EVERYBODY, and ends by ``until`` or never.

    ``leaked_versions`` are those that hold keys which others know, ``leaked_fields`` what of them they know.
    ``contain``: the key in service dies before another one is issued. ``issued_before``: a younger key stays.
    """

    kind: str
    by: str
    reason: str
    at: datetime
    grace: timedelta | None = None  # of run and rollback: instead of the policy's
    until: datetime | None = None  # of pause and stop; of rollback: of the pause after it
    new_only: bool = False  # of pause: it holds new keys; consumers are told, and debts are paid
    leaked_versions: tuple[str, ...] = ()  # of run
    leaked_fields: tuple[str, ...] = ()  # of run
    contain: bool = False  # of run
    issued_before: datetime | None = None  # of run
    rotates: bool = False  # of run: it replaces the key in service, also where another one leaked

    @property
    def owes(self) -> bool:
        """Whether the key in service is owed at once, before there is another one."""
        return self.contain or bool(self.leaked_versions)


EVERYBODY = "*"  # in place of a secret: an order to all of them


def stop_in_force(orders: Mapping[str, Order], now: datetime) -> Order | None:
    """The order that nothing outside may be changed, by anybody, if there is one and it is not over."""
    stop = orders.get("stop")
    return None if stop is None or (stop.until is not None and stop.until <= now) else stop


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit writes, all of it or nothing."""

    secret: SecretState
    rotation: Rotation | None = None
    debts: tuple[Debt, ...] = ()
    events: tuple[Event, ...] = ()
    frees: tuple[str, ...] = ()  # slots (tokens) whose keys are dead
    orders_done: tuple[Order, ...] = ()  # carried out; one given meanwhile stays


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act on one secret, its rotation and its debts, until ``until`` (the ledger's clock)."""

    secret: str
    epoch: int
    until: datetime
    nudges: int = 0  # orders seen when it was claimed
    holder: str = ""  # who acts: in the record of each commit


# --- the audit trail -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the number of its last record, and that record's MAC."""

    number: int
    mac: str


@dataclass(frozen=True, slots=True)
class Record:
    """One link of a secret's chain, as it is stored: what happened, and a MAC that covers the one before.

    ``event`` and ``trail`` are JSON, byte for byte as they were written; ``event`` is "" where a step has
    nothing to tell people. The secret "" is the ledger's own chain.
    """

    secret: str
    number: int  # from 1
    at: datetime
    event: str
    trail: str  # what, by, epoch, policy, phases, docs: digests of the documents that were written
    key: str  # id of the key that the MAC is made with
    mac: str
    seq: int = 0  # among all records of the ledger


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything about one secret at one moment: its records, its head, and what its tables hold."""

    secret: str
    head: Head | None  # None: the secret itself is not in the ledger
    records: Sequence[Record]
    documents: Mapping[str, str]  # digests by name, as ``docs`` of a trail


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is given outside: the head of the ledger's own chain, which holds the heads of all others."""

    ledger: str
    head: Head
    at: datetime
    seq: int  # the highest of all records so far


# --- what a story answers --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Again:
    """Call the story again, at ``at`` or later; at once where it is None."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The story is over: nothing more to do."""
