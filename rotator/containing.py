"""A key that leaked: it is owed while it is in service, and may have to die before there is another one.

    owed, in service -> another one is in use -> revoked -> dead            continuity first
    owed, in service -> revoked -> refused or dead -> another one is issued contain first

An order tells that a key leaked. Its debt is written in the commit that takes the order up, so that the key
is owed whatever becomes of the rotation. Contained is only the key that the secret held when the order was
taken up, and only one that we issued or that a person adopted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from rotator import blocks
from rotator.budgets import NO_SLOT
from rotator.desk import Desk
from rotator.due import pushes_free_at
from rotator.errors import NeedsPerson
from rotator.kinship import keeps_admin
from rotator.looking import keys_listed, versions_of, witness
from rotator.model import (
    Again,
    Credential,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    Order,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
)
from rotator.owing import afresh, identify, owe

IN_SERVICE = "leaked-in-service"  # the block of a leaked key that no rotation is about to replace
FIRST = timedelta(minutes=10)  # for a key to die before another one is issued all the same
_SOON = timedelta(minutes=1)
_NEXT = timedelta(days=1)  # an order, or the end of a rotation, makes the secret due at once
_STAGED = (Phase.ISSUED, Phase.STAGED, Phase.VERIFIED)
_OVER = (DebtPhase.DEAD, DebtPhase.SETTLED)


# --- an order is taken up --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owed:
    """The debt of the key in service, and the settings that its successor is asked with where it dies first:
    the provider may not tell them any more then.
    """

    debts: tuple[Debt, ...] = ()
    wanted: Mapping[str, Any] = field(default_factory=dict)


NOTHING_OWED = Owed()


def owed(desk: Desk, policy: Policy, run: Order, live: Rotation | None = None) -> Owed:
    """What an order owes that says that the key in service leaked: to be written with the commit that takes
    the order up.

    A token is none of ours to end, and what a person revokes does not die first. Raises EffectError and
    NeedsPerson; this also where a key would be contained that could have no successor.
    """
    traits = desk.provider(policy).traits
    contains = run.contain and traits.revokes
    if traits.expires or not (contains or _serving(desk, run)):
        return NOTHING_OWED
    promoting = live is not None and live.phase is Phase.PROMOTING
    key = live.old if live is not None and promoting else _in_service(desk, policy)
    if key is None or key.contained:
        return NOTHING_OWED
    now, grace = desk.now(), run.grace if run.grace is not None else policy.grace
    contain = contains and not promoting and not keeps_admin(desk, policy)
    not_before = now if contain else None
    debt = owe(desk, policy, DebtReason.LEAKED, key, grace=grace, not_before=not_before, urgent=True)
    wanted = _wanted(desk, policy, key) if contain else {}
    return Owed((replace(debt, contain=contain, leaked_fields=run.leaked_fields),), wanted)


def known_to_others(desk: Desk, credential: Credential) -> tuple[str, ...]:
    """The fields in which a credential is still the key that leaked."""
    found: list[str] = []
    for debt in desk.debts():
        old = desk.version(debt.policy, debt.version) if debt.leaked_fields and debt.version else None
        if old is not None:
            found += [name for name in debt.leaked_fields if credential.same(old.credential, [name])]
    return tuple(dict.fromkeys(found))


def leaked_fields(desk: Desk) -> tuple[str, ...]:
    """What others know of keys that leaked and live, where it was said."""
    return tuple(dict.fromkeys(name for debt in desk.debts() for name in debt.leaked_fields))


def _wanted(desk: Desk, policy: Policy, key: CurrentKey) -> Mapping[str, Any]:
    """The settings of a key's successor, from its record while there is one."""
    listed = keys_listed(desk, policy)
    record = next((one for one in listed if one.key_id == key.key_id), None)
    return desk.provider(policy).wanted(policy.key, record)


def _in_service(desk: Desk, policy: Policy) -> CurrentKey | None:
    """The key that the secret holds now, read afresh; the provider's list may tell that it is ours."""
    onto = desk.store(policy).read(policy.target)
    if onto is None:
        return None
    witness(desk, policy.target.secret, [onto.version])
    key = identify(desk, policy, onto)
    if key is None or key.provenance is not Provenance.UNKNOWN:
        return key
    return identify(desk, policy, onto, keys_listed(desk, policy))


def unwanted(desk: Desk, live: Rotation, run: Order) -> str | None:
    """Why the key that is about to come into service is one that an order ends; None: it is not. One that
    comes back is as old as it was, or as nobody knows, and its debt tells where it was found.
    """
    attempt, back = live.attempt, desk.world.ledger.debt(live.back.debt) if live.back else None
    versions = {attempt.version, attempt.push, back.version if back else None}
    if not versions.isdisjoint(run.leaked_versions):
        return "its key leaked"
    before, issued = run.issued_before, back.born if back else attempt.issued_at
    if before is None or (issued is not None and issued >= before):
        return None
    if issued is None:
        return "nobody knows when its key was issued" if back else None
    return f"its key was issued before {before:%Y-%m-%d %H:%M:%S} UTC"


def is_all(live: Rotation, run: Order) -> bool:
    """Whether an order is about the key alone that is about to come into service, which leaked."""
    left = set(run.leaked_versions) - {live.attempt.version, live.attempt.push}
    return not (run.issued_before or run.rotates or left)


def may_be_given_up(live: Rotation) -> bool:
    """Whether a candidate that an order ends never comes into service; else it is replaced once it did."""
    return live.phase in _STAGED and live.attempt.promoted_at is None


@dataclass(frozen=True, slots=True)
class Hurried:
    """What an order is about that is out of service: its debts without their grace, but for those that had
    none; ``all``: nothing is to be rotated, since it is about nothing else.
    """

    debts: tuple[Debt, ...] = ()
    all: bool = False


def hurried(desk: Desk, run: Order, live: Rotation | None) -> Hurried:
    """The keys of an order that are out of service by now: those that leaked, or, where the key in service is
    young enough, those before it.
    """
    if run.leaked_versions:
        out = _out_of_service(desk, run)
        debts = tuple(_as_leaked(desk, debt) for debt in out if not _hurries(debt))
        every = {debt.version for debt in out} >= set(run.leaked_versions)
        return Hurried(debts, every and not run.rotates)
    if (live is not None and not live.drill) or not _young(desk, run):
        return Hurried()
    old = (debt for debt in desk.debts() if debt.reason.of_service and not in_service(desk, debt))
    return Hurried(tuple(hurry(debt, desk, run.grace) for debt in old if _longer(debt, run.grace)), all=True)


def _hurries(debt: Debt) -> bool:
    """Whether a debt is over, or as a leaked key's is that is out of service."""
    known = debt.reason is not DebtReason.REPLACED and debt.urgent and not debt.grace
    return known or debt.phase.ended


def _as_leaked(desk: Desk, debt: Debt) -> Debt:
    reason = DebtReason.LEAKED if debt.reason.of_service else debt.reason
    return hurry(replace(debt, reason=reason), desk)


def _longer(debt: Debt, grace: timedelta | None) -> bool:
    return grace is not None and debt.grace > grace


def _young(desk: Desk, run: Order) -> bool:
    """Whether the key in service was issued when an order says, or later."""
    issued, before = desk.state.issued_at, run.issued_before
    return issued is not None and before is not None and issued >= before


def _out_of_service(desk: Desk, run: Order) -> list[Debt]:
    """The debts of an order's leaked keys that are not in service, nor on their way there."""
    every = desk.world.ledger.debts(desk.state.id, ended=True)
    named = [debt for debt in every if debt.version in run.leaked_versions and not in_service(desk, debt)]
    return [debt for debt in named if not debt.phase.ended or debt.phase in _OVER]


def _serving(desk: Desk, run: Order) -> bool:
    """Whether a key that leaked may be in service: it is among none that are out of it."""
    if not run.leaked_versions:
        return False
    return not {debt.version for debt in _out_of_service(desk, run)} >= set(run.leaked_versions)


def hurry(debt: Debt, desk: Desk, grace: timedelta | None = None) -> Debt:
    """A debt with less grace, or none; one whose grace has not begun waits for its replicas all the same."""
    now, least = desk.now(), grace or timedelta(0)
    sooner = max(now, debt.not_before - (debt.grace - least)) if debt.not_before and least else now
    not_before = sooner if debt.not_before else None
    return replace(debt, urgent=True, grace=least, not_before=not_before, look_at=None)


# --- what waits for what ---------------------------------------------------------------------------------


def dies_first(desk: Desk) -> Again | None:
    """What a rotation waits for before it issues: the death of the key that is contained. Not for ever, and
    not for a person, nor for what the key itself is spared for: the old key lives then, and a new one is
    needed all the more.
    """
    debt = next((debt for debt in desk.debts() if debt.contain and debt.not_before is not None), None)
    if debt is None or debt.refused_at is not None or debt.block is not None or _spared(desk, debt):
        return None
    assert debt.not_before is not None, "a key that is contained may die at once"
    until = debt.not_before + FIRST
    return Again(until) if until > desk.now() else None


def waits_for_next(desk: Desk, debt: Debt) -> Again | None:
    """What the debt of a leaked key waits for while the key is in service: its successor. One that is to die
    first waits where it could have none.

    Raises NeedsPerson where nothing is under way that would bring one.
    """
    spared = _spared(desk, debt)
    if debt.reason is not DebtReason.LEAKED or (debt.not_before is not None and not spared):
        return None
    if desk.rotation() is not None or "run" in desk.orders():
        return Again(desk.now() + (_SOON if spared else _NEXT))
    if not in_service(desk, debt):
        return None
    why = f"key {debt.key_id or 'of unknown id'} leaked, and is still in service."
    raise NeedsPerson(IN_SERVICE, why, todo=afresh(desk, debt.policy))


def _spared(desk: Desk, debt: Debt) -> bool:
    """Whether a key that is to die first lives on, since it could have no successor, as far as is known: a
    person must act first, but not to make room for one more key; or its secret has had too many versions.
    """
    if not debt.contain or debt.not_before is None or debt.revoked_at is not None:
        return False
    live, block = desk.rotation(), desk.state.block
    if live is None or (block is not None and block.kind != NO_SLOT):
        return True
    if live.phase is not Phase.PLANNED:
        return False
    full = pushes_free_at(debt.policy, desk.state, desk.now(), locked_out=True) is not None
    return full or blocks.forbids(desk.world.ledger, debt.policy, "issue")


def must_be_followed(desk: Desk, debt: Debt) -> None:
    """Look whether the store would take a successor, just before a key dies first. Raises NeedsPerson where a
    person must act for that, and EffectError.
    """
    live = desk.rotation()
    if debt.contain and debt.revoked_at is None and (live is None or live.phase is Phase.PLANNED):
        versions_of(desk, debt.policy)


def in_service(desk: Desk, debt: Debt) -> bool:
    """Whether a debt's key is the one that the secret holds, as the ledger knows it."""
    current = desk.state.current
    if current is None:
        return False
    return current.version == debt.version or current.key_id == debt.key_id is not None


def after_death(state: SecretState, debt: Debt) -> SecretState:
    """The state to be written with the end of a debt: a key that was contained is dead, and still there."""
    current = state.current
    if not debt.contain or current is None or current.key_id != debt.key_id:
        return state
    return replace(state, current=replace(current, contained=True))
