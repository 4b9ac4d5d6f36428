"""``adopt --suggest``: which listed key each secret may hold, and which it does hold, by its own values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from rotator.capabilities import Identifies
from rotator.cli import declaring, output, session
from rotator.cli.options import NotDone, Wrong
from rotator.cli.reading import read_all, read_one
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Provider
from rotator.model import Change, Credential, CurrentKey, Debt, KeyRecord, Policy, token_in
from rotator.people import Known, is_ours_to_revoke

if TYPE_CHECKING:
    from rotator.wiring import Wiring

PROVEN, NAMED, POSSIBLE = "proven", "named by the secret, not proven", "possible"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed key that a secret may hold, and how sure that is."""

    key_id: str
    label: str
    how: str
    created_at: datetime | None = None  # as the provider tells


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The candidates for one key of which nobody has said whose it is; ``debt`` names a replaced one."""

    policy: str
    debt: str | None
    candidates: tuple[Candidate, ...]
    why_none: str = ""

    @property
    def proven(self) -> str | None:
        """The key that it is, where the secret's values show it."""
        return next((one.key_id for one in self.candidates if one.how == PROVEN), None)


def suggested(world: "Wiring", policies: Iterable[Policy]) -> list[Suggestion]:
    """A suggestion for every key of unknown origin; nothing is written anywhere."""
    known = read_all(world.ledger)
    lists: dict[str, Sequence[KeyRecord] | str] = {}
    found = []
    for policy in policies:
        one = known.get(policy.target.id)
        if one is None:
            continue
        current, debts = declaring.adoptable(one)
        subjects: list[CurrentKey | Debt] = [*([current] if current else []), *debts]
        for subject in subjects:
            there = declaring.where_it_is(subject, policy)
            if not is_ours_to_revoke(there):
                continue
            principal = there.provider.principal
            if principal not in lists:
                lists[principal] = _listed(world, there)
            found.append(_suggestion(world, there, subject, lists[principal], known))
    return found


def _listed(world: "Wiring", policy: Policy) -> Sequence[KeyRecord] | str:
    """What the provider lists, or why that cannot be told."""
    try:
        return world.provider(policy.provider).find()
    except (EffectError, NeedsPerson) as error:
        return f"{policy.provider.name} cannot be asked: {error.message}"


def _suggestion(
    world: "Wiring",
    policy: Policy,
    subject: CurrentKey | Debt,
    listed: Sequence[KeyRecord] | str,
    known: Mapping[str, Known],
) -> Suggestion:
    debt = subject.id if isinstance(subject, Debt) else None
    if isinstance(listed, str):
        return Suggestion(policy.name, debt, (), listed)
    try:
        stored = world.store(policy.target.store).read(policy.target, subject.version)
    except (EffectError, NeedsPerson) as error:
        return Suggestion(policy.name, debt, (), f"its secret cannot be read: {error.message}")
    held = stored.credential if stored else Credential({})
    of_record = declaring.ids_of(known[policy.target.id]) - {subject.key_id}
    others = {one: its for one, its in known.items() if one != policy.target.id}
    free = [record for record in listed if _free(record, others, subject) and record.key_id not in of_record]
    marked = candidates(world.provider(policy.provider), free, held)
    return Suggestion(policy.name, debt, marked, "" if marked else "no listed key is left that it could be")


def _free(record: KeyRecord, others: Mapping[str, Known], subject: CurrentKey | Debt) -> bool:
    """Whether a listed key may be the one: live, not made by a rotator, and on no other secret's record, but
    where this secret's own names it.
    """
    taken = declaring.on_record_of(record.key_id, others.values(), "")
    unmade = record.live and token_in(record.label) is None
    return unmade and (not taken or record.key_id == subject.key_id)


def candidates(provider: Provider, free: Sequence[KeyRecord], held: Credential) -> tuple[Candidate, ...]:
    """The keys that a credential may be, the likeliest first. Two that fit alike prove nothing."""
    fits = (
        [record.key_id for record in free if provider.identifies(record, held)]
        if isinstance(provider, Identifies)
        else []
    )
    proven = fits[0] if len(fits) == 1 else None
    if proven is not None:
        free = [record for record in free if record.key_id == proven]
    named = held.get(provider.traits.id_field)
    marked = [
        Candidate(
            record.key_id,
            record.label,
            PROVEN if record.key_id == proven else NAMED if record.key_id == named else POSSIBLE,
            record.created_at,
        )
        for record in free
    ]
    return tuple(sorted(marked, key=lambda one: (PROVEN, NAMED, POSSIBLE).index(one.how)))


# --- telling, and adopting what is proven ----------------------------------------------------------------


def show(found: Sequence[Suggestion]) -> None:
    """The candidates, for people, and what to type."""
    rows = [
        (one.policy, one.debt or "in use", each.key_id, each.label or "-", each.how)
        for one in found
        for each in one.candidates
    ]
    if rows:
        output.table(("policy", "which", "key", "label", "how sure"), rows)
    for one in found:
        if one.why_none:
            click.echo(output.printable(f"{one.policy}: {one.why_none}."))
    if not found:
        click.echo("Of every key it is known whose it is: nothing to adopt.")
    elif any(one.candidates and one.proven is None for one in found):
        click.echo("What is not proven is yours to judge, one by one: rotator adopt NAME --key-id ID")


def adopt_proven(
    world: "Wiring", chosen: Iterable[Policy], found: Sequence[Suggestion], said: declaring.Declaration
) -> list[str]:
    """Adopt every proven key; the names of the policies, each as often as it had one."""
    policies = {policy.name: policy for policy in chosen}
    done = []
    for one in found:
        proven = next((each for each in one.candidates if each.key_id == one.proven), None)
        if proven is not None:
            _adopt(world, policies[one.policy], proven, said, one.debt)
            done.append(one.policy)
    return done


def _adopt(
    world: "Wiring", policy: Policy, key: Candidate, said: declaring.Declaration, debt: str | None
) -> None:
    def proposed() -> Change:
        known = read_one(world.ledger, policy.target.id)
        assert known is not None, "a secret is never forgotten"
        adopted = declaring.adoption(known, key.key_id, said, debt)
        return declaring.no_younger(adopted, policy, key.created_at, said.at)

    try:
        session.change(world.ledger, world.clock, policy.target.id, proposed)
    except Wrong as error:  # it was adopted, or replaced, since the list was read
        raise NotDone(error.message) from None
