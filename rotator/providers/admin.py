"""The credential that may manage a provider's keys: read when it is used, kept a minute at most."""

import re
import threading
from collections.abc import Callable

from rotator.errors import EffectError, NeedsPerson, NotSent, Scope
from rotator.interfaces import Clock
from rotator.model import Credential

KEPT_SECONDS = 60.0
_USABLE = re.compile(r"[\x21-\x7e]{1,16384}")  # printable ASCII without spaces: fit for a header


class Admin:
    """Reads the admin credential of one provider. Threads share it.

    ``read`` asks the store; ``fields`` are those that must be there; ``name`` is the provider's name in the
    policies, for what people are told. ``in_headers`` are the fields that headers carry, all where it is
    None: a password in a body may hold blanks. ``parent`` is the place of a credential that tokens are minted
    from, "SECRET of STORE": it is no provider's admin credential, and is brought in another way.
    """

    def __init__(
        self,
        read: Callable[[], Credential],
        fields: tuple[str, ...],
        name: str,
        clock: Clock,
        in_headers: tuple[str, ...] | None = None,
        *,
        parent: str | None = None,
    ) -> None:
        self._read = read
        self._fields = fields
        self._in_headers = fields if in_headers is None else in_headers
        self._name = name
        self._parent = parent
        self._what = "parent" if parent else "admin"
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[Credential, float] | None = None

    def credential(self) -> Credential:
        """The credential, at most a minute old.

        Raises NeedsPerson (scope PROVIDER) if the store has none that can be used, NotSent if the store
        could not be asked: nothing has reached the provider then.
        """
        with self._lock:
            if self._kept and self._clock.monotonic() - self._kept[1] < KEPT_SECONDS:
                return self._kept[0]
            credential = self._fresh()
            self._kept = (credential, self._clock.monotonic())
            return credential

    def forget(self) -> None:
        """Read it anew at its next use: it was replaced."""
        with self._lock:
            self._kept = None

    def renewed(self, refused: Credential) -> Credential | None:
        """After a refusal: what the store holds now, or None if it is what was refused.

        A person may have submitted a fresh one within the minute.
        """
        with self._lock:
            if self._kept is None or self._kept[0] is refused:
                self._kept = (self._fresh(), self._clock.monotonic())
            found = self._kept[0]
            return None if found.same(refused, self._fields) else found

    def refused(self, why: str) -> NeedsPerson:
        """Forget the credential, and say that a person must bring another. For raising."""
        with self._lock:
            self._kept = None
        return self._needed(
            "admin-refused", f"The {self._what} credential of {self._name} is refused: {why}."
        )

    def _fresh(self) -> Credential:
        self._kept = None
        failed: NeedsPerson | NotSent
        try:
            return self._checked(self._read())
        except NeedsPerson as error:
            failed = self._unreadable(error)
        except EffectError as error:
            said = f"The {self._what} credential of {self._name} could not be read, so nothing was sent."
            failed = NotSent(error.kind, said, retry_at=error.retry_at)
        raise failed

    def _unreadable(self, error: NeedsPerson) -> NeedsPerson:
        """A store's error about this one secret concerns every policy of the provider."""
        if error.scope is Scope.PROVIDER:
            return error
        said = f"The {self._what} credential of {self._name} cannot be read: {error.message}"
        if error.kind == "no-version":
            return self._needed(error.kind, said)
        return NeedsPerson(error.kind, said, todo=error.todo, scope=Scope.PROVIDER)

    def _checked(self, found: Credential) -> Credential:
        missing = [name for name in self._fields if not found.get(name)]
        if missing:
            raise self._needed(
                "admin-incomplete",
                f"The {self._what} secret of {self._name} has no {' and no '.join(missing)}.",
            )
        unfit = [name for name in self._in_headers if not _USABLE.fullmatch(found.get(name) or "")]
        if unfit:
            raise self._needed(
                "admin-malformed",
                f"The {self._what} secret of {self._name} has blanks, line ends or other characters that no "
                f"header may hold in {' and '.join(unfit)}.",
            )
        return found

    def _needed(self, kind: str, message: str) -> NeedsPerson:
        fields = ", ".join(self._fields)
        todo = f"Run `rotator submit --admin {self._name}` with a fresh one (JSON with {fields})."
        if self._parent is not None:
            todo = (
                f"Have one issued (JSON with {fields}), and give it to the policy of {self._parent} by "
                "`rotator submit NAME`; where no policy rotates that secret, write it there yourself."
            )
        return NeedsPerson(kind, message, todo=todo, scope=Scope.PROVIDER)
