"""``--leaked``: a key on standard input, and which secrets hold it. Its value is compared, and never shown.

Every secret is looked at to its end, whatever was found before, so that neither the time it takes nor what is
printed tells anything of the value but where it is.
"""

import hmac
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from rotator.cli import output
from rotator.cli.candidates import TooMany, candidates, decoded
from rotator.cli.credentials import MOST_BYTES
from rotator.cli.options import Wrong
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Ledger, Stored
from rotator.model import Credential, DebtPhase, DebtReason, Policy, ProviderRef, Traits
from rotator.telemetry.redaction import NOT_SECRET

if TYPE_CHECKING:
    from rotator.wiring import Wiring

THREADS = 16
_TELL = 100  # secrets between two lines of progress
_NOTHING = "Nothing was done."
_PUBLIC = NOT_SECRET | {"email", "user_id"}  # fields of a login that are no secret


class Where(StrEnum):
    """As what a secret holds the key."""

    SERVICE = "in service"
    PENDING = "about to come into service"
    GRACE = "in its grace"
    DEAD = "proven dead"
    ID = "its id alone"  # which is no secret


@dataclass(frozen=True, slots=True)
class Place:
    """Where the key was found. ``version`` is the secret's, ``fields`` which of its fields are the key."""

    policy: str
    secret: str  # its canonical id
    where: Where
    version: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to. ``unread`` says what could not be looked at, and why; ``admins`` what a person
    must do about an admin credential that no policy rotates.
    """

    places: tuple[Place, ...] = ()
    unread: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    looked_at: int = 0  # secrets
    narrowed: bool = False  # some policies were left out, as a person chose

    @property
    def versions(self) -> dict[str, tuple[str, ...]]:
        """By secret that holds the key its versions that do, the one that counts most first."""
        return {one.secret: self._of(one.secret, lambda place: (place.version,)) for one in self.held}

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """By the same secret, which of its fields others know."""
        return {one.secret: self._of(one.secret, lambda place: place.fields) for one in self.held}

    @property
    def left(self) -> tuple[str, ...]:
        """What a person must see to beside the secrets that are rotated."""
        return (*self.admins, *(f"not looked at: {one}" for one in self.unread))

    @property
    def held(self) -> tuple[Place, ...]:
        """Where the key must still be replaced, or die: for each secret the place that counts most."""
        first: dict[str, Place] = {}
        for one in self._living():
            first.setdefault(one.secret, one)
        return tuple(first.values())

    def _living(self) -> list[Place]:
        order = (Where.SERVICE, Where.PENDING, Where.GRACE)
        living = (one for one in self.places if one.where in order)
        return sorted(living, key=lambda one: order.index(one.where))

    def _of(self, secret: str, told: Callable[[Place], Iterable[str]]) -> tuple[str, ...]:
        """What is told of each place of a secret, each once."""
        places = (one for one in self._living() if one.secret == secret)
        return tuple(dict.fromkeys(each for place in places for each in told(place)))

    def in_service(self, secret: str) -> bool:
        """Whether a secret holds the key now."""
        return any(one.where is Where.SERVICE for one in self.held if one.secret == secret)

    def does(self, secret: str) -> str | None:
        """What happens where the key is not in service, as one line; None where the secret is rotated."""
        where = next((one.where for one in self.held if one.secret == secret), None)
        if where is Where.GRACE:
            return "end the grace of the older key that leaked; nothing is rotated"
        if where is Where.PENDING:
            return "give up the key that is about to come into service; issue another one"
        return None

    @property
    def dead(self) -> bool:
        """Whether nobody holds the key any more, but somebody did, and it is proven dead."""
        return not self.held and any(one.where is Where.DEAD for one in self.places)


# --- the key ---------------------------------------------------------------------------------------------


def brought() -> Credential:
    """All that may be the key that leaked, typed unseen or in a text on standard input. Raises Wrong."""
    if sys.stdin.isatty():
        text = str(click.prompt("The key that leaked (not shown)", hide_input=True, err=True))
    else:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise Wrong(f"Standard input is too long for a key. {_NOTHING}")
        try:
            text = decoded(data)
        except UnicodeDecodeError:
            raise Wrong(f"Standard input is no text. {_NOTHING}") from None
    try:
        found = candidates(text)
    except TooMany:
        less = "Give the part of it that holds the key"
        raise Wrong(f"Standard input holds too much that may be a key. {less}. {_NOTHING}") from None
    if not found:
        raise Wrong(f"There is no key on standard input. {_NOTHING}")
    return Credential({str(number): one for number, one in enumerate(found)})


class Sought:
    """The texts that may be the key, to be compared with what secrets hold."""

    def __init__(self, key: Credential) -> None:
        self._by_length: dict[int, list[bytes]] = {}
        for one in map(_raw, key.reveal().values()):
            self._by_length.setdefault(len(one), []).append(one)

    def any_of(self, values: Iterable[str | None]) -> bool:
        """Whether one of them is one of these values, blanks around it apart. All of the same length are
        compared, each in a time that tells nothing.
        """
        spelled = {form for value in values if value for form in (_raw(value), _raw(value.strip()))}
        alike = [
            hmac.compare_digest(one, form) for form in spelled for one in self._by_length.get(len(form), ())
        ]
        return any(alike)


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


# --- the search ------------------------------------------------------------------------------------------


def search(world: "Wiring", policies: Sequence[Policy], key: Credential) -> Search:
    """Look at what each secret holds now, has pending, and still owes; side by side."""
    places: list[Place] = []
    unread: list[str] = []
    sought = Sought(key)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="search") as pool:
        looks = pool.map(lambda policy: _looked(world, policy, sought), policies)
        for number, (found, why) in enumerate(looks, 1):
            places += found
            unread += why
            if number % _TELL == 0:
                click.echo(f"looked at {number} of {len(policies)} secrets", err=True)
    admins, of_admins = _admins(world, policies, sought)
    return Search(tuple(places), (*unread, *of_admins), admins, len(policies))


def _looked(world: "Wiring", policy: Policy, sought: Sought) -> tuple[list[Place], list[str]]:
    """One secret: where it holds the key, and what of it could not be read."""
    found: list[Place] = []
    unread: list[str] = []
    traits = world.provider(policy.provider).traits
    for where, version, must in _versions(world.ledger, policy):
        try:
            stored = world.store(policy.target.store).read(policy.target, version)
        except (EffectError, NeedsPerson) as error:
            unread += [f"{policy.name}, {where}: {error.message}"] if must else []
            continue
        if stored is None and must and version is not None:
            unread.append(f"{policy.name}, {where}: its value cannot be read any more")
        matched = _matched(sought, stored, traits) if stored is not None else None
        if stored is not None and matched is not None:
            as_what = where if matched else Where.ID
            found.append(Place(policy.name, policy.target.id, as_what, stored.version, matched))
    return found, unread


def _versions(ledger: Ledger, policy: Policy) -> Iterator[tuple[Where, str | None, bool]]:
    """The versions that may hold a living key, by the ledger, and those of leaked keys that died; and whether
    each must be there: what was given up may never have been stored.
    """
    yield Where.SERVICE, None, True
    secret = policy.target.id
    live = ledger.rotation(secret)
    if live is not None and live.attempt.issued_at is not None:
        yield Where.PENDING, live.attempt.version or live.attempt.push, live.attempt.version is not None
    for debt in ledger.debts(secret, ended=True):
        if debt.version and not debt.phase.ended:
            yield Where.GRACE, debt.version, debt.reason.of_service
        elif debt.version and (debt.reason, debt.phase) == (DebtReason.LEAKED, DebtPhase.DEAD):
            yield Where.DEAD, debt.version, False


def _matched(sought: Sought, stored: Stored, traits: Traits) -> tuple[str, ...] | None:
    """The secret fields of a version that are the key, all where it is the whole value; empty where the key
    is no more than an id of it, None where it is neither.
    """
    alike = [name for name in traits.secret_fields if sought.any_of([stored.credential.get(name)])]
    whole = sought.any_of([stored.whole.get("")])
    public = [stored.credential.get(name) for name in traits.fields if name not in traits.secret_fields]
    named = sought.any_of(public)
    if alike or whole:
        return tuple(alike or traits.secret_fields)
    return () if named else None


def _admins(
    world: "Wiring", policies: Sequence[Policy], sought: Sought
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a person must do about admin credentials that leaked and no policy rotates; what was not read."""
    rotated = {policy.target.id for policy in policies}
    refs = {policy.provider.account: policy.provider for policy in policies if policy.provider.admin}
    todo: list[str] = []
    unread: list[str] = []
    for account, ref in refs.items():
        if account in rotated:
            continue
        try:
            held = _holds(world, ref, sought)
        except (EffectError, NeedsPerson) as error:
            unread.append(f"the admin credential of {ref.name}: {error.message}")
            continue
        if held:
            todo.append(
                f"it is the admin credential of {ref.name}, which no policy rotates. To do: end it at "
                f"{ref.name}, and bring another one: rotator submit --admin {ref.name}"
            )
    return tuple(todo), tuple(unread)


def _holds(world: "Wiring", ref: ProviderRef, sought: Sought) -> bool:
    """Whether an admin credential is meant; other fields of its secret, and ids, tell nothing."""
    assert ref.admin is not None, "only providers with an admin credential are asked"
    held = ref.admin.read(world.store(ref.admin.store).raw(ref.admin.secret))
    names = world.provider(ref).traits.admin_fields
    return sought.any_of(held.get(name) for name in names if name not in _PUBLIC)


# --- words -----------------------------------------------------------------------------------------------


def words(found: Search) -> Iterator[str]:
    """Where the key was found, what a person must do, and what was not looked at."""
    for one in found.places:
        yield f"{one.policy}: {one.where} (version {one.version})"
    ids = [one for one in found.places if one.where is Where.ID]
    if ids:
        yield "An id is no secret: who has it alone can do nothing with it, so nothing is rotated for that."
    yield from found.left
    if found.dead:
        yield "Nobody holds it any more: it is proven dead."
    elif not (found.held or found.admins):
        far = ", as far as could be looked at" if found.unread else ""
        some = "1 secret was" if found.looked_at == 1 else f"{found.looked_at} secrets were"
        chosen = "those that you chose; leave names and options out to look at all"
        which = chosen if found.narrowed else "all that the policies name"
        yield f"Nobody holds it{far}: {some} looked at, {which}."


def told(found: Search) -> None:
    """Say it, on standard error."""
    for line in words(found):
        click.echo(output.printable(line), err=True)
