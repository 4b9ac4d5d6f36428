"""The table of a ledger in DynamoDB: its keys, its indexes, and what a worker must be allowed to do with it.

Made by whoever runs rotator (``terraform/modules/state``), never by rotator: encryption, backups and who may
delete it are theirs to decide, and a worker that may make tables may do more than it needs to.
"""

from typing import Any

PK, SK = "pk", "sk"  # every item's keys, both text

# Secrets by the time of their next action. All in one partition of the index: what is written there is a
# claim, a step or a release, some ten a second at most with a hundred thousand policies, and a partition
# takes a thousand. The index follows the table a moment later (AWS: eventually consistent), so it only
# tells where to look: a claim is decided by the item itself.
DUE = "due"
# What the history shows of all secrets, by number. For people alone: nothing is decided by it.
EVENTS = "events"

_KEYS = {PK: "S", SK: "S", "queue": "S", "next_at": "N", "log": "S", "seq": "N"}
_INDEXES = (
    (DUE, ("queue", "next_at"), ("claimed_until",)),
    (EVENTS, ("log", "seq"), ("at", "event")),
)


def _schema(keys: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=True)
    ]


# As CreateTable takes it (DynamoDB API, CreateTable), but for the table's name.
TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in _KEYS.items()],
    "KeySchema": _schema((PK, SK)),
    "GlobalSecondaryIndexes": [
        {
            "IndexName": name,
            "KeySchema": _schema(keys),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(more)},
        }
        for name, keys, more in _INDEXES
    ],
}

# IAM actions. A transaction needs those of what it does (DynamoDB developer guide, "IAM with transactions").
RIGHTS = frozenset(
    {
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",  # `rotator audit` alone: whose items there are
        "dynamodb:UpdateItem",
    }
)
INDEX_RIGHTS = frozenset({"dynamodb:Query"})  # on TABLE/index/due and TABLE/index/events
