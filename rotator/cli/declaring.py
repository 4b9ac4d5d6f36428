"""What a person may declare of keys and consumers. Pure: records in, a change to the ledger out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rotator.errors import RotatorError
from rotator.keeping import left_by
from rotator.model import (
    Change,
    CurrentKey,
    Debt,
    DebtPhase,
    Event,
    KeyRecord,
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

    The record that names ``key_id`` is meant, else the one without an id; the key in use before a debt,
    unless ``debt_id`` says which. Raises Impossible.
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
    if isinstance(fits[0], CurrentKey):
        adopted = replace(fits[0], key_id=key_id, provenance=Provenance.ADOPTED)
        state = replace(known.state, current=adopted)
        return Change(state, events=(_said(state, "adopted", key_id, said),))
    if len(fits) > 1:
        ids = ", ".join(debt.id for debt in debts)
        raise Impossible(
            f"{name}: several replaced keys have no id. Say which is meant: --debt with one of {ids}."
        )
    return _adopt_debt(known.state, fits[0], key_id, said)


def _nothing_to_adopt(current: CurrentKey | None, debts: tuple[Debt, ...], key_id: str) -> str:
    """Why no record can take this id."""
    ids = [record.key_id for record in (current, *debts) if record is not None and record.key_id]
    if ids:
        return f"the keys that may be adopted are {', '.join(ids)}, and {key_id} is none of them."
    return "no key waits to be adopted: whose key the secret holds is known, or it was not looked at yet."


def _adopt_debt(state: SecretState, debt: Debt, key_id: str, said: Declaration) -> Change:
    adopted = replace(debt, key_id=key_id, provenance=Provenance.ADOPTED, block=None, look_at=None, looks=0)
    return Change(state, debts=(adopted,), events=(_said(state, "adopted", key_id, said, debt),))


def unfit(key_id: str, listed: Iterable[KeyRecord], ledger_id: str) -> str | None:
    """Why the provider's list forbids to adopt a key, as a sentence: unlisted, dead, or another ledger's."""
    found = next((record for record in listed if record.key_id == key_id), None)
    if found is None:
        return f"The provider lists no key {key_id} for this account. Look its id up there, and try again."
    if not found.live:
        return f"The provider lists key {key_id} as revoked or expired: there is nothing to adopt."
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
    for known in others:
        left = replace(known, state=replace(known.state, current=None)) if known.state.gone else known
        if known.state.id != secret and key_id in ids_of(left):
            return f"Key {key_id} is on record as a key of {known.state.policy}."
    return None


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
