"""The calls to DynamoDB that a ledger makes: each ends in time, reads what stands, and may be sent twice.

A request whose answer is lost is sent again: a transaction carries a token by which DynamoDB knows it (API,
TransactWriteItems, ClientRequestToken), and every other write of ours may be done twice.
"""

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

import rotator
from rotator.errors import LedgerUnusable, Unknown
from rotator.interfaces import Clock
from rotator.ledger.dynamodb import PK, SK
from rotator.ledger.dynamodb.address import Address
from rotator.ledger.dynamodb.errors import Again, sorted_out, unusable
from rotator.ledger.dynamodb.items import How, Item, Key, Write, addressed, expressed, opened
from rotator.ledger.rules import closed
from rotator.quiet import hush
from rotator.stores.aws_wire import bound
from rotator.stores.deadline import Deadline

MOST_ITEMS = 100  # of a transaction, and of one BatchGetItem (DynamoDB API)
_REQUEST = 6.0  # seconds for one request, from the look-up of the host's name to the last byte
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 1},  # it is tried again here, within one deadline
    connect_timeout=2.0,
    read_timeout=4.0,
    max_pool_connections=32,
    user_agent=f"rotator/{rotator.__version__}",
)
_MOST_BYTES = 40 * 1024 * 1024  # BatchGetItem answers 16 MB of items at most, each quote in them escaped
_WRITES = frozenset({"put_item", "update_item", "delete_item", "transact_write_items"})
_PAGE = 1_000  # items asked for at once, where not all are wanted
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
Answered = Callable[[str, float, float], None]


def client(where: Address) -> Any:
    """The client for the table's region; boto3 would only add what is not used. Raises LedgerUnusable."""
    hush()
    try:
        made = botocore.session.Session().create_client(
            "dynamodb", region_name=where.region, endpoint_url=where.endpoint_url, config=_CONFIG
        )
    except (BotoCoreError, ValueError) as raised:
        error = sorted_out(raised, where)
    else:
        return bound(made, _MOST_BYTES)
    raise error


class Table:
    """One table. Its methods may be called from any thread, and raise LedgerUnusable.

    ``patience`` is in seconds: for how long a request that was refused for now is sent again. ``answered``
    is told of each answer what its ``Date`` says, and when by ``clock`` it was asked for and came.
    """

    def __init__(
        self, made: Any, where: Address, clock: Clock, patience: float, answered: Answered | None = None
    ) -> None:
        self.where = where
        self.patience = patience
        self._client = made
        self._clock = clock
        self._answered = answered
        self._deadline = Deadline(clock, effect=_REQUEST)
        self._open = True

    def close(self) -> None:
        """Let go of every connection. May be called twice."""
        if self._open:
            self._open = False
            self._client.close()

    # reading: what stands, never what stood

    def get(self, key: Key) -> Item | None:
        """One item."""
        answer = self._call("get_item", Key=addressed(key), ConsistentRead=True)
        return opened(answer["Item"]) if answer.get("Item") else None

    def several(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of these items that there are."""
        found: dict[Key, Item] = {}
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), MOST_ITEMS):
            wanted = [addressed(key) for key in unique[start : start + MOST_ITEMS]]
            while wanted:  # an answer may be cut short
                asked = {"Keys": wanted, "ConsistentRead": True}
                answer = self._call("batch_get_item", RequestItems={self.where.table: asked}, table=False)
                for item in map(opened, answer["Responses"].get(self.where.table, [])):
                    found[item[PK], item[SK]] = item
                wanted = answer.get("UnprocessedKeys", {}).get(self.where.table, {}).get("Keys", [])
        return found

    def settled(self, keys: Sequence[Key]) -> None:
        """Wait until no transaction that was begun is still being written to these.

        It is written item by item, and whoever reads meanwhile may see one as it was before and another as
        it is after (DynamoDB developer guide, "Transaction isolation levels"); a read in a transaction of its
        own is refused meanwhile.
        """
        for start in range(0, len(keys), MOST_ITEMS):
            asked = [
                {"Get": {"TableName": self.where.table, "Key": addressed(key)}}
                for key in keys[start : start + MOST_ITEMS]
            ]
            self._call("transact_get_items", TransactItems=asked, table=False)

    def within(
        self, pk: str, begins: str = "", *, newest: bool = False, most: int | None = None
    ) -> Iterator[Item]:
        """The items of a partition whose sort key begins so, in its order, or backwards."""
        condition = "#pk = :pk" + (" AND begins_with(#sk, :begins)" if begins else "")
        values = {"pk": pk} | ({"begins": begins} if begins else {})
        request = expressed(values, KeyConditionExpression=condition)
        return self._pages("query", request | {"ConsistentRead": True, "ScanIndexForward": not newest}, most)

    def indexed(
        self,
        index: str,
        values: Mapping[str, object],
        *,
        newest: bool = False,
        most: int | None = None,
        **texts: str,
    ) -> Iterator[Item]:
        """What an index tells, which follows the table a moment later."""
        request = expressed(values, **texts)
        return self._pages("query", request | {"IndexName": index, "ScanIndexForward": not newest}, most)

    def partitions(self) -> Iterator[str]:
        """The partition of every item of the table, again and again."""
        request = expressed({}, ProjectionExpression="#pk")
        return (str(item[PK]) for item in self._pages("scan", request | {"ConsistentRead": True}))

    def _pages(self, operation: str, request: Mapping[str, Any], most: int | None = None) -> Iterator[Item]:
        asked = dict(request) | ({"Limit": min(most, _PAGE)} if most else {})
        while True:
            answer = self._call(operation, **asked)
            yield from map(opened, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # writing

    def write(self, write: Write) -> Item:
        """Write one item; what an update made of it. Raises Beaten if it is not as its condition demands."""
        if write.how is not How.UPDATE:
            self._call(f"{write.how.lower()}_item", **write.request())
            return {}
        answer = self._call("update_item", **write.request(), ReturnValues="ALL_NEW")
        return opened(answer["Attributes"])

    def together(self, writes: Sequence[Write]) -> None:
        """Write all of these or none. Raises Beaten if one is not as its condition demands."""
        if len(writes) > MOST_ITEMS:
            raise unusable(self.where, "size")
        members = [{one.how: {"TableName": self.where.table, **one.request()}} for one in writes]
        token = secrets.token_hex(16)
        self._call("transact_write_items", TransactItems=members, ClientRequestToken=token, table=False)

    # one request

    def tries(self) -> Iterator[None]:
        """Try something again while others are faster, each time a little later, until patience is over."""
        end = time.monotonic() + self.patience
        for pause in pauses():
            yield
            if time.monotonic() + pause > end:
                raise unusable(self.where, "busy")
            time.sleep(pause)

    def _call(self, operation: str, *, table: bool = True, **request: Any) -> Mapping[str, Any]:
        """The answer; a request that was refused for now, or not answered, is sent again for a while."""
        if not self._open:
            raise closed(self.where.name)
        named = {"TableName": self.where.table} if table else {}
        end, doubtful = time.monotonic() + self.patience, False
        for pause in pauses():
            try:
                return self._sent(operation, named | request)
            except Again as again:
                doubtful = doubtful or again.kind == "in-doubt"
                if time.monotonic() + pause > end:
                    kind = again.kind if not doubtful else "in-doubt" if operation in _WRITES else "down"
                    raise unusable(self.where, kind) from None
            time.sleep(pause)
        raise AssertionError("there is always another pause")

    def _sent(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request. The boundary at which every exception of the library becomes one of ours."""
        sent = self._clock.monotonic()
        try:
            answer: Mapping[str, Any] = self._deadline.run(
                lambda: getattr(self._client, operation)(**request)
            )
        except LedgerUnusable:
            raise
        except (BotoCoreError, Unknown, Exception) as raised:  # noqa: BLE001  whatever it is, it may hold values
            error = sorted_out(raised, self.where)
        else:
            self._learn(answer, sent)
            return answer
        # Raised outside the handler: the library's exception is not even the context of ours.
        raise error

    def _learn(self, answer: Mapping[str, Any], sent: float) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date and self._answered:
            self._answered(date, sent, self._clock.monotonic())


def pauses() -> Iterator[float]:
    """Seconds between tries, longer each time up to a second, each drawn so that two that collide part."""
    pause = _FIRST_PAUSE
    while True:
        yield random.uniform(pause / 2, pause)  # noqa: S311 - nothing depends on nobody guessing it
        pause = min(pause * 2, _LONGEST_PAUSE)
