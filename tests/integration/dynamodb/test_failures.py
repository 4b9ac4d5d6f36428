import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger
from rotator.ledger.dynamodb import RIGHTS, places
from rotator.ledger.dynamodb.items import closed
from rotator.ledger.dynamodb.ledger import DynamoLedger
from rotator.model import Change, Event, Level
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_rotation, a_state, an_order
from tests.embedded.dynamodb import Server
from tests.integration.dynamodb.conftest import Open
from tests.integration.dynamodb.test_ledger import claimed, put

CONFLICT = ("TransactionCanceledException", {"CancellationReasons": [{"Code": "TransactionConflict"}]})
BUSY: tuple[str, dict[str, Any]] = ("ProvisionedThroughputExceededException", {})


def first(
    times: int, answer: tuple[str, dict[str, Any]]
) -> Callable[[str], tuple[str, dict[str, Any]] | None]:
    """Answer so for so many requests, and truly from then on."""
    left = [times]

    def hook(_: str) -> tuple[str, dict[str, Any]] | None:
        left[0] -= 1
        return answer if left[0] >= 0 else None

    return hook


@pytest.mark.parametrize("answer", [CONFLICT, BUSY, ("ThrottlingException", {}), ("InternalServerError", {})])
def test_a_refusal_for_now_is_tried_again(
    ledger: DynamoLedger, dynamo: Server, answer: tuple[str, dict[str, Any]]
) -> None:
    """A conflict of two transactions, a table that is busy, a server's fault cost time and nothing else."""
    claim = claimed(ledger)
    dynamo.hook = first(3, answer)
    ledger.commit(claim, Change(a_state(failures=1), a_rotation()))
    dynamo.hook = None
    assert ledger.secret("one") == a_state(failures=1)
    assert len(ledger.chain("one").records) == 2


def test_a_claim_waits_for_the_last_step_of_the_one_before(
    ledger: DynamoLedger, dynamo: Server, table: str
) -> None:
    """Who takes over what was not given back waits until its last step is written, or is not."""
    claim = claimed(ledger)
    ledger.commit(claim, Change(a_state(), a_rotation(), (a_debt(),)))
    put(dynamo, table, places.state("one"), claimed_until=1)
    asked: list[str] = []

    def hook(operation: str) -> tuple[str, dict[str, Any]] | None:
        asked.append(operation)
        return CONFLICT if operation == "TransactGetItems" and asked.count(operation) < 3 else None

    dynamo.hook = hook
    assert ledger.claim("one", "another", HOUR)
    assert asked.count("TransactGetItems") == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(CONFLICT, "busy"), (BUSY, "busy"), (("InternalServerError", {}), "in-doubt")],
)
def test_it_is_given_up_in_time(
    opened: Open, dynamo: Server, answer: tuple[str, dict[str, Any]], kind: str
) -> None:
    """What stays refused for longer than is patient ends with an error that may pass; nothing is written."""
    ledger = opened(patience=0.3)
    claim = claimed(ledger)
    dynamo.hook = lambda _: answer
    began = time.monotonic()
    with pytest.raises(LedgerUnusable, match=rf"\[{kind}\]") as caught:
        ledger.commit(claim, Change(a_state(failures=1)))
    assert caught.value.passing
    assert time.monotonic() - began < 5
    dynamo.hook = None
    assert ledger.secret("one") == a_state()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", min(RIGHTS)),
        ("UnrecognizedClientException", "[credentials]"),
        ("ExpiredTokenException", "[credentials]"),
        ("RequestExpired", "[clock]"),
        ("ValidationException", "[rule]"),
        ("ResourceNotFoundException", "terraform/modules/state"),
        ("SomethingNewException", "SomethingNewException"),
    ],
)
def test_what_does_not_pass_is_told_at_once(
    ledger: DynamoLedger, dynamo: Server, code: str, said: str
) -> None:
    """An error that waiting does not mend says what to do, and repeats nothing of what the server wrote."""
    dynamo.hook = lambda _: (code, {"message": "not-a-real-secret"})
    with pytest.raises(LedgerUnusable) as caught:
        ledger.fact("a")
    assert said in str(caught.value)
    assert "not-a-real-secret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert not caught.value.passing


# --- answers that are lost ----------------------------------------------------------------------------------


def test_lost_answers(ledger: DynamoLedger, dynamo: Server) -> None:
    """Whatever is done and whose answer is lost is done once, and told as if the answer had come."""
    lost: list[str] = []

    def lose(operation: str) -> bool:
        """The answer to every write, the first time that it is done."""
        if operation not in ("UpdateItem", "PutItem", "TransactWriteItems", "DeleteItem"):
            return False
        lost.append(operation)
        return operation == "TransactWriteItems" or lost.count(operation) % 2 == 1

    dynamo.lose = lose
    assert ledger.enroll([a_state()]) == 1
    claim = ledger.claim("one", "worker", HOUR)
    assert claim
    assert ledger.reserve(claim, "tests", "token", frozenset(), 1)
    told = (Event("one", "x", "x", Level.ALARM),)
    ledger.commit(claim, Change(a_state(failures=1), a_rotation(), (a_debt(),), told))
    ledger.renew(claim)
    assert ledger.remember("a", "fact")
    assert ledger.swap("a", "fact", "another")
    assert ledger.forget("a")
    ledger.give("one", an_order())
    assert ledger.withdraw("one", "run")
    assert ledger.lock("principal", "worker", HOUR)
    ledger.told([event.seq for event in ledger.untold()])
    ledger.release(claim, None)
    assert ledger.anchor()
    dynamo.lose = None
    assert len(lost) > 15
    assert len(ledger.chain("one").records) == 4
    assert len(ledger.chain("").records) == 5
    assert ledger.claim("one", "worker", HOUR)


# --- what there is ------------------------------------------------------------------------------------------


def test_a_missing_table(dynamo: Server, table: str) -> None:
    """Where there is no table none is made, and it is said what to apply; whoever only reads is told, too."""
    for create in (True, False):
        with pytest.raises(LedgerUnusable, match=r"terraform/modules/state.*\[table\]"):
            open_ledger(dynamo.address("no-such-table"), ManualClock(), create=create)
    assert dynamo.client.list_tables()["TableNames"] == [table]


def test_an_empty_table(opened: Open, dynamo: Server, table: str) -> None:
    """Whoever only reads makes no ledger in an empty table."""
    with pytest.raises(LedgerUnusable, match=r"\[missing\]"):
        opened(create=False)
    assert dynamo.client.scan(TableName=table)["Count"] == 0


def test_a_table_of_others(opened: Open, dynamo: Server, table: str) -> None:
    """A table that holds other items, or has other keys, is refused, and nothing is written into it."""
    dynamo.client.put_item(TableName=table, Item=closed({"pk": "theirs", "sk": "theirs"}))
    with pytest.raises(LedgerUnusable, match=r"\[foreign\]"):
        opened()
    assert dynamo.client.scan(TableName=table)["Count"] == 1
    other = {"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "id", "KeyType": "HASH"}
    dynamo.client.create_table(
        TableName="theirs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[other[0]],
        KeySchema=[other[1]],
    )
    with pytest.raises(LedgerUnusable, match=r"\[foreign\]"):
        open_ledger(dynamo.address("theirs"), ManualClock())
    dynamo.client.delete_table(TableName="theirs")


def test_a_newer_ledger(opened: Open, dynamo: Server, table: str) -> None:
    """A ledger of a newer rotator is refused, and is not changed."""
    opened()
    put(dynamo, table, places.state(""), schema=2)
    with pytest.raises(LedgerUnusable, match=r"\[newer\]"):
        opened()


def test_another_key(opened: Open, audit_key: Any) -> None:
    """A worker with another audit key than the trail's writes nothing, and is told to take the same."""
    opened().enroll([a_state()])
    audit_key.write_text("0" * 64)
    with pytest.raises(LedgerUnusable, match=r"\[audit-key\]"):
        opened().enroll([a_state("two")])
    assert opened().secret("two") is None


def test_nobody_answers(table: str) -> None:
    """A server that does not answer is an error that may pass, within the patience."""
    del table
    began = time.monotonic()
    with pytest.raises(LedgerUnusable, match=r"\[down\]") as caught:
        open_ledger(
            "dynamodb://table?region=eu-west-1&endpoint_url=http://127.0.0.1:1", ManualClock(), patience=0.2
        )
    assert caught.value.passing
    assert timedelta(seconds=time.monotonic() - began) < timedelta(seconds=5)
