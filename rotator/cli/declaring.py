"""What a person may declare of keys and consumers. Pure: records in, a change to the ledger out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rotator.due import first_spread, late
from rotator.errors import RotatorError
from rotator.keeping import left_by
from rotator.model import (
    Change,
    CurrentKey,
    Debt,
    DebtPhase,
    Event,
    KeyRecord,
    Policy,
    Provenance,
    SecretState,
    token_in,
)
from rotator.people import Known, unproven


class Impossible(RotatorError):
    """A declaration that the record, or the provider, contradicts; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """Who declares something, why, and when (the ledger's clock)."""

    by: str
    reason: str
    at: datetime


def adoptable(known: Known) -> tuple[CurrentKey | None, tuple[Debt, ...]]:
    """The key in use, if nobody has said whose it is, and the debts of which nobody has."""
    current = known.state.current
    open_current = current if current and current.provenance is Provenance.UNKNOWN else None
    return open_current, tuple(debt for debt in known.debts if unproven(debt))


def adoption(known: Known, key_id: str, said: Declaration, debt_id: str | None = None) -> Change:
    """The change that makes a key ours to revoke once it is replaced: the one in use, or that of a debt.

    Raises Impossible.
    """
    meant = waiting(known, key_id, debt_id)
    if isinstance(meant, Debt):
        return _adopt_debt(known.state, meant, key_id, said)
    adopted = replace(meant, key_id=key_id, provenance=Provenance.ADOPTED)
    state = replace(known.state, current=adopted)
    return Change(state, events=(_said(state, "adopted", key_id, said),))


def waiting(known: Known, key_id: str, debt_id: str | None = None) -> CurrentKey | Debt:
    """The record that waits for a person to say that ``key_id`` is its key.

    The one that names it is meant, else the one without an id; the key in use before a debt, unless
    ``debt_id`` says which. Raises Impossible.
    """
    name, (current, debts) = known.state.policy, adoptable(known)
    debts = tuple(debt for debt in debts if debt_id in (None, debt.id))
    current = current if debt_id is None else None
    exact = [record for record in (current, *debts) if record is not None and record.key_id == key_id]
    if not exact and key_id in ids_of(known):
        raise Impossible(f"{name}: key {key_id} is on record already. Nothing was changed.")
    fits = exact or [record for record in (current, *debts) if record is not None and record.key_id is None]
    if not fits:
        raise Impossible(f"{name}: {_nothing_to_adopt(current, debts, key_id)} Nothing was changed.")
    if len(fits) > 1 and isinstance(fits[0], Debt):
        ids = ", ".join(debt.id for debt in debts)
        raise Impossible(
            f"{name}: several replaced keys have no id. Say which is meant: --debt with one of {ids}."
        )
    return fits[0]


def where_it_is(meant: CurrentKey | Debt, policy: Policy) -> Policy:
    """The policy as it is at the account of a key, which it may have left since."""
    was = meant.policy if isinstance(meant, Debt) else meant.under
    if was is None or was.provider.principal == policy.provider.principal:
        return policy
    return replace(policy, provider=was.provider, target=was.target)


def no_younger(change: Change, policy: Policy, made: datetime | None, now: datetime) -> Change:
    """The same, with a key in use that is adopted no younger than its provider says: the secret's version is
    where another field was written. One that is overdue by that waits for its share, as one taken on does.
    """
    state = change.secret
    if change.debts or made is None or (state.rotated_at is not None and state.rotated_at <= made):
        return change
    older = replace(state, rotated_at=made)
    if late(policy, state, now) is None and late(policy, older, now) is not None:
        older = replace(older, spread_until=first_spread(state.id, now, overdue=True))
    return replace(change, secret=older)


def _nothing_to_adopt(current: CurrentKey | None, debts: tuple[Debt, ...], key_id: str) -> str:
    """Why no record can take this id."""
    ids = [record.key_id for record in (current, *debts) if record is not None and record.key_id]
    if ids:
        return f"the keys that may be adopted are {', '.join(ids)}, and {key_id} is none of them."
    return "no key waits to be adopted: whose key the secret holds is known, or it was not looked at yet."


def _adopt_debt(state: SecretState, debt: Debt, key_id: str, said: Declaration) -> Change:
    adopted = replace(debt, key_id=key_id, provenance=Provenance.ADOPTED, block=None, look_at=None, looks=0)
    return Change(state, debts=(adopted,), events=(_said(state, "adopted", key_id, said, debt),))


def unfit(
    key_id: str, listed: Iterable[KeyRecord], ledger_id: str, meant: CurrentKey | Debt | None = None
) -> str | None:
    """Why the provider's list forbids to adopt a key, as a sentence: unlisted, dead, or another ledger's.

    ``meant`` is the record that waits for it: where that is a debt, adopting is not what ends it.
    """
    found = next((record for record in listed if record.key_id == key_id), None)
    ends = f" If it is: rotator settle {meant.id} --reason TEXT" if isinstance(meant, Debt) else ""
    if found is None and meant is not None and meant.key_id == key_id:
        dead = " It is dead, or of another account: see there that it is revoked." if ends else ""
        return f"The provider lists no key {key_id} for this account.{dead}{ends}"
    if found is None:
        return f"The provider lists no key {key_id} for this account. Look its id up there, and try again."
    if not found.live:
        return f"The provider lists key {key_id} as revoked or expired: there is nothing to adopt.{ends}"
    label = token_in(found.label)
    if label is not None and label[0] != ledger_id:
        return (
            f"Key {key_id} carries the label of another ledger, {label[0]}: it is that rotator's to revoke."
        )
    return None


def claimed_by(key_id: str, others: Iterable[Known], secret: str) -> str | None:
    """Whose key it is already, as a sentence, where another secret's records name it.

    A policy that moves to another secret leaves its key behind in one that is gone: that key is free, since
    nothing will replace it there. What is to die there is not.
    """
    names = on_record_of(key_id, others, secret)
    return f"Key {key_id} is on record as a key of {names[0]}." if names else None


def on_record_of(key_id: str, others: Iterable[Known], secret: str) -> Sequence[str]:
    """The policies whose secrets' records name a key, but for this secret's; see :func:`claimed_by`."""
    found = []
    for known in others:
        left = replace(known, state=replace(known.state, current=None)) if known.state.gone else known
        if known.state.id != secret and key_id in ids_of(left):
            found.append(known.state.policy)
    return found


def ids_of(known: Known) -> frozenset[str]:
    """Every key id that a secret's records name."""
    current, rotation = known.state.current, known.rotation
    held = {debt.key_id for debt in known.debts}
    held.add(current.key_id if current else None)
    held.add(rotation.attempt.key_id if rotation else None)
    return frozenset(key_id for key_id in held if key_id is not None)


def settlement(state: SecretState, debt: Debt, said: Declaration, heard: str = "") -> Change:
    """The change that closes a debt on a person's word; ``heard`` is what its provider says of the key. What
    the store keeps for it is taken away at the next look, which a stop holds.

    Raises Impossible where it is closed.
    """
    if debt.phase.ended:
        raise Impossible(f"Debt {debt.id} is closed already: {debt.phase}. Nothing was changed.")
    said = replace(said, reason=f"{said.reason} ({heard})" if heard else said.reason)
    proof = f"declared dead by {said.by}, never proven: {said.reason}"
    closed = replace(debt, phase=DebtPhase.SETTLED, ended_at=said.at, proof=proof, block=None, look_at=None)
    event = _said(state, "settled", debt.key_id or "of unknown id", said, debt)
    return Change(
        left_by(state, [debt]), debts=(closed,), events=(event,), frees=(debt.token,) if debt.token else ()
    )


def telling(state: SecretState, names: Sequence[str], said: Declaration) -> Change:
    """The change that takes consumers as told on a person's word. Raises Impossible for who does not wait."""
    untold = [one.consumer.name for one in state.telling.untold] if state.telling else []
    if state.telling is None or not set(names) <= set(untold):
        waits = f"still to be told: {', '.join(untold)}" if untold else "nobody waits to be told"
        raise Impossible(f"{state.policy}: {waits}. Nothing was changed.")
    key = state.telling.news.key_id or "of unknown id"
    events = [_said(state, "told", key, said, consumer=name) for name in names]
    return Change(replace(state, telling=state.telling.without(names)), events=tuple(events))


_SAID = {
    "adopted": "{by} says that key {key} is ours to revoke once it is replaced: {reason}",
    "settled": "{by} declares key {key} dead; this was never proven: {reason}",
    "told": "{by} declares that consumer {consumer} needs no telling of key {key}: {reason}",
}


def _said(
    state: SecretState,
    kind: str,
    key: str,
    said: Declaration,
    debt: Debt | None = None,
    *,
    consumer: str = "",
) -> Event:
    data = {"policy": state.policy, "key_id": key, "by": said.by, "consumer": consumer}
    return Event(
        secret=state.id,
        kind=kind,
        text=_SAID[kind].format(by=said.by, key=key, reason=said.reason, consumer=consumer),
        debt=debt.id if debt else None,
        data={name: value for name, value in data.items() if value},
    )
