"""What waits to be promoted: one path for each push token, which only rotator reads.

    <mount>/rotator/pending/<ledger>/<secret's path>/<push>

Version 1 holds the value. Once that was promoted, version 2 says as which version of the secret, and version
1 is destroyed; so the token still leads to the value, and the value is in one place.
"""

from contextlib import suppress

from rotator.errors import Conflict, EffectError, NeedsPerson, NotSent, Refused, Unknown
from rotator.interfaces import Stored
from rotator.model import Credential, Target
from rotator.stores import vault_text
from rotator.stores.vault_calls import Calls
from rotator.stores.vault_described import Gone, Value, held
from rotator.stores.vault_settings import Place, is_push, ledger_of

_SWEPT = 10  # pending paths of one secret that a sweep looks at


class Pending:
    """The pending paths of one store."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def value(self, where: Place, push: str) -> Value | None:
        """What waits under a token, or else the version of the secret that it became: one read, or two."""
        found = held(self._calls.value(where.pending(push)))
        if found is None or found.number == 1:
            return found
        became = vault_text.forwarded(found.text)
        return held(self._calls.value(where, became)) if became is not None else None

    def waiting(self, where: Place, push: str) -> Value | None:
        """What waits under a token and was not promoted yet."""
        found = held(self._calls.value(where.pending(push)))
        return found if found is not None and found.number == 1 else None

    def put(self, where: Place, push: str, text: str) -> Value:
        """Write under a token that was never used, read back, compare. May be called twice.

        Killed between the two, the value waits. Conflict if something else is there, Unknown if what we
        wrote cannot be read as it was.
        """
        waits = where.pending(push)
        wrote = self._calls.write(waits, text, 0) is not None
        value = held(self.read_back(waits, None) if wrote else self._calls.value(waits))
        if value is not None and value.number == 1 and vault_text.same(value.text, text):
            return value
        if wrote:
            raise Unknown("read-back", f"What waits for {where.name!r} under {push} is not what was written.")
        raise Conflict("token-used", f"Secret {where.name!r}: token {push} was used with another value.")

    def read_back(self, where: Place, at: int | None) -> Value | Gone | None:
        """A version just written; when it cannot be read, what was written is in doubt, not undone."""
        try:
            return self._calls.value(where, at)
        except (NotSent, Refused) as raised:
            doubt = Unknown(raised.kind, f"Written, but not read back. {raised.message}")
        raise doubt

    def retire(self, where: Place, push: str, became: int) -> None:
        """Put a forward in a promoted value's place, then destroy the value: two writes.

        Killed between them, or where one fails, the value stays until the next sweep; that is no failure.
        """
        with suppress(EffectError, NeedsPerson):
            self._calls.write(where.pending(push), vault_text.forward(became), 1)
            self._calls.destroy(where.pending(push), 1)

    def forget(self, where: Place, push: str) -> None:
        """Remove a pending path with all that it holds: one call. May be called twice."""
        self._calls.forget(where.pending(push))

    def sweep(self, where: Place, target: Target, push: str, onto: Stored, new: Credential) -> None:
        """Remove what earlier rotations of this ledger left for this secret. Its failure is none.

        Left are forwards, and copies of the key that ``onto``, the current version, holds. Any other value
        is kept: a debt may have to read it. One list, and one read and one delete for each that is left.
        """
        with suppress(EffectError, NeedsPerson):
            names = self._calls.names(where.mount, where.waiting(ledger_of(push)))
            for name in [each for each in names if is_push(each) and each != push][:_SWEPT]:
                value = self.waiting(where, name)
                if value is None or _same_key(vault_text.stored(target, value, name), onto, new):
                    self.forget(where, name)


def _same_key(one: Stored, other: Stored, new: Credential) -> bool:
    """Whether two versions hold the same in the fields that a new credential has."""
    return bool(new.names) and one.credential.same(other.credential, new.names)
