"""What waits for a channel, and whether it fails: kept in the ledger, so that any process goes on with it.

While the ledger is away it is kept in memory: that the ledger is away is worth telling too.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from pydantic import TypeAdapter

from rotator import backoff
from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.notices import Message
from rotator.records import Codec

log = logging.getLogger(__name__)

MOST = 500  # messages that wait for one channel; then the oldest goes
OLDEST = timedelta(days=1)  # after which a message is given up: the alarm is still in the history
PATIENCE = timedelta(minutes=10)  # of failing, until people are told by other ways
COPIES = 6  # sent of a message while nobody answers, which takes an hour: then it is given up, as read by now
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

    def once_more(self, why: str, now: datetime, *, may_have_come: bool = False) -> Self:
        """After one more try that failed; one that may have come all the same is repeated later."""
        wait = backoff.after_no_answer if may_have_come else backoff.after_looks
        return replace(self, why=why, tries=self.tries + 1, look_at=now + wait(self.tries))

    def must_be_told(self, now: datetime, *, person: bool) -> bool:
        """Whether people are to hear of it: after PATIENCE, or at once where a ``person`` must act; then
        after a day, and later each time.
        """
        if self.told_at is None:
            return person or now - self.since >= PATIENCE
        return now - self.told_at >= backoff.until_reminder(self.told)


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it is kept; ``copies`` went out that nobody answered, so that they may have come."""

    message: Message
    since: datetime
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Waiting(Kept):
    """The same with its place in the outbox."""

    key: str = ""


_FAILING = Codec("failing channel", TypeAdapter(Failing))
_KEPT = Codec("message to a channel", TypeAdapter(Kept))


class Outbox:
    """One channel's; threads share it."""

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
        text = _KEPT.encode(Kept(message, now))
        try:
            self._ledger.remember(key, text)
        except LedgerUnusable:
            with self._state:
                self._memory[key] = text

    def waiting(self, now: datetime) -> list[Waiting]:
        """What is to be sent, oldest first. Raises LedgerUnusable, but for what is in memory alone."""
        return _fresh(self._all(), now)

    def give_up(self, now: datetime) -> list[Waiting]:
        """Remove what is too old or too much; what is left. Raises as :meth:`waiting`."""
        found = self._all()
        fresh = _fresh(found, now)
        lost = [one for one in found if one not in fresh]
        if lost:
            said = "%d alarms were given up: %s does not take them, or never says so"
            log.error(said, len(lost), self.channel)
            self.remove(one.key for one in lost)
        return fresh

    def _all(self) -> list[Waiting]:
        with self._state:
            memory = dict(self._memory)
        try:
            texts = {**self._ledger.facts(self._prefix), **memory}
        except LedgerUnusable:
            if not memory:
                raise
            texts = memory
        found = [(key, _KEPT.decode(text)) for key, text in texts.items()]
        return sorted(
            (Waiting(one.message, one.since, one.copies, key=key) for key, one in found),
            key=lambda one: (one.since, one.key),
        )

    def sent(self, batch: Iterable[Waiting], copies: int = 1) -> None:
        """So many more copies of each went out, or are about to: noted before, since whoever sends may be
        killed. None where it is known that nothing came.
        """
        for one in batch:
            self._keep(one.key, Kept(one.message, one.since, one.copies + copies))

    def _keep(self, key: str, kept: Kept) -> None:
        """Write what waits anew; nothing, where another process is done with it."""
        text = _KEPT.encode(kept)
        with self._state:
            if key in self._memory:
                self._memory[key] = text
                return
        with suppress(LedgerUnusable):
            before = self._ledger.fact(key)
            if before is not None:
                self._ledger.swap(key, before, text)

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
        return None if text is None else _FAILING.decode(text)

    def fails(self, failing: Failing | None) -> None:
        """Write down that the channel fails, or that it works. Raises LedgerUnusable."""
        before = self._ledger.fact(self._fails)
        if failing is not None:
            self._ledger.swap(self._fails, before, _FAILING.encode(failing))
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


def _fresh(oldest_first: list[Waiting], now: datetime) -> list[Waiting]:
    return [one for one in oldest_first if now - one.since < OLDEST and one.copies < COPIES][-MOST:]
