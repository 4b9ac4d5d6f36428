"""One secret, once: what is due of its news, its debts and its rotation, and when to look at it again.

Consumers are told first, since old keys wait for it; then debts, since a dead key frees a slot; then the
rotation that is under way; then whether one is due.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import beginning, containing, drilling, revocation, rollback, rotation, setbacks, telling
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson
from rotator.keeping import let_go
from rotator.model import (
    Again,
    CurrentKey,
    Debt,
    Ended,
    Event,
    Order,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
)
from rotator.owing import events_of
from rotator.righting import put_right

_SOON = timedelta(minutes=1)  # after an order that cannot join yet
_UNKNOWN = timedelta(
    hours=6
)  # another worker may know a policy that this one lacks: its secret is kept in sight
_MOVES = 20  # more steps than one look can take; the rest is for the next look


def work(desk: Desk, policy: Policy | None) -> datetime | None:
    """Do what is due for the secret at a desk; the time of its next action, None for never.

    ``policy`` is None once it was deleted: then debts are paid and a key that was issued is brought to
    its end, but nothing new begins, and the secret is looked at now and then.
    """
    put_right(desk)
    acquainted(desk, policy)
    let_go(desk)
    for _ in range(_MOVES):
        answers = _once(desk, policy)
        if not any(isinstance(answer, Ended) for answer in answers):
            times = [answer.at or desk.now() for answer in answers if isinstance(answer, Again)]
            times += [desk.now() + _UNKNOWN] if policy is None else []
            return min(times, default=None)
    return desk.now()


def _once(desk: Desk, policy: Policy | None) -> list[Again | Ended]:
    """Tell consumers, advance each debt and the rotation; what each of them answers. Ended: something came to
    its end.
    """
    answers = telling.advance(desk)
    orders, live = desk.orders(), desk.rotation()
    if live is None or live.back is None:  # which key leaked is told once it is known which one serves
        orders = _hurried(desk, orders, live)
    if policy is not None:
        orders = _not_drilled(desk, policy, orders)
    answers += [_pay(desk, debt, orders) for debt in desk.debts() if not _comes_back(debt, live)]
    live = desk.rotation()
    if live is not None:
        answers.append(_go_on(desk, live, orders, policy))
    elif policy is not None:
        answers += beginning.advance(desk, policy, orders)
    return answers


def _not_drilled(desk: Desk, policy: Policy, orders: Mapping[str, Order]) -> Mapping[str, Order]:
    """An order for a drill where none can be held is over at once, whatever the secret waits for."""
    order = orders.get("drill")
    why = drilling.not_drillable(desk.provider(policy).traits, policy) if order is not None else None
    if order is None or why is None:
        return orders
    drilling.left_out(desk, why, [order])
    return {kind: order for kind, order in orders.items() if kind != "drill"}


# --- the policy ------------------------------------------------------------------------------------------


def digest(policy: Policy | None) -> str:
    """Of everything in a policy but the place where it stands; empty for one that was deleted."""
    return hashlib.sha256(repr(replace(policy, place="")).encode()).hexdigest() if policy else ""


def acquainted(desk: Desk, policy: Policy | None) -> None:
    """Note under which policy the secret is worked now: the state stays with the secret."""
    state = desk.state
    placed = policy is None or None not in (state.target, state.provider)
    if state.digest == digest(policy) and state.gone == (policy is None) and placed:
        return
    events: list[Event] = []
    if policy is None:
        events.append(desk.event("policy-deleted", "its policy is gone: no rotation, but debts are paid"))
        state = replace(state, gone=True, digest="", block=None)
    else:
        if state.gone:
            events.append(desk.event("policy-back", "its policy is there again: it is rotated as it says"))
        if state.policy != policy.name:
            events.append(desk.event("policy-renamed", f"{state.policy} is now {policy.name}"))
        principal = policy.provider.principal
        current = _of_its_account(state, policy)
        if current and current.made_from is None and state.parent:  # it was not noted before: it is now
            current = replace(current, made_from=state.parent)
        name, known = policy.name, digest(policy)
        state = replace(
            state,
            policy=name,
            principal=principal,
            parent=policy.parent,
            current=current,
            digest=known,
            gone=False,
            block=None,
            telling=telling.by(policy, state.telling),
            target=policy.target,
            provider=policy.provider,
        )
    desk.write(state=state, events=events)


def _of_its_account(state: SecretState, policy: Policy) -> CurrentKey | None:
    """The key in service, which its policy may leave behind at another account: it dies where it lives. Where
    nobody noted where that is, a key that a person adopted is nobody's at the new one. Pure.
    """
    current, here = state.current, policy.provider.principal
    if current is None or here in (state.principal, state.issuer):
        return replace(current, under=None) if current and here == state.issuer else current
    if current.under is not None:
        return current
    if state.provider is not None:
        before = replace(policy, provider=state.provider, target=state.target or policy.target)
        return replace(current, under=before)
    return current if current.token else replace(current, provenance=Provenance.UNKNOWN)


# --- debts -----------------------------------------------------------------------------------------------


def _hurried(desk: Desk, orders: Mapping[str, Order], live: Rotation | None) -> Mapping[str, Order]:
    """An order ends the grace of what it is about and is out of service; about nothing else it rotates
    nothing.
    """
    run = orders.get("run")
    found = containing.hurried(desk, run, live) if run is not None else None
    if run is None or found is None or not (found.all or found.debts):
        return orders
    why = "it leaked, and " if run.leaked_versions else ""
    told = [
        desk.event("hurried", f"{why}{run.by} ended its grace: {run.reason}", debt=debt)
        for debt in found.debts
    ]
    desk.write(debts=found.debts, events=told, orders_done=[run] if found.all else [])
    return {kind: order for kind, order in orders.items() if kind != "run"} if found.all else orders


def _pay(desk: Desk, debt: Debt, orders: Mapping[str, Order]) -> Again | Ended:
    """Advance one debt; a person who asked for less grace gives older keys no more than that."""
    run = orders.get("run")
    if run is not None and run.grace is not None and run.grace < debt.grace and debt.reason.of_service:
        debt = containing.hurry(debt, desk, run.grace)
        desk.write(debts=[debt])
    return revocation.advance(desk, debt)


def _comes_back(debt: Debt, live: Rotation | None) -> bool:
    """Whether a debt's key is on its way into service again: until that is decided it lives."""
    return live is not None and live.back is not None and live.back.debt == debt.id


# --- the rotation ----------------------------------------------------------------------------------------


def _go_on(desk: Desk, live: Rotation, orders: Mapping[str, Order], policy: Policy | None) -> Again | Ended:
    """Go on with the rotation that is under way; an order joins it instead of beginning another."""
    if policy is None and live.phase is Phase.PLANNED:
        ended = replace(live, phase=Phase.FAILED, ended_at=desk.now(), look_at=None, error="policy-deleted")
        told = desk.event("withdrawn", "its policy is gone, and no key was issued yet", rotation=live)
        desk.write(rotation=ended, events=[told], frees=[live.attempt.token])
        return Ended()
    live, run = in_force(desk, live, policy), orders.get("run")
    wanted = orders.get("rollback")
    if live.drill:
        return _drilled_on(desk, live, [order for order in (run, wanted) if order], orders.get("drill"))
    if wanted is not None:
        rollback.refuse(desk, wanted, f"a rotation of it is under way ({live.phase})")
    if live.back is not None and run is not None and live.phase is not Phase.CONFLICT:
        return _new_key_wanted(desk, live, run)
    if run is not None and live.phase is not Phase.CONFLICT:
        joined = _joined(desk, live, run)
        if not isinstance(joined, Rotation):
            return joined
        live = joined
    elif run is not None:
        live = replace(live, look_at=None)
    renew = orders.get("renew")
    if renew is not None and live.phase is Phase.PLANNED:  # what it waited for may be the new parent
        live = replace(live, look_at=None, looks=0)
        desk.write(rotation=live, orders_done=[renew])
    return rotation.advance(desk, live)


def _joined(desk: Desk, live: Rotation, run: Order) -> Rotation | Again | Ended:
    """A rotation that an order has joined; Ended where a debt came of that, which is paid first.

    Where it cannot be told now which key leaked the order stands, and the rotation goes on.
    """
    why = containing.unwanted(desk, live, run)
    if why is not None:
        if containing.may_be_given_up(live):
            leaving = replace(live, urgent=True, grace=_grace(live, run))
            setbacks.give_up(desk, leaving, "leaked", f"{why}: {run.reason}")
            if containing.is_all(live, run):
                desk.write(orders_done=[run])
            return Ended()
        return _on_without(desk, live)
    try:
        owed = containing.owed(desk, live.policy, run, live)
    except (EffectError, NeedsPerson):
        return _on_without(desk, live)
    wanted = owed.wanted if live.phase is Phase.PLANNED and owed.wanted else live.wanted
    live = replace(live, urgent=True, grace=_grace(live, run), look_at=None, wanted=wanted)
    told = desk.event("joined", f"{run.by} asked to rotate now: {run.reason}", rotation=live)
    events = [told, *events_of(desk, owed.debts)]
    desk.write(rotation=live, debts=owed.debts, events=events, orders_done=[run])
    return Ended() if owed.debts else live


def _grace(live: Rotation, run: Order) -> timedelta:
    """The grace of a rotation that an order joins; of two people's orders the harder one counts."""
    if run.grace is None:
        return live.grace
    return min(run.grace, live.grace) if live.urgent else run.grace


def _on_without(desk: Desk, live: Rotation) -> Again | Ended:
    """Go on with a rotation that an order cannot join now; the order is looked at again."""
    answer = rotation.advance(desk, replace(live, look_at=None))
    return answer if isinstance(answer, Ended) else Again(desk.now() + _SOON)


def _drilled_on(desk: Desk, live: Rotation, first: Sequence[Order], again: Order | None) -> Again | Ended:
    """Go on with a drill; an order for a key that is used comes first, once it is known what to owe."""
    if again is not None:
        desk.write(orders_done=[again])
    if first and live.phase is not Phase.ISSUING:
        drilling.over(desk, live, f"interrupted, since {first[0].by} asked for a key", failed=False)
        return Ended()
    return rotation.advance(desk, live)


def _new_key_wanted(desk: Desk, live: Rotation, run: Order) -> Again | Ended:
    """A rollback is no new key: an order for one ends it before its first step, and later while that can be
    where its key is one that the order ends; else it is carried out next.
    """
    unwanted = containing.unwanted(desk, live, run) if containing.may_be_given_up(live) else None
    if live.phase is not Phase.PLANNED and unwanted is None:
        return rotation.advance(desk, live)
    rollback.end(desk, live, unwanted or f"{run.by} asked for a new key")
    return Ended()


def in_force(desk: Desk, live: Rotation, policy: Policy | None) -> Rotation:
    """A rotation under the trigger that its policy has now, since the store answers for that one alone; and,
    while no key was asked for, under the key settings that it has now: corrected ones let it go on.
    """
    if policy is None:
        return live
    native, before = policy.target.native, live.policy
    now = replace(before, target=replace(before.target, native=native))
    unasked = live.phase is Phase.PLANNED and live.back is None  # a key that comes back has its settings
    if unasked and _alike(before, policy) and before.key != policy.key:
        now = replace(now, key=policy.key)
        wanted = {**live.wanted, **policy.key} if live.wanted else live.wanted
        live = replace(live, wanted=wanted, look_at=None, looks=0)
    if now == before:
        return live
    live = replace(live, policy=now, asked=live.asked if native else None)
    desk.write(rotation=live)
    return live


def _alike(one: Policy, other: Policy) -> bool:
    """Whether both have keys of one kind, so that the settings of one mean the same in the other."""
    return (one.provider.type, one.kind) == (other.provider.type, other.kind)
