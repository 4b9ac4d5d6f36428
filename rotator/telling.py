"""The third story: whoever uses a secret is told that it holds a new key.

    promoted -> untold -> told, or declared told by a person

Who is to be told stands in the secret's own record, written with the promotion: whoever is killed leaves it
there. A call whose answer is lost is sent again with the same id. Each consumer is apart. None is told before
every replica shows the new version: it would read the old key once more. Until those that hold are told, no
replaced key of the secret dies, and its grace has not begun: who restarts an hour late reads the new key an
hour late.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import backoff
from rotator.desk import Desk
from rotator.errors import EffectError, NeedsPerson, Refused, Unknown
from rotator.model import (
    Again,
    ConsumerRef,
    CurrentKey,
    Ended,
    Event,
    Level,
    News,
    Policy,
    Rotation,
    SecretState,
    Telling,
    Untold,
    WhenNotTold,
)

_PATIENCE = timedelta(minutes=10)  # that a consumer may be away before people hear of it
_BEHIND = "replicas-behind"


# --- what is to be told ----------------------------------------------------------------------------------


def begun(state: SecretState, rotation: Rotation, current: CurrentKey) -> Telling | None:
    """Who is to be told of a key that has just become current; None for nobody. Pure.

    Who was not told of the one before is told of this one instead, and waits no longer than from then. Nobody
    is left out who was to be told: a policy may have lost a consumer since.
    """
    return begun_by(state, rotation.policy, _news(rotation, current), current.since, rotation.replicated)


def begun_by(
    state: SecretState, policy: Policy, news: News, since: datetime, replicated: bool
) -> Telling | None:
    """The same, of news that no rotation of this ledger brings; consumers wait for them since ``since``."""
    left = _by_name(state.telling)
    holds = policy.when_not_told is WhenNotTold.HOLD
    new = {
        ref.name: Untold(
            ref,
            since=left[ref.name].since if ref.name in left else since,
            holds=holds,
            block=left[ref.name].block if ref.name in left else None,
        )
        for ref in policy.consumers
    }
    untold = {name: replace(one, tries=0, look_at=None) for name, one in left.items()} | new
    shown_by = policy.target if replicated else None
    return Telling(news, tuple(untold.values()), policy.owner, shown_by) if untold else None


def _by_name(telling: Telling | None) -> dict[str, Untold]:
    return {one.consumer.name: one for one in telling.untold} if telling else {}


def _news(rotation: Rotation, current: CurrentKey) -> News:
    """What there is to tell of a rotation that ends well."""
    policy, old = rotation.policy, rotation.old
    return News(
        id=rotation.id,
        policy=policy.name,
        provider=policy.provider.name,
        store=policy.target.store.name,
        secret=policy.target.secret,
        version=current.version,
        key_id=current.key_id,
        previous=rotation.expected,
        replaced=old.key_id if old else None,
        promoted_at=current.since,
        not_before=current.since + rotation.grace if old else None,
        reason=rotation.reason,
    )


def by(policy: Policy, telling: Telling | None) -> Telling | None:
    """The same, as a policy that has changed since says: at another address, and at once. Pure.

    A consumer that it does not list any more is still to be told: a person says if not.
    """
    if telling is None:
        return None
    holds, refs = policy.when_not_told is WhenNotTold.HOLD, {ref.name: ref for ref in policy.consumers}
    untold = tuple(
        replace(one, consumer=refs.get(one.consumer.name, one.consumer), holds=holds, look_at=None)
        for one in telling.untold
    )
    replicated = policy.target if telling.replicated else None
    return replace(telling, untold=untold, owner=policy.owner, replicated=replicated)


def holding(state: SecretState) -> Sequence[str]:
    """The consumers for which the replaced keys of a secret must live. Pure."""
    return state.telling.holding if state.telling else ()


# --- telling ---------------------------------------------------------------------------------------------


def advance(desk: Desk) -> list[Again | Ended]:
    """Tell each consumer for which it is time; what each of them answers. Ended: one was told."""
    untold = desk.state.telling.untold if desk.state.telling else ()
    return [_tell(desk, one) for one in untold]


def _tell(desk: Desk, one: Untold) -> Again | Ended:
    """Write that it is tried, and when again; then try, if what it is to read can be read everywhere."""
    telling, now = desk.state.telling, desk.now()
    assert telling is not None, "who is untold has something to be told"
    if one.look_at is not None and one.look_at > now:
        return Again(one.look_at)
    held = desk.halted(follows=True)
    if held is not None:
        return Again(held.until)
    tried = replace(one, tries=one.tries + 1, look_at=now + backoff.after_looks(one.tries))
    _write(desk, tried)
    try:
        _must_show(desk, telling)
        desk.consumer(one.consumer).tell(telling.news)
    except (EffectError, NeedsPerson) as error:
        return _not_told(desk, tried, error)
    news = telling.news
    text = f"consumer {one.consumer.name} was told of key {news.key_id or 'of unknown id'}"
    told = _event(desk, one.consumer, text, kind="told")
    desk.write(state=replace(desk.state, telling=telling.without([one.consumer.name])), events=[told])
    return Ended()


def _must_show(desk: Desk, telling: Telling) -> None:
    """Raise Unknown while a replica shows an older version: who is told reads its own replica, once."""
    target, news = telling.replicated, telling.news
    if target is None or desk.store_at(target).shown(target, news.version, news.promoted_at):
        return
    raise Unknown(_BEHIND, f"a replica of {news.secret} does not show the new version yet.")


def _write(desk: Desk, one: Untold, events: Sequence[Event] = ()) -> None:
    """Commit how far one consumer is; the others stay as they are."""
    telling = desk.state.telling
    assert telling is not None, "who is untold has something to be told"
    name = one.consumer.name
    untold = tuple(one if other.consumer.name == name else other for other in telling.untold)
    desk.write(state=replace(desk.state, telling=replace(telling, untold=untold)), events=events)


def _event(desk: Desk, ref: ConsumerRef, text: str, *, kind: str, level: Level = Level.INFO) -> Event:
    telling = desk.state.telling
    assert telling is not None, "who is untold has something to be told"
    news = telling.news
    return desk.event(
        kind,
        text,
        level=level,
        owner=telling.owner,
        provider=news.provider,
        step="telling",
        key_id=news.key_id,
        consumer=ref.name,
    )


# --- setbacks --------------------------------------------------------------------------------------------


def _not_told(desk: Desk, one: Untold, error: EffectError | NeedsPerson) -> Again:
    """It may not know: try again, later each time. People hear of it once, and are reminded: at once where
    trying again will not help, else when it lasts.
    """
    now = desk.now()
    look_at, said = one.look_at or now, error.message
    if isinstance(error, EffectError):
        look_at = max(look_at, error.retry_at or now)
    if _lasts(error):
        look_at = max(look_at, now + backoff.while_blocked(one.tries - 1))
    failed = replace(one, look_at=look_at, error=said)
    if not _lasts(error) and now - one.since < _PATIENCE:
        first = f"consumer {one.consumer.name} could not be told yet: {said}"
        _write(desk, failed, [_event(desk, one.consumer, first, kind="not-told")] if one.tries == 1 else [])
    else:
        _write(desk, *_blocked(desk, failed, error))
        desk.trouble = True
    return Again(look_at)


def _lasts(error: EffectError | NeedsPerson) -> bool:
    """Whether trying again will not help until somebody does something."""
    return isinstance(error, NeedsPerson) or (isinstance(error, Refused) and error.permanent)


def _blocked(desk: Desk, one: Untold, error: EffectError | NeedsPerson) -> tuple[Untold, Sequence[Event]]:
    """With its block, and the alarm if it is time for one: what was met may change, the block stays one."""
    name, policy = one.consumer.name, desk.state.policy
    telling = desk.state.telling
    used = telling is not None and telling.news.not_before is not None
    lives = ", so the key that it used lives on" if one.holds and used else ""
    todo = error.todo if isinstance(error, NeedsPerson) else _see(error, name)
    todo = f"{todo}; it is tried again by itself; if it needs no telling: {command(policy, name)}"
    asked = NeedsPerson("not-told", f"consumer {name} was not told of the new key{lives}.", todo=todo)
    block, news = desk.block_of(asked, one.block)
    text = f"{asked.message} {error.message} To do: {todo}"
    told = [_event(desk, one.consumer, text, kind="not-told", level=Level.ALARM)] if news else []
    return replace(one, block=replace(block, todo=todo)), told


def _see(error: EffectError, name: str) -> str:
    return "see why the replica is behind" if error.kind == _BEHIND else f"see why {name} does not take it"


def command(policy: str, consumer: str) -> str:
    """What a person types to say that a consumer needs no telling."""
    return f"rotator settle {policy} --consumer {consumer} --reason TEXT"
