"""Comparing what may be a key with what secrets hold: in a time that tells nothing of either."""

import hmac
import re
from collections.abc import Iterable

from rotator.cli.candidates import SHORTEST, candidates
from rotator.interfaces import Stored
from rotator.model import Credential, Traits

_LIKE_A_KEY = re.compile(rf"(?=.*\d)(?=.*[A-Za-z])[\w+/=.~-]{{{SHORTEST},}}|[\w+=~-]{{20,}}")
_ADDRESS = re.compile(r"/*([\w-]+\.)+[\w-]+(/.*)?")  # of a page, or a part of one


class Sought:
    """The texts that may be the key, to be compared with what secrets hold; and which were found there."""

    def __init__(self, key: Credential) -> None:
        self._key = key  # so long it is taken out of whatever is logged
        self._keys: set[bytes] = set()  # what was found as a key
        self._ids: set[bytes] = set()  # what was found as an id, which is no secret
        self._by_length: dict[int, list[bytes]] = {}
        for one in map(_raw, key.reveal().values()):
            self._by_length.setdefault(len(one), []).append(one)

    def any_of(self, values: Iterable[str | None], *, public: bool = False) -> bool:
        """Whether one of them is one of these values, blanks around it apart. All of the same length are
        compared, each in a time that tells nothing.
        """
        spelled = {form for value in values if value for form in (_raw(value), _raw(value.strip()))}
        alike = [
            (hmac.compare_digest(one, form), one)
            for form in spelled
            for one in self._by_length.get(len(form), ())
        ]
        found = {one for same, one in alike if same}
        (self._ids if public else self._keys).update(found)
        return bool(found)

    def told_in(self, text: str) -> bool:
        """Whether a person's words repeat a key that was found, or what looks like one. An id may be said."""
        spelled = set(candidates(text))
        said = (
            (one, form)
            for forms in self._by_length.values()
            for one in forms
            if (form := one.decode(errors="surrogatepass")) in text or form in spelled
        )
        return any(one in self._keys or (_like_a_key(form) and one not in self._ids) for one, form in said)


def _like_a_key(text: str) -> bool:
    """Whether a piece of a text is no word, and no address, that a person may say as well."""
    return _LIKE_A_KEY.fullmatch(text) is not None and _ADDRESS.fullmatch(text) is None


def _raw(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def matched(sought: Sought, stored: Stored, traits: Traits) -> tuple[str, ...] | None:
    """The secret fields of a version that are the key, all where it is the whole value; empty where the key
    is no more than an id of it, None where it is neither.
    """
    alike = [name for name in traits.secret_fields if sought.any_of([stored.credential.get(name)])]
    whole = sought.any_of([stored.whole.get("")])
    public = [stored.credential.get(name) for name in traits.fields if name not in traits.secret_fields]
    named = sought.any_of(public, public=True)
    if alike or whole:
        return tuple(alike or traits.secret_fields)
    return () if named else None
