"""Back to the previous credential, while it lives: written into a fresh version, never by moving a label.

It enters the first story where an issued key would be staged, and from there everything is as for a new
key: what the store holds is verified, promote is compare-and-swap. Until the key is in service again its debt
stays as it is, and is not paid; then the debt is void, and the key that was rolled back is owed instead.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from rotator import breaker, safe_mode
from rotator.desk import Desk, holds_nothing, pushed
from rotator.due import settings_digest
from rotator.errors import Unknown
from rotator.interfaces import Stored
from rotator.looking import unspent, versions_of
from rotator.model import (
    Again,
    Back,
    Credential,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    Level,
    Order,
    Phase,
    Policy,
    Rotation,
    SecretState,
    Verdict,
)
from rotator.owing import MANY, holds_same, is_of, run_again
from rotator.setbacks import Step, issued_name, push_held

NOT_ROLLED_BACK = "not-rolled-back"
PAUSE = timedelta(hours=24)


class NotPossible(Exception):
    """Why there is no way back, as a sentence for the person who asked: nothing was changed."""


# --- is there a way back ---------------------------------------------------------------------------------


def previous(
    policy: Policy, state: SecretState, rotations: Sequence[Rotation], debts: Sequence[Debt]
) -> Debt:
    """The debt of the key that the newest promotion replaced. Pure; raises NotPossible.

    ``rotations`` are the secret's newest first, ``debts`` all of its debts, ended ones too.
    """
    _suited(policy, rotations)
    last = next((one for one in rotations if one.phase is Phase.PROMOTED), None)
    if last is None or last.old is None:
        raise NotPossible("rotator has replaced no key of it, so that there is none to go back to")
    current = state.current
    if state.holds is not None or current is None or current.key_id != last.attempt.key_id:
        raise NotPossible(
            "the secret holds another key than the one that rotator promoted last. To do: see who wrote "
            f"{policy.target.secret}; then: {run_again(policy)}"
        )
    debt = next((one for one in debts if _is_of(one, last)), None)
    if debt is None or debt.phase.ended or debt.phase is DebtPhase.REVOKING or debt.version is None:
        raise NotPossible(f"no old key lives: {_became(last.old, debt)}. A new one: {run_again(policy)}")
    if debt.reason is DebtReason.LEAKED:
        raise NotPossible(f"key {debt.key_id or 'of unknown id'} leaked. A new one: {run_again(policy)}")
    if debt.policy.provider.principal != policy.provider.principal:
        raise NotPossible(
            f"key {debt.key_id} is of another account ({debt.policy.provider.name}): the policy moved since"
        )
    return debt


def _suited(policy: Policy, rotations: Sequence[Rotation]) -> None:
    """Whether its kind can be rolled back, and nothing is under way."""
    if policy.renew is not None:
        raise NotPossible(f"it is a token, of which the old one is no use. A new one: {run_again(policy)}")
    if policy.target.native:
        raise NotPossible(
            "Secrets Manager's own rotation writes each version of it. To do: set trigger: schedule in the "
            "policy, then roll back"
        )
    live = next((one for one in rotations if not (one.phase.ended or one.drill)), None)
    if live is not None:
        raise NotPossible(
            f"a rotation of it is under way ({live.phase}). To do: wait for its end, see rotator status "
            f"{policy.name}; then roll back"
        )


def _is_of(debt: Debt, last: Rotation) -> bool:
    """Whether a debt is of the key that a rotation replaced."""
    old = last.old
    same = old is not None and debt.version == old.version and debt.key_id == old.key_id
    return same and debt.reason.of_service


def _became(old: CurrentKey, debt: Debt | None) -> str:
    """What became of the key before, for people."""
    name = f"key {old.key_id or 'of unknown id'}"
    if debt is None:
        return f"{name} is owed no more"
    words = {
        DebtPhase.REVOKING: "is being revoked",
        DebtPhase.DEAD: f"is proven dead since {debt.ended_at:%Y-%m-%d %H:%M} UTC" if debt.ended_at else "",
        DebtPhase.SETTLED: "was declared dead",
        DebtPhase.VOID: "is in service",
    }
    return f"{name} {words.get(debt.phase, 'has no version that it could be read from')}"


def found(desk: Desk, policy: Policy) -> Debt:
    """The same, by the ledger as it is. Raises NotPossible."""
    ledger, secret = desk.world.ledger, desk.state.id
    if safe_mode.current(ledger) is not None:
        raise NotPossible(
            "the ledger is older than the world, and may not know which key is the previous one. "
            "To do: rotator reconcile"
        )
    return previous(policy, desk.state, ledger.rotations(secret, MANY), ledger.debts(secret, ended=True))


def refuse(desk: Desk, order: Order, why: str) -> None:
    """An order that cannot be carried out ends, and the history says why."""
    text = f"not rolled back, since {why}"
    told = desk.event(NOT_ROLLED_BACK, text, level=Level.WARNING, error=NOT_ROLLED_BACK)
    desk.write(events=[told], orders_done=[order])


# --- planned: the old key must work, and its value be readable -------------------------------------------


def enter(desk: Desk, rotation: Rotation, back: Back) -> Step:
    """Look at both versions, try the old key, write the intent; then its value is staged as a new one's."""
    held = _held(desk, rotation)
    if held is not None:
        return held
    try:
        entering, value = _looked(desk, rotation, back)
    except NotPossible as error:
        return end(desk, rotation, str(error))
    held = _held(desk, entering)
    if held is not None:
        return held
    told = desk.event("rolling-back", f"key {entering.attempt.key_id} is to come back", rotation=entering)
    desk.write(state=pushed(rotation.policy, desk.state, desk.now()), rotation=entering, events=[told])
    desk.memory.keep(desk.state.id, issued_name(entering), value, desk.now())
    return entering


def _held(desk: Desk, rotation: Rotation) -> Again | None:
    """What holds a version that is about to be written: the provider has no part in it."""
    held = desk.held(rotation.policy, urgent=rotation.urgent, admin=False)
    return Again(held.until) if held else push_held(desk, rotation)


def _looked(desk: Desk, rotation: Rotation, back: Back) -> tuple[Rotation, Stored]:
    """The rotation as it enters the story, and the old value over the object as it is. Raises NotPossible."""
    policy, now = rotation.policy, desk.now()
    debt = desk.world.ledger.debt(back.debt)
    if debt is None or debt.phase is not DebtPhase.OWED:
        raise NotPossible("the old key is owed no more")
    if debt.reason is not DebtReason.REPLACED:
        raise NotPossible(f"key {debt.key_id} leaked meanwhile")
    versions = versions_of(desk, policy)
    onto = desk.store(policy).read(policy.target, versions.current) if versions.current else None
    if onto is None:
        raise Unknown("version-missing", "the store does not show the version that is current")
    rotation = unspent(desk, rotation, versions.versions)
    old = _serving(desk, policy, onto)
    value = _value(desk, policy, debt, onto)
    attempt = replace(rotation.attempt, key_id=debt.key_id, issued_at=now)
    entering = replace(
        rotation,
        phase=Phase.ISSUED,
        attempt=attempt,
        expected=onto.version,
        old=old,
        replicated=versions.replicated,
        look_at=None,
        looks=0,
    )
    return entering, value


def _serving(desk: Desk, policy: Policy, onto: Stored) -> CurrentKey:
    """The key in service, which must be the one that the ledger knows: it is owed once it is replaced."""
    known = desk.state.current
    promoted = desk.version(policy, known.version) if known and known.version != onto.version else onto
    if known is None or promoted is None or not holds_same(desk, policy, onto, promoted):
        raise NotPossible(
            "the secret holds another key than the one that rotator promoted last: somebody wrote "
            f"{policy.target.secret}"
        )
    return replace(known, version=onto.version)


def _value(desk: Desk, policy: Policy, debt: Debt, onto: Stored) -> Stored:
    """The old key's value, tried at the provider. Raises NotPossible."""
    traits = desk.provider(policy).traits
    stored = desk.version(policy, debt.version or "")
    readable = stored is not None and is_of(desk, policy, stored, debt.key_id)
    if stored is None or not readable or holds_nothing(stored.credential, traits.secret_fields):
        raise NotPossible(
            f"the store no longer holds the value of key {debt.key_id} (version {debt.version})"
        )
    probe = breaker.verified(desk, policy, stored.credential)
    if probe.verdict is Verdict.DEAD:
        raise NotPossible(
            f"{policy.provider.name} refuses key {debt.key_id}: {probe.why or 'it is not valid'}"
        )
    if probe.verdict is Verdict.UNKNOWN:
        raise Unknown("no-clear-answer", f"the old key's probe gives no clear answer: {probe.why}")
    # A field that only the newer version has must not stay beside the old key's.
    empty = dict.fromkeys(onto.credential.names, "") | {traits.id_field: debt.key_id or ""}
    ours = {name: text for name, text in empty.items() if name in onto.credential.names}
    return replace(onto, credential=Credential(ours | stored.credential.reveal()))


def end(desk: Desk, rotation: Rotation, why: str) -> Rotation:
    """There is no way back any more, or nobody wants it: the rotation ends, and nothing was changed."""
    over = replace(rotation, phase=Phase.FAILED, ended_at=desk.now(), look_at=None, error=NOT_ROLLED_BACK)
    text = f"not rolled back, since {why}"
    told = desk.event(NOT_ROLLED_BACK, text, level=Level.WARNING, rotation=over, error=NOT_ROLLED_BACK)
    desk.write(rotation=over, events=[told], frees=[rotation.attempt.token])
    return over


# --- promoted --------------------------------------------------------------------------------------------


def returned(desk: Desk, state: SecretState, back: Back) -> SecretState:
    """The state with the old key in service again: whose it is, how old, and its settings as they were."""
    debt, current = desk.world.ledger.debt(back.debt), state.current
    assert debt is not None, "a debt is never forgotten"
    assert current is not None, "what was promoted is current"
    rotations = desk.world.ledger.rotations(state.id, MANY)
    made = next((one for one in rotations if one.back is None and one.attempt.token == debt.token), None)
    back_again = replace(
        current,
        key_id=debt.key_id,
        provenance=debt.provenance,
        token=debt.token,
        issued_at=debt.issued_at,
    )
    return replace(
        state,
        current=back_again,
        rotated_at=debt.served or state.rotated_at,
        settings=settings_digest(made.policy) if made else None,
    )


def hold(desk: Desk, rotation: Rotation, back: Back) -> None:
    """Pause the policy, or its schedule would replace the old key at once; what is owed dies all the same. A
    longer pause from before goes on as such a one.

    Not where a person has asked for a new key meanwhile, or for another pause. May be called twice.
    """
    orders, now = desk.orders(), desk.now()
    until, before = now + back.rest, orders.get("pause")
    if "run" in orders:
        return
    pause = Order("pause", back.by, f"rolled back: {rotation.reason}", now, until=until, new_only=True)
    if before is not None and (before.until is None or before.until >= until):
        in_spite = back.at is not None and before.at <= back.at
        pause = replace(before, new_only=before.new_only or in_spite)
    if pause != before:
        desk.world.ledger.give(desk.state.id, pause)
