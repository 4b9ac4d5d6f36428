from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.audit.verify import verify
from rotator.errors import Fenced, LedgerUnusable
from rotator.interfaces import Ledger
from rotator.ledger import audit_keys, dynamodb
from rotator.ledger.dynamodb import places
from rotator.ledger.dynamodb.items import Key, addressed, closed
from rotator.ledger.dynamodb.items import opened as plain
from rotator.ledger.dynamodb.ledger import DynamoLedger
from rotator.model import Change, Claim, Event, Level
from rotator.testing.clock import ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_rotation, a_state
from rotator.testing.trail_contract import at_once
from tests.embedded.dynamodb import Server
from tests.integration.dynamodb.conftest import Open
from tests.unit.ledger.lives import lived

MINUTE = timedelta(minutes=1)


def claimed(ledger: Ledger, secret: str = "one") -> Claim:
    """A claim on a secret, which is enrolled for it."""
    ledger.enroll([a_state(secret)])
    claim = ledger.claim(secret, "worker", MINUTE)
    assert claim
    return claim


def put(server: Server, table: str, key: Key, **values: object) -> None:
    """Write to an item as somebody else; None takes an attribute away."""
    found = server.client.get_item(TableName=table, Key=addressed(key)).get("Item", addressed(key))
    kept = {name: value for name, value in (plain(found) | values).items() if value is not None}
    server.client.put_item(TableName=table, Item=closed(kept))


def take(server: Server, table: str, key: Key) -> None:
    """Remove an item as somebody else."""
    server.client.delete_item(TableName=table, Key=addressed(key))


# --- whose clock --------------------------------------------------------------------------------------------


def test_workers_go_by_the_servers_clock(opened: Open) -> None:
    """Two workers whose hosts' clocks are a century apart agree on what is due, held and when."""
    past, future = opened(1990), opened(2090)
    past.enroll([a_state()])
    assert abs(past.now() - future.now()) < timedelta(seconds=3)
    assert abs(past.now() - datetime.now(UTC)) < timedelta(seconds=30)
    past.nudge(["one"])
    claim = past.claim("one", "past", MINUTE)
    assert claim
    assert future.due(1) == []
    assert future.claim("one", "future", MINUTE) is None
    assert past.lock("principal", "past", MINUTE)
    assert not future.lock("principal", "future", MINUTE)


def test_a_claim_ends_by_the_servers_clock(ledger: DynamoLedger, dynamo: Server, table: str) -> None:
    """A claim whose time is over writes nothing, and what another took meanwhile is not prolonged."""
    claim = claimed(ledger)
    over = places.state("one")
    put(dynamo, table, over, claimed_until=1)
    with pytest.raises(Fenced):
        ledger.renew(claim)
    with pytest.raises(Fenced):
        ledger.commit(claim, Change(a_state(failures=1)))
    assert ledger.claim("one", "another", MINUTE)
    ledger.release(claim, None)
    assert ledger.claim("one", "third", MINUTE) is None


def test_a_worker_that_was_frozen_renews_nothing(ledger: DynamoLedger, dynamo: Server) -> None:
    """A worker whose steady clock stood still learns by its own write that its claim is over."""
    claim = claimed(ledger)
    dynamo.ahead = timedelta(minutes=10)
    with pytest.raises(Fenced):
        ledger.renew(claim)
    dynamo.ahead = timedelta(0)
    ledger.fact("the time goes back")
    again = claimed(ledger, "four")
    dynamo.ahead = timedelta(minutes=10)
    with pytest.raises(Fenced):
        ledger.commit(again, Change(a_state("four", failures=1)))
    dynamo.ahead = timedelta(0)


# --- many at once -------------------------------------------------------------------------------------------


def test_claimers_of_several_workers(opened: Open) -> None:
    """Of sixty threads of three workers that claim one secret at once, one wins."""
    ledgers = [opened() for _ in range(3)]
    ledgers[0].enroll([a_state()])
    won = at_once(lambda n: ledgers[n % 3].claim("one", f"worker-{n}", MINUTE), 60)
    assert sum(claim is not None for claim in won) == 1


def test_writers_of_several_workers(opened: Open) -> None:
    """What several workers write to one chain at once is all there, and each follows another."""
    ledgers = [opened(patience=30) for _ in range(3)]
    at_once(lambda n: ledgers[n % 3].remember(f"fact {n}", "value"), 12)
    chain = ledgers[0].chain("")
    assert [record.number for record in chain.records] == list(range(1, 14))
    assert len(ledgers[1].facts("fact ")) == 12


def test_one_begins(opened: Open) -> None:
    """Of several workers that begin in an empty table one makes the ledger, and all have the same."""
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(lambda _: opened(), range(4)))
    assert len({ledger.id for ledger in ledgers}) == 1
    assert len(ledgers[0].chain("").records) == 1


def test_a_worker_that_lost_its_claim_writes_nothing(
    opened: Open, dynamo: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit of a worker whose claim another took over is refused whole, whatever it remembers."""
    old, new = opened(), opened()
    old.enroll([a_state()])
    claim = old.claim("one", "old", MINUTE)
    assert claim
    old.commit(claim, Change(a_state(failures=1)))
    monkeypatch.setattr(dynamo, "ahead", 2 * MINUTE)
    while (taken := new.claim("one", "new", MINUTE)) is None:
        new.fact("time goes by")  # each answer tells the time
    full = Change(a_state(failures=9), a_rotation(), (a_debt(),), (Event("one", "x", "x", Level.ALARM),))
    with pytest.raises(Fenced):
        old.commit(claim, full)
    assert new.secret("one") == a_state(failures=1)
    assert (new.rotation("one"), new.debts(), list(new.untold())) == (None, [], [])
    new.commit(taken, full)
    assert new.debts() == new.debts("one") == [a_debt()]


# --- the audit trail ----------------------------------------------------------------------------------------


def test_a_ledger_that_lived_verifies(ledger: DynamoLedger, dynamo: Server, table: str) -> None:
    """A ledger that went through steps of every kind is whole, and an anchor of it is held."""
    anchor = lived(ledger)
    report = verify(ledger, audit_keys(dynamo.address(table)), [anchor])
    assert report.findings == ()
    assert report.chains == 3


def _edits() -> list[tuple[str, Key, dict[str, object] | None]]:
    """What somebody else may do to items of a ledger that lived: what, where, and how; None: taken away."""
    debt = a_debt(2, phase="owed")
    return [
        ("a debt's key", places.debt("one", "debt-one-1"), {"doc": "{}"}),
        ("a debt that is gone", places.debt("one", "debt-one-1"), None),
        ("a debt of nobody", places.debt("", "new"), {"id": "new", "open": True, "since": 1, "doc": "{}"}),
        ("another debt", places.debt("one", debt.id), {"id": debt.id, "open": True, "since": 1, "doc": "{}"}),
        ("a debt nobody finds", places.state("one"), {"owed": {"debt-one-9": 1}}),
        ("a rotation nobody finds", places.state("one"), {"live": "rotation/0/none"}),
        ("an attempt nobody made", places.attempt("two", "t"), {"token": "t", "rotation": "r", "number": 1}),
        ("an order", places.order("two", "run"), {"doc": "{}"}),
        ("an order of nobody", places.order("three", "run"), {"secret": "three", "kind": "run", "doc": "{}"}),
        ("a fact", places.fact("control/a"), {"value": "other"}),
        ("a fact that is gone", places.fact("control/a"), None),
        ("a record", places.record("one", 3), {"event": "{}"}),
        ("a record's end", places.record("one", 8), None),
        ("a record in the midst", places.record("one", 2), None),
        ("a head", places.state("one"), {"number": 3}),
        ("a secret off the list", places.roster("one"), None),
        ("a token that leads nowhere", places.by_token("token-one-1"), None),
        ("a debt's id that leads nowhere", places.by_debt("debt-one-1"), None),
        ("how far anchors go", places.state(""), {"anchored": 0}),
    ]


def test_edits_are_found(ledger: DynamoLedger, dynamo: Server, table: str) -> None:
    """Whatever is changed, added or taken away by who has no key is found, and what is found by what, too."""
    anchor, ring = lived(ledger), audit_keys(dynamo.address(table))
    for what, key, change in _edits():
        item = dynamo.client.get_item(TableName=table, Key=addressed(key)).get("Item")
        assert item or change, what
        if change is None:
            take(dynamo, table, key)
        else:
            put(dynamo, table, key, **change)
        assert verify(ledger, ring, [anchor]).findings, what
        take(dynamo, table, key)
        if item:
            dynamo.client.put_item(TableName=table, Item=item)
    assert verify(ledger, ring, [anchor]).findings == ()


def test_an_old_copy_is_recognised(ledger: DynamoLedger, dynamo: Server, table: str) -> None:
    """A table that was restored to a moment before an anchor does not hold it, and holds the one before."""
    ledger.enroll([a_state()])
    first = ledger.anchor()
    assert first
    copy = dynamo.client.scan(TableName=table)["Items"]
    ledger.remember("a", "fact")
    second = ledger.anchor()
    assert second
    assert ledger.holds(second)
    for item in dynamo.client.scan(TableName=table)["Items"]:
        take(dynamo, table, (item["pk"]["S"], item["sk"]["S"]))
    for item in copy:
        dynamo.client.put_item(TableName=table, Item=item)
    assert ledger.holds(first)
    assert not ledger.holds(second)


# --- large ones ---------------------------------------------------------------------------------------------


def test_a_step_that_is_too_large_is_refused_whole(ledger: DynamoLedger) -> None:
    """A record above 400 KB, or a step of more than a hundred items, is refused with what to do."""
    claim = claimed(ledger)
    long = Change(a_state(failures=1), events=(Event("one", "x", "x" * 500_000),))
    many = Change(a_state(failures=1), events=tuple(Event("one", "x", "x") for _ in range(101)))
    for change in (long, many):
        with pytest.raises(LedgerUnusable, match=r"larger than an item.*\[size\]") as caught:
            ledger.commit(claim, change)
        assert not caught.value.passing
    assert ledger.secret("one") == a_state()
    assert len(ledger.chain("one").records) == 1
    ledger.commit(claim, Change(a_state(failures=1)))


def test_more_secrets_than_one_answer_holds(ledger: DynamoLedger) -> None:
    """Secrets by the hundred are enrolled, listed, nudged and due in full."""
    names = [f"secret-{number:03}" for number in range(120)]
    assert ledger.enroll(a_state(name) for name in names) == 120
    assert [state.id for state, _ in ledger.secrets()] == names
    ledger.nudge(names)
    assert sorted(ledger.due(1000)) == names
    assert len(ledger.due(7)) == 7


def test_a_nudge_that_a_release_did_not_see(ledger: DynamoLedger) -> None:
    """A release that was decided before a nudge does not put it off."""
    claim = claimed(ledger)
    ledger.nudge(["one"])
    ledger.release(replace(claim), ledger.now() + HOUR)
    assert ledger.due(1) == ["one"]


def test_the_tables_definition_is_whole() -> None:
    """Every key of the table and its indexes has a type, and no other attribute has one."""
    table = dynamodb.TABLE
    schemas = [table["KeySchema"], *(index["KeySchema"] for index in table["GlobalSecondaryIndexes"])]
    keys = {key["AttributeName"] for schema in schemas for key in schema}
    assert keys == {definition["AttributeName"] for definition in table["AttributeDefinitions"]}
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        dynamodb.DUE,
        dynamodb.EVENTS,
    }
    assert ManualClock().now().tzinfo is UTC
