"""What must be so at the moment at which a key is about to die: read afresh, and compared with what we know.

Nothing is read here but records and versions; each rule raises what must be waited for, or who must act.
"""

from rotator import byhand, elsewhere
from rotator.desk import Desk
from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.model import Debt, DebtReason, SecretState
from rotator.owing import afresh, holds_same, keeps, promoted_by_us


def held(desk: Desk, debt: Debt, current: Stored | None, old: Stored | None) -> bool:
    """Whether the version in service holds the very key."""
    return current is not None and old is not None and holds_same(desk, debt.policy, current, old)


def not_in_service(desk: Desk, debt: Debt, current: Stored | None, old: Stored | None) -> None:
    """The key is neither what consumers read, nor the candidate of a rotation that is under way.

    One that is contained may be what consumers of its own secret read: that alone is not asked.
    """
    traits = desk.provider(debt.policy).traits
    rotation = desk.rotation()
    known = desk.state.current
    if debt.contain:
        current = known = None
    in_service = {
        known.key_id if known else None,
        current.credential.get(traits.id_field) if current else None,
        rotation.attempt.key_id if rotation else None,
    }
    others = _elsewhere(desk, debt, old) if traits.revokes else []
    if others:
        names = ", ".join(other.policy for other in others)
        if debt.reason is DebtReason.LEAKED and all(_will_be_replaced(desk, debt, one) for one in others):
            raise Unknown(byhand.IN_SERVICE, f"waiting for a new key in the secret of {names}, as ordered")
        why = f"key {debt.key_id} is to die, but the secret of {names} holds it as well."
        first = f"rotator run-now {others[0].policy} --reason TEXT"
        todo = f"{first}: this key dies when no secret holds it any more"
        raise NeedsPerson(byhand.IN_SERVICE, why, todo=todo)
    by_id = not traits.shared_id and debt.key_id is not None and debt.key_id in in_service
    same = held(desk, debt, current, old)
    alike = current and old and traits.shared_id and keeps(traits, current, old)
    if same or alike or by_id:
        if not (same or traits.revokes):
            raise byhand.in_part(traits, debt)
        why = f"key {debt.key_id} is to die, but the secret holds it."
        todo = f"{afresh(desk, debt.policy)}; or leave it as it is"
        raise NeedsPerson(byhand.IN_SERVICE, why, todo=todo)


def _elsewhere(desk: Desk, debt: Debt, old: Stored | None) -> list[SecretState]:
    """Other secrets that hold the very key: somebody copied one. Where a key is contained, those in which it
    is contained as well need it no more.
    """
    holders = elsewhere.holders(desk, debt, old)
    return [other for other in holders if not (debt.contain and _leaked_too(desk, debt, other))]


def _leaked_too(desk: Desk, debt: Debt, other: SecretState) -> bool:
    """Whether a key is owed, in the same way, by another secret that holds it; or is dead there already."""
    dead = other.current is not None and other.current.contained
    return dead or any(one.contain >= debt.contain for one in _leaked_there(desk, debt, other))


def _will_be_replaced(desk: Desk, debt: Debt, other: SecretState) -> bool:
    """Whether another secret that holds a leaked key is to get a new one: so it was ordered, or has begun."""
    run = desk.world.ledger.orders(other.id).get("run")
    return any(_leaked_there(desk, debt, other)) or (run is not None and run.owes)


def _leaked_there(desk: Desk, debt: Debt, other: SecretState) -> list[Debt]:
    """What another secret that holds a leaked key owes for it; where no id is known, for what it holds."""
    version = other.current.version if other.current else None
    owed = (one for one in desk.world.ledger.debts(other.id) if one.reason is DebtReason.LEAKED)
    return [one for one in owed if debt.key_id == one.key_id or (one.key_id, one.version) == (None, version)]


def ours_is_current(desk: Desk, debt: Debt, current: Stored | None) -> None:
    """The secret holds what we promoted: where somebody wrote another key, nothing is revoked."""
    known, rotation = desk.state.current, desk.rotation()
    if known is not None and current is not None and promoted_by_us(desk, known):
        if current.version == known.version:
            return
        promoted = desk.version(debt.policy, known.version)
        if promoted is not None and holds_same(desk, debt.policy, current, promoted):
            return
    if rotation is not None:
        raise Unknown("rotation-under-way", "waiting for the rotation that is under way")
    why = f"the secret does not hold what rotator promoted, so key {debt.key_id} is not revoked."
    todo = f"see who wrote {debt.policy.target.secret}; then: {afresh(desk, debt.policy)}"
    raise NeedsPerson("not-ours-current", why, todo=todo)
