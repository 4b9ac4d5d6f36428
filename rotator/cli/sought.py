"""Comparing what may be a key with what secrets hold: in a time that tells nothing of either."""

import hmac
from collections.abc import Iterable

from rotator.interfaces import Stored
from rotator.model import Credential, Traits


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


def matched(sought: Sought, stored: Stored, traits: Traits) -> tuple[str, ...] | None:
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
