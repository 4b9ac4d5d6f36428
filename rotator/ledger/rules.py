"""What every ledger does alike, whatever it is kept in: what it records, and what it refuses. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rotator.audit.chain import OWN, Entry
from rotator.audit.keys import KeyRing
from rotator.errors import Fenced, LedgerUnusable
from rotator.ledger.codec import EVENT, ORDER
from rotator.ledger.rows import ANCHORED, Row, anchored, digest_of, named
from rotator.model import EVERYBODY, Change, Claim, Event, Level, Order

AHEAD = 2  # times its time to live, beyond which a claim or a lock lies too far ahead; hosts' clocks differ
_PORTION = 500  # heads that one record names


def must_hold(claim: Claim, change: Change) -> None:
    """A change concerns the secret that is claimed, and no other."""
    state, rotation = change.secret, change.rotation
    own = {state.id, *(debt.secret for debt in change.debts), *([rotation.secret] if rotation else [])}
    assert own == {claim.secret}, "a change concerns the secret that is claimed, and no other"


def fenced(claim: Claim) -> Fenced:
    """The error for a claim that is lost."""
    return Fenced(
        f"The claim on {claim.secret} (epoch {claim.epoch}) is over: another worker goes on from here, "
        "and nothing was written."
    )


# slots


def has_room(token: str, reserved: Mapping[str, str | None], listed: frozenset[str], limit: int) -> bool:
    """Whether ``token`` may have a slot: keys listed, and slots of others whose keys are not, count once."""
    others = [key_id for slot, key_id in reserved.items() if slot != token]  # the list may have grown since
    return len(listed) + sum(key_id not in listed for key_id in others) < limit


# orders and facts


def order_row(secret_id: str, order: Order) -> Row:
    """An order, of which there is one of a kind."""
    return {"secret": secret_id, "kind": order.kind, "doc": ORDER.encode(order)}


def given(row: Row, order: Order) -> Entry:
    """What is recorded of an order that was given."""
    docs = {named("order", row): digest_of("orders", row)}
    return Entry("order-given", order.by, docs=docs, more={"reason": order.reason})


def withdrawn(kind: str, by: str) -> Entry:
    """What is recorded of an order that was taken back."""
    return Entry("order-withdrawn", by, docs={named("order", {"kind": kind}): None})


def chain_of(secret_id: str) -> str:
    """The chain that an order is recorded in: one to everybody belongs to no secret."""
    return OWN if secret_id == EVERYBODY else secret_id


def unknown(secret_id: str) -> LedgerUnusable:
    """The error for an order to a secret that the ledger does not know."""
    return LedgerUnusable(
        f"The ledger does not know the secret {secret_id}, so nobody would carry out an order "
        "for it. Enrol it first: `rotator tick` does. [unknown-secret]"
    )


# the audit trail


def committed(
    claim: Claim, change: Change, rows: Mapping[str, list[Row]], done: Iterable[str]
) -> list[Entry]:
    """What is recorded of a commit: an entry for each event, of which the last says what was written.

    ``done`` are the kinds of the orders that it took away.
    """
    kinds = (("secrets", "secret"), ("rotations", "rotation"), ("debts", "debt"), ("attempts", "attempt"))
    docs: dict[str, str | None] = {
        named(kind, row): digest_of(table, row) for table, kind in kinds for row in rows[table]
    }
    docs |= {named("order", {"kind": kind}): None for kind in done}
    phases = {named("debt", {"id": debt.id}): str(debt.phase) for debt in change.debts}
    if change.rotation:
        phases[named("rotation", {"id": change.rotation.id})] = str(change.rotation.phase)
    more = {"epoch": claim.epoch, "policy": change.secret.digest}
    last = Entry("commit", claim.holder, docs=docs, more=more | ({"phases": phases} if phases else {}))
    return _told(change.events, last)


def _told(events: Sequence[Event], last: Entry) -> list[Entry]:
    """An entry for each event of one commit; the last one carries what the commit wrote."""
    told = [Entry(last.what, last.by, EVENT.encode(one), one.level is Level.ALARM) for one in events]
    return [*told[:-1], replace(told[-1], docs=last.docs, more=last.more)] if told else [last]


def heads(moved: Mapping[str, Sequence[object]], by: str, seq: int) -> list[Entry]:
    """What is recorded of heads that moved; the last entry says how far the records are covered by now."""
    ids = list(moved)
    portions = [ids[start : start + _PORTION] for start in range(0, len(ids), _PORTION)] or [[]]
    entries = [Entry("heads", by, more={"heads": {one: moved[one] for one in part}}) for part in portions]
    return [*entries[:-1], replace(entries[-1], docs={ANCHORED: anchored(seq)})]


def must_account_for(ring: KeyRing, newest: str) -> None:
    """Refuse to write where others of this ledger write with another key: nobody could verify them together.

    ``newest`` is the id of the key that the newest record was made with. Raises LedgerUnusable.
    """
    if not ring.accounts_for(newest):
        raise LedgerUnusable(
            f"The audit trail of this ledger is written with key {newest}, which {ring.path} does "
            "not hold. Give every worker of a ledger the same file (ROTATOR_AUDIT_KEY_FILE), the new key "
            "on top of the old ones where it was changed. If that key is lost for good, add the line "
            f"`lost {newest}`: `rotator audit verify` names what can be verified no more. [audit-key]"
        )


def newer(name: str, version: int, newest: int) -> LedgerUnusable:
    """The error for a ledger whose schema this rotator does not know."""
    return LedgerUnusable(
        f"The ledger {name} was written by a newer rotator (schema {version}; this "
        f"one knows {newest}). Run the newer rotator, or restore the backup "
        "from before the update. [newer]"
    )


def missing(name: str) -> LedgerUnusable:
    """The error where nobody made a ledger yet, and none is to be made."""
    return LedgerUnusable(
        f"There is no ledger in {name} yet. See that its address is right; the first `rotator` "
        "command that rotates makes it. [missing]"
    )


def closed(name: str) -> LedgerUnusable:
    """The error for a ledger that was let go."""
    return LedgerUnusable(f"The ledger {name} is closed already. Open it again. [closed]")
