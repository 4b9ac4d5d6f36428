"""The names and digests of what the tables hold: as a record names them, and as they can be found again."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Integer, bindparam, select, type_coerce, union

from rotator.audit.chain import OWN, digest
from rotator.ledger.rows import ANCHORED, FACT, anchored, digest_of, named
from rotator.ledger.schema import ATTEMPTS, DEBTS, EVENTS, FACTS, META, ORDERS, ROTATIONS, SECRETS
from rotator.model import EVERYBODY

# Beside a table, what its documents are called, and the column that says whose they are.
_SHAPES = (
    (SECRETS, "secret", SECRETS.c.id),
    (ROTATIONS, "rotation", ROTATIONS.c.secret),
    (DEBTS, "debt", DEBTS.c.secret),
    (ATTEMPTS, "attempt", ATTEMPTS.c.secret),
    (ORDERS, "order", ORDERS.c.secret),
)
_YES_NO, _TRUTH = "open", {0: False, 1: True}  # SQLite takes any number for true, a query for debts does not
_READ = {
    table.name: (
        kind,
        select(*(type_coerce(c, Integer).label(c.name) if c.name == _YES_NO else c for c in table.c)).where(
            owner == bindparam("its_owner")
        ),
    )
    for table, kind, owner in _SHAPES
}


def owners() -> CompoundSelect[Any]:
    """The statement that tells whose rows there are, but for those that are always the ledger's own."""
    theirs = (select(owner.label("one")) for table, _, owner in _SHAPES if table is not ORDERS)
    orders = select(ORDERS.c.secret).where(ORDERS.c.secret != EVERYBODY)
    return union(select(EVENTS.c.secret.label("one")), *theirs, orders)


def documents(connection: Connection, secret: str) -> dict[str, str]:
    """The digests of everything that the tables hold of one secret; of the ledger's own chain, the facts too.

    Each row is in those of one of the :func:`owners`, or of the ledger's own chain, and is never hidden by
    another: one that should not be there has a name of which no record tells.
    """
    if secret == OWN:
        nobodys = ((f"{name} of nobody", of) for name, of in _rows_of(connection, OWN, _READ))
        return _apart(chain(_own(connection), nobodys))
    its_own = [name for name in _READ if (secret, name) != (EVERYBODY, ORDERS.name)]
    return _apart(_rows_of(connection, secret, its_own))


def _own(connection: Connection) -> Iterator[tuple[str, str]]:
    """What belongs to no secret: how far anchors go, facts, and orders to everybody."""
    yield ANCHORED, anchored(connection.execute(select(META.c.anchored)).scalar_one())
    for row in connection.execute(select(FACTS.c.key, FACTS.c.value)):
        yield f"{FACT}{row.key}", digest(row.value)
    yield from _rows_of(connection, EVERYBODY, [ORDERS.name])


def _rows_of(connection: Connection, secret: str, tables: Iterable[str]) -> Iterator[tuple[str, str]]:
    for table in tables:
        kind, statement = _READ[table]
        for row in connection.execute(statement, {"its_owner": secret}).mappings():
            found = dict(row)
            if _YES_NO in found:
                found[_YES_NO] = _TRUTH.get(found[_YES_NO], found[_YES_NO])
            yield named(kind, found), digest_of(table, found)


def _apart(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Digests by name; a second row of one name, in a table that lost its index, gets a name of its own."""
    apart: dict[str, str] = {}
    for name, of in found:
        while name in apart:
            name += " again"  # noqa: PLW2901
        apart[name] = of
    return apart
