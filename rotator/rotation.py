"""The first story: a new key is brought into service.

    planned -> issuing -> issued -> staged -> verified -> promoting -> promoted
       ^          |          |         |                      |
       +----------+----------+---------+                   conflict
        given up: the candidate becomes a debt; the next attempt, or failed

Each step looks before it acts, commits what it is about to do before it does it, and may be killed at any
line: whoever calls :func:`advance` next goes on from what the ledger, the provider and the store say.
From ``promoting`` the story only goes forward: :mod:`rotator.promotion` is its last page.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rotator import backoff, breaker, drilling, rollback, setbacks
from rotator.budgets import FLOOD
from rotator.containing import NOTHING_OWED, Owed, dies_first, leaked_fields
from rotator.desk import Desk, holds_nothing, pushed
from rotator.durations import text as every
from rotator.errors import Conflict, EffectError, NeedsPerson, NotSent, Refused, Unknown
from rotator.interfaces import Stored
from rotator.keeping import keep_owed
from rotator.kinship import dead_by, minted_with
from rotator.looking import keys_listed, look, must_be_unstaged, owe_found, seed, slot
from rotator.model import (
    Again,
    Back,
    Ended,
    KeyRecord,
    Order,
    Phase,
    Policy,
    Probe,
    Rotation,
    Verdict,
    label_for,
)
from rotator.owing import accounted, events_of, is_of, strays_of
from rotator.promotion import promote, promote_held, promote_now, resolve
from rotator.setbacks import Step, issued_name
from rotator.verifying import Objection, counted, probed, repeats

_UNSEEN = 2  # reads that may miss a version which was written, before its value counts as lost


def begin(
    desk: Desk,
    policy: Policy,
    reason: str,
    orders: Sequence[Order] = (),
    *,
    push: str | None = None,
    owed: Owed = NOTHING_OWED,
    back: Back | None = None,
    drill: bool = False,
) -> Rotation:
    """Write down that a rotation has begun, by these orders; nothing outside has happened yet.

    ``push`` names its version where the store's own rotation drew that; it goes as far as that asks. What is
    ``owed`` already is the key in service, where the orders say that it leaked. ``back`` is the key before,
    where a person wants that one. The key of a ``drill`` is only tried.
    """
    run = next((order for order in orders if order.kind in ("run", "rollback", "drill")), None)
    rotation = Rotation(
        id=desk.world.random_hex(),
        secret=desk.state.id,
        policy=policy,
        reason=reason,
        began_at=desk.now(),
        phase=Phase.PLANNED,
        attempt=setbacks.fresh_attempt(desk, 1, push),
        asked=None if push is None else Phase.STAGED,
        grace=run.grace if run and run.grace is not None else policy.grace,
        urgent=run is not None or desk.locked_out(),
        wanted=owed.wanted,
        back=back,
        drill=drill,
    )
    began = desk.event("began", f"{'drill' if drill else 'rotation'} began: {reason}", rotation=rotation)
    events = [began, *events_of(desk, owed.debts)]
    desk.write(rotation=rotation, debts=owed.debts, events=events, orders_done=orders)
    return rotation


def advance(desk: Desk, rotation: Rotation) -> Again | Ended:
    """Take a rotation as far as it goes now: to its end, or until there is something to wait for."""
    steps: dict[Phase, Callable[[Desk, Rotation], Step]] = {
        Phase.PLANNED: _plan,
        Phase.ISSUING: _sweep,
        Phase.ISSUED: _stage,
        Phase.STAGED: _verify,
        Phase.VERIFIED: promote,
        Phase.PROMOTING: resolve,
        Phase.CONFLICT: resolve,
    }
    rotation = desk.memory.counted(rotation, desk.now())
    while not rotation.phase.ended:
        if rotation.look_at is not None and rotation.look_at > desk.now() and not _room_since(desk, rotation):
            return Again(rotation.look_at)
        try:
            answer = setbacks.unasked(desk, rotation) or steps[rotation.phase](desk, rotation)
        except (EffectError, NeedsPerson) as error:
            answer = setbacks.met(desk, desk.world.ledger.rotation(rotation.secret) or rotation, error)
        if isinstance(answer, Again):
            return answer
        rotation = answer
    return Ended()


def _room_since(desk: Desk, rotation: Rotation) -> bool:
    """Whether there may be room for one more version before its time: its key has died since."""
    return rotation.phase is Phase.PLANNED and rotation.error == FLOOD and desk.locked_out()


# --- planned: look, sweep, reserve a slot ----------------------------------------------------------------


def _plan(desk: Desk, rotation: Rotation) -> Step:
    """Look at the store and the provider; owe strays; take a slot; then issue."""
    policy = rotation.policy
    if rotation.back is not None:
        return rollback.enter(desk, rotation, rotation.back)
    held = dies_first(desk) or _begins(desk, rotation)
    if held is not None:
        return held
    traits = desk.provider(policy).traits
    if not traits.issues:
        why = f"{policy.provider.name} has no key API: a person issues the new key."
        known = " and ".join(leaked_fields(desk))
        also = (
            f"Others know its {known}, which leaked: whatever else is said, have that changed. "
            if known
            else ""
        )
        todo = f"{also}{traits.todo_issue} Then: rotator submit {policy.name}"
        raise NeedsPerson("a-person-must-issue", why, todo=todo)
    seen = look(desk, rotation)
    if seen is None and rotation.drill:
        return drilling.over(desk, rotation, "the secret has no version yet, so that nothing is known of it")
    if seen is None:
        return _begins(desk, rotation) or seed(desk, rotation)
    if not rotation.drill:
        owe_found(desk, seen)
    if not slot(desk, seen):
        return setbacks.no_slot(desk, seen.rotation, seen.listed)
    return _issue(desk, seen.rotation, seen.onto, seen.listed)


def _begins(desk: Desk, rotation: Rotation) -> Again | None:
    """What holds a key that is about to be issued: asked before anything is read, and once more just before
    it is, since from there to the store nothing may hold it.
    """
    held = desk.held(rotation.policy, urgent=rotation.urgent, begins=True)
    if held is not None:
        return Again(held.until)
    return None if rotation.drill else setbacks.push_held(desk, rotation)


# --- issuing: one effect from here to the store ----------------------------------------------------------


def _issue(desk: Desk, rotation: Rotation, onto: Stored, listed: Sequence[KeyRecord]) -> Step:
    """Write the intent, have the provider issue, write the key's id, stage its value."""
    now, policy = desk.now(), rotation.policy
    provider = desk.provider(policy)
    made_with = minted_with(desk, policy)
    attempt = replace(rotation.attempt, issued_at=now, made_with=made_with, made_from=policy.parent)
    intent = replace(rotation, phase=Phase.ISSUING, look_at=None, looks=0, why="", attempt=attempt)
    held, pushes = _begins(desk, rotation), desk.state.pushes
    if held is not None:
        return held
    desk.write(state=desk.state if rotation.drill else pushed(policy, desk.state, now), rotation=intent)
    label = label_for(
        _human(policy, provider.traits.label_setting), intent.attempt.token, provider.traits.label_max
    )
    try:
        with desk.asking(policy, "issue"), breaker.one_login(desk, policy):
            issued = desk.provider(policy).issue(label, intent.wanted)
    except (NotSent, Refused, NeedsPerson) as error:  # nothing happened: the label is still unused
        desk.write(state=replace(desk.state, pushes=pushes))
        return setbacks.met(desk, replace(intent, phase=Phase.PLANNED, looks=rotation.looks), error)
    before = {record.key_id for record in listed} | (accounted(desk) if provider.traits.revokes else set())
    if issued.key_id in before:
        raise Unknown("garbage", "the provider answered with the id of a key that existed before")
    if repeats(desk, intent, issued.credential, onto):
        return setbacks.repeated(desk, intent, issued.key_id)
    attempt = replace(
        intent.attempt,
        key_id=issued.key_id,
        expires_at=issued.expires_at,
        dead_by=dead_by(issued.expires_at, desk.now() - now),
    )
    rotation = replace(intent, phase=Phase.ISSUED, attempt=attempt)
    made = desk.event(
        "issued", f"the provider issued key {issued.key_id}", rotation=rotation, key_id=issued.key_id
    )
    desk.write(rotation=rotation, events=[made])
    excess = provider.excess(rotation.wanted, issued.granted)
    if excess is not None:
        return setbacks.give_up(desk, rotation, "not-as-asked", excess)
    candidate = Stored(onto.version, onto.created_at, issued.credential, onto.whole)
    name = rotation.attempt.token if rotation.drill else issued_name(rotation)  # or what its debt looks for
    desk.memory.keep(desk.state.id, name, candidate, desk.now())
    return _stage(desk, rotation)


def _human(policy: Policy, label_setting: str) -> str:
    """The part of a key's label for people: the policy, and the name that it gives to its keys."""
    given = str(policy.key.get(label_setting) or policy.name)
    return given if given == policy.name else f"{given}/{policy.name}"


def _sweep(desk: Desk, rotation: Rotation) -> Step:
    """The outcome of issue is unknown: owe what carries its label, then try again under a new one."""
    provider = desk.provider(rotation.policy)
    sent = rotation.attempt.issued_at or rotation.began_at
    visible = sent + provider.traits.visibility_delay
    if visible > desk.now():
        return Again(visible)
    listed = keys_listed(desk, rotation.policy)
    must_be_unstaged(desk, rotation)
    strays = strays_of(desk, rotation.policy, listed)
    return setbacks.give_up(
        desk, rotation, "answer-lost", "it is unknown whether the provider issued a key", owed=strays
    )


# --- issued: the store must hold the value ---------------------------------------------------------------


def _stage(desk: Desk, rotation: Rotation) -> Step:
    """Write the value as a pending version, or find that it was written before we were killed."""
    if rotation.drill:
        return drilling.tried(desk, rotation)
    policy, attempt = rotation.policy, rotation.attempt
    issued = desk.memory.get(desk.state.id, issued_name(rotation), desk.now())
    try:
        if issued is not None:
            stored = desk.store(policy).stage(policy.target, issued.credential, attempt.push, issued)
        else:
            found = desk.store(policy).read(policy.target, attempt.push)
            if found is None and rotation.looks < _UNSEEN:
                raise Unknown("not-there-yet", "the store does not show the pending version")
            if found is None or holds_nothing(found.credential, desk.provider(policy).traits.secret_fields):
                return setbacks.value_lost(desk, rotation)
            stored = found
    except Conflict:
        return setbacks.give_up(desk, rotation, "token-taken", "another writer used the attempt's token")
    except NeedsPerson as error:
        return setbacks.give_up(desk, rotation, error.kind, error.message, blocked=error)
    except Refused as error:
        if error.permanent:  # another attempt would issue a key for nothing
            blocked = NeedsPerson(error.kind, error.message, todo=setbacks.correct(policy))
            return setbacks.give_up(desk, rotation, error.kind, error.message, blocked=blocked)
        raise
    desk.memory.keep(desk.state.id, stored.version, stored, desk.now())
    staged = replace(
        rotation,
        phase=Phase.STAGED,
        looks=0,
        look_at=None,
        why="",
        attempt=replace(attempt, version=stored.version, staged_at=desk.now()),
    )
    desk.write(rotation=staged, events=[desk.event("staged", "the store holds it, pending", rotation=staged)])
    return staged


# --- staged: verify what the store holds -----------------------------------------------------------------


def _verify(desk: Desk, rotation: Rotation) -> Step:
    """Probe the store's own copy until it succeeded often and long enough, or the deadline has passed."""
    policy, attempt = rotation.policy, rotation.attempt
    assert attempt.version is not None, "a staged attempt has a version"
    assert attempt.staged_at is not None, "a staged attempt has a time"
    stored = desk.version(policy, attempt.version)
    if stored is None:
        return setbacks.give_up(desk, rotation, "version-missing", "the store lost the pending version")
    if not is_of(desk, policy, stored, attempt.key_id):
        return setbacks.written_over(desk, rotation)
    desk.memory.forget_count(desk.state.id)  # taken up here: only an answer that is counted on puts it back
    probe = probed(desk, rotation, stored)
    if isinstance(probe, Objection):
        return setbacks.give_up(desk, rotation, probe.kind, probe.why, blocked=probe.blocked)
    now, plan = desk.now(), desk.provider(policy).traits.verification
    rotation = counted(rotation, probe, now)
    done = rotation.attempt
    if done.first_success and done.successes >= plan.successes and now - done.first_success >= plan.over:
        return _verified(desk, rotation, probe)
    brought = not desk.provider(policy).traits.issues  # each probe of it is a login
    last = brought and probe.verdict is Verdict.DEAD
    if last or (probe.verdict is not Verdict.LIVE and now >= attempt.staged_at + plan.deadline):
        since = "" if last else f" within {every(plan.deadline)}"
        why = f"the key was not accepted{since}: {probe.why or probe.verdict}"
        refused = replace(done, refused=brought and not probe.passing)
        return setbacks.give_up(desk, replace(rotation, attempt=refused), "not-verified", why)
    spaced = plan.over / max(1, plan.successes - 1)
    pause = spaced if done.successes else backoff.while_verifying(rotation.looks)
    waiting = replace(rotation, looks=rotation.looks + 1, look_at=now + pause)
    return _counted_on(desk, waiting, written=probe.verdict is not Verdict.LIVE)


def _counted_on(desk: Desk, waiting: Rotation, *, written: bool) -> Rotation:
    """Hold in memory what was counted, and nowhere else: a refusal whose commit failed, or whose worker was
    killed, must not leave the successes before it to be counted on.
    """
    if written:
        attempt = replace(waiting.attempt, successes=0, first_success=None)
        desk.write(rotation=replace(waiting, attempt=attempt))
    committed = desk.rotation()
    assert committed is not None, "a rotation that waits has not ended"
    desk.memory.count(committed, waiting, desk.now())
    return waiting


def _verified(desk: Desk, rotation: Rotation, probe: Probe) -> Step:
    """Write that the key works, and promote it if nothing holds that back."""
    attempt = replace(rotation.attempt, verified_at=desk.now())
    verified = replace(rotation, phase=Phase.VERIFIED, attempt=attempt, looks=0, look_at=None)
    probes = "1 probe" if attempt.successes == 1 else f"{attempt.successes} probes"
    told = desk.event("verified", f"{probes} succeeded", rotation=verified)
    state = replace(desk.state, account=probe.account or desk.state.account)
    desk.provider_works(rotation.policy)
    if keep_owed(desk, verified) or promote_held(desk, verified):
        desk.write(state=state, rotation=verified, events=[told])
        return verified
    return promote_now(desk, verified, state, [told])
