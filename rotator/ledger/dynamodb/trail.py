"""The audit trail of a ledger: what is read back of it, and the anchors that leave it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from rotator.audit.chain import OWN, digest, trail_of
from rotator.ledger.dynamodb import places
from rotator.ledger.dynamodb.chaining import Chained, End, Step
from rotator.ledger.dynamodb.errors import Beaten, unusable
from rotator.ledger.dynamodb.items import Item, Write, gone
from rotator.ledger.dynamodb.table import MOST_ITEMS
from rotator.ledger.instants import moment
from rotator.ledger.rows import ANCHORED, FACT, anchored, digest_of, named
from rotator.ledger.rules import heads
from rotator.model import EVERYBODY, Anchor, Chain, Head, Record

_MOST = 5_000  # heads that one transaction names: it may be 4 MB large
_LOOKS = 5  # a third of a second between the first and the last
_KINDS = (
    (places.STATE, "secrets", "secret"),
    (places.ROTATION, "rotations", "rotation"),
    (places.DEBT, "debts", "debt"),
    (places.ATTEMPT, "attempts", "attempt"),
)


class Trail(Chained):
    """The methods of Ledger under "the audit trail"."""

    def chains(self) -> Iterator[str]:
        """Every secret of which there is anything, by id; the ledger's own chain, "", first.

        The one method that reads the whole table.
        """
        found = {home for home in map(places.at_home, self._table.partitions()) if home is not None}
        found |= {str(item["secret"]) for item in self._table.within(places.ORDERS)} - {EVERYBODY}
        yield OWN
        yield from sorted(found - {OWN})

    def chain(self, secret: str) -> Chain:
        """Everything about one secret, as it is at one moment.

        It is read in several answers, and a step that is written meanwhile may be seen in part: where it does
        not fit together it is read again, some times, before it is told as it is.
        """
        for _ in islice(self._table.tries(), _LOOKS):
            chain = self._read(secret)
            if _fits(chain):
                break
        return chain

    def _read(self, secret: str) -> Chain:
        items = list(self._table.within(places.home(secret)))
        state = next((item for item in items if item["sk"] == places.STATE), None)
        records = [_record_of(secret, item) for item in items if item["sk"].startswith(places.RECORD)]
        records.sort(key=lambda record: (record.number, record.seq))
        head = None if state is None else Head(_count(state.get("number")), _text(state.get("mac")))
        return Chain(secret, head, records, self._apart(secret, items))

    def _apart(self, secret: str, items: Iterable[Item]) -> dict[str, str]:
        """The digests of all that there is of one secret; of the ledger's own chain, the facts too."""
        if secret != OWN:
            return {**_documents(items), **self._orders_of(secret), **self._astray(secret, items)}
        docs = self._orders_of(EVERYBODY)
        for item in items:
            if item["sk"] == places.STATE:
                docs[ANCHORED] = anchored(item["anchored"])
        for item in self._table.within(places.FACTS):
            docs[f"{FACT}{item['key']}"] = digest(item["value"])
        nobodys = (item for item in items if item["sk"] != places.STATE)
        return docs | {f"{name} of nobody": of for name, of in _documents(nobodys).items()}

    def _astray(self, secret: str, items: Iterable[Item]) -> dict[str, str]:
        """What does not lead where it should: a debt that nobody would find, under a name of no record's."""
        state: Item = {}
        live, owed, leads = None, dict[str, object](), [places.roster(secret)]
        for item in items:
            if item["sk"] == places.STATE:
                state = item
                leads += places.found_by(secret, item)
            elif item["sk"].startswith(places.ROTATION) and item.get("live"):
                live = item["sk"]
            elif item["sk"].startswith(places.ATTEMPT):
                leads.append(places.by_token(item["token"]))
            elif item["sk"].startswith(places.DEBT):
                leads.append(places.by_debt(item["id"]))
                if item.get("open"):
                    owed[item["id"]] = item["since"]
                    leads.append(places.owed(item["since"], item["id"]))
        found = self._table.several(leads) if state else {}
        wrong = [" ".join(key) for key in leads if state and found.get(key, {}).get("of") != secret]
        wrong += ["live"] if state.get("live") != live else []
        wrong += ["owed"] if state.get("owed", {}) != owed else []
        return {f"the way to {name}": digest(name) for name in wrong}

    def _orders_of(self, secret: str) -> dict[str, str]:
        found = self._table.within(places.ORDERS, places.orders_of(secret))
        return {named("order", item): digest_of("orders", item) for item in found if item["secret"] == secret}

    def anchor(self) -> Anchor | None:
        """Write the heads that moved since the last anchor into the ledger's own chain, and tell its end.

        None where nothing moved.
        """
        told, coming = None, self._table.within(places.MOVED)
        while moved := list(islice(coming, _MOST)):
            told = self._anchored({item["sk"][1:]: [item["number"], item["mac"]] for item in moved})
            self._forget_moved(moved)
        return told

    def _anchored(self, moved: Mapping[str, list[object]]) -> Anchor:
        """Record these heads; the last record also says up to where the records are covered by now."""

        def plan(end: End, seq: int) -> Step:
            del end
            entries = heads({one: moved[one] for one in sorted(moved) if one != OWN}, self._by, seq)
            return Step(entries, Write(places.state(OWN), {"anchored": seq}))

        last = self._record(OWN, plan)
        if last is None:
            raise unusable(self._table.where, "foreign")
        return Anchor(self._id, last.head, self.now(), last.seq)

    def _forget_moved(self, moved: list[Item]) -> None:
        """Take away that these moved, but for what moved on since: that is for the next anchor."""
        for start in range(0, len(moved), MOST_ITEMS):
            portion = moved[start : start + MOST_ITEMS]
            writes = [_forgotten(item) for item in portion]
            try:
                self._table.together(writes)
            except Beaten:
                for write in writes:
                    self._alone(write)

    def _alone(self, write: Write) -> None:
        try:
            self._table.write(write)
        except Beaten:
            return

    def holds(self, anchor: Anchor) -> bool:
        """Whether the record that an anchor names is there; if not, the ledger was set back or rewritten."""
        item = self._table.get(places.record(OWN, anchor.head.number))
        return anchor.ledger == self._id and item is not None and item["mac"] == anchor.head.mac


def _forgotten(item: Item) -> Write:
    same = {"mac": item["mac"]}
    return gone((item["pk"], item["sk"]), "#mac = :mac", same)


def _documents(items: Iterable[Item]) -> dict[str, str]:
    """The names and digests of what lies in a secret's partition, but for its records."""
    found: dict[str, str] = {}
    for item in items:
        for begins, table, kind in _KINDS:
            if item["sk"].startswith(begins):
                name = named(kind, item) if kind != "rotation" else f"{kind}/{item['sk'].rpartition('/')[2]}"
                while name in found:
                    name += " again"
                found[name] = digest_of(table, item)
    return found


def _fits(chain: Chain) -> bool:
    """Whether a chain ends at its head, and its documents are those that its records tell of."""
    last = chain.records[-1] if chain.records else None
    said: dict[str, str | None] = {}
    try:
        for record in chain.records:
            said |= trail_of(record).get("docs", {})
    except (ValueError, TypeError):
        return False
    told = {name: of for name, of in said.items() if of is not None}
    ends = chain.head == (Head(last.number, last.mac) if last else None)
    return ends and told == chain.documents


_NO_TEXT = "\N{REPLACEMENT CHARACTER}"  # no item was ever written with it, so no MAC is of it
_NO_TIME = datetime.max.replace(tzinfo=UTC)


def _record_of(secret: str, item: Item) -> Record:
    """A record out of its item. What is no text, number or time there is none that was ever written."""
    event, trail, key, mac = (_text(item.get(name)) for name in ("event", "trail", "key", "mac"))
    number, at, seq = (_count(item.get(name)) for name in ("number", "at", "seq"))
    try:
        when = moment(at) or _NO_TIME
    except (OverflowError, ValueError):
        when = _NO_TIME
    return Record(secret, number, when, event, trail, key, mac, seq)


def _text(value: object) -> str:
    return value if isinstance(value, str) else _NO_TEXT


def _count(value: object) -> int:
    return value if isinstance(value, int) else -1
