"""Where everything of a ledger lies in its table, and how what is looked for is found.

All that is about one secret lies in one partition: its state, its rotations, attempts, debts and records.
What is looked up otherwise (by a token, by a debt's id, by the key that a secret holds) has an item that
leads there, written in the same transaction, so that a look-up is as true as the table; who finds one reads
the document itself, and takes that for the answer. No index decides anything.
"""

from collections.abc import Mapping

from rotator.ledger.dynamodb.items import Key

STATE = "state"
RECORD, ROTATION, DEBT, ATTEMPT = "record/", "rotation/", "debt/", "attempt/"
_HOME = "secret/"
_LEADS = "of"

# Partitions of the whole ledger
ROSTER = "secrets"  # every secret
MOVED = "moved"  # chains that no anchor covers as they are now
OWED = "owed"  # debts that are open, oldest first
ALARMS = "alarms"  # not told yet
ORDERS = "orders"
FACTS = "facts"
LOCKS = "locks"
_BEFORE = "/"  # before what may be empty: a key of DynamoDB may not


def home(secret: str) -> str:
    """The partition of a secret; of "", the ledger's own."""
    return _HOME + secret


def at_home(pk: str) -> str | None:
    """The secret whose partition this is, if it is one."""
    return pk.removeprefix(_HOME) if pk.startswith(_HOME) else None


def state(secret: str) -> Key:
    """What is known of a secret, its claim and its chain's head; of "", the ledger's id and own head."""
    return home(secret), STATE


def record(secret: str, number: int) -> Key:
    """A link of a secret's chain."""
    return home(secret), f"{RECORD}{number:012d}"


def rotation(secret: str, began_at: int, rotation_id: str) -> Key:
    """A rotation; a secret's are in the order of their beginnings."""
    return home(secret), f"{ROTATION}{began_at:020d}/{rotation_id}"


def attempt(secret: str, token: str) -> Key:
    """What a token was drawn for."""
    return home(secret), ATTEMPT + token


def debt(secret: str, debt_id: str) -> Key:
    """A debt."""
    return home(secret), DEBT + debt_id


def roster(secret: str) -> Key:
    """That there is this secret."""
    return ROSTER, _BEFORE + secret


def moved(secret: str) -> Key:
    """That a chain moved, and where to."""
    return MOVED, _BEFORE + secret


def owed(since: int, debt_id: str) -> Key:
    """That a debt is open."""
    return OWED, f"{since:020d}/{debt_id}"


def alarm(seq: int) -> Key:
    """An alarm that waits to be told."""
    return ALARMS, f"{seq:020d}"


def order(secret: str, kind: str) -> Key:
    """An order."""
    return ORDERS, orders_of(secret) + kind


def orders_of(secret: str) -> str:
    """How the sort keys of a secret's orders begin."""
    return f"{secret}\n"


def fact(key: str) -> Key:
    """A fact."""
    return FACTS, _BEFORE + key


def facts_with(prefix: str) -> str:
    """How the sort keys of facts begin whose own keys begin so."""
    return _BEFORE + prefix


def lock(name: str) -> Key:
    """A named lock."""
    return LOCKS, _BEFORE + name


def slots(principal: str) -> Key:
    """All slots of a principal that are taken."""
    return f"slots/{principal}", "taken"


def slot(token: str) -> Key:
    """Whose slot a token took."""
    return f"slot/{token}", _LEADS


def by_token(token: str) -> Key:
    """Which secret a token was drawn for."""
    return f"token/{token}", _LEADS


def by_debt(debt_id: str) -> Key:
    """Whose debt it is."""
    return f"debt/{debt_id}", _LEADS


def keepers(principal: str, key_id: str) -> str:
    """The partition of those that hold a key."""
    return f"key/{principal}/{key_id}"


def children(parent: str) -> str:
    """The partition of those that have this parent."""
    return f"parent/{parent}"


def found_by(secret: str, row: Mapping[str, object]) -> frozenset[Key]:
    """The items that lead to a secret by its row."""
    found: list[Key] = []
    if row.get("parent") is not None:
        found.append((children(str(row["parent"])), _BEFORE + secret))
    if row.get("key_id") is not None:
        found.append((keepers(str(row["principal"]), str(row["key_id"])), _BEFORE + secret))
    return frozenset(found)
