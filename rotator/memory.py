"""What a worker remembers between steps: nothing that may not be lost."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rotator.interfaces import Ledger, Stored
from rotator.model import Debt, Rotation

_KEEP = timedelta(minutes=5)
_ALL = timedelta(seconds=10)
_COUNTED = timedelta(minutes=1)  # shorter than a claim


class Memory:
    """Versions of secrets read or written a moment ago, by secret and version; versions never change.

    Shared by the threads of one process; forgotten after five minutes, so that a value is not held
    longer than the step that needs it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Stored, datetime]] = {}
        self._counts: dict[str, tuple[Rotation, Rotation, datetime]] = {}
        self._facts: set[str] = set()
        self._debts: dict[bool, tuple[datetime, Mapping[tuple[str, str | None], Sequence[Debt]]]] = {}
        self._unnamed: tuple[datetime, Mapping[str, Sequence[str]]] | None = None

    def keep(self, secret: str, version: str, stored: Stored, now: datetime) -> Stored:
        """Hold a version for a while; drops what is too old."""
        for key, (_, until) in list(self._kept.items()):
            if until < now:
                self._kept.pop(key, None)
        self._kept[secret, version] = (stored, now + _KEEP)
        return stored

    def get(self, secret: str, version: str, now: datetime) -> Stored | None:
        """What is held, or None."""
        stored, until = self._kept.get((secret, version), (None, now))
        return stored if until > now else None

    def count(self, committed: Rotation, counted: Rotation, now: datetime) -> None:
        """Hold how often a key was verified since its rotation was last committed.

        It may be lost: then the key is verified from the beginning.
        """
        self._counts[committed.secret] = (committed, counted, now + _COUNTED)

    def counted(self, rotation: Rotation, now: datetime) -> Rotation:
        """A rotation with what was counted since it was committed; itself where another went on with it, or
        may have heard a refusal that it never wrote: its claim would have lasted longer than our count.
        """
        committed, counted, until = self._counts.get(rotation.secret, (None, rotation, now))
        return counted if committed == rotation and now < until else rotation

    def forget_count(self, secret: str) -> None:
        """What was counted is committed, or does not count."""
        self._counts.pop(secret, None)

    def debts(
        self, ledger: Ledger, *, ended: bool = False
    ) -> Mapping[tuple[str, str | None], Sequence[Debt]]:
        """The ledger's debts, by account and key; ten seconds old at most, since many may ask for all."""
        now = ledger.now()
        until, found = self._debts.get(ended, (now, {}))
        if not now < until <= now + _ALL:
            every: dict[tuple[str, str | None], list[Debt]] = {}
            for debt in ledger.debts(ended=ended):
                every.setdefault((debt.policy.provider.principal, debt.key_id), []).append(debt)
            found = every
            self._debts[ended] = now + _ALL, found
        return found

    def unnamed(self, ledger: Ledger) -> Mapping[str, Sequence[str]]:
        """By account the secrets of which an id does not tell whether they hold a key of it, every account
        among them; as old at most.
        """
        now = ledger.now()
        until, found = self._unnamed or (now, {})
        if not now < until <= now + _ALL:
            every: dict[str, list[str]] = {}
            for state, _ in ledger.secrets():
                every.setdefault(state.principal, [])
                every.setdefault(state.issuer, []).extend([state.id] if state.unnamed else [])
            self._unnamed, found = (now + _ALL, every), every
        return found

    def forget_secrets(self) -> None:
        """There may be new secrets."""
        self._unnamed = None

    def knows(self, fact: str, ledger: Ledger) -> bool:
        """Whether the ledger has a fact that is never taken back; asked until it has."""
        if fact not in self._facts and ledger.fact(fact) is not None:
            self._facts.add(fact)
        return fact in self._facts
