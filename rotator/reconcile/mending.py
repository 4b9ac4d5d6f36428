"""What a comparison may change: orphans of ours become debts, slots that nobody needs are free again.

A comparison is made beside workers, so what it found is looked at again under the secret's claim, where
nobody else moves: the keys are listed, the store is read, and only then the ledger is asked. A key that is an
orphan then stays one: its attempt is over, and no label is issued twice. The debt is paid by the second story
like any other, which re-checks in the step that revokes.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import World
from rotator.looking import doubt, keys_listed
from rotator.memory import Memory
from rotator.model import Debt, Event, KeyRecord, Level, Policy, token_in
from rotator.owing import events_of, strays_of
from rotator.reconcile.compare import strange, unknown_tokens
from rotator.reconcile.survey import holding
from rotator.reconcile.values import FIXABLE, Finding, Holding, Kind, View

CLAIM = timedelta(seconds=90)
_MANY = 1000  # rotations of one secret


@contextmanager
def claimed(world: World, secret: str, holder: str) -> Iterator[Desk | None]:
    """A desk at a secret, which is due afterwards; None where a worker acts on it, or there is none."""
    ledger = world.ledger
    claim = ledger.claim(secret, holder, CLAIM)
    state = ledger.secret(secret) if claim else None
    if claim is None or state is None:
        yield None
        return
    try:
        yield Desk(world, Memory(), claim, state)
    finally:
        ledger.release(claim, ledger.now())


def doubt_found(world: World, view: View, holder: str) -> None:
    """What was seen under tokens that the ledger never drew puts it into safe mode, and people are told."""
    unknown = unknown_tokens(view)
    if not unknown:
        return
    token, where = next(iter(unknown.items()))
    for secret in view.records.states:
        with claimed(world, secret, holder) as desk:
            if desk is not None:
                doubt(desk, f"{where} carries {token}, which this ledger never drew")
                return


def note_found(world: World, view: View, holder: str) -> None:
    """A key that was seen where the ledger says another is in service is in service too: written into that
    secret's state under its claim, as long as it is there, so that no debt of another secret kills it.
    """
    for one in view.holdings:
        secret = one.policy.target.id
        state, live = view.records.states.get(secret), view.records.rotations.get(secret)
        key_id = _instead(one) if strange(view, one) else None
        if state is None or one.error or state.holds == key_id:
            continue
        with claimed(world, secret, holder) as desk:
            if desk is not None and (desk.state, desk.rotation()) == (state, live):
                desk.write(state=replace(state, holds=key_id), events=[_noted(desk, key_id)])


def _instead(one: Holding) -> str | None:
    """The id of the key that is there instead; empty where nobody can tell, so that values are compared."""
    return None if one.empty else one.key_id or ""


def _noted(desk: Desk, key_id: str | None) -> Event:
    if key_id is None:
        return desk.event("as-known", "the secret holds what the ledger says")
    text = f"the secret holds key {key_id or 'of unknown id'}, of which the ledger did not know: it lives"
    text += " while it is there"
    return desk.event("seen", text, level=Level.WARNING, key_id=key_id)


def fix(world: World, policies: Sequence[Policy], findings: Iterable[Finding], holder: str) -> list[Finding]:
    """Mend what can be mended by itself; what was. The rest stays as it is, and is found again."""
    wanted: dict[str, list[Finding]] = {}
    for one in findings:
        if one.kind in FIXABLE and one.secret is not None:
            wanted.setdefault(one.secret, []).append(one)
    by_secret = {policy.target.id: policy for policy in policies}
    done: list[Finding] = []
    for secret, theirs in wanted.items():
        if world.stopping():
            break
        with claimed(world, secret, holder) as desk:
            if desk is not None:
                done += _mended(desk, by_secret.get(secret), theirs)
    return done


def _mended(desk: Desk, policy: Policy | None, found: Sequence[Finding]) -> list[Finding]:
    """What of it was mended under the claim; nothing where the provider or the store does not answer."""
    done: list[Finding] = []
    for under in _policies(desk, policy, found):
        try:
            listed = keys_listed(desk, under)
            debts = _orphans(desk, under, listed, {one.key_id for one in found if one.kind is Kind.ORPHAN})
        except (EffectError, NeedsPerson):
            continue
        slots = _unused(desk, listed, {one.token for one in found if one.kind is Kind.SLOT and one.token})
        if debts or slots:
            desk.write(debts=debts, events=events_of(desk, debts), frees=slots)
        owed = {debt.key_id for debt in debts}
        done += [
            one for one in found if (one.key_id in owed if one.kind is Kind.ORPHAN else one.token in slots)
        ]
    return done


def _policies(desk: Desk, policy: Policy | None, found: Iterable[Finding]) -> list[Policy]:
    """Under which policies the keys were issued: a policy may be gone, or have moved to another provider."""
    drawn = desk.world.ledger.attempts([one.token for one in found if one.token])
    made = {rotation for _, rotation in drawn.values()}
    rotations = desk.world.ledger.rotations(desk.state.id, _MANY)
    then = {one.policy.provider.principal: one.policy for one in rotations if one.id in made}
    if policy is not None and policy.provider.principal in then:
        then[policy.provider.principal] = policy
    return list(then.values())


def _orphans(desk: Desk, policy: Policy, listed: Sequence[KeyRecord], wanted: set[str | None]) -> list[Debt]:
    """Debts for those that are orphans under the claim too: neither in the store, nor just being made."""
    held, live = holding(desk.world, policy), desk.rotation()
    if held.error or not (held.empty or held.key_id):
        return []  # what the secret holds cannot be told: nothing is proven
    token = live.attempt.token if live else None
    strays = strays_of(desk, policy, listed)
    return [one for one in strays if one.key_id in wanted - {held.key_id} and one.token != token]


def _unused(desk: Desk, listed: Iterable[KeyRecord], wanted: set[str]) -> list[str]:
    """Of these slots those that no record needs under the claim either, and whose key is not listed."""
    live, current = desk.rotation(), desk.state.current
    needed = {live.attempt.token if live else None, current.token if current else None}
    needed |= {debt.token for debt in desk.debts()}
    needed |= {label[1] for key in listed if key.live and (label := token_in(key.label))}
    return sorted(wanted - needed)
