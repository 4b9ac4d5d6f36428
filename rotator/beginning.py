"""What is due begins: a first look, a rehearsal, a rotation, a rollback, or a drill."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from rotator import backoff, containing, drilling, rollback, rotation, setbacks
from rotator.desk import Desk
from rotator.due import Due, due, first_spread
from rotator.errors import EffectError, NeedsPerson, Refused, Scope
from rotator.kinship import keeps_admin, others_are_due, up_to_date
from rotator.looking import keys_listed, versions_of
from rotator.model import Again, Back, Ended, Level, Order, Policy
from rotator.owing import identify

_SOON = timedelta(minutes=1)  # after a passing error of a first look or a rehearsal
_LAST = timedelta(seconds=10)  # an admin credential goes last: looked at again when others are done


def advance(desk: Desk, policy: Policy, orders: Mapping[str, Order]) -> list[Again | Ended]:
    """Begin what is due now, or say when something will be."""
    found = due(policy, desk.state, orders, desk.now())
    if found is None:
        return []
    if found.at > desk.now():
        return [Again(found.at)]
    try:
        return [_begin(desk, policy, found, orders)]
    except (EffectError, NeedsPerson) as error:
        return [_not_begun(desk, policy, error)]


def _begin(desk: Desk, policy: Policy, found: Due, orders: Mapping[str, Order]) -> Again | Ended:
    """What is due."""
    match found.kind:
        case "take-on":
            return _take_on(desk, policy)
        case "rehearse":
            return _rehearse(desk, policy)
        case "rotate":
            return _rotate(desk, policy, found, orders)
        case "rollback":
            return _roll_back(desk, policy, orders["rollback"])
        case "drill":
            return _drill(desk, policy, found, orders.get("drill"))


def _rotate(desk: Desk, policy: Policy, found: Due, orders: Mapping[str, Order]) -> Again | Ended:
    """Begin a rotation; the next look goes on with it."""
    if desk.world.stopping():
        return Again(desk.now())
    run, renew = orders.get("run"), orders.get("renew")
    if renew is not None and run is None and up_to_date(desk, policy):
        desk.write(orders_done=[renew])
        return Ended()
    if keeps_admin(desk, policy) and others_are_due(desk, policy, ordered=run is not None):
        return Again(desk.now() + _LAST)
    reason = f"{run.by}: {run.reason}" if run else found.why
    owed = containing.owed(desk, policy, run) if run else containing.NOTHING_OWED
    rotation.begin(desk, policy, reason, [order for order in (run, renew) if order], owed=owed)
    return Ended()


def _roll_back(desk: Desk, policy: Policy, order: Order) -> Again | Ended:
    """Begin to bring the key before back, or say why there is no way back."""
    if desk.world.stopping():
        return Again(desk.now())
    try:
        debt = rollback.found(desk, policy)
    except rollback.NotPossible as error:
        rollback.refuse(desk, order, str(error))
        return Ended()
    rest = order.until - order.at if order.until else rollback.PAUSE
    back = Back(debt.id, order.by, rest, order.at)
    rotation.begin(desk, policy, f"rollback by {order.by}: {order.reason}", [order], back=back)
    return Ended()


def _drill(desk: Desk, policy: Policy, found: Due, order: Order | None) -> Again | Ended:
    """Begin a drill, or say why there is none."""
    if desk.world.stopping():
        return Again(desk.now())
    orders, why = [order] if order else [], drilling.not_drillable(desk.provider(policy).traits, policy)
    if why is not None:
        drilling.left_out(desk, why, orders)
    else:
        rotation.begin(desk, policy, found.why, orders, drill=True)
    return Ended()


def _take_on(desk: Desk, policy: Policy) -> Ended:
    """Look at a secret for the first time: how old it is, and which key it holds. Changes nothing there."""
    now, state = desk.now(), desk.state
    look = versions_of(desk, policy)
    stored = desk.store(policy).read(policy.target, look.current) if look.current else None
    current = identify(desk, policy, stored) if stored else None
    state = replace(
        state,
        looked_at=now,
        current=state.current or current,
        rotated_at=state.rotated_at or (stored.created_at if stored and current else None),
        block=None,
    )
    after = due(policy, state, {}, now)
    overdue = after is not None and after.at <= now and current is not None
    spread = first_spread(state.id, now, overdue) if overdue else None
    told = desk.event("taken-on", _found(current.key_id if current else None, current is not None))
    desk.write(state=replace(state, spread_until=spread), events=[told])
    return Ended()


def _found(key_id: str | None, holds_key: bool) -> str:
    """What the first look found, for people."""
    if not holds_key:
        return "taken on; the secret holds no key yet"
    return f"taken on; the secret holds key {key_id or 'of unknown id'}"


def _rehearse(desk: Desk, policy: Policy) -> Ended:
    """Try the admin credential ahead of its need: listing keys changes nothing."""
    keys_listed(desk, policy)
    desk.write(state=replace(desk.state, rehearsed_at=desk.now()))
    return Ended()


def _not_begun(desk: Desk, policy: Policy, error: EffectError | NeedsPerson) -> Again:
    """A first look or a rehearsal met an error: look again; a person is told once."""
    if isinstance(error, Refused) and error.permanent:
        error = NeedsPerson(error.kind, error.message, todo=setbacks.correct(policy))
    if isinstance(error, EffectError):
        return Again(max(desk.now() + _SOON, error.retry_at or desk.now()))
    state = desk.state
    if error.scope is Scope.PROVIDER:
        again, news = desk.block_provider(policy, error)
        state = replace(state, rehearsed_at=desk.now()) if state.looked_at else state
    else:
        block, news = desk.block_of(error, state.block)
        again, state = Again(desk.now() + backoff.while_blocked(2)), replace(state, block=block)
    text, provider = f"{error.message} To do: {error.todo}", policy.provider.name
    told = desk.event(
        "blocked",
        text,
        level=Level.ALARM,
        error=error.kind,
        provider=provider,
        owner=policy.owner,
        step="look",
    )
    desk.trouble = True
    desk.write(state=state, events=[told] if news else [])
    return again
