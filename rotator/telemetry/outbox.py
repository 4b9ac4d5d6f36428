"""What waits for a channel, and whether it fails: kept in the ledger, so that any process goes on with it.

While the ledger is away it is kept in memory: that the ledger is away is worth telling too.
"""

import json
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from rotator import backoff
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.notices import Message, Severity

log = logging.getLogger(__name__)

MOST = 500  # messages that wait for one channel; then the oldest goes
OLDEST = timedelta(days=1)  # after which a message is given up: the alarm is still in the history
PATIENCE = timedelta(minutes=10)  # of failing, until people are told by other ways
_SENDING = timedelta(minutes=1)  # longer than one message may take


@dataclass(frozen=True, slots=True)
class Failing:
    """A channel that takes nothing: since when, how often it was tried, when next, and who was told."""

    since: datetime
    why: str
    tries: int = 0
    look_at: datetime | None = None
    told: int = 0
    told_at: datetime | None = None

    def once_more(self, why: str, now: datetime) -> Self:
        """After one more try that failed."""
        return replace(self, why=why, tries=self.tries + 1, look_at=now + backoff.after_looks(self.tries))

    def must_be_told(self, now: datetime, *, person: bool) -> bool:
        """Whether people are to hear of it: after PATIENCE, or at once where a ``person`` must act; then
        after a day, and later each time.
        """
        if self.told_at is None:
            return person or now - self.since >= PATIENCE
        return now - self.told_at >= backoff.until_reminder(self.told)

    def text(self) -> str:
        """As the ledger keeps it."""
        return json.dumps({name: _plain(value) for name, value in asdict(self).items()})

    @classmethod
    def read(cls, text: str) -> Self:
        """As it was kept."""
        kept = json.loads(text)
        return cls(**{**kept, **{name: _time(kept[name]) for name in ("since", "look_at", "told_at")}})


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message with its place in the outbox."""

    key: str
    message: Message
    since: datetime


class Outbox:
    """One channel's; threads share it. No method raises where the ledger is away."""

    def __init__(self, ledger: Ledger, channel: str, holder: str) -> None:
        self.channel = channel
        self._ledger = ledger
        self._holder = holder
        self._prefix, self._fails = f"notice:{channel}:", f"notice-fails:{channel}"
        self._memory: dict[str, str] = {}  # what the ledger did not take
        self._state = threading.Lock()

    @property
    def kept(self) -> bool:
        """Whether nothing would be lost with this process."""
        with self._state:
            return not self._memory

    def add(self, name: str, message: Message, now: datetime) -> None:
        """Take a message. ``name`` tells alarms apart: one that waits already is not taken twice."""
        key = f"{self._prefix}{name}"
        text = json.dumps({**asdict(message), "since": now.isoformat()})
        try:
            self._ledger.remember(key, text)
        except LedgerUnusable:
            with self._state:
                self._memory[key] = text

    def waiting(self, now: datetime) -> list[Waiting]:
        """What is to be sent, oldest first."""
        return [one for one in self._all() if now - one.since < OLDEST][-MOST:]

    def give_up(self, now: datetime) -> None:
        """Remove what is too old or too much."""
        fresh = {one.key for one in self.waiting(now)}
        lost = [one.key for one in self._all() if one.key not in fresh]
        if lost:
            log.error("%d alarms were given up: %s does not take them", len(lost), self.channel)
            self.remove(lost)

    def _all(self) -> list[Waiting]:
        texts: dict[str, str] = {}
        with suppress(LedgerUnusable):
            texts.update(self._ledger.facts(self._prefix))
        with self._state:
            texts.update(self._memory)
        found = (_waiting(key, text) for key, text in texts.items())
        return sorted(found, key=lambda one: (one.since, one.key))

    def remove(self, keys: Iterable[str]) -> None:
        """These are sent, or given up."""
        for key in keys:
            with self._state:
                self._memory.pop(key, None)
            with suppress(LedgerUnusable):
                self._ledger.forget(key)

    def failing(self) -> Failing | None:
        """Whether the channel takes nothing, as any process found. Raises LedgerUnusable."""
        text = self._ledger.fact(self._fails)
        return None if text is None else Failing.read(text)

    def fails(self, failing: Failing | None) -> None:
        """Write down that the channel fails, or that it works. Raises LedgerUnusable."""
        before = self._ledger.fact(self._fails)
        if failing is not None:
            self._ledger.swap(self._fails, before, failing.text())
        elif before is not None:
            self._ledger.forget(self._fails)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process sends what waits here; true where the ledger is away."""
        ours = True
        with suppress(LedgerUnusable):
            ours = self._ledger.lock(self._prefix, self._holder, _SENDING)
        try:
            yield ours
        finally:
            with suppress(LedgerUnusable):
                if ours:
                    self._ledger.unlock(self._prefix, self._holder)


def _waiting(key: str, text: str) -> Waiting:
    kept: dict[str, Any] = json.loads(text)
    message = Message(kept["title"], kept["body"], Severity(kept["severity"]))
    return Waiting(key, message, datetime.fromisoformat(kept["since"]))
