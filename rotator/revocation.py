"""The second story: a key is taken out of service, one debt at a time, until it is proven dead.

    owed (not before promoted + grace) -> re-checked -> revoking -> dead

The re-check and the revoke are one step: what is current is read at the moment at which a key is about to
die. A revoke that was sent proves nothing; a debt ends when the provider refuses the key, or no longer
lists it, and not before.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator import byhand, containing, copied, drilling, permits
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson, RotatorError, Unknown
from rotator.interfaces import Stored
from rotator.keeping import left_by, let_go
from rotator.kinship import in_use_below, keeps_admin, renew_children
from rotator.looking import keys_listed, witness
from rotator.model import (
    Again,
    Debt,
    DebtPhase,
    Ended,
    Event,
    KeyRecord,
    Provenance,
    Verdict,
    token_in,
)
from rotator.owing import UNADOPTED, is_of, needs_adoption, tells_of
from rotator.rechecking import held, not_in_service, ours_is_current
from rotator.undying import blocked, later, reminded_of

_WAITED_FOR = timedelta(hours=1)
_PROBE_LOOKS = 5  # looks without a clear baseline, after which the provider's list decides alone


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read for one debt: the current version, the old key's, and the provider's record of it."""

    current: Stored | None
    old: Stored | None
    record: KeyRecord | None
    telling: bool = True  # the list is of the right account: it shows the current key

    @property
    def listed(self) -> bool:
        """Whether the provider lists the key as live."""
        return self.record is not None and self.record.live


def advance(desk: Desk, debt: Debt) -> Again | Ended:
    """Take a debt as far as it goes now: to its end, or until there is something to wait for."""
    if debt.phase.ended:
        return Ended()
    try:
        debt = _known_to_work(desk, debt)
        if needs_adoption(desk, debt.policy, debt.provenance):
            debt = _known_elsewhere(desk, debt)
        wait = _waits(desk, debt)
        if wait is not None:
            return _dead_elsewhere(desk, debt) or wait
        if desk.provider(debt.policy).traits.expires:
            return _expired(desk, debt)
        debt = _visible(desk, debt)
        wait = _waits(desk, debt)
        return wait if wait is not None else _pay(desk, debt)
    except NeedsPerson as error:
        return blocked(desk, _latest(desk, debt), error)
    except EffectError as error:
        return later(desk, _latest(desk, debt), error.message, error)


def _latest(desk: Desk, debt: Debt) -> Debt:
    """The debt as it was last committed."""
    return desk.world.ledger.debt(debt.id) or debt


# --- owed ------------------------------------------------------------------------------------------------


def _waits(desk: Desk, debt: Debt) -> Again | None:
    """What an owed key waits for: its successor, a person who says whose it is, its grace, its back-off, its
    window. Asked before anything is read, and until the revoke is sent: the clock may have been ahead.
    """
    now = desk.now()
    successor = containing.waits_for_next(desk, debt)
    if successor is not None:
        return successor
    if needs_adoption(desk, debt.policy, debt.provenance):
        # adopting makes the secret due at once; another's record of the key may tell, too
        return Again(now + (_WAITED_FOR if debt.urgent else timedelta(days=1)))
    if desk.provider(debt.policy).traits.expires:
        return Again(debt.expires_at) if debt.expires_at is not None and debt.expires_at > now else None
    times = [at for at in (debt.not_before, debt.look_at) if at is not None and at > now]
    if times:
        return Again(max(times))
    return permits.may_wait(desk, debt)


def _known_to_work(desk: Desk, debt: Debt) -> Debt:
    """A key that a person will revoke, whenever: note that it works while it does, or its refusal will mean
    nothing.
    """
    traits = desk.provider(debt.policy).traits
    early = debt.baseline_at is None and debt.phase is DebtPhase.OWED and debt.version is not None
    if traits.revokes or traits.expires or not traits.provable or not early or debt.looks:
        return debt
    old = desk.version(debt.policy, debt.version or "")
    works = old is not None and desk.provider(debt.policy).probe(old.credential).verdict is Verdict.LIVE
    known = replace(debt, baseline_at=desk.now() if works else None, looks=1)
    desk.write(debts=[known])
    return known


def _known_elsewhere(desk: Desk, debt: Debt) -> Debt:
    """The debt of a key of which nobody said whose it is: as another secret's record knows it."""
    copy = copied.known(desk, debt.policy, debt.key_id)
    if copy is None:
        return debt
    block = None if debt.block and debt.block.kind == UNADOPTED else debt.block
    ours = replace(debt, provenance=copy.provenance, token=copy.token, block=block, look_at=None, looks=0)
    text = f"key {debt.key_id} is ours to revoke: so the record of {copy.policy} says, which held it too"
    desk.write(debts=[ours], events=[desk.event("known", text, debt=ours, key_id=ours.key_id)])
    return ours


def _dead_elsewhere(desk: Desk, debt: Debt) -> Ended | None:
    """The end of a debt that waits to be adopted where the same key is proven dead by another debt: to write
    that down nobody must say whose it was.
    """
    if not needs_adoption(desk, debt.policy, debt.provenance) or containing.waits_for_next(desk, debt):
        return None
    other = copied.dead(desk, debt)
    if other is None:
        return None
    return _dead(desk, debt, f"it is the key of {other.policy.name} (debt {other.id}): {other.proof}")


def _expired(desk: Desk, debt: Debt) -> Ended:
    """A token dies by itself; the record says so, and does not speak of a revocation."""
    if debt.expires_at is None:
        why = f"nobody knows when token {debt.key_id or debt.id} expires."
        todo = f"when it has expired: rotator settle {debt.id} --reason TEXT"
        raise NeedsPerson("life-unknown", why, todo=todo)
    return _dead(desk, debt, f"expired at {debt.expires_at:%Y-%m-%d %H:%M:%S} UTC, not revoked")


def _visible(desk: Desk, debt: Debt) -> Debt:
    """Grace begins when the rotation is over, the last replica shows the new version, and who must be told is
    told: what waits for that does not come here.
    """
    current = desk.state.current
    if debt.not_before is not None or current is None:
        return debt
    if desk.rotation() is not None:
        raise Unknown("rotation-under-way", "waiting for the rotation that is under way")
    if not desk.store(debt.policy).shown(debt.policy.target, current.version, current.since):
        raise Unknown("replicas-behind", "a replica does not show the new version yet")
    seen = replace(debt, not_before=desk.now() + debt.grace, looks=0, look_at=None)
    told = desk.event("visible", "consumers can see the new version: grace begins", debt=debt)
    desk.write(debts=[seen], events=[told])
    return seen


# --- re-check and revoke: one step -----------------------------------------------------------------------


def _pay(desk: Desk, debt: Debt) -> Again | Ended:
    """Re-check; if the key is still alive, revoke it; then prove that it is dead."""
    users = [] if debt.contain else in_use_below(desk, debt)
    if users:
        renew_children(desk)
        names = ", ".join(child.policy for child in users)
        raise Unknown("tokens-in-use", f"waiting for tokens minted with it to be replaced: {names}")
    if keeps_admin(desk, debt.policy):
        desk.world.renewed(debt.policy.provider)  # the new one must manage, and kills the old one
    evidence = _recheck(desk, debt)
    return _left_again(desk, debt) or _waits(desk, debt) or _revoke(desk, debt, evidence)


def _left_again(desk: Desk, debt: Debt) -> Again | None:
    """A key that was seen in service since it was replaced: its consumers need a grace of their own."""
    if debt.block is None or debt.block.kind != byhand.IN_SERVICE:
        return None
    grace = debt.grace if debt.reason.of_service else debt.policy.grace
    left = replace(debt, grace=grace, not_before=desk.now() + grace, looks=0, look_at=None, block=None)
    told = desk.event("visible", "no secret holds it any more: grace begins anew", debt=debt)
    desk.write(debts=[left], events=[told])
    return Again(left.not_before) if grace else None


def _revoke(desk: Desk, debt: Debt, evidence: Evidence) -> Again | Ended:
    """Baseline, revoke, proof; what was sent before may be proven without."""
    if not desk.provider(debt.policy).traits.revokes:
        return _dead(desk, debt, byhand.proof(desk, debt, evidence.current, evidence.old))
    if debt.phase is DebtPhase.REVOKING:
        proof = _proof(desk, debt, evidence)
        if proof is not None:
            return _dead(desk, debt, proof)
    containing.must_be_followed(desk, debt)
    baseline = _baseline(desk, debt, evidence)
    wait = _waits(desk, debt) or permits.take(desk, debt)
    return wait or _send(desk, _revoking(desk, debt, baseline), evidence)


def _send(desk: Desk, debt: Debt, evidence: Evidence) -> Again | Ended:
    """Revoke, and see whether the key is dead."""
    assert debt.key_id is not None, "a key of unknown id is never revoked"
    with desk.managing(debt.policy, "revoke"):
        desk.provider(debt.policy).revoke(debt.key_id)
    told = desk.event("revoked", f"revoke sent for key {debt.key_id}", debt=debt, key_id=debt.key_id)
    try:
        record, telling = _record(desk, debt)
        telling = telling or (debt.contain and evidence.listed)  # gone from the list that just showed it
        proof = _proof(desk, debt, replace(evidence, record=record, telling=telling))
        may_work = proof is None and debt.contain and _may_work(desk, debt, evidence.old, refused=True)
    except RotatorError:
        desk.write(debts=[debt], events=[told])
        raise
    if proof is not None:
        return _dead(desk, debt, proof, told)
    if debt.contain and debt.baseline_at is not None and not may_work:
        debt = replace(debt, refused_at=desk.now())
    return later(desk, debt, f"key {debt.key_id} is not proven dead yet", None, told)


def _recheck(desk: Desk, debt: Debt) -> Evidence:
    """Read what is current, the old value and the provider's record; NeedsPerson if the key must live."""
    current = desk.store(debt.policy).read(debt.policy.target)
    witness(desk, debt.policy.target.secret, [current.version] if current else [])
    old = desk.version(debt.policy, debt.version) if debt.version else None
    if old is not None and not is_of(desk, debt.policy, old, debt.key_id):
        old = None  # the value of another key proves nothing of this one
    not_in_service(desk, debt, current, old)
    if debt.reason.of_service and not (debt.contain and held(desk, debt, current, old)):
        ours_is_current(desk, debt, current)
    record, telling = _record(desk, debt)
    _ours_to_revoke(desk, debt, record)
    return Evidence(current, old, record, telling)


def _record(desk: Desk, debt: Debt) -> tuple[KeyRecord | None, bool]:
    """What the provider lists under exactly this id, and whether that list can tell.

    A list that shows the key itself tells by that; see :func:`tells_of`.
    """
    listed = keys_listed(desk, debt.policy)
    telling = tells_of(desk.world.ledger, desk.state, debt, listed)
    return next((key for key in listed if key.key_id == debt.key_id), None), telling


def _ours_to_revoke(desk: Desk, debt: Debt, record: KeyRecord | None) -> None:
    """A key that we issued carries our label; one with another ledger's label is foreign, adopted or not."""
    label = token_in(record.label) if record else None
    foreign = label is not None and label[0] != desk.world.ledger.id
    unlabelled = record is not None and debt.provenance is Provenance.ISSUED and label is None
    if foreign or (unlabelled and desk.provider(debt.policy).traits.lists):
        whose = f"belongs to ledger {label[0]}" if label else "does not carry our label"
        why = f"key {debt.key_id} {whose}, so it is not revoked."
        todo = f"see whose it is; then revoke it at the provider, or: rotator settle {debt.id} --reason TEXT"
        raise NeedsPerson("foreign", why, todo=todo)


def _baseline(desk: Desk, debt: Debt, evidence: Evidence) -> datetime | None:
    """Probe the old value, so that its refusal will mean something: when it was last known to work."""
    if evidence.old is None:
        return None
    now, probe = desk.now(), desk.provider(debt.policy).probe(evidence.old.credential)
    lists = desk.provider(debt.policy).traits.lists
    if probe.verdict is Verdict.UNKNOWN and (debt.looks < _PROBE_LOOKS or not lists):
        raise Unknown("no-baseline", f"the old key's probe gives no clear answer: {probe.why}")
    return now if probe.verdict is Verdict.LIVE else debt.baseline_at


def _revoking(desk: Desk, debt: Debt, baseline: datetime | None) -> Debt:
    """Write that revoke is sent."""
    revoking = replace(
        debt,
        phase=DebtPhase.REVOKING,
        baseline_at=baseline,
        revoked_at=debt.revoked_at or desk.now(),
        block=reminded_of(debt),
    )
    desk.write(state=permits.taken(desk, debt), debts=[revoking])
    return revoking


# --- revoking: the proof ---------------------------------------------------------------------------------


def _proof(desk: Desk, debt: Debt, evidence: Evidence) -> str | None:
    """By what the key is proven dead, or None: it may live.

    A refusal counts if the same request was LIVE for this value before the revoke and is LIVE for the
    current key now. Where keys are listed the id must be gone or revoked as well; without a baseline, or a
    current key to compare with, the list decides alone, unless the key is seen to work.
    """
    provider, current = desk.provider(debt.policy), evidence.current
    if evidence.listed:
        return None
    contained = held(desk, debt, current, evidence.old)  # so there is no other key to compare with
    compared = not contained and byhand.comparable(desk, debt, current)
    if debt.baseline_at is None or evidence.old is None or not compared:
        tells = provider.traits.lists and evidence.telling
        if not tells or _may_work(desk, debt, evidence.old, refused=contained):
            return None
        refused = "accepted before, refused after, " if contained and debt.baseline_at else ""
        return f"{refused}no longer listed as live"
    assert current is not None, "a key to compare with is a current one"
    if desk.provider(debt.policy).probe(evidence.old.credential).verdict is not Verdict.DEAD:
        return None
    if desk.provider(debt.policy).probe(current.credential).verdict is not Verdict.LIVE:
        return None
    gone = ", no longer listed" if provider.traits.lists else ""
    return f"{byhand.PROVEN}{gone}"


def _may_work(desk: Desk, debt: Debt, old: Stored | None, *, refused: bool) -> bool:
    """Whether the key is accepted now, where its value can be read; or, where it must be ``refused`` to be
    dead, anything else.
    """
    if old is None:
        return refused
    verdict = desk.provider(debt.policy).probe(old.credential).verdict
    return verdict is not Verdict.DEAD if refused else verdict is Verdict.LIVE


def _dead(desk: Desk, debt: Debt, proof: str, *before: Event) -> Ended:
    """The debt is paid; ``before`` is what led to it and is not written yet."""
    dead = replace(debt, phase=DebtPhase.DEAD, ended_at=desk.now(), proof=proof, block=None, look_at=None)
    text = f"key {debt.key_id} is proven dead: {proof}"
    told = desk.event("dead", text, debt=dead, key_id=debt.key_id, proof=proof)
    left = containing.after_death(left_by(desk.state, [debt]), debt)
    state, drilled = drilling.proven(desk, left, dead)
    frees = [debt.token] if debt.token else []
    desk.write(state=state, debts=[dead], events=[*before, told, *drilled], frees=frees)
    let_go(desk)
    return Ended()
