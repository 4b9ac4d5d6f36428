"""A person agrees to a ledger that is older than the world: what it lost is learned again from outside.

Each unknown token becomes a rotation that is over: so the ledger drew it, and its key is ours. What a secret
holds is what is current, and the key that the ledger took for current is owed. No key dies sooner than a
whole grace from now, since any of them may have been in service until a moment ago; nor before consumers were
told of the one that is current, since nobody knows any more whether they were.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rotator import safe_mode, setbacks, telling
from rotator.desk import Desk
from rotator.interfaces import Stored, World
from rotator.looking import keys_listed
from rotator.model import (
    Attempt,
    Change,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    KeyRecord,
    Level,
    News,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
    Telling,
    token_in,
)
from rotator.owing import events_of, identify, owe
from rotator.reconcile.compare import unknown_tokens
from rotator.reconcile.mending import claimed
from rotator.reconcile.values import Finding, Holding, Kind, View


@dataclass(frozen=True, slots=True)
class Lost:
    """A token that the ledger never drew, and the secret that it was drawn for."""

    token: str
    secret: str
    key_id: str | None


# --- whose they are: pure --------------------------------------------------------------------------------


def lost(view: View) -> tuple[list[Lost], list[Finding]]:
    """Every unknown token with its secret; and what stands in the way of an agreement, where something does.

    A live key whose secret is not known may be in service somewhere: it is not taken over by guess.
    """
    keys = {
        label[1]: (each.provider.principal, key)
        for each in view.listings
        for key in each.keys
        if (label := token_in(key.label))
    }
    found, obstacles = [], list(_unreadable(view))
    for token in unknown_tokens(view):
        principal, key = keys.get(token, ("", None))
        secret = _secret_of(view.holdings, token, principal, key)
        unclear = [
            one.policy.name for one in view.holdings if one.policy.target.id == secret and _unclear(one, keys)
        ]
        if key is not None and key.live and unclear:
            text = f"it cannot be told whether the secret of {unclear[0]} holds key {key.key_id}"
            todo = f"rotator tick; then: rotator adopt {unclear[0]} --key-id ID"
            obstacles.append(
                Finding(Kind.UNREAD, f"policy {unclear[0]}", text, todo, secret, key.key_id, token)
            )
        elif secret is not None:
            found.append(Lost(token, secret, key.key_id if key else None))
        elif key is not None:
            text = f"key {key.key_id} ({key.label}) belongs to no policy here, and may be in service"
            todo = "bring its policy back, or revoke it at the provider; then agree again"
            obstacles.append(Finding(Kind.BEHIND, "ledger", text, todo, None, key.key_id, token))
    return found, obstacles


def _unreadable(view: View) -> Iterator[Finding]:
    """What must be read before anybody can agree: each list, and each secret that the ledger knows."""
    lists = {each.provider.principal for each in view.listings if each.lists}
    used = {one.policy.provider.principal for one in view.holdings}
    for each in view.listings:
        if each.error and each.provider.principal in used:
            yield Finding(Kind.UNREAD, f"provider {each.provider.name}", each.error, each.todo)
    for one in view.holdings:
        name = one.policy.name
        if one.error and one.policy.provider.principal in lists:
            yield Finding(Kind.UNREAD, f"policy {name}", one.error, one.todo)
        elif one.policy.target.id not in view.records.states:
            yield Finding(Kind.UNREAD, f"policy {name}", "this ledger has not taken it on", "rotator tick")


def _unclear(one: Holding, labelled: Collection[str]) -> bool:
    """Whether it cannot be told which key a secret holds: neither the ledger says it, nor an id in it, nor a
    version whose own id is the token of a key.
    """
    version = one.look.current if one.look else None
    return not (one.error or one.empty or one.key_id or one.as_known or version in labelled)


def _secret_of(holdings: Iterable[Holding], token: str, principal: str, key: KeyRecord | None) -> str | None:
    """The secret that a token was drawn for: it has that version, holds that key, or the label says so."""
    holdings = list(holdings)
    for one in holdings:
        if one.look is not None and token in one.look.versions:
            return one.policy.target.id
    theirs = [one.policy for one in holdings if one.policy.provider.principal == principal]
    if key is None or not theirs:
        return None
    held = (one.policy for one in holdings if one.key_id == key.key_id)
    named = (policy for policy in theirs if policy.name == _named_in(key.label, token))
    anyone = (policy for policy in theirs if not key.live)  # a dead key is nobody's danger
    found = next(held, None) or next(named, None) or next(anyone, None)
    return found.target.id if found else None


def _named_in(label: str, token: str) -> str:
    """The policy's name in a label; it may be cut."""
    return label.removesuffix(token).strip().rpartition("/")[2]


# --- taking over -----------------------------------------------------------------------------------------


def take_over(
    world: World, policies: Sequence[Policy], found: Sequence[Lost], holder: str, why: str
) -> list[str]:
    """Learn again what was lost, and trust the ledger from then on.

    Answers the policies whose secrets a worker holds: while there is one, safe mode stays, and this is to be
    called again; that does no harm. Raises EffectError and NeedsPerson, with safe mode on.
    """
    left = []
    for policy in policies:
        with claimed(world, policy.target.id, holder) as desk:
            if desk is None:
                left.append(policy.name)
                continue
            for one in found:
                if one.secret == policy.target.id:
                    _written_back(desk, policy, one)
            relearn(desk, policy, why)
    if not left:
        safe_mode.leave(world.ledger)
        world.ledger.nudge([state.id for state, _ in world.ledger.secrets()])
    return left


def _written_back(desk: Desk, policy: Policy, one: Lost) -> None:
    """A rotation of which the token is all that is known, over since now."""
    now, ledger = desk.now(), desk.world.ledger
    if ledger.attempts([one.token]):
        return
    attempt = Attempt(one.token, 1, one.token, one.key_id, issued_at=now)
    rotation = Rotation(
        id=desk.world.random_hex(),
        secret=desk.state.id,
        policy=policy,
        reason="known from its label or version alone: the ledger lost it",
        began_at=now,
        phase=Phase.FAILED,
        attempt=attempt,
        grace=policy.grace,
        ended_at=now,
        error=safe_mode.LOST,
    )
    told = desk.event("found-again", f"{one.token} is ours", rotation=rotation, key_id=one.key_id)
    ledger.commit(desk.claim, Change(desk.state, rotation, events=(told,)))


def relearn(desk: Desk, policy: Policy, why: str) -> None:
    """Take what the secret holds for current, end a rotation that was overtaken, begin every grace anew."""
    listed = keys_listed(desk, policy)
    onto = desk.store(policy).read(policy.target)
    key = identify(desk, policy, onto, listed) if onto else None
    if onto is not None and key is not None and key.key_id is None:
        key = _by_version(desk, onto, listed) or key
    live, before = desk.rotation(), desk.state.current
    if live is not None and live.phase in (Phase.PLANNED, Phase.ISSUING):
        _planned_anew(desk, live)
    elif live is not None and _overtaken(live, key):
        setbacks.supersede(desk, live, old_serves=False)
    elif live is not None:  # it goes on, and says at its end what is current
        key = desk.state.current
    known, now = desk.state.current, desk.now()
    rotated = key.since if key is not None and key != known else desk.state.rotated_at
    state = replace(desk.state, current=key, holds=None, rotated_at=rotated, block=None)
    if key is not None and before is not None and key.key_id != before.key_id:
        state = replace(state, telling=_untold(desk, policy, key, before))
    others = [debt for debt in desk.debts() if key is None or debt.key_id != key.key_id]
    waiting = [_waiting(debt, now, policy, state) for debt in others]
    lost = known is not None and (key is None or key.key_id != known.key_id)
    owed = [_owed(desk, policy, known, state)] if known is not None and lost else []
    told = desk.event("ledger-trusted", why, level=Level.WARNING)
    desk.write(state=state, debts=[*waiting, *owed], events=[told, *events_of(desk, owed)])


def _by_version(desk: Desk, onto: Stored, listed: Iterable[KeyRecord]) -> CurrentKey | None:
    """The key whose label ends with the very token that the version has for its id."""
    own = desk.world.ledger.id, onto.version
    held = next((record for record in listed if token_in(record.label) == own), None)
    since = onto.created_at or desk.now()
    return CurrentKey(onto.version, held.key_id, Provenance.ISSUED, since, onto.version) if held else None


def _planned_anew(desk: Desk, live: Rotation) -> None:
    """What was sent for this attempt is not known: the next one has a token that nobody has seen."""
    fresh = setbacks.fresh_attempt(desk, live.attempt.number)
    planned = replace(live, phase=Phase.PLANNED, attempt=fresh, look_at=None, looks=0)
    desk.write(rotation=planned, frees=[live.attempt.token])


def _overtaken(live: Rotation, key: CurrentKey | None) -> bool:
    """Whether the secret holds a key of ours that came after the rotation that the ledger knows."""
    ours = key is not None and key.provenance is not Provenance.UNKNOWN
    known = {live.attempt.key_id, live.old.key_id if live.old else None}
    return ours and key is not None and key.key_id not in known and key.version != live.attempt.version


def _untold(desk: Desk, policy: Policy, key: CurrentKey, before: CurrentKey) -> Telling | None:
    """Consumers are to be told of the key that the secret holds: that they were may be what was lost."""
    now = desk.now()
    news = News(
        id=desk.world.random_hex(),
        policy=policy.name,
        provider=policy.provider.name,
        store=policy.target.store.name,
        secret=policy.target.secret,
        version=key.version,
        key_id=key.key_id,
        previous=before.version,
        replaced=before.key_id,
        promoted_at=key.since,
        not_before=now + policy.grace,
        reason="found in the secret: the ledger had lost it",
    )
    replicated = desk.store(policy).look(policy.target).replicated
    return telling.begun_by(desk.state, policy, news, now, replicated)


def _waiting(debt: Debt, now: datetime, policy: Policy, state: SecretState) -> Debt:
    """A debt whose grace begins now, or once consumers were told: its key may have been in service until a
    moment ago. A token dies by itself, and waits for nothing.
    """
    if debt.expires_at is not None:
        return debt
    grace = max(debt.grace, policy.grace)
    used = debt.reason.of_service and debt.phase is DebtPhase.OWED and bool(telling.holding(state))
    begins = None if debt.not_before is None or used else max(debt.not_before, now + grace)
    return replace(debt, grace=grace, not_before=begins, look_at=None, looks=0)


def _owed(desk: Desk, policy: Policy, known: CurrentKey, state: SecretState) -> Debt:
    """The key that the ledger took for current, and that the secret does not hold."""
    begins = None if telling.holding(state) else desk.now() + policy.grace
    reason = DebtReason.REPLACED
    return owe(desk, policy, reason, known, grace=policy.grace, not_before=begins, urgent=False)
