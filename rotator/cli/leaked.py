"""``--leaked``: a key on standard input, and in words which secrets hold it. Its value is never shown."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import click

from rotator.cli import output
from rotator.cli.candidates import TooMany, candidates, decoded
from rotator.cli.credentials import MOST_BYTES
from rotator.cli.options import Wrong
from rotator.model import Credential

NOTHING = "Nothing was done."


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
            raise Wrong(f"Standard input is too long for a key. {NOTHING}")
        try:
            text = decoded(data)
        except UnicodeDecodeError:
            raise Wrong(f"Standard input is no text. {NOTHING}") from None
    try:
        found = candidates(text)
    except TooMany:
        less = "Give the part of it that holds the key"
        raise Wrong(f"Standard input holds too much that may be a key. {less}. {NOTHING}") from None
    if not found:
        raise Wrong(f"There is no key on standard input. {NOTHING}")
    return Credential({str(number): one for number, one in enumerate(found)})


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
        which = chosen if found.narrowed else "all that the policies name, or named before"
        yield f"Nobody holds it{far}: {some} looked at, {which}."


def told(found: Search) -> None:
    """Say it, on standard error."""
    for line in words(found):
        click.echo(output.printable(line), err=True)
