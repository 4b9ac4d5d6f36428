"""``--revoke-first``: which keys may die before others are issued, what fails meanwhile, and who agrees."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import click

from rotator.budgets import NO_SLOT
from rotator.cli import output
from rotator.cli.options import NotDone
from rotator.due import pushes_free_at
from rotator.incident.coverage import Coverage, Outcome
from rotator.incident.plan import Plan
from rotator.incident.waves import TAKES
from rotator.model import Phase, Policy, Provenance, Traits, locked_out
from rotator.people import Known, adopt_command

FEW = 50  # secrets that are named one by one


@dataclass(frozen=True, slots=True)
class Contained:
    """What an order to contain comes to: keys that die first, what is refused, and what goes continuity
    first: our own admin credentials, since they issue their successors, and by the policy's name those that
    are ``spared``, since no successor could be written.
    """

    policies: tuple[Policy, ...] = ()
    refused: Mapping[str, Outcome] = field(default_factory=dict)
    after: tuple[Policy, ...] = ()
    spared: Mapping[str, str] = field(default_factory=dict)

    def does(self, policy: Policy, otherwise: str) -> str:
        """What happens to a policy's keys, as one line; ``otherwise`` where none dies first."""
        if policy.target.id in self.refused:
            return "not begun, see below"
        if policy.target.id not in self.ids:
            return otherwise
        return f"revoke the old key; then issue one at {policy.provider.name}, verify it, promote it"

    @property
    def ids(self) -> frozenset[str]:
        """The secrets whose keys die first."""
        return frozenset(policy.target.id for policy in self.policies)


def contained(
    policies: Sequence[Policy], known: Mapping[str, Known], traits: Mapping[str, Traits], now: datetime
) -> Contained:
    """Which of these policies' keys may die first; ``known`` and ``traits`` by secret. Pure."""
    first: list[Policy] = []
    after: list[Policy] = []
    refused: dict[str, Outcome] = {}
    spared: dict[str, str] = {}
    for policy in policies:
        key = policy.target.id
        outcome = _refused(policy, known.get(key), traits[key])
        if outcome is not None:
            refused[key] = outcome
        elif _died(known.get(key)):
            continue
        elif policy.provider.account == key:
            after.append(policy)
        elif (why := _not_followed(policy, known.get(key), now)) is not None:
            spared[policy.name] = why
        else:
            first.append(policy)
    return Contained(tuple(first), refused, tuple(after), spared)


def _not_followed(policy: Policy, known: Known | None, now: datetime) -> str | None:
    """Why no key could come after one that died, as far as the ledger tells, with what to do; else None. For
    the worker :mod:`rotator.containing` decides that anew.
    """
    if known is None:
        return None
    block, live = known.provider_block or known.state.block, known.rotation
    if block is not None and block.kind != NO_SLOT:
        return f"{block.reason} To do: {block.todo}"
    if live is not None and live.phase is not Phase.PLANNED:
        return None
    room = pushes_free_at(policy, known.state, now, locked_out=True)
    return f"too many versions of it were written lately, room at {room:%H:%M} UTC." if room else None


def _died(known: Known | None) -> bool:
    """Whether the key in service died before, and its successor alone is wanted."""
    return known is not None and locked_out(known.state, known.debts)


NOTHING = Contained()


def _refused(policy: Policy, known: Known | None, traits: Traits) -> Outcome | None:
    """Why a key cannot die first, with what to do instead."""
    name = policy.name
    if traits.expires:
        why = "nothing revokes a token, it dies when it expires; leave --revoke-first out, and it is renewed"
        return Outcome(name, Coverage.UNCOVERED, f"not begun: {why}")
    if not (traits.issues and traits.revokes) or policy.target.native:
        why = "a person issues and revokes it" if not traits.issues else "its store begins each rotation"
        todo = f"revoke it at {policy.provider.name}, then bring or order the next one"
        return Outcome(name, Coverage.WAITING, f"not begun: {why}. To do: {todo}")
    if known is not None and known.state.looked_at is not None and known.state.current is None:
        return None  # there is no key to die: the first one is issued
    current = known.state.current if known is not None else None
    if current is None or current.provenance is Provenance.UNKNOWN or current.key_id is None:
        todo = adopt_command(name, current.key_id if current else None)
        why = "nobody has said whose key it holds, and none is revoked by guess"
        return Outcome(name, Coverage.WAITING, f"not begun: {why}. To do: {todo}; then the same command")
    return None


def words(found: Contained, whole: Plan, now: datetime) -> Iterator[str]:
    """What will fail, whose it is, from when until about when; and what cannot be done so."""
    until = now + whole.takes
    if found.policies:
        yield (
            f"CONTAIN FIRST: each of these keys dies before another one is issued. What uses them fails, one "
            f"after the other between {now:%H:%M:%S}Z and about {until:%H:%M:%S}Z, each for about "
            f"{output.span(TAKES)}, and for longer where a new key cannot be issued:"
        )
    for policy in found.policies[:FEW]:
        users = ", ".join(ref.name for ref in policy.consumers)
        told = f", used by {users}" if users else ""
        where = f"{policy.target.secret} in {policy.target.store.name}"
        yield f"  {policy.name}: {where}, owner {policy.owner or 'unknown'}{told}"
    if len(found.policies) > FEW:
        yield f"  ... and {len(found.policies) - FEW} more: --dry-run --json names each."
    for name in list(found.spared)[:FEW]:
        yield (
            f"{name} is not contained, its key lives until another one is in use. None could be written now: "
            f"{found.spared[name]}"
        )
    if len(found.spared) > FEW:
        yield f"... and {len(found.spared) - FEW} more that are not contained."
    for policy in found.after:
        yield f"{policy.name} goes continuity first: it issues its own successor."
    for outcome in found.refused.values():
        yield f"{outcome.policy}: {outcome.why}"


def agreed(found: Contained) -> None:
    """Ask once more, by what nobody types unawares. Raises NotDone."""
    if not found.policies:
        return
    count = len(found.policies)
    expected = found.policies[0].name if count == 1 else str(count)
    what = "the policy's name" if count == 1 else "how many keys die first"
    typed = click.prompt(f"These keys die before there are others. Type {what} ({expected})", err=True)
    if typed.strip() != expected:
        raise NotDone("That is not it. Nothing was done.")
