"""Logins that failed, counted in the ledger, so that a provider disables no account for too many of them.

Before a login is sent it takes one of a few places that its account has, kept as facts: whoever is killed
while it is under way has counted it, for an hour. Only what tells nothing of the login gives the place back:
that nothing was sent, 429, 5xx, and 404 or 405, which are about the path. A login that is accepted gives back
all of them. Whatever else is answered keeps its place: once all are taken nothing more is sent, by any
process, until the parent secret holds another key or a person has it tried once more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from rotator import backoff
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Scope, Unknown
from rotator.interfaces import Ledger, Stored
from rotator.model import Credential, Policy, Probe, Target, Verdict
from rotator.records import Codec

TOKEN, PERSON = "token", "person"  # who sends a login: the renewal of a token, or `submit`
EACH = 3  # failed logins of either, after which it sends none
ALL = 4  # of both together: providers disable an account at five, as far as is known
OPEN = "logins-refused"
UNSEEN = timedelta(hours=1)  # for so long a login counts of which nobody saw the end: a kill cut it short
LOST = timedelta(days=1)  # likewise where it was sent, and its answer was lost
_REFUSED = frozenset({"admin-refused", "admin-forbidden"})  # all else that needs a person was never sent
_PASSING = frozenset({"http-404", "http-405", "http-429"})  # about the path, or the server's state
_CUT = frozenset({"timeout", "connection-lost"})


@dataclass(frozen=True, slots=True)
class Place:
    """One login that failed, or is under way. ``version``: of the parent secret that it was sent with.

    ``ends``: when it counts no more; None: with a login that is accepted.
    """

    by: str
    version: str | None
    until: datetime  # no other one is sent before
    ends: datetime | None = None
    key: str = ""  # of the fact


PLACE = Codec("login", TypeAdapter(Place))


# --- the places of an account ----------------------------------------------------------------------------


def _keys(secret: str) -> list[str]:
    """The facts of an account, by the secret that holds its login."""
    return [f"login:{number}:{secret}" for number in range(1, ALL + 1)]


def _taken(ledger: Ledger, secret: str) -> list[Place]:
    facts, now = ledger.facts("login:"), ledger.now()
    places = [replace(PLACE.decode(facts[key]), key=key) for key in _keys(secret) if key in facts]
    return [place for place in places if place.ends is None or place.ends > now]


def _full(places: list[Place], by: str) -> bool:
    """Whether no more is sent. What people mistype never keeps a token from its first login."""
    mine = sum(place.by == by for place in places)
    return mine >= EACH or (len(places) >= ALL and (by == PERSON or mine > 0))


def _take(desk: Desk, secret: str, by: str, version: str | None) -> Place:
    """Take a place, in one step. Raises NotSent where other logins of the account took the last one."""
    ledger, now = desk.world.ledger, desk.now()
    facts, taken = ledger.facts("login:"), {place.key for place in _taken(ledger, secret)}
    for key in _keys(secret):
        place = Place(by, version, now, now + UNSEEN, key)
        if key not in taken and ledger.swap(key, facts.get(key), PLACE.encode(place)):
            return place
    raise NotSent("login-held", "other logins of this account are under way", retry_at=now)


def _failed(desk: Desk, place: Place, why: str, count: int = 1) -> None:
    """The login of a place failed: the next one waits, longer each time."""
    ledger, now = desk.world.ledger, desk.now()
    ends = now + LOST if why in _CUT else None
    failed = replace(place, until=now + backoff.while_blocked(count - 1), ends=ends)
    ledger.swap(place.key, ledger.fact(place.key), PLACE.encode(failed))


def accepted(ledger: Ledger, secret: str) -> None:
    """A login was accepted: what failed before counts no more."""
    for key in _keys(secret):
        ledger.forget(key)


def once_more(ledger: Ledger, secret: str, by: str) -> None:
    """Let one more login through, now: a person says that the account is enabled again, or the parent secret
    holds another key. Killed at any line it has let none through that was not asked for.
    """
    places = _taken(ledger, secret)
    mine = [place for place in places if place.by == by]
    keeps = max(0, min(EACH - 1, ALL - 1 - (len(places) - len(mine))))
    for place in mine[:keeps]:
        ledger.swap(place.key, PLACE.encode(place), PLACE.encode(replace(place, until=ledger.now())))
    for place in mine[keeps:]:
        ledger.forget(place.key)


# --- a token's login -------------------------------------------------------------------------------------


@contextmanager
def one_login(desk: Desk, policy: Policy) -> Iterator[None]:
    """Around the call that mints a token from its parent secret.

    Raises, with nothing sent, NeedsPerson once the places are taken, and NotSent between two logins that
    failed; NeedsPerson in place of a refusal. Other providers' calls pass.
    """
    secret = policy.parent
    if secret is None:
        yield
        return
    place = _take(desk, secret, TOKEN, _let_through(desk, policy, secret))
    try:
        yield
    except RotatorError as error:
        if not isinstance(error, Refused | Unknown | NeedsPerson) or _passes(error):
            desk.world.ledger.forget(place.key)
            raise
        failure = _counted(desk, policy, secret, place, error)
    else:
        accepted(desk.world.ledger, secret)
        return
    raise failure


def _passes(error: Refused | Unknown | NeedsPerson) -> bool:
    """Whether an error tells nothing of the login."""
    if isinstance(error, NeedsPerson):
        return error.kind not in _REFUSED
    return error.kind in _PASSING or error.kind.startswith("http-5")


def _let_through(desk: Desk, policy: Policy, secret: str) -> str | None:
    """The version of the parent secret that a login is about to be sent with; None where it is unknown."""
    ledger, version = desk.world.ledger, _version(desk, policy)
    places = _taken(ledger, secret)
    mine = [place for place in places if place.by == TOKEN]
    full, until = _full(places, TOKEN), max((place.until for place in mine), default=desk.now())
    if not full and until <= desk.now():
        return version
    if version is not None and not any(_same_key(desk, policy, place.version, version) for place in mine):
        once_more(ledger, secret, TOKEN)
    elif full:
        raise _open(desk, policy, secret)
    else:
        said = f"{policy.provider.name}: a login failed, so none is sent for a while."
        raise NotSent("login-held", said, retry_at=until)
    return version


def _counted(
    desk: Desk, policy: Policy, secret: str, place: Place, error: Refused | Unknown | NeedsPerson
) -> RotatorError:
    """What a login that failed means: a wait, and a person's act where it was refused, or was the last.

    After an answer that may hold a token, or was lost, the attempt ends first: it stays Unknown.
    """
    places = _taken(desk.world.ledger, secret)
    count = sum(one.by == TOKEN for one in places)
    _failed(desk, place, error.kind, count)
    retry_at = desk.now() + backoff.while_blocked(count - 1)
    said = f"{error.message} It counts as a refused login with {_parent(policy)}."
    if isinstance(error, Unknown):
        return Unknown(error.kind, said, retry_at=retry_at)
    if _full(places, TOKEN):
        return _open(desk, policy, secret)
    todo = _todo(desk, policy, secret)
    if isinstance(error, NeedsPerson):
        todo = error.todo if error.kind == "admin-forbidden" else todo
        return NeedsPerson(error.kind, error.message, todo=todo, scope=error.scope)
    if error.permanent:
        return NeedsPerson(error.kind, said, todo=todo, scope=Scope.PROVIDER)
    return Refused(error.kind, said, retry_at=retry_at)


def _open(desk: Desk, policy: Policy, secret: str) -> NeedsPerson:
    """Nothing more is sent. Told once for all tokens of the account."""
    return NeedsPerson(
        OPEN,
        f"{policy.provider.name}: logins with {_parent(policy)} were refused, or may have been, as often as "
        "is safe. None is sent any more, since too many cost the account.",
        todo=_todo(desk, policy, secret),
        scope=Scope.PROVIDER,
    )


def _todo(desk: Desk, policy: Policy, secret: str) -> str:
    """What a person does about a login that is refused, by the names of their policies."""
    parent, fields = desk.world.ledger.secret(secret), ", ".join(_fields(desk, policy))
    brings = (
        f"bring it by rotator submit {parent.policy}"
        if parent is not None and not parent.gone
        else f"write it into {_parent(policy)}, which is looked at now and then"
    )
    return (
        f"See whether {policy.provider.name} still lets this login in. If it is wrong, have a new one issued "
        f"and {brings} (JSON with {fields}). If the account was disabled, have it enabled again; then, to "
        f"have the same login tried once more: rotator run-now {policy.name} --reason TEXT"
    )


def _parent(policy: Policy) -> str:
    return f"the parent secret {policy.provider.admin.secret if policy.provider.admin else ''}".rstrip()


# --- the parent secret -----------------------------------------------------------------------------------


def _stored(desk: Desk, policy: Policy, version: str | None = None) -> Stored | None:
    """A version of the parent secret: a read of the store, and no login. None where there is none, and where
    the store does not answer: whoever sends the login meets that, too, and tells it.
    """
    admin = policy.provider.admin
    if admin is None or policy.parent is None:
        return None
    spelled = {name: admin.fields.get(name, name) for name in _fields(desk, policy)}
    target = Target(policy.parent, admin.store, admin.secret, spelled)
    try:
        return desk.world.store(admin.store).read(target, version)
    except (EffectError, NeedsPerson):
        return None


def _version(desk: Desk, policy: Policy) -> str | None:
    found = _stored(desk, policy)
    return found.version if found else None


def _fields(desk: Desk, policy: Policy) -> tuple[str, ...]:
    return desk.provider(policy).traits.admin_fields


def _same_key(desk: Desk, policy: Policy, before: str | None, now: str) -> bool:
    """Whether two versions of the parent secret hold the same key; not, where the older one is gone."""
    if before is None or before == now:
        return before == now
    older, newer = _stored(desk, policy, before), _stored(desk, policy, now)
    if older is None or newer is None:
        return newer is None  # nothing new is seen
    return older.credential.same(newer.credential, _fields(desk, policy))


# --- a person's login ------------------------------------------------------------------------------------


def failing(ledger: Ledger, secret: str) -> bool:
    """Whether logins of an account failed, none being accepted since."""
    return bool(_taken(ledger, secret))


def refused_before(desk: Desk, policy: Policy) -> bool:
    """Whether so many logins of the account failed that none is sent that a person brings."""
    return _full(_taken(desk.world.ledger, policy.target.id), PERSON)


def tried(desk: Desk, policy: Policy, credential: Credential) -> Probe:
    """Probe what a person brings, and count it. Raises NotSent where others took the last place."""
    ledger, secret = desk.world.ledger, policy.target.id
    place = _take(desk, secret, PERSON, None)
    probe = desk.provider(policy).probe(credential)
    if probe.verdict is Verdict.LIVE:
        accepted(ledger, secret)
    elif probe.passing:
        ledger.forget(place.key)
    else:
        _failed(desk, place, probe.why)
    return probe


def verified(desk: Desk, policy: Policy, credential: Credential) -> Probe:
    """Probe a credential that is on its way: what a person brought is counted, and not sent once the places
    are taken.
    """
    provider = desk.provider(policy)
    if provider.traits.issues:
        return provider.probe(credential)
    if refused_before(desk, policy):
        return Probe(Verdict.UNKNOWN, "logins of this account were refused as often as is safe")
    return tried(desk, policy, credential)
