"""What a rotation does when a step does not go as planned: look again, ask a person, or give up.

Giving up is one commit: the candidate becomes a debt, and the next attempt begins under a new token, or
the rotation fails and the old key stays. Once promote was sent nothing is given up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from rotator import backoff, drilling
from rotator.budgets import FLOOD
from rotator.desk import Desk
from rotator.due import pushes_free_at
from rotator.errors import EffectError, NeedsPerson, Refused, Scope, clause
from rotator.model import (
    Again,
    Attempt,
    Back,
    Block,
    CurrentKey,
    Debt,
    DebtReason,
    KeyRecord,
    Level,
    Phase,
    Policy,
    Provenance,
    Rotation,
    token_for,
)
from rotator.owing import UNADOPTED, afresh, events_of, lives_on, owe, replaced, run_again

Step = Rotation | Again

_NAMED = 20  # keys that a person is told of
_AT_PROVIDER = {"not-as-asked", "not-verified", "wrong-account"}  # what a provider's keys turn out to be
_UNASKED = timedelta(days=1)  # a rotation of the store's own that does not go on for so long is given up
_STUCK = 9  # looks without a step forward, about half an hour, after which people are told
_LOCKED_OUT = 1  # where the key in service is dead they are told at the second look as well


def token(desk: Desk) -> str:
    """A fresh token of this ledger."""
    return token_for(desk.world.ledger.id, desk.world.random_hex())


def fresh_attempt(desk: Desk, number: int, push: str | None = None) -> Attempt:
    """An attempt under a new token; the same token names the version that it will write, unless the store's
    own rotation drew one for that: ``push``.
    """
    drawn = token(desk)
    return Attempt(token=drawn, number=number, push=push or drawn)


def issued_name(rotation: Rotation) -> str:
    """Under what the value that a rotation brings is in memory until the store holds it."""
    return f"issued {rotation.attempt.token}"


def unasked(desk: Desk, rotation: Rotation) -> Step | None:
    """What holds a rotation that the store began: how far it asked to go. Only at its call is a key issued;
    what it does not go on with for a day is given up.
    """
    asked, phase = rotation.asked, rotation.phase
    if phase is not asked and (asked is None or desk.answering or phase is not Phase.PLANNED):
        return None
    until = rotation.began_at + _UNASKED
    if until > desk.now():
        return Again(until)
    return give_up(desk, rotation, "unasked", "the store's own rotation did not go on with it for a day")


def met(desk: Desk, rotation: Rotation, error: EffectError | NeedsPerson) -> Again:
    """A step met an error and nothing is lost: when to take it again, and who is told."""
    if isinstance(error, Refused) and error.permanent:
        error = NeedsPerson(error.kind, error.message, todo=correct(rotation.policy))
    if rotation.drill and rotation.phase is Phase.PLANNED and drilling.hopeless(rotation, error):
        drilling.over(desk, rotation, error.message)
        return Again(desk.now())
    if isinstance(error, NeedsPerson):
        return _blocked(desk, rotation, error)
    now = desk.now()
    look_at = max(now + backoff.after_looks(rotation.looks), error.retry_at or now)
    waiting = replace(
        rotation, looks=rotation.looks + 1, look_at=look_at, error=error.kind, why=error.message
    )
    stuck = rotation.looks == _STUCK or (rotation.looks == _LOCKED_OUT and desk.locked_out())
    level = Level.ALARM if stuck else Level.INFO
    kind = "stuck" if stuck else "retry"
    text = f"{clause(error.message)}; looking again"
    told = desk.event(kind, text, level=level, rotation=rotation, error=error.kind)
    desk.write(rotation=waiting, events=[told], frees=_unused_slot(rotation))
    return Again(look_at)


def push_held(desk: Desk, rotation: Rotation) -> Again | None:
    """Where the secret has had too many versions lately: when there is room for one more; told once."""
    until = pushes_free_at(rotation.policy, desk.state, desk.now(), locked_out=desk.locked_out())
    if until is None:
        return None
    text = f"too many versions of the secret were written lately; going on at {until:%Y-%m-%d %H:%M} UTC"
    told = desk.event("held", text, level=Level.WARNING, rotation=rotation, error=FLOOD)
    waiting = replace(rotation, look_at=until, error=FLOOD, why=text)
    desk.write(
        rotation=waiting, events=[] if rotation.error == FLOOD else [told], frees=_unused_slot(rotation)
    )
    return Again(until)


def correct(policy: Policy) -> str:
    """What to do about a request that can never succeed as it is."""
    return f"correct the policy or the provider's settings, then: {run_again(policy)}"


def _blocked(desk: Desk, rotation: Rotation, error: NeedsPerson) -> Again:
    """A person must act: tell once, look again now and then."""
    state = desk.state
    waiting = replace(rotation, looks=rotation.looks + 1, look_at=None, error=error.kind, why=error.message)
    if (
        error.scope is Scope.PROVIDER
    ):  # its time is the provider's: a fresh credential ends it for all at once
        again, news = desk.block_provider(rotation.policy, error)
    else:
        block, news = desk.block_of(error, state.block)
        again = Again(desk.now() + backoff.while_blocked(rotation.looks))
        state, waiting = replace(state, block=block), replace(waiting, look_at=again.at)
    text = f"{error.message} To do: {error.todo}"
    told = desk.event("blocked", text, level=Level.ALARM, rotation=rotation, error=error.kind)
    desk.trouble = True
    desk.write(state=state, rotation=waiting, events=[told] if news else [], frees=_unused_slot(rotation))
    return again


def _unused_slot(rotation: Rotation) -> list[str]:
    """A slot reserved for a key that was not issued is given back while the rotation waits."""
    return [rotation.attempt.token] if rotation.phase is Phase.PLANNED else []


def give_up(
    desk: Desk,
    rotation: Rotation,
    kind: str,
    why: str,
    *,
    owed: Iterable[Debt] = (),
    blocked: NeedsPerson | None = None,
    last: bool = False,
) -> Step:
    """Give a candidate up: it becomes a debt; the next attempt is planned, or the rotation fails.

    It fails where it is the ``last`` attempt: so is each at the call of a store's own rotation, which begins
    the next.
    """
    if rotation.drill:
        return drilling.over(desk, rotation, why, owed)
    if kind in _AT_PROVIDER:
        desk.provider_fails(rotation.policy, kind)
    if rotation.attempt.promoted_at is not None:
        todo = f"{afresh(desk, rotation.policy)}; this one is to die then"
        return conflict(desk, rotation, kind, f"The key that was to be promoted: {why}", todo)
    debts = [*owed, *_abandoned(desk, rotation)]
    tokens = {debt.token for debt in debts}
    frees = [] if rotation.attempt.token in tokens else [rotation.attempt.token]
    last = last or rotation.policy.target.native or rotation.attempt.number >= backoff.ATTEMPTS
    why = _cause(rotation, why) if blocked is None else why
    if blocked is not None or last:
        return _fail(desk, rotation, kind, why, debts=debts, frees=frees, blocked=blocked)
    number = rotation.attempt.number + 1
    planned = replace(
        rotation,
        phase=Phase.PLANNED,
        attempt=fresh_attempt(desk, number),
        look_at=desk.now() + backoff.after_looks(number),
        looks=0,
        error=kind,
        why=why,
    )
    text = f"attempt {rotation.attempt.number} given up: {why}"
    told = desk.event("given-up", text, level=Level.WARNING, rotation=rotation, error=kind)
    desk.write(rotation=planned, debts=debts, events=[told, *events_of(desk, debts)], frees=frees)
    return planned


def _cause(rotation: Rotation, why: str) -> str:
    """Why a candidate is given up, with the last error that led there: the step that finds it out is often
    not the one that failed.
    """
    return f"{clause(why)} ({clause(rotation.why)})" if rotation.why else why


def value_lost(desk: Desk, rotation: Rotation) -> Step:
    """The store has nothing under the attempt's token: a key that we issued dies; one that a person brought
    is still with that person, who brings it again; one that comes back is still in its old version.
    """
    if rotation.back is None and desk.provider(rotation.policy).traits.issues:
        return give_up(desk, rotation, "value-lost", "its value was lost before it was stored")
    fresh = fresh_attempt(desk, rotation.attempt.number)
    planned = replace(rotation, phase=Phase.PLANNED, attempt=fresh, look_at=None, looks=0)
    told = desk.event("not-stored", "the credential did not reach the store", rotation=rotation)
    desk.write(rotation=planned, events=[told])
    return planned


def repeated(desk: Desk, rotation: Rotation, key_id: str) -> Step:
    """The provider gave the value in service a second id. It is owed, but revoking it might end that value:
    a person must say that it may die.
    """
    policy, now, mine = rotation.policy, desk.now(), rotation.attempt
    key = CurrentKey(mine.push, key_id, Provenance.UNKNOWN, now, mine.token)
    why = f"{policy.provider.name} answered with a new id, {key_id}, and the value of the key in service"
    todo = (
        f"ask the provider what it did; if {key_id} may be revoked and the key in service lives on: "
        f"rotator adopt {policy.name} --key-id {key_id}"
    )
    owed = owe(desk, policy, DebtReason.ABANDONED, key, not_before=now, urgent=True)
    owed = replace(owed, block=Block(UNADOPTED, why, todo, now))
    return give_up(
        desk, rotation, "not-new", why, owed=[owed], blocked=NeedsPerson("not-new", why, todo=todo)
    )


def written_over(desk: Desk, rotation: Rotation) -> Step:
    """The pending version holds another key than the one that was stored: nobody may promote that."""
    secret = rotation.policy.target.secret
    why = (
        f"the pending version of {secret} holds another key than {rotation.attempt.key_id}, which was stored"
    )
    todo = f"see who writes {secret}; then: {run_again(rotation.policy)}"
    return give_up(
        desk, rotation, "written-over", why, blocked=NeedsPerson("written-over", f"{why}.", todo=todo)
    )


def _abandoned(desk: Desk, rotation: Rotation, *, served: bool = False) -> list[Debt]:
    """The debt of an attempt whose key is known: as of a key that was replaced where it was in service
    (``served``), or may have been. A key that a person brought and the store never had is still that
    person's, who brings it again.
    """
    attempt, now = rotation.attempt, desk.now()
    served = served or attempt.doubted
    ours = desk.provider(rotation.policy).traits.issues or attempt.version is not None
    current = desk.state.current
    if rotation.back is not None:
        return _owed_before(desk, rotation.back, served=served)
    if attempt.key_id is None or not ours:
        return []
    if attempt.version and current and lives_on(desk, rotation.policy, attempt.version, current.version):
        return []  # what was given up is a password: its key is the one in service
    # It may be there all the same: then its value can be compared. But a version that the store's own
    # rotation named may be written by the next rotation, with another key.
    unseen = "" if rotation.policy.target.native else attempt.push
    key = CurrentKey(
        attempt.version or unseen,
        attempt.key_id,
        Provenance.ISSUED,
        attempt.promoted_at or now,
        attempt.token,
        expires_at=attempt.expires_at,
        dead_by=attempt.dead_by,
        issued_at=attempt.issued_at,
    )
    if served:
        return list(replaced(desk, rotation, key, not_before=now + rotation.grace))
    return [owe(desk, rotation.policy, DebtReason.ABANDONED, key, not_before=now, urgent=True)]


def _owed_before(desk: Desk, back: Back, *, served: bool) -> list[Debt]:
    """The debt of a key that was to come back: as it was, or its grace begins anew from where it served."""
    debts = [debt for debt in desk.debts() if served and debt.id == back.debt]
    return [replace(debt, not_before=desk.now() + debt.grace, look_at=None) for debt in debts]


def _fail(
    desk: Desk,
    rotation: Rotation,
    kind: str,
    why: str,
    *,
    debts: Sequence[Debt],
    frees: Sequence[str],
    blocked: NeedsPerson | None,
) -> Rotation:
    """End a rotation that could not succeed; the old key stays in service."""
    now, state = desk.now(), desk.state
    block = desk.block_of(blocked, state.block)[0] if blocked else state.block
    again = f"see each step: rotator history {rotation.policy.name}; once the cause is mended: "
    todo = blocked.todo if blocked else again + afresh(desk, rotation.policy)
    failed = replace(rotation, phase=Phase.FAILED, ended_at=now, look_at=None, error=kind, why=why, todo=todo)
    state = replace(state, failures=state.failures + 1, failed_at=now, block=block)
    left = "" if desk.locked_out() else ", the old key stays in service"
    text = f"rotation failed{left}: {clause(why)}. To do: {todo}"
    told = desk.event("failed", text, level=Level.ALARM, rotation=rotation, error=kind)
    events = [told, *events_of(desk, debts)]
    desk.write(state=state, rotation=failed, debts=debts, events=events, frees=frees)
    return failed


def conflict(desk: Desk, rotation: Rotation, kind: str, why: str, todo: str = "") -> Again:
    """Somebody else wrote the secret: tell a person, revoke nothing, keep the candidate.

    Only who was told may order that it is given up: an order that was given before joins first.
    """
    if rotation.phase is not Phase.CONFLICT and "run" in desk.orders():
        desk.write(rotation=replace(rotation, phase=Phase.PROMOTING))
        return Again(desk.now())
    look_at = desk.now() + backoff.while_blocked(rotation.looks)
    waiting = replace(
        rotation, phase=Phase.CONFLICT, looks=rotation.looks + 1, look_at=look_at, error=kind, why=why
    )
    todo = todo or f"see who writes {rotation.policy.target.secret}; then: {afresh(desk, rotation.policy)}"
    block, news = desk.block_of(NeedsPerson(kind, why, todo=todo), desk.state.block)
    told = desk.event("conflict", f"{why} To do: {todo}", level=Level.ALARM, rotation=rotation, error=kind)
    desk.trouble = True
    desk.write(state=replace(desk.state, block=block), rotation=waiting, events=[told] if news else [])
    return Again(look_at)


def refused_before(desk: Desk, rotation: Rotation) -> Again:
    """What a person brought was refused when it was to be promoted: it is not sent again by itself."""
    why = "The key that was to be promoted was refused, and the secret has not changed since."
    known, todo = desk.state.block, f"{afresh(desk, rotation.policy)}; this one is to die then"
    if known is not None:
        return conflict(desk, rotation, known.kind, known.reason, known.todo)
    return conflict(desk, rotation, "not-verified", why, todo)


def supersede(
    desk: Desk,
    rotation: Rotation,
    *,
    old_serves: bool,
    served: bool = False,
    why: str = "a person asked to rotate again",
) -> Rotation:
    """A person asked to rotate again out of a conflict: the candidate is owed, the secret is looked at anew.

    So is the old key, unless the secret still holds it (``old_serves``). A candidate that was in service for
    a while (``served``) is owed as any key that was replaced.
    """
    debts, state = _abandoned(desk, rotation, served=served), replace(desk.state, block=None)
    if not old_serves:
        state = replace(state, current=None)
        if rotation.old is not None:
            debts += replaced(desk, rotation, rotation.old, not_before=desk.now() + rotation.grace)
    ended = replace(rotation, phase=Phase.FAILED, ended_at=desk.now(), look_at=None)
    told = desk.event("superseded", why, rotation=rotation)
    desk.write(state=state, rotation=ended, debts=debts, events=[told, *events_of(desk, debts)])
    return ended


def no_slot(desk: Desk, rotation: Rotation, listed: Sequence[KeyRecord]) -> Step:
    """The principal's live keys are at their limit: wait for our own debts, else ask a person."""
    if rotation.drill:
        return drilling.over(desk, rotation, "the account bears no more keys now")
    policy, live = rotation.policy, [record for record in listed if record.live]
    principal = policy.provider.principal
    owed = [debt for debt in desk.world.ledger.debts() if debt.policy.provider.principal == principal]
    dying = [debt for debt in owed if _can_die(desk, debt)]
    message = f"{policy.provider.name} holds {len(live)} live keys and bears no more"
    if dying:
        look_at = desk.now() + backoff.while_blocked(0)
        text = f"{message}; waiting for {', '.join(debt.key_id or debt.id for debt in dying)} to die"
        told = desk.event("no-slot", text, rotation=rotation)
        waiting = replace(rotation, look_at=look_at, error="no-slot", why=text)
        desk.write(rotation=waiting, events=[] if rotation.error == "no-slot" else [told])
        return Again(look_at)
    needed = {state.current.key_id for state, _ in desk.world.ledger.secrets() if state.current}
    free = [record for record in live if record.key_id not in needed]
    names = ", ".join(f"{record.key_id} ({record.label})" for record in free[:_NAMED])
    more = f" and {len(free) - _NAMED} more" if len(free) > _NAMED else ""
    todo = (
        f"revoke at the provider a key that nobody needs, one of: {names}{more}"
        if free
        else "have the provider raise the limit, or move policies to another account: each key is in service"
    )
    return _blocked(desk, rotation, NeedsPerson("no-slot", f"{message}.", todo=todo))


def _can_die(desk: Desk, debt: Debt) -> bool:
    """Whether a debt will be paid by itself: neither blocked nor known not to die, and not waiting for a
    rotation that may be the one which waits for a slot. That does a leaked key in service, and a replaced one
    whose grace has not begun, or whose secret holds somebody else's key.
    """
    ledger = desk.world.ledger
    if debt.block is not None:
        return False
    if debt.reason is DebtReason.LEAKED and debt.not_before is None:
        return False
    if not debt.reason.of_service or ledger.rotation(debt.secret) is None:
        return True
    state = ledger.secret(debt.secret)
    current = state.current if state else None
    return (
        debt.not_before is not None and current is not None and current.provenance is not Provenance.UNKNOWN
    )
