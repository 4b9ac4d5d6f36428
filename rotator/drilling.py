"""A drill: a shadow key is issued, tried, revoked and proven dead, and the secret is not touched.

It is a rotation that stops before the store: it looks, takes a slot and issues as any other, so that a kill
loses no key; then its key is probed from memory alone, which is the only place that has its value, and owed.
A value that is lost with its process does no harm: nobody was to use it. The second story pays the debt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from rotator import backoff
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson
from rotator.model import (
    Again,
    CurrentKey,
    Debt,
    DebtReason,
    Drill,
    Event,
    Level,
    Order,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
    Traits,
    Verdict,
)
from rotator.owing import events_of, owe
from rotator.verifying import Objection, counted, probed

_LOOKS = 3  # tries of a step before the key is issued, after which the drill has failed
ISSUED, VERIFIED, REVOKED, PROVEN = "issued", "verified", "revoked", "proven dead"


def not_drillable(traits: Traits, policy: Policy) -> str | None:
    """Why no drill can be held, as a sentence; None where one can. Pure."""
    if policy.renew is not None:
        return "not drillable: a token is minted at each renewal, and dies by itself"
    if policy.target.native:
        return "not drillable: Secrets Manager's own rotation begins each rotation of it"
    if not traits.issues:
        return "not drillable: a person issues"
    if not traits.lists or not traits.revokes:
        return "not drillable: a key whose creation was lost could not be found, or not be revoked"
    return None


def left_out(desk: Desk, why: str, orders: Sequence[Order]) -> None:
    """Note that no drill can be held: the next one is due as if there had been one."""
    drill = Drill(desk.now(), why=why, ended_at=desk.now())
    told = desk.event("not-drilled", why)
    desk.write(state=replace(desk.state, drill=drill), events=[told], orders_done=orders)


def hopeless(rotation: Rotation, error: EffectError | NeedsPerson) -> bool:
    """Whether an error before the key was issued is the drill's result. Pure."""
    return isinstance(error, NeedsPerson) or rotation.looks + 1 >= _LOOKS


# --- issued: the key is tried, from memory ---------------------------------------------------------------


def tried(desk: Desk, rotation: Rotation) -> Rotation | Again:
    """Probe the key as a new one's, until it succeeded often and long enough, or did not in time."""
    attempt, now = rotation.attempt, desk.now()
    value = desk.memory.get(desk.state.id, attempt.token, now)
    if value is None:
        why = "interrupted: its worker ended, and the key's value with it"
        return over(desk, rotation, why, failed=False)
    rotation = replace(rotation, attempt=replace(attempt, staged_at=attempt.staged_at or now))
    probe = probed(desk, rotation, value)
    if isinstance(probe, Objection):
        return over(desk, rotation, probe.why)
    rotation, now = counted(rotation, probe, desk.now()), desk.now()
    done, plan = rotation.attempt, desk.provider(rotation.policy).traits.verification
    if done.first_success and done.successes >= plan.successes and now - done.first_success >= plan.over:
        return over(desk, replace(rotation, attempt=replace(done, verified_at=now)), "", failed=False)
    if probe.verdict is not Verdict.LIVE and now >= (done.staged_at or now) + plan.deadline:
        return over(desk, rotation, f"the key was not accepted in time: {probe.why or probe.verdict}")
    spaced = plan.over / max(1, plan.successes - 1)
    pause = spaced if done.successes else backoff.while_verifying(rotation.looks)
    waiting = replace(rotation, looks=rotation.looks + 1, look_at=now + pause)
    desk.write(rotation=waiting)
    return waiting


# --- the end ---------------------------------------------------------------------------------------------


def over(
    desk: Desk, rotation: Rotation, why: str, owed: Iterable[Debt] = (), *, failed: bool = True
) -> Rotation:
    """End the drill in one commit, and owe its key. ``why`` is empty where the key was verified: what is left
    is its death. ``failed``: the path does not work, which people are told.
    """
    now, attempt = desk.now(), rotation.attempt
    debts = [*owed, *_owed(desk, rotation)]
    ended = replace(rotation, phase=Phase.DRILLED, ended_at=now, look_at=None, error="drill" if why else None)
    drill = Drill(
        rotation.began_at,
        ok=False if why else None,
        why=why,
        debt=debts[-1].id if debts else None,
        ended_at=now if why else None,
        took=_took(attempt.issued_at, {ISSUED: attempt.staged_at, VERIFIED: attempt.verified_at}),
    )
    frees = [] if attempt.token in {debt.token for debt in debts} else [attempt.token]
    told = _told(desk, ended, why, failed=failed)
    desk.write(
        state=replace(desk.state, drill=drill),
        rotation=ended,
        debts=debts,
        events=[told, *events_of(desk, debts)],
        frees=frees,
    )
    return ended


def _owed(desk: Desk, rotation: Rotation) -> list[Debt]:
    """The debt of a drill's key, if its id is known; its version is where its value may be in memory."""
    attempt, now = rotation.attempt, desk.now()
    if attempt.key_id is None:
        return []
    key = CurrentKey(attempt.token, attempt.key_id, Provenance.ISSUED, now, attempt.token)
    return [owe(desk, rotation.policy, DebtReason.DRILL, key, not_before=now, urgent=True)]


def _told(desk: Desk, ended: Rotation, why: str, *, failed: bool) -> Event:
    """What came of it, for people."""
    if not why:
        text = f"drill: key {ended.attempt.key_id} was issued and is accepted; now it is revoked"
        return desk.event("drill-verified", text, rotation=ended, key_id=ended.attempt.key_id)
    todo = f" To do: mend that before a rotation needs it; then: rotator drill {ended.policy.name}"
    text = f"the drill failed: {why.rstrip('.')}.{todo}" if failed else f"the drill ended early: {why}"
    level = Level.ALARM if failed else Level.WARNING
    return desk.event("drill-failed", text, level=level, rotation=ended, error="drill")


def proven(desk: Desk, state: SecretState, dead: Debt) -> tuple[SecretState, Sequence[Event]]:
    """The state once the key of a drill is dead, and what there is to tell; as it was for another debt's."""
    drill = state.drill
    if drill is None or drill.debt != dead.id or drill.ok is not None:
        return state, ()
    took = {
        **drill.took,
        **_took(dead.since, {REVOKED: dead.revoked_at}),
        **_took(dead.revoked_at, {PROVEN: dead.ended_at}),
    }
    done = replace(drill, ok=True, ended_at=dead.ended_at, took=took)
    text = f"the drill ended well: {in_words(done)}"
    return replace(state, drill=done), [desk.event("drilled", text, debt=dead, key_id=dead.key_id)]


def in_words(drill: Drill) -> str:
    """How long each step took, for people. Pure."""
    return ", ".join(f"{step} in {seconds:.1f} s" for step, seconds in drill.took.items())


def _took(since: datetime | None, steps: dict[str, datetime | None]) -> dict[str, float]:
    """Seconds from one step to the next; what did not happen is left out. Pure."""
    took: dict[str, float] = {}
    for step, at in steps.items():
        if since is not None and at is not None:
            took[step] = (at - since).total_seconds()
        since = at
    return took
