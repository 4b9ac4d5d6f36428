"""What people are shown of the ledger's records, and what they may declare. Pure: records in, values out.

Tables and ``--json`` are both made from these values, so they cannot tell different things.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.blocks import BLOCK, FAILING, Kept
from rotator.errors import clause
from rotator.model import (
    Block,
    Debt,
    DebtReason,
    Drill,
    Order,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
    Untold,
    locked_out,
)

_PHASES = {
    Phase.PLANNED: "planned",
    Phase.ISSUING: "issuing",
    Phase.ISSUED: "staging",
    Phase.STAGED: "verifying",
    Phase.VERIFIED: "verified",
    Phase.PROMOTING: "promoting",
}


@dataclass(frozen=True, slots=True)
class ProviderBlock:
    """A provider whose admin credential waits for a person: it holds up every policy of its account; or one
    that fails, where no scheduled rotation begins.
    """

    principal: str
    provider: str
    kind: str
    reason: str
    todo: str
    since: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knew of one secret at one time."""

    state: SecretState
    looks_at: datetime | None = None
    rotation: Rotation | None = None
    debts: tuple[Debt, ...] = ()  # open ones
    orders: Mapping[str, Order] = field(default_factory=dict)
    provider_block: ProviderBlock | None = None
    provider_pause: ProviderBlock | None = None  # holds scheduled rotations alone
    failed: Rotation | None = None  # the last one, where it failed and no other is under way or ordered


@dataclass(frozen=True, slots=True)
class DebtRow:
    """A key that must still die."""

    debt: str
    key_id: str | None
    reason: str
    phase: str
    since: datetime
    not_before: datetime | None
    blocked: str | None
    version: str | None = None  # of the secret, which holds its value


@dataclass(frozen=True, slots=True)
class UntoldRow:
    """A consumer that is still to be told of the key in use. ``holds``: no replaced key dies meanwhile."""

    consumer: str
    since: datetime
    holds: bool
    tries: int
    next_try: datetime | None
    error: str
    blocked: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """Who must do what."""

    who: str
    why: str
    todo: str


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One policy, or one secret whose policy is gone, for people and for ``--json``."""

    policy: str
    provider: str
    secret: str
    state: str
    key_id: str | None
    age: timedelta | None
    next_due: datetime | None
    why: str
    paused_until: datetime | None
    failures: int
    act: tuple[Act, ...]
    debts: tuple[DebtRow, ...]
    gone: bool = False
    expires_at: datetime | None = None  # of a token
    drill: Drill | None = None  # the last one
    asks_for: str | None = None  # what a person types once they have done what is asked
    untold: tuple[UntoldRow, ...] = ()


def status_row(
    policy: Policy | None, known: Known | None, next_due: datetime | None, why: str, now: datetime
) -> StatusRow:
    """The row of a policy that the ledger may not know, or of a secret whose policy may be gone."""
    state = known.state if known else None
    current = state.current if state else None
    return StatusRow(
        policy=policy.name if policy else state.policy if state else "",
        provider=policy.provider.name if policy else provider_of(known),
        secret=policy.target.secret if policy else state.id if state else "",
        state=stands(known, now, gone=policy is None),
        key_id=current.key_id if current else None,
        age=now - state.rotated_at if state and state.rotated_at else None,
        next_due=next_due,
        why=why,
        paused_until=paused_until(known, now),
        failures=state.failures if state else 0,
        act=tuple(acts(policy, known)) if known else (),
        debts=tuple(debt_row(debt) for debt in known.debts) if known else (),
        gone=policy is None,
        expires_at=current.expires_at if current else None,
        asks_for=asks_for(state) if state else None,
        drill=state.drill if state else None,
        untold=tuple(untold_row(one) for one in untold(state)) if state else (),
    )


def drilled(drill: Drill | None) -> str:
    """What came of the last drill, in a few words."""
    if drill is None:
        return "none"
    if drill.ok is None:
        return drill.why or "key not proven dead yet"
    steps = ", ".join(f"{step} in {seconds:.1f} s" for step, seconds in drill.took.items())
    return f"well: {steps}" if drill.ok else f"failed: {drill.why}"


def asks_for(state: SecretState) -> str | None:
    """The command that brings what a secret waits for, where a person must issue it."""
    waits = state.block is not None and state.block.kind == "a-person-must-issue"
    return f"rotator submit {state.policy}" if waits else None


def stands(known: Known | None, now: datetime, *, gone: bool = False) -> str:
    """Where a secret stands, in the words of the field; what needs a person comes first."""
    if gone:
        return "gone"
    if known is None or (known.state.looked_at is None and known.rotation is None and not known.state.block):
        return "not taken on yet"
    if known.state.block or known.provider_block:
        return "blocked"
    if known.rotation is not None and not known.rotation.phase.ended:
        return _PHASES.get(known.rotation.phase, str(known.rotation.phase))
    return _at_rest(known, now)


def _at_rest(known: Known, now: datetime) -> str:
    """What holds a secret without a live rotation, else what its old keys wait for."""
    if locked_out(known.state, known.debts):
        return "no living key"
    if paused_until(known, now) is not None:
        return "paused"
    if any(debt.reason is DebtReason.LEAKED and debt.not_before is None for debt in known.debts):
        return "leaked"
    if known.state.failures:
        return "failed"
    return _telling(known.state) or _owing(known.debts, now) or "current"


def untold(state: SecretState) -> tuple[Untold, ...]:
    """The consumers that are still to be told of the key in use."""
    return state.telling.untold if state.telling else ()


def _telling(state: SecretState) -> str:
    """What consumers that were not told make of a secret at rest."""
    if any(one.block for one in untold(state)):
        return "consumer not told"
    return "telling" if untold(state) else ""


def _owing(debts: Iterable[Debt], now: datetime) -> str:
    """What the open debts make of a secret at rest."""
    open_debts = list(debts)
    if any(debt.block or unproven(debt) for debt in open_debts):
        return "old key waits"
    replaced = [debt for debt in open_debts if debt.reason is DebtReason.REPLACED]
    if any(debt.not_before is None or debt.not_before > now for debt in replaced):
        return "in grace"
    return "revoking" if open_debts else ""


def paused_until(known: Known | None, now: datetime) -> datetime | None:
    """Until when a person holds the policy; None if nobody does."""
    pause = known.orders.get("pause") if known else None
    return pause.until if pause and pause.until and pause.until > now else None


def provider_of(known: Known | None) -> str:
    """The name of a secret's provider, where its policy is gone."""
    if known is None:
        return ""
    subject = known.rotation or next(iter(known.debts), None)
    return subject.policy.provider.name if subject else known.state.principal.partition("|")[0]


def unproven(debt: Debt) -> bool:
    """Whether nobody has said whose key this debt is: it is never revoked by guess."""
    unknown = debt.provenance is Provenance.UNKNOWN or debt.key_id is None
    return unknown and not debt.phase.ended and is_ours_to_revoke(debt.policy)


def is_ours_to_revoke(policy: Policy) -> bool:
    """Whether rotator is the one to end a policy's keys: not a person, where there is no admin credential to
    do it with, and not the time, which ends tokens.
    """
    return policy.provider.admin is not None and policy.renew is None


def debt_row(debt: Debt) -> DebtRow:
    """A debt, for people."""
    return DebtRow(
        debt=debt.id,
        key_id=debt.key_id,
        reason=str(debt.reason),
        phase=str(debt.phase),
        since=debt.since,
        not_before=debt.not_before,
        blocked=debt.block.reason if debt.block else None,
        version=debt.version,
    )


def untold_row(one: Untold) -> UntoldRow:
    """A consumer that was not told, for people."""
    return UntoldRow(
        consumer=one.consumer.name,
        since=one.since,
        holds=one.holds,
        tries=one.tries,
        next_try=one.look_at,
        error=one.error,
        blocked=one.block.reason if one.block else None,
    )


def acts(policy: Policy | None, known: Known) -> Iterable[Act]:
    """Everything that waits for a person, most urgent first, each thing once."""
    name = policy.name if policy else known.state.policy
    who = (policy.owner if policy else None) or "whoever runs rotator"
    if locked_out(known.state, known.debts) and policy is not None:
        yield Act(who, "the key in use is dead: whoever reads the secret is locked out", _out(policy, known))
    yield from _at_provider(policy, known)
    if known.failed is not None and known.state.block is None and known.provider_block is None:
        yield _failed(known.failed, name, who)
    if policy is not None and known.state.gone:
        todo = "give every worker the same policy files; one that has the policy takes it up within minutes"
        yield Act("whoever runs rotator", "a worker without this policy marked it as deleted", todo)
    if known.state.block is not None:
        yield _of(known.state.block, who)
    yield from (_of(one.block, who) for one in untold(known.state) if one.block)
    for debt in known.debts:
        if debt.block is not None:
            yield _of(debt.block, who)
        elif unproven(debt):
            yield Act(who, "nobody has said which key was replaced", adopt_command(name, debt.key_id))
    if _foreign(policy, known.state):
        assert known.state.current is not None, "a foreign key is a current one"
        todo = adopt_command(name, known.state.current.key_id)
        yield Act(who, "the key in use was there before rotator: unadopted, it is never revoked", todo)
    if policy is None and known.state.current is not None:
        key = known.state.current.key_id or "of unknown id"
        yield Act(who, f"the policy was deleted; key {key} lives on", "revoke it at the provider, or keep it")


def _failed(rotation: Rotation, name: str, who: str) -> Act:
    """A rotation that failed, by the cause and the remedy that it keeps; early records have neither."""
    why = clause(rotation.why or rotation.error or "see its history")
    todo = rotation.todo or f"see each step: rotator history {name}; then: {_run_now(name)}"
    return Act(who, f"the last rotation failed: {why}", todo)


def _at_provider(policy: Policy | None, known: Known) -> Iterable[Act]:
    """What its provider waits for; a token goes on while that is paused."""
    pause = known.provider_pause if policy is None or policy.renew is None else None
    for held in (known.provider_block, pause):
        if held is not None:
            yield Act("whoever runs rotator", held.reason, held.todo)


def _out(policy: Policy, known: Known) -> str:
    """The way to a living key."""
    block = known.provider_block or known.state.block
    if block is not None:
        return block.todo
    if known.rotation is not None or "run" in known.orders:
        return f"another one is ordered: rotator history {policy.name}"
    return _run_now(policy.name)


def _run_now(name: str) -> str:
    return f"rotator run-now {name} --reason TEXT"


def _foreign(policy: Policy | None, state: SecretState) -> bool:
    """Whether the key in use is one that rotator would not revoke, though it could."""
    unknown = state.current is not None and state.current.provenance is Provenance.UNKNOWN
    return unknown and not state.gone and policy is not None and is_ours_to_revoke(policy)


def _of(block: Block, who: str) -> Act:
    return Act(who, block.reason, block.todo)


def adopt_command(name: str, key_id: str | None) -> str:
    """What a person types to tell whose key it is."""
    return f"rotator adopt {name} --key-id {key_id or 'ID'}"


def provider_blocks(facts: Mapping[str, str]) -> dict[str, ProviderBlock]:
    """The blocks of providers by principal, from the facts under ``block:``; not what is tried again."""
    kept = {key: BLOCK.decode(text) for key, text in facts.items()}
    return {
        key.removeprefix("block:"): _provider_block(key, block)
        for key, block in kept.items()
        if not block.lifted
    }


def provider_pauses(facts: Mapping[str, str], since: datetime | None = None) -> dict[str, ProviderBlock]:
    """The pauses of providers that fail, by principal, from the facts under ``failing:``; only of those where
    a secret has failed ``since``.
    """
    kept = {key: FAILING.decode(text) for key, text in facts.items()}
    return {
        key.removeprefix("failing:"): _provider_block(key, one.pause)
        for key, one in kept.items()
        if one.pause and (since is None or one.failed_since(since))
    }


def _provider_block(key: str, kept: Kept) -> ProviderBlock:
    since = kept.since.isoformat()
    return ProviderBlock(key.partition(":")[2], kept.provider, kept.kind, kept.reason, kept.todo, since)
