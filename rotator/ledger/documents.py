"""The names and digests of what the tables hold: as a record names them, and as they can be found again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from rotator.audit.chain import OWN, digest
from rotator.ledger.schema import ATTEMPTS, DEBTS, FACTS, META, ORDERS, ROTATIONS, SECRETS
from rotator.model import EVERYBODY

# Beside a table, what its documents are called, the column that tells them apart, and what a digest is of:
# all that decides about keys. Not in it: claims, when a secret is due next, and a row's place in its table.
_SHAPES = (
    (SECRETS, "secret", SECRETS.c.id, ("policy", "principal", "parent", "key_id", "doc")),
    (ROTATIONS, "rotation", ROTATIONS.c.secret, ("live", "began_at", "doc")),
    (DEBTS, "debt", DEBTS.c.secret, ("open", "since", "doc")),
    (ATTEMPTS, "attempt", ATTEMPTS.c.secret, ("rotation", "number", "key_id")),
    (ORDERS, "order", ORDERS.c.secret, ("doc",)),
)
_PARTS = {table.name: parts for table, _, _, parts in _SHAPES}
_NAMES = {"secret": None, "rotation": "id", "debt": "id", "attempt": "token", "order": "kind"}
FACT = "fact/"
ANCHORED = "anchored"


def named(kind: str, row: Mapping[str, Any]) -> str:
    """A document's name in records."""
    column = _NAMES[kind]
    return f"{kind}/{row[column]}" if column else kind


def digest_of(table: str, row: Mapping[str, Any]) -> str:
    """The digest of a row about to be written, or read."""
    return digest(*(row[part] for part in _PARTS[table]))


def anchored(seq: int) -> str:
    """The digest of how far anchors cover the records."""
    return digest(seq)


def documents(connection: Connection, secret: str) -> dict[str, str]:
    """The digests of everything that the tables hold of one secret; of the ledger's own chain, the facts."""
    if secret == OWN:
        rows = connection.execute(select(FACTS.c.key, FACTS.c.value))
        seq = connection.execute(select(META.c.anchored)).scalar_one()
        facts = {ANCHORED: anchored(seq)} | {f"{FACT}{row.key}": digest(row.value) for row in rows}
        return facts | _rows_of(connection, EVERYBODY)
    return _rows_of(connection, secret)


def _rows_of(connection: Connection, secret: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for table, kind, owner, _ in _SHAPES:
        for row in connection.execute(select(table).where(owner == secret)).mappings():
            found[named(kind, dict(row))] = digest_of(table.name, dict(row))
    return found
