"""The steps of Secrets Manager's own rotation, told as steps of the first story.

    createSecret: as far as staged       setSecret: nothing; the key works since the provider issued it
    testSecret: as far as verified       finishSecret: to the end, where the old key's debt begins

Secrets Manager calls a function four times with the id that the new version must have, and again from
the beginning where a step failed (Secrets Manager guide, "Rotation by Lambda function"). How far it asked to
go is in the ledger, so that a step may be killed at any line and come again, here or in a pass: a pass ends
what was begun, but issues and promotes nothing that Secrets Manager did not ask for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator import breaker, promotion, rotation, setbacks
from rotator.caseload import acquainted, in_force
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Look, Stored
from rotator.looking import keys_listed, versions_of
from rotator.model import Again, Ended, Phase, Policy, Rotation, Verdict
from rotator.owing import holds_same, run_again
from rotator.righting import put_right
from rotator.stopping import sentence, stop_of

_SOON = timedelta(seconds=2)  # after a look that went wrong
_GOES = (Phase.STAGED, Phase.VERIFIED, Phase.PROMOTED)
_BEGAN = "Secrets Manager asked for it"


class Step(StrEnum):
    """What Secrets Manager calls for, in this order."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


_GOALS: Mapping[Step, Phase] = {
    Step.CREATE: Phase.STAGED,
    Step.SET: Phase.STAGED,
    Step.TEST: Phase.VERIFIED,
    Step.FINISH: Phase.PROMOTED,
}
_REACHED: Mapping[Phase, frozenset[Phase]] = {
    Phase.STAGED: frozenset({Phase.STAGED, Phase.VERIFIED, Phase.PROMOTING}),
    Phase.VERIFIED: frozenset({Phase.VERIFIED, Phase.PROMOTING}),
    Phase.PROMOTED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step came to. ``at``: not yet, but it may be taken again then, with the same token; None where
    this token's step is over. ``why`` is for people, and holds no secret.
    """

    done: bool
    why: str = ""
    at: datetime | None = None


DONE = Answer(done=True)


def take(desk: Desk, policy: Policy, step: Step, token: str) -> Answer:
    """Take a step as far as it goes now. May be called again, by this process or another."""
    desk.answering = True
    put_right(desk)
    acquainted(desk, policy)
    try:
        return _taken(desk, policy, step, token)
    except NeedsPerson as error:
        return Answer(False, f"{error.message} To do: {error.todo}")
    except EffectError as error:
        return Answer(False, error.message, max(desk.now() + _SOON, error.retry_at or desk.now()))


def _taken(desk: Desk, policy: Policy, step: Step, token: str) -> Answer:
    """Go on with the rotation of this token, or begin it; one of another token gives way."""
    live = desk.rotation()
    if live is not None and live.attempt.push != token:
        waits = _give_way(desk, in_force(desk, live, policy))
        if waits is not None:
            return waits
        live = None
    if live is None:
        over = _over(desk, policy, step, token)
        if over is not None:
            return over
        live = rotation.begin(desk, policy, _BEGAN, push=token)
    return _answer(
        desk, step, rotation.advance(desk, _asked(desk, in_force(desk, live, policy), _GOALS[step]))
    )


def _asked(desk: Desk, live: Rotation, goal: Phase) -> Rotation:
    """Write down how far Secrets Manager asked to go; never less far than before."""
    if live.asked is not None and _GOES.index(live.asked) >= _GOES.index(goal):
        return live
    asked = replace(live, asked=goal)
    desk.write(rotation=asked)
    return asked


# --- another token's rotation ----------------------------------------------------------------------------


def _give_way(desk: Desk, live: Rotation) -> Answer | None:
    """End the rotation of another token, as its phase allows; None once it is over.

    Secrets Manager draws a new token only once no version but the current one has AWSPENDING: the one before
    is promoted, or was taken back. What may have been issued is swept first, what may have been promoted is
    looked at; only then is a candidate given up. One that was once sent to be promoted may still be: it is
    owed as one that ends in a conflict.
    """
    why = "Secrets Manager began another rotation"
    if live.phase in (Phase.ISSUING, Phase.PROMOTING, Phase.CONFLICT):
        outcome = rotation.advance(desk, live)
        found = desk.rotation()
        if found is None:
            return None
        live = found
        if live.phase in (Phase.ISSUING, Phase.PROMOTING):
            return _not_yet(desk, live, outcome)
    if live.phase is Phase.CONFLICT or live.attempt.promoted_at is not None:
        look, mine = versions_of(desk, live.policy), live.attempt.version
        if look.current == mine:  # it landed since the last look
            promotion.resolve(desk, live)
            return None
        serves, served = look.current == live.expected, look.previous == mine
        setbacks.supersede(desk, live, old_serves=serves, served=served, why=why)
    else:
        setbacks.give_up(desk, live, "superseded", why, last=True)
    return None


# --- no rotation under this token ------------------------------------------------------------------------


def _over(desk: Desk, policy: Policy, step: Step, token: str) -> Answer | None:
    """What the store says of a token without a live rotation; None where its rotation is to begin."""
    look = versions_of(desk, policy)
    stored = desk.store(policy).read(policy.target, token)
    if look.current == token and stored is not None:
        return DONE  # it was promoted, and the answer was lost
    if token not in look.versions:
        why = f"version {token} is not one that Secrets Manager has named for a rotation of this secret"
        return Answer(False, f"{why}. Only Secrets Manager begins one. To do: {run_again(policy)}")
    if step is Step.TEST and _tries(desk, policy, look, stored):
        return _tried(desk, policy)
    if stored is not None:
        return _burned(desk, policy, token)
    if step is not Step.CREATE:
        return Answer(False, f"{step} came before {Step.CREATE} was done: {_last_error(desk)}")
    return None


def _tries(desk: Desk, policy: Policy, look: Look, stored: Stored | None) -> bool:
    """Whether no rotation is meant, but a try of the configuration: RotateSecret with RotateImmediately false
    calls for testSecret alone, with a version that is empty or holds what the current one does.
    """
    if stored is None:
        return True
    current = desk.store(policy).read(policy.target, look.current) if look.current else None
    return current is not None and holds_same(desk, policy, current, stored)


def _tried(desk: Desk, policy: Policy) -> Answer:
    """Whether a rotation could be done: the admin credential lists keys, the key in service is accepted."""
    keys_listed(desk, policy)
    current = desk.store(policy).read(policy.target)
    probe = breaker.verified(desk, policy, current.credential) if current is not None else None
    if probe is not None and probe.verdict is Verdict.LIVE:
        return DONE
    why = probe.why or str(probe.verdict) if probe is not None else "the secret has no value"
    return Answer(False, f"the key in service was not accepted: {why}")


def _burned(desk: Desk, policy: Policy, token: str) -> Answer:
    """The version holds a key that was given up, and versions never change: it needs another token.

    Secrets Manager draws one once AWSPENDING is off this version; a debt takes it off when its key is dead.
    """
    owed = any(debt.version == token for debt in desk.debts())
    if not owed and desk.held(policy, urgent=True, admin=False) is None:
        desk.store(policy).discard(policy.target, token, None)
    then = "once its key is proven dead" if owed else "now"
    return Answer(
        False,
        f"version {token} holds a key that was given up ({_last_error(desk)}), and a version never changes. "
        f"Its label AWSPENDING is taken off {then}; the next rotation has a new version.",
    )


# --- what it came to -------------------------------------------------------------------------------------


def _answer(desk: Desk, step: Step, outcome: Again | Ended) -> Answer:
    """Done where the phase is reached; else what it waits for, or why it failed."""
    live = desk.rotation()
    if live is not None:
        return DONE if live.phase in _REACHED[_GOALS[step]] else _not_yet(desk, live, outcome)
    last = desk.world.ledger.rotations(desk.state.id, 1)[0]
    if last.phase is Phase.PROMOTED:
        return DONE
    return Answer(False, f"the rotation failed, the old key stays in service: {_last_error(desk)}")


def _not_yet(desk: Desk, live: Rotation, outcome: Again | Ended) -> Answer:
    """What a rotation waits for, as people are told elsewhere."""
    at = (outcome.at if isinstance(outcome, Again) else None) or desk.now()
    stop, block = stop_of(desk.world.ledger), desk.state.block
    if stop is not None:
        why = sentence(stop)
    elif block is not None:
        why = f"{block.reason} To do: {block.todo}"
    else:
        why = f"{live.phase}, {live.error or 'under way'}"
    return Answer(False, f"not done yet: {why}", at)


def _last_error(desk: Desk) -> str:
    last = next(iter(desk.world.ledger.rotations(desk.state.id, 1)), None)
    return last.error or str(last.phase) if last is not None else "there was no rotation"
