"""What a rotation would do and cost, as values: for ``plan`` and for ``run-now``. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator import budgets, due, durations
from rotator.errors import clause
from rotator.model import Policy, Provenance, ProviderRef, Traits, locked_out
from rotator.people import Known, paused_until

# Store calls up to promotion, and of a revocation with its proof, where an adapter does not declare its own.
UNDECLARED = (5, 2)

TraitsOf = Callable[[ProviderRef], Traits]


def traits_of(ref: ProviderRef) -> Traits:
    """What the adapter of a provider declares for its kind of credential."""
    from rotator.wiring import traits  # noqa: PLC0415 - as heavy as the adapters

    return traits(ref.type, ref.kind)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One policy: when it rotates next and why, what that does and costs, what blocks it."""

    policy: str
    provider: str
    due_at: datetime | None
    due_now: bool
    why: str
    does: str
    store_calls: int
    provider_calls: int
    slots: str
    blocked: str | None
    owner: str | None = None
    by_hand: bool = False  # the provider issues nothing by request: a person does


def plan_row(policy: Policy, known: Known | None, peers: int, traits: Traits, now: datetime) -> PlanRow:
    """The plan for a policy; ``peers`` policies share its principal."""
    at, why = next_due(policy, known, now)
    return PlanRow(
        policy=policy.name,
        provider=policy.provider.name,
        due_at=at,
        due_now=at is not None and at <= now,
        why=why,
        does=does(policy, known, traits, policy.grace),
        store_calls=store_calls(policy, traits),
        provider_calls=provider_calls(traits),
        slots=slots(traits, peers),
        blocked=blocker(policy, known, now),
        owner=policy.owner,
        by_hand=not traits.issues,
    )


def store_calls(policy: Policy, traits: Traits) -> int:
    """The store calls of a whole rotation when nothing fails; a token's reads its parent and revokes none."""
    from rotator.wiring import store_costs  # noqa: PLC0415 - as heavy as the adapters

    promotion, revocation = store_costs(policy.target.store.type) or UNDECLARED
    return promotion + (1 if traits.expires else revocation)


def plan_rows(
    policies: Sequence[Policy], known: Mapping[str, Known], traits_of: TraitsOf, now: datetime
) -> list[PlanRow]:
    """The plan for every policy, the next one due first."""
    peers: dict[str, int] = {}
    for policy in policies:
        peers[policy.provider.principal] = peers.get(policy.provider.principal, 0) + 1
    rows = [
        plan_row(
            policy,
            known.get(policy.target.id),
            peers[policy.provider.principal],
            traits_of(policy.provider),
            now,
        )
        for policy in policies
    ]
    return sorted(rows, key=lambda row: (row.due_at is None, row.due_at or now, row.policy))


def next_due(policy: Policy, known: Known | None, now: datetime) -> tuple[datetime | None, str]:
    """When a policy rotates next, and why; or why that cannot be told."""
    if known is None or (known.state.looked_at is None and not known.orders and known.rotation is None):
        return None, "not taken on yet: the first pass looks at the secret, and plans by its age"
    if known.rotation is not None and not known.rotation.phase.ended:
        held = "held, too many versions were written; " if known.rotation.error == budgets.FLOOD else ""
        why = f"{held}under way ({known.rotation.phase}): {known.rotation.reason}"
        return known.rotation.look_at or now, why
    if policy.target.native:
        return None, "when Secrets Manager calls: its own rotation says when"
    found = due.next_rotation(policy, known.state, known.orders, now)
    return (found.at, found.why) if found else (None, "nothing is planned until somebody changes something")


def does(policy: Policy, known: Known | None, traits: Traits, grace: timedelta) -> str:
    """What happens to the keys, as one line."""
    if not traits.issues:
        return f"waits for a person, who issues the key; then: rotator submit {policy.name}"
    if traits.expires:
        return (
            f"one token call at {policy.provider.name}, verify the token, promote it; "
            "the old one lives until it expires"
        )
    told = ", ".join(ref.name for ref in policy.consumers)
    new = f"issue a key at {policy.provider.name}, verify it, promote it" + (f", tell {told}" if told else "")
    return f"{new}; {_old_key(known, grace)}"


def _old_key(known: Known | None, grace: timedelta) -> str:
    """What becomes of the key in service."""
    current = known.state.current if known else None
    if known is None or (known.state.looked_at is None and current is None):
        return "an old key stays until it is adopted"
    if current is None:
        return "there is no old key"
    if current.provenance is Provenance.UNKNOWN:
        return "the old key stays until it is adopted"
    if locked_out(known.state, known.debts):
        return "the old one is dead already"
    return f"revoke the old one {f'after {durations.text(grace)}' if grace else 'at once'}"


def provider_calls(traits: Traits) -> int:
    """Calls to the provider of a whole rotation when nothing fails.

    Look, issue, the probes that verify; then look, probe, revoke, look, and two probes that prove. A token
    is minted by one call, and only expires. What a person issues is tried first, and again before and after
    the person revokes the old one.
    """
    if traits.expires:
        return 1 + traits.verification.successes
    if not traits.issues:
        return 1 + traits.verification.successes + 4
    lists = 1 if traits.lists else 0
    return lists + 1 + traits.verification.successes + 2 * lists + 4


def slots(traits: Traits, peers: int) -> str:
    """How many live keys the account bears, and how many policies share them."""
    if traits.key_limit is None:
        return "no limit"
    share = "1 policy" if peers == 1 else f"{peers} policies"
    return f"1 of {traits.key_limit}, shared by {share}"


def blocker(policy: Policy, known: Known | None, now: datetime) -> str | None:
    """What keeps the rotation from being done, as a sentence with what to do; None if nothing is known."""
    if known is None:
        return None
    if known.provider_block is not None:
        return f"{known.provider_block.reason} To do: {known.provider_block.todo}"
    if known.state.block is not None:
        return f"{known.state.block.reason} To do: {known.state.block.todo}"
    if known.provider_pause is not None and policy.renew is None:
        return f"{known.provider_pause.reason} To do: {known.provider_pause.todo}"
    until = paused_until(known, now)
    if until is not None:
        pause = known.orders["pause"]
        paused = f"Paused by {pause.by}: {clause(pause.reason or 'no reason was given')}."
        anyway = "run-now --yes rotates it all the same, which ends the pause"
        return f"{paused} To do: rotator resume {known.state.policy}; {anyway}"
    return None
