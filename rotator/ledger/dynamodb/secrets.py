"""Secrets and when each is due."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from rotator.audit.chain import START, Entry, Pen
from rotator.ledger.codec import SECRET
from rotator.ledger.dynamodb import DUE, places
from rotator.ledger.dynamodb.chaining import Chained, End, recorded
from rotator.ledger.dynamodb.errors import Beaten
from rotator.ledger.dynamodb.items import NEW, THERE, Item, Key, Write, put
from rotator.ledger.dynamodb.table import MOST_ITEMS
from rotator.ledger.instants import MICROSECOND, moment
from rotator.ledger.rows import digest_of, secret_row
from rotator.model import SecretState

# The index does not tell for how long a claim was taken: no claim is this long, and a claim decides anyway.
_LONGEST = timedelta(hours=1)
_PORTION = 16  # secrets in one transaction: each has up to six items


class Secrets(Chained):
    """The methods of Ledger under "secrets"."""

    def enroll(self, states: Iterable[SecretState]) -> int:
        """Add secrets that the ledger does not know, due at once; how many were new."""
        count, coming = 0, iter(states)
        while portion := {state.id: state for state in islice(coming, MOST_ITEMS)}:
            known = self._table.several([places.state(secret) for secret in portion])
            new = [state for state in portion.values() if places.state(state.id) not in known]
            for start in range(0, len(new), _PORTION):
                count += self._enrolled(new[start : start + _PORTION])
        return count

    def _enrolled(self, states: Sequence[SecretState]) -> int:
        """Add these, but for those that another process adds meanwhile."""
        pen = Pen(self._id, self._signing())
        for _ in self._table.tries():
            if not states:
                return 0
            try:
                self._table.together([write for state in states for write in self._first(pen, state)])
            except Beaten:  # another process was first
                known = self._table.several([places.state(state.id) for state in states])
                states = [state for state in states if places.state(state.id) not in known]
            else:
                return len(states)
        raise AssertionError("tries end with an error")

    def _first(self, pen: Pen, state: SecretState) -> Iterator[Write]:
        """The items of a new secret, and the first record of its chain."""
        row, now = secret_row(state), self.now()
        entry = Entry("enrolled", self._by, docs={"secret": digest_of("secrets", row)})
        (record,) = pen.linked(state.id, START, now, [entry])
        seq = self._numbers(End(START))
        unclaimed = {**queued(self._now()), "epoch": 0, "ttl": 0, "nudges": 0}
        head = {"number": record.number, "mac": record.mac, "seq": seq}
        yield put(places.state(state.id), {**row, **unclaimed, **head, "owed": {}}, when=NEW)
        yield from recorded(record, entry, seq)
        yield put(places.moved(state.id), {"number": record.number, "mac": record.mac})
        for key in (places.roster(state.id), *places.found_by(state.id, row)):
            yield lead(key, state.id)

    def secret(self, secret_id: str) -> SecretState | None:
        """What is known of one secret."""
        item = self._table.get(places.state(secret_id))
        return None if item is None else SECRET.decode(item["doc"])

    def secrets(self) -> Iterator[tuple[SecretState, datetime | None]]:
        """Every secret with its next action's time, by id; read page by page, holding nothing up."""
        ids = self._roster()
        while page := list(islice(ids, MOST_ITEMS)):
            for item in self._states(page):
                yield SECRET.decode(item["doc"]), moment(item.get("next_at"))

    def _roster(self) -> Iterator[str]:
        return (str(item["of"]) for item in self._table.within(places.ROSTER))

    def _states(self, ids: Sequence[str]) -> list[Item]:
        """The items of these secrets, in this order."""
        found = self._table.several([places.state(secret) for secret in ids])
        return [found[key] for key in map(places.state, ids) if key in found]

    def children(self, secret_id: str) -> Sequence[SecretState]:
        """The secrets whose parent is this one."""
        found = self._led(places.children(secret_id))
        return [SECRET.decode(item["doc"]) for item in found if item.get("parent") == secret_id]

    def keepers(self, principal: str, key_id: str) -> Sequence[SecretState]:
        """The secrets that hold the key with this id at this principal, as far as is known."""
        found, its = self._led(places.keepers(principal, key_id)), (principal, key_id)
        rows = [item for item in found if (item["principal"], item.get("key_id")) == its]
        return [SECRET.decode(item["doc"]) for item in rows]

    def _led(self, partition: str) -> list[Item]:
        """The secrets to which the items of a partition lead, by id."""
        return self._states(sorted(str(item["of"]) for item in self._table.within(partition)))

    def due(self, limit: int) -> Sequence[str]:
        """Ids whose next action is due and that nobody holds, oldest first, as the index tells."""
        now = self._now()
        found = self._table.indexed(
            DUE,
            {"queue": DUE, "now": now},
            most=limit,
            KeyConditionExpression="#queue = :queue AND #next_at <= :now",
        )
        far = now + _LONGEST // MICROSECOND
        free = (item for item in found if not now < item.get("claimed_until", 0) <= far)
        return [places.at_home(item["pk"]) or "" for item in islice(free, limit)]

    def next_due(self) -> datetime | None:
        """The earliest next action of all, as the index tells."""
        values = {"queue": DUE}
        found = self._table.indexed(DUE, values, most=1, KeyConditionExpression="#queue = :queue")
        return next((moment(item["next_at"]) for item in found), None)

    def nudge(self, secret_ids: Iterable[str]) -> None:
        """Make these due now; a claim that is held now will not put them off when it is released."""
        coming = iter(secret_ids)
        while page := list(dict.fromkeys(islice(coming, MOST_ITEMS))):
            now = self._now()
            writes = [nudged((item["pk"], item["sk"]), item, now) for item in self._states(page)]
            if writes:
                self._table.together(writes)


def queued(at: int | None) -> Item:
    """A secret's place in the index of what is due; none where there is nothing to do."""
    return {"next_at": at, "queue": None if at is None else DUE}


def nudged(key: Key, item: Item, now: int) -> Write:
    """A secret is due now: what was due before keeps its place.

    It is written also where it is so already: a release may be on its way that has not seen this.
    """
    sets = queued(min(item.get("next_at", now), now))
    return Write(key, sets, sums={"nudges": ("nudges", 1)}, when=THERE)


def lead(key: Key, secret: str) -> Write:
    """An item by which a secret is found."""
    return put(key, {"of": secret})
