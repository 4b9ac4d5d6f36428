"""Each change's record, written in the change's own transaction, at the end of its secret's chain.

A chain's head stands in the secret's item, and the transaction demands that it is where it was seen: so
whoever writes about a secret writes after what he read, and nobody's change is lost. What a claim or a
commit saw is remembered, so that the next commit needs no read.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rotator.audit.chain import OWN, Entry, Pen
from rotator.audit.keys import AuditKey, KeyRing
from rotator.ledger.dynamodb import EVENTS, places
from rotator.ledger.dynamodb.errors import Beaten, unusable
from rotator.ledger.dynamodb.items import NEW, Item, Key, Write, put
from rotator.ledger.dynamodb.table import Table
from rotator.ledger.instants import instant
from rotator.ledger.rows import Written
from rotator.ledger.rules import must_account_for
from rotator.model import Head, Record

_MOST = 10_000  # ends that are remembered
_TURNS = 64
_A_WRITE = 5_000_000  # microseconds: longer than one takes, and much shorter than a claim lasts
_RESERVED = 100  # numbers that one transaction may use: it has no more items


@dataclass(frozen=True, slots=True)
class End:
    """Where a chain ends, and what else of its secret a change depends on.

    ``item`` is all of the secret's, where it was read just now; what is remembered has none.
    """

    head: Head
    seq: int = 0
    live: str | None = None  # the sort key of the live rotation
    owed: Mapping[str, int] = field(default_factory=dict)  # since when, by the id of each open debt
    leads: frozenset[Key] = frozenset()  # the items by which the secret is found
    item: Item | None = None

    @classmethod
    def of(cls, secret: str, item: Item) -> "End":
        """As it is in a secret's item."""
        head = Head(item["number"], item["mac"])
        leads = places.found_by(secret, item)
        return cls(head, item["seq"], item.get("live"), item.get("owed", {}), leads, item)


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction records and writes. ``state`` is what becomes of the secret's own item."""

    entries: Sequence[Entry]
    state: Write
    others: Sequence[Write] = ()


class Chained:
    """A part of the ledger that records what it changes. ``by`` names the process, where no claim does."""

    def __init__(
        self, table: Table, now: Callable[[], datetime], ledger_id: str, ring: KeyRing, by: str
    ) -> None:
        self._table = table
        self._clock = now
        self._id = ledger_id
        self._ring = ring
        self._by = by
        self._written = Written()
        self._known: dict[str, End] = {}
        self._vouched = False  # our keys are those of the records that are there
        self._turns = [threading.Lock() for _ in range(_TURNS)]
        self._numbering = threading.Lock()
        self._last = 0

    def now(self) -> datetime:
        """The ledger's clock: one that all of its workers share."""
        return self._clock()

    def _now(self) -> int:
        return instant(self._clock())

    def _was_frozen(self, before: int) -> bool:
        """Whether more time is over than one write takes.

        Who is frozen with its steady clock (a function between two events, a virtual machine) believes in an
        earlier time until the next answer, and may have prolonged a claim until a time that is over.
        """
        return self._now() - before > _A_WRITE

    def _signing(self) -> AuditKey:
        """The key of new records. Raises LedgerUnusable where others of this ledger use another one."""
        key = self._ring.signing()
        if not self._vouched:
            own = self._table.get(places.state(OWN)) or {"number": 0}
            newest = self._table.get(places.record(OWN, own["number"]))
            if newest is not None:
                must_account_for(self._ring, newest["key"])
        self._vouched = True
        return key

    def _record(
        self, secret: str, plan: Callable[[End, int], Step | None], *, afresh: bool = False
    ) -> End | None:
        """Put the entries of what is planned at the end of a chain, and write the rest with them.

        ``plan`` gets the chain's end and a number that nothing has yet; it is asked again where another was
        faster, and raises Beaten where what is remembered will not do. ``afresh``: it needs the secret's
        item. Where the chain ends then; None, with nothing written, where there is no such secret, or
        nothing is planned.
        """
        pen = Pen(self._id, self._signing())
        with self._turn(secret):
            for end in self._ends(secret, afresh=afresh):
                try:
                    seq = self._numbers(end)
                    step = plan(end, seq)
                    if step is None:
                        return None
                    records = list(pen.linked(secret, end.head, self._clock(), step.entries))
                    self._table.together([*_linked(records, step, end, seq), *step.others])
                except Beaten:
                    self._known.pop(secret, None)
                    continue
                after = _after(end, step, records[-1], seq + len(records) - 1)
                self._saw(secret, after)
                return after
        return None

    def _record_own(self, entry: Callable[[], Entry | None], *others: Write) -> bool:
        """One entry in the ledger's own chain, with what else is written; None: nothing is."""

        def plan(end: End, seq: int) -> Step | None:
            del end, seq
            found = entry()
            return Step([found], Write(places.state(OWN)), others) if found else None

        return self._record(OWN, plan) is not None

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        """The writers of one process wait for each other here, rather than beat each other at the table."""
        turn = self._turns[hash(what) % _TURNS]
        if not turn.acquire(timeout=self._table.patience):
            raise unusable(self._table.where, "busy")
        try:
            yield
        finally:
            turn.release()

    def _ends(self, secret: str, *, afresh: bool) -> Iterator[End]:
        """Where a chain ends: as it is remembered, then as it is, again and again; nothing for no secret."""
        known = self._known.get(secret)
        if known is not None and not afresh:
            yield known
        for _ in self._table.tries():
            item = self._table.get(places.state(secret))
            if item is None:
                return
            yield End.of(secret, item)

    def _saw(self, secret: str, end: End) -> None:
        """Remember where a chain ends. It may be wrong: a write only goes through where it is right."""
        if len(self._known) > _MOST:
            self._known.clear()
        self._known[secret] = end

    def _numbers(self, end: End) -> int:
        """The first of numbers for records: those of a chain grow, and those of all chains with time.

        They are microseconds, and what two workers write in the same one has no order.
        """
        with self._numbering:
            first = max(self._last, end.seq, self._now() - 1) + 1
            self._last = first + _RESERVED
            return first


def _after(end: End, step: Step, last: Record, seq: int) -> End:
    """Where the chain ends once a step is written."""
    written = step.state.sets
    leads = places.found_by(last.secret, written) if "principal" in written else end.leads
    live = written.get("live", end.live)
    owed = written.get("owed", end.owed)
    assert live is None or isinstance(live, str)
    assert isinstance(owed, Mapping)
    return End(Head(last.number, last.mac), seq, live, owed, leads)


def _linked(records: Sequence[Record], step: Step, end: End, seq: int) -> Iterator[Write]:
    """The secret's item with its chain's new head, and the records behind the old one."""
    last, state = records[-1], step.state
    head: dict[str, Any] = {"number": last.number, "mac": last.mac, "seq": seq + len(records) - 1}
    follows = "#mac = :before" + (f" AND {state.when}" if state.when else "")
    values = {**state.values, "before": end.head.mac}
    yield Write(state.key, {**state.sets, **head}, state.once, state.sums, follows, values)
    for place, (record, entry) in enumerate(zip(records, step.entries, strict=True), seq):
        yield from recorded(record, entry, place)
    if step.entries[0].what != "heads":  # what anchors wrote themselves moves nothing
        yield put(places.moved(last.secret), {"number": last.number, "mac": last.mac})


def recorded(record: Record, entry: Entry, seq: int) -> Iterator[Write]:
    """A record, and beside it what waits to be told of it."""
    told = {"at": instant(record.at), "event": record.event, "seq": seq}
    link = {"number": record.number, "trail": record.trail, "key": record.key, "mac": record.mac}
    shown = {"log": EVENTS} if record.event else {}
    yield put(places.record(record.secret, record.number), {**told, **link, **shown}, when=NEW)
    if entry.alarm:
        yield put(places.alarm(seq), told, when=NEW)
