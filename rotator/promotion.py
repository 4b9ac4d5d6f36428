"""The first story's last step: a verified key becomes current, and from here it only goes forward.

In doubt the store decides. What somebody else wrote is never overwritten: where only other fields of the
object changed, the candidate is staged once more on the fresh object; anything else is a conflict.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import backoff, rollback, setbacks, telling
from rotator.desk import Desk, Held, pushed
from rotator.due import settings_digest
from rotator.durations import text as every
from rotator.errors import Conflict
from rotator.interfaces import Look, Stored
from rotator.keeping import keep_owed, left_by, let_go
from rotator.kinship import keeps_admin, renew_children
from rotator.looking import versions_of
from rotator.model import (
    Again,
    CurrentKey,
    Debt,
    DebtPhase,
    Event,
    Phase,
    Provenance,
    Rotation,
    SecretState,
)
from rotator.owing import events_of, holds_same, in_service_again, lives_on, replaced
from rotator.setbacks import Step

_STALE = timedelta(minutes=5)  # a verification older than this is done again before promoting


def promote(desk: Desk, rotation: Rotation) -> Step:
    """Keep what open debts must read; then promote."""
    now, attempt = desk.now(), rotation.attempt
    held = promote_held(desk, rotation)
    if held is not None:
        return Again(held.until)
    if attempt.verified_at is None or now - attempt.verified_at > _STALE:
        anew = replace(attempt, successes=0, first_success=None, verified_at=None, staged_at=now)
        return replace(rotation, phase=Phase.STAGED, attempt=anew)
    held = keep_owed(desk, rotation) or promote_held(desk, rotation)
    return Again(held.until) if held else promote_now(desk, rotation)


def promote_held(desk: Desk, rotation: Rotation) -> Held | None:
    """What holds the promotion: not the provider, which has no part in it, but a store that has not asked."""
    if rotation.asked not in (None, Phase.PROMOTED):
        return Held("its store has not asked for it yet", desk.now())
    return desk.held(rotation.policy, urgent=rotation.urgent, admin=False)


def promote_now(
    desk: Desk, rotation: Rotation, state: SecretState | None = None, events: Sequence[Event] = ()
) -> Step:
    """Write the intent, with what led to it, and send it."""
    sent = rotation.attempt.promoted_at or desk.now()
    attempt = replace(rotation.attempt, promoted_at=sent, doubted=True)
    promoting = replace(rotation, phase=Phase.PROMOTING, attempt=attempt)
    desk.write(state=replace(state or desk.state, block=None), rotation=promoting, events=events)
    return _send_promote(desk, promoting, doubted=rotation.attempt.doubted)


def _send_promote(desk: Desk, rotation: Rotation, *, doubted: bool) -> Step:
    """Compare and swap against the version recorded when the rotation was planned. Where that is refused it
    is as ``doubted`` as before.
    """
    policy, attempt = rotation.policy, rotation.attempt
    assert attempt.version is not None, "a promoting attempt has a version"
    assert rotation.expected is not None, "a promoting rotation knows what it replaces"
    try:
        now_current = desk.store(policy).promote(policy.target, attempt.version, rotation.expected)
    except Conflict:  # resolved at once the first time, later with a back-off
        pause = desk.now() + backoff.after_looks(rotation.looks) if rotation.looks else None
        attempt = replace(attempt, doubted=doubted)
        beaten = replace(rotation, attempt=attempt, looks=rotation.looks + 1, look_at=pause)
        desk.write(rotation=beaten)
        return beaten
    return _promoted(desk, rotation, now_current)


def resolve(desk: Desk, rotation: Rotation) -> Step:
    """In doubt the store decides: ours, done; still the expected one, send again; else a conflict.

    What is sent again is held and verified as at the first time: the doubt may have lasted for days.
    """
    policy, attempt = rotation.policy, rotation.attempt
    assert attempt.version is not None, "a promoting attempt has a version"
    versions = versions_of(desk, policy)
    if versions.current == attempt.version:
        return _promoted(desk, rotation, attempt.version)
    asked_again = rotation.phase is Phase.CONFLICT and "run" in desk.orders()
    if versions.current == rotation.expected:
        if versions.previous == attempt.version:
            return _put_back(desk, rotation, asked_again=asked_again)
        if asked_again:
            return setbacks.supersede(desk, rotation, old_serves=True)
        if attempt.refused:
            return setbacks.refused_before(desk, rotation)
        return promote(desk, replace(rotation, phase=Phase.VERIFIED))
    return _written_by_others(desk, rotation, versions, asked_again=asked_again)


def _put_back(desk: Desk, rotation: Rotation, *, asked_again: bool) -> Step:
    """Ours came into service before we heard of it, and somebody put back what it had replaced: they had a
    reason, so it is not promoted again. It was read meanwhile: when it is to die, it has its grace.
    """
    if asked_again:
        return setbacks.supersede(desk, rotation, old_serves=True, served=True)
    why = f"key {rotation.attempt.key_id} was in service, and somebody put back what the secret held before."
    return setbacks.conflict(desk, rotation, "put-back", why)


def _written_by_others(desk: Desk, rotation: Rotation, versions: Look, *, asked_again: bool) -> Step:
    """Another version than the expected one is current: our fields of it say what that means."""
    policy, attempt = rotation.policy, rotation.attempt
    current = desk.version(policy, versions.current) if versions.current else None
    candidate = desk.version(policy, attempt.version or "")
    before = desk.version(policy, rotation.expected or "")
    if current and candidate and holds_same(desk, policy, current, candidate):
        return _promoted(desk, rotation, current.version)
    if current and candidate and before and holds_same(desk, policy, current, before):
        replaced_it = desk.version(policy, versions.previous) if versions.previous else None
        if replaced_it and holds_same(desk, policy, replaced_it, candidate):
            return _put_back(desk, rotation, asked_again=asked_again)
        if policy.target.native:  # its version has the one name that the store will look for
            why = "other fields of the secret changed: the store's own rotation begins anew on them"
            return setbacks.supersede(desk, rotation, old_serves=True, why=why)
        return _restage(desk, rotation, candidate, onto=current)
    if asked_again:
        return setbacks.supersede(desk, rotation, old_serves=False)
    return setbacks.conflict(desk, rotation, "conflict", "somebody else wrote the secret meanwhile.")


def _restage(desk: Desk, rotation: Rotation, candidate: Stored, *, onto: Stored) -> Step:
    """Only other fields of the object changed: write the candidate over the fresh object, verify again."""
    held = promote_held(desk, rotation)
    waits = Again(held.until) if held else setbacks.push_held(desk, rotation)
    if waits is not None:
        return waits
    push = setbacks.token(desk)
    intent = replace(rotation, phase=Phase.PROMOTING, attempt=replace(rotation.attempt, push=push))
    told = desk.event("restaged", "other fields of the secret changed: staging on them", rotation=intent)
    desk.write(state=pushed(rotation.policy, desk.state, desk.now()), rotation=intent, events=[told])
    stored = desk.store(rotation.policy).stage(rotation.policy.target, candidate.credential, push, onto)
    desk.memory.keep(desk.state.id, stored.version, stored, desk.now())
    attempt = replace(
        intent.attempt,
        version=stored.version,
        staged_at=desk.now(),
        successes=0,
        first_success=None,
        verified_at=None,
        promoted_at=None,  # this version was never sent: it may be given up
        refused=False,
    )
    staged = replace(
        intent, phase=Phase.STAGED, expected=onto.version, attempt=attempt, looks=0, look_at=None
    )
    desk.write(rotation=staged)
    return staged


def _promoted(desk: Desk, rotation: Rotation, version: str) -> Rotation:
    """The new key is current: in one commit the rotation ends, the old key's debt begins, and consumers are
    to be told.

    Its tokens are due before: whoever is killed in between leaves a rotation that comes here once more.
    """
    now, policy, attempt = desk.now(), rotation.policy, rotation.attempt
    ended = replace(rotation, phase=Phase.PROMOTED, ended_at=now, look_at=None, error=None, why="")
    state = _in_service(desk, rotation, version, now)
    if rotation.back is not None:
        state = rollback.returned(desk, state, rotation.back)
    current = state.current
    assert current is not None, "what was promoted is current"
    waits = rotation.replicated or bool(telling.holding(state))  # for replicas, and who must be told
    begins = None if waits else now + rotation.grace
    old = rotation.old
    stays = old is not None and lives_on(desk, policy, old.version, version)
    debts = replaced(desk, rotation, old, not_before=begins) if old and not stays else []
    if rotation.back is not None:
        rollback.hold(desk, rotation, rotation.back)  # before this rotation ends, as its tokens
    if desk.world.ledger.children(desk.state.id):  # they learn of it before this rotation ends
        desk.write(state=replace(desk.state, current=current))
        renew_children(desk)
    over = in_service_again(desk, rotation, current)
    grace = debts[0].grace if debts else rotation.grace
    text = f"key {attempt.key_id} is current; grace of the old one: {every(grace)}"
    if rotation.back is not None:
        text = f"key {attempt.key_id} is current again; grace of the newer one: {every(grace)}"
    if stays:
        text = f"key {attempt.key_id} is current as before; the old password ended with the change"
    told = desk.event("promoted", text, rotation=ended, key_id=attempt.key_id)
    again = _grace_anew(desk, [*over, *debts]) if telling.holding(state) else []
    events = [told, *events_of(desk, debts)]
    desk.write(state=left_by(state, over), rotation=ended, debts=[*again, *over, *debts], events=events)
    let_go(desk)
    if keeps_admin(desk, policy):
        desk.world.renewed(policy.provider)  # this is the secret that holds its admin credential
    return ended


def _in_service(desk: Desk, rotation: Rotation, version: str, now: datetime) -> SecretState:
    """The secret's state with the key that a rotation issued in service."""
    attempt = rotation.attempt
    moved = rotation.policy if rotation.policy.provider.principal != desk.state.principal else None
    current = CurrentKey(
        version,
        attempt.key_id,
        Provenance.ISSUED,
        now,
        attempt.token,
        expires_at=attempt.expires_at,
        dead_by=attempt.dead_by,
        made_with=attempt.made_with,
        made_from=attempt.made_from,
        issued_at=attempt.issued_at,
        under=moved,
    )
    return replace(
        desk.state,
        current=current,
        holds=None,
        rotated_at=now,
        settings=settings_digest(rotation.policy),
        failures=0,
        failed_at=None,
        block=None,
        telling=telling.begun(desk.state, rotation, current),
    )


def _grace_anew(desk: Desk, others: Sequence[Debt]) -> list[Debt]:
    """Keys that were replaced before and are still in their grace: a consumer that was not told may use one
    of them, so their grace begins once more when it is.
    """
    known = {debt.id for debt in others}
    return [
        replace(debt, not_before=None)
        for debt in desk.debts()
        if debt.reason.of_service and debt.phase is DebtPhase.OWED and debt.id not in known
    ]
