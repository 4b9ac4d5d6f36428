"""What a change writes, as rows: what each is found by, and the record as JSON; their names and digests.

The same for every ledger, so that the same trail vouches for them, wherever they are kept.
"""

from collections.abc import Mapping
from typing import Any

from rotator.audit.chain import digest
from rotator.ledger.codec import DEBT, ROTATION, SECRET
from rotator.ledger.instants import instant
from rotator.model import Change, Debt, Rotation, SecretState

Row = dict[str, Any]

# What a digest of a row is of: all that decides about keys. Not in it: claims, when a secret is due next,
# and a row's place in its table.
_PARTS = {
    "secrets": ("policy", "principal", "parent", "key_id", "doc"),
    "rotations": ("live", "began_at", "doc"),
    "debts": ("open", "since", "doc"),
    "attempts": ("rotation", "number", "key_id"),
    "orders": ("doc",),
}
_NAMES = {"secret": None, "rotation": "id", "debt": "id", "attempt": "token", "order": "kind"}
FACT = "fact/"
ANCHORED = "anchored"


def named(kind: str, row: Mapping[str, Any]) -> str:
    """A document's name in records."""
    column = _NAMES[kind]
    return f"{kind}/{row[column]}" if column else kind


def digest_of(table: str, row: Mapping[str, Any]) -> str:
    """The digest of a row about to be written, or read."""
    return digest(*(row.get(part) for part in _PARTS[table]))


def anchored(seq: int) -> str:
    """The digest of how far anchors cover the records."""
    return digest(seq)


def secret_row(state: SecretState) -> Row:
    """A secret as its table's row: what it is found by, and the whole of it."""
    return {
        "policy": state.policy,
        "principal": state.principal,
        "parent": state.parent,
        "key_id": state.holds or (state.current.key_id if state.current else None),
        "doc": SECRET.encode(state),
    }


def rotation_row(rotation: Rotation) -> Row:
    """A rotation; ``live`` is its secret while it lives: a secret has one live rotation."""
    return {
        "id": rotation.id,
        "secret": rotation.secret,
        "live": None if rotation.phase.ended else rotation.secret,
        "began_at": instant(rotation.began_at),
        "doc": ROTATION.encode(rotation),
    }


def attempt_row(rotation: Rotation, token: str) -> Row:
    """One token that an attempt drew."""
    return {
        "token": token,
        "secret": rotation.secret,
        "rotation": rotation.id,
        "number": rotation.attempt.number,
        "key_id": rotation.attempt.key_id,
    }


def debt_row(debt: Debt) -> Row:
    """A debt, and whether it is open."""
    return {
        "id": debt.id,
        "secret": debt.secret,
        "open": not debt.phase.ended,
        "since": instant(debt.since),
        "doc": DEBT.encode(debt),
    }


_MOST = 10_000  # attempts and slots of which it is remembered that they are written


class Written:
    """What of attempts and slots is committed and stays as it is: it is neither read nor written again.

    Tokens are random, and never used again.
    """

    def __init__(self) -> None:
        self._attempts: dict[str, tuple[str, str, str | None]] = {}
        self._learned: dict[str, str] = {}

    def rows(self, change: Change) -> dict[str, list[Row]]:
        """What a change writes, by table; an attempt that is written already is left out."""
        rotations = [change.rotation] if change.rotation else []
        return {
            "secrets": [secret_row(change.secret)],
            "rotations": [rotation_row(one) for one in rotations],
            "debts": [debt_row(debt) for debt in change.debts],
            "attempts": [attempt_row(one, token) for one in rotations for token in self._unwritten(one)],
        }

    def learned(self, change: Change) -> list[tuple[str, str]]:
        """The tokens of slots with the keys that they turned out to be for, where that is news."""
        return list(_key_ids(change).items() - self._learned.items())

    def remember(self, change: Change) -> None:
        """Note what was committed."""
        for kept in (self._attempts, self._learned):
            if len(kept) > _MOST:
                kept.clear()
        if change.rotation:
            for token in self._unwritten(change.rotation):
                self._attempts[token] = _attempt(change.rotation)
        self._learned.update(_key_ids(change))

    def _unwritten(self, rotation: Rotation) -> list[str]:
        """The tokens of an attempt that the ledger does not hold as they are: its label's, and that of the
        version, which is another where the secret was staged anew.
        """
        drawn = dict.fromkeys((rotation.attempt.token, rotation.attempt.push))
        return [token for token in drawn if self._attempts.get(token) != _attempt(rotation)]


def _attempt(rotation: Rotation) -> tuple[str, str, str | None]:
    return rotation.secret, rotation.id, rotation.attempt.key_id


def _key_ids(change: Change) -> dict[str, str]:
    """By the tokens of slots the keys that they turned out to be for, so that a listed key counts once."""
    told = {debt.token: debt.key_id for debt in change.debts if debt.token and debt.key_id}
    if change.rotation and change.rotation.attempt.key_id:
        told[change.rotation.attempt.token] = change.rotation.attempt.key_id
    return told
