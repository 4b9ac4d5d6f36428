"""The Ledger of a table, put together from its parts, and how one begins."""

from collections.abc import Callable
from datetime import datetime
from secrets import token_hex

from rotator.audit.chain import OWN, START, Entry, Pen
from rotator.audit.keys import KeyRing
from rotator.errors import LedgerUnusable
from rotator.interfaces import Clock
from rotator.ledger.dynamodb import places
from rotator.ledger.dynamodb.address import parsed
from rotator.ledger.dynamodb.chaining import recorded
from rotator.ledger.dynamodb.claims import Claims
from rotator.ledger.dynamodb.clock import ServerTime
from rotator.ledger.dynamodb.errors import Beaten, unusable
from rotator.ledger.dynamodb.history import History
from rotator.ledger.dynamodb.items import NEW, Item, put
from rotator.ledger.dynamodb.notes import Notes
from rotator.ledger.dynamodb.table import Table, client
from rotator.ledger.dynamodb.trail import Trail
from rotator.ledger.instants import instant
from rotator.ledger.rows import ANCHORED, anchored
from rotator.ledger.rules import missing, newer

SCHEMA = 1  # of the items; another than that of the SQL tables


class DynamoLedger(Notes, Claims, History, Trail):
    """The durable memory in a table of DynamoDB. Its methods may be called from any thread."""

    @property
    def id(self) -> str:
        """8 hexadecimal digits, random, drawn when the ledger was made."""
        return self._id

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        self._table.close()


def at(url: str, clock: Clock, patience: float, ring: KeyRing, by: str, *, create: bool) -> DynamoLedger:
    """The ledger in the table that an address names. Raises LedgerUnusable."""
    where = parsed(url)
    time = ServerTime(clock.monotonic)
    table = Table(client(where), where, clock, patience, time.answered)
    try:
        return begun(table, time.now, ring, by, create=create)
    except BaseException:
        table.close()
        raise


def begun(
    table: Table, now: Callable[[], datetime], ring: KeyRing, by: str, *, create: bool = True
) -> DynamoLedger:
    """The ledger in a table; it is made there if there is none and ``create``. Raises LedgerUnusable."""
    item = table.get(places.state(OWN))
    if item is None:
        if not create:
            raise missing(table.where.name)
        item = _made(table, now(), ring, by)
    if not isinstance(item.get("schema"), int) or not isinstance(item.get("ledger_id"), str):
        raise unusable(table.where, "foreign")
    if item["schema"] > SCHEMA:
        raise newer(table.where.name, item["schema"], SCHEMA)
    return DynamoLedger(table, now, item["ledger_id"], ring, by)


def _made(table: Table, now: datetime, ring: KeyRing, by: str) -> Item:
    """A new ledger's own item, with the first record of its chain; another process may have been first."""
    if next(table.partitions(), None) is not None:
        item = table.get(places.state(OWN))
        if item is None:
            raise LedgerUnusable(
                f"The table of {table.where.name} holds items, and no ledger: it is another program's, or "
                "the ledger's own item was removed. Name an empty table; if it had a ledger, restore the "
                "table to a moment when it was whole. [foreign]"
            )
        return item
    ring.make()
    ledger_id = token_hex(4)
    entry = Entry("began", by, docs={ANCHORED: anchored(0)}, more={"before": 0})
    (record,) = Pen(ledger_id, ring.signing()).linked(OWN, START, now, [entry])
    seq = instant(now)
    head = {"number": record.number, "mac": record.mac, "seq": seq}
    own = {"schema": SCHEMA, "ledger_id": ledger_id, "made_at": seq, "anchored": 0}
    try:
        table.together([put(places.state(OWN), {**own, **head}, when=NEW), *recorded(record, entry, seq)])
    except Beaten:
        own, head = table.get(places.state(OWN)) or {}, {}
    return {**own, **head}
