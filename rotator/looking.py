"""What a rotation must know before a key is issued: the secret, the provider's keys, whose they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from rotator import safe_mode
from rotator.desk import Desk, pushed
from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Look, Stored
from rotator.model import KeyRecord, Level, Policy, Rotation
from rotator.owing import events_of, identify, replaced, strays_of
from rotator.setbacks import fresh_attempt

_FEW = 3  # tokens in a sentence


@dataclass(frozen=True, slots=True)
class Seen:
    """The version to write over, the keys that the provider lists, and the rotation that knows them."""

    onto: Stored
    listed: Sequence[KeyRecord]
    rotation: Rotation


def look(desk: Desk, rotation: Rotation) -> Seen | None:
    """Read the secret and list the keys; None where the secret has no version yet. Changes nothing there."""
    policy = rotation.policy
    versions = versions_of(desk, policy)
    if versions.current is None:
        return None
    onto = desk.store(policy).read(policy.target, versions.current)
    if onto is None:
        raise Unknown("version-missing", "the store names a current version that it does not return")
    provider = desk.provider(policy)
    listed = keys_listed(desk, policy)
    rotation = unspent(desk, rotation, [*versions.versions, *(key.label for key in listed)])
    old = identify(desk, policy, onto, listed)
    record = next((key for key in listed if old is not None and key.key_id == old.key_id), None)
    told_before = record is None and rotation.wanted  # of an old key that died first
    known = replace(
        rotation,
        wanted=rotation.wanted if told_before else provider.wanted(policy.key, record),
        expected=onto.version,
        old=old,
        replicated=versions.replicated,
    )
    return Seen(onto, listed, known)


def seed(desk: Desk, rotation: Rotation) -> Rotation:
    """A secret without a version gets an empty object: its first version is current whatever its label.

    That spends the attempt's token: a token names one version, and every one that leaves is committed.
    """
    spent = rotation.attempt
    if rotation.policy.target.native:
        raise NeedsPerson(
            "no-version",
            f"Secret {rotation.policy.target.secret} has no value yet, and its own rotation needs one.",
            todo="Write one, an empty object ({}) will do: `aws secretsmanager put-secret-value`.",
        )
    planned = replace(rotation, attempt=fresh_attempt(desk, spent.number))
    seeding = desk.event(
        "seeding", "the secret has no version yet: writing an empty object", rotation=planned
    )
    state = pushed(rotation.policy, desk.state, desk.now())
    desk.write(state=state, rotation=planned, events=[seeding])
    desk.store(rotation.policy).seed(rotation.policy.target, spent.push)
    return planned


def keys_listed(desk: Desk, policy: Policy) -> Sequence[KeyRecord]:
    """Every key of the principal, where the provider lists them: its admin credential works, then.

    Those that live come first, so that an id which is listed twice, live and dead, is found as live.
    """
    provider = desk.provider(policy)
    if not provider.traits.lists:
        return ()
    with desk.asking(policy, "list"):
        listed = sorted(provider.find(), key=lambda key: not key.live)
    witness(desk, policy.provider.name, [key.label for key in listed])
    return listed


def versions_of(desk: Desk, policy: Policy) -> Look:
    """The secret's versions."""
    versions = desk.store(policy).look(policy.target)
    witness(desk, policy.target.secret, versions.versions)
    return versions


def witness(desk: Desk, where: str, names: Collection[str]) -> None:
    """Whatever was read outside passes here: a token of ours that this ledger never drew shows that it is
    older than the world.
    """
    unknown = safe_mode.never_drawn(desk.world.ledger, names)
    if unknown:
        doubt(desk, f"{where} shows {' and '.join(unknown[:_FEW])}, which this ledger never drew")


def doubt(desk: Desk, why: str) -> None:
    """The ledger is older than the world: nothing is revoked until a person agrees. That comes first, for all
    workers; whoever tells alarms next tells people. Raises Fenced where others went on with the secret: then
    it is what was read of the ledger here that is old.
    """
    desk.hold()
    ledger = desk.world.ledger
    if safe_mode.current(ledger) is None and safe_mode.enter(ledger, why):
        desk.trouble = True
        text = f"the ledger is older than the world, so nothing is revoked: {why}"
        desk.write(events=[desk.event("doubted", text, level=Level.WARNING, step="look")])


def must_be_unstaged(desk: Desk, rotation: Rotation) -> None:
    """A key is staged only once the ledger has its id: where the store has a version all the same, the ledger
    lost commits, and the key may be in service.
    """
    policy, push = rotation.policy, rotation.attempt.push
    if any(one.attempt.push == push != rotation.attempt.token for one in _ended(desk)):
        return  # an earlier rotation wrote under this name, which the store's own rotation drew
    if desk.store(policy).read(policy.target, push) is not None:
        doubt(desk, f"{policy.target.secret} has version {push}, which by this ledger was never staged")


def _ended(desk: Desk) -> Sequence[Rotation]:
    return [one for one in desk.world.ledger.rotations(desk.state.id) if one.phase.ended]


def unspent(desk: Desk, rotation: Rotation, names: Sequence[str]) -> Rotation:
    """The rotation with an attempt whose token is nowhere outside yet: one label is never issued twice.

    A token that is outside though the ledger never sent it was sent by a ledger that knew more.
    """
    attempt = rotation.attempt
    if attempt.token not in safe_mode.own_tokens(desk.world.ledger, names):
        return rotation
    if attempt.issued_at is None:
        doubt(desk, f"{attempt.token} is in use, which by this ledger was never sent")
    push = attempt.push if rotation.policy.target.native else None
    fresh = replace(rotation, attempt=fresh_attempt(desk, attempt.number, push))
    desk.write(rotation=fresh, frees=[attempt.token])
    return fresh


def owe_found(desk: Desk, seen: Seen) -> None:
    """Owe what the look found: strays of lost attempts, and our own key if somebody replaced it by hand."""
    rotation, state = seen.rotation, desk.state
    ours, old = state.current, rotation.old
    strays = strays_of(desk, rotation.policy, seen.listed)
    debts = [stray for stray in strays if old is None or stray.key_id != old.key_id]
    if ours is not None and (old is None or ours.key_id != old.key_id):
        debts += replaced(desk, rotation, ours, not_before=None)
    if debts or old != ours:
        events = events_of(desk, debts)
        desk.write(
            state=replace(state, current=old, holds=None), rotation=rotation, debts=debts, events=events
        )


def slot(desk: Desk, seen: Seen) -> bool:
    """Whether the principal has room for one more live key, and it is reserved for this attempt."""
    rotation = seen.rotation
    limit = desk.provider(rotation.policy).traits.key_limit
    if limit is None:
        return True
    live = frozenset(record.key_id for record in seen.listed if record.live)
    principal = rotation.policy.provider.principal
    return desk.world.ledger.reserve(desk.claim, principal, rotation.attempt.token, live, limit)
