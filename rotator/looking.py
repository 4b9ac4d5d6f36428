"""What a rotation must know before a key is issued: the secret, the provider's keys, whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rotator.desk import Desk
from rotator.errors import Unknown
from rotator.interfaces import Stored
from rotator.model import KeyRecord, Policy, Rotation
from rotator.owing import events_of, identify, replaced, strays_of


@dataclass(frozen=True, slots=True)
class Seen:
    """The version to write over, the keys that the provider lists, and the rotation that knows them."""

    onto: Stored
    listed: Sequence[KeyRecord]
    rotation: Rotation


def look(desk: Desk, rotation: Rotation) -> Seen | None:
    """Read the secret and list the keys; None where the secret has no version yet. Changes nothing."""
    policy = rotation.policy
    versions = desk.store(policy).look(policy.target)
    if versions.current is None:
        return None
    onto = desk.store(policy).read(policy.target, versions.current)
    if onto is None:
        raise Unknown("version-missing", "the store names a current version that it does not return")
    provider = desk.provider(policy)
    listed = keys_listed(desk, policy)
    old = identify(desk, policy, onto, listed)
    record = next((key for key in listed if old is not None and key.key_id == old.key_id), None)
    known = replace(
        rotation,
        wanted=provider.wanted(policy.key, record),
        expected=onto.version,
        old=old,
        replicated=versions.replicated,
    )
    return Seen(onto, listed, known)


def keys_listed(desk: Desk, policy: Policy) -> Sequence[KeyRecord]:
    """Every key of the principal, where the provider lists them: its admin credential works, then."""
    provider = desk.provider(policy)
    if not provider.traits.lists:
        return ()
    listed = provider.find()
    desk.provider_answers(policy)
    return listed


def owe_found(desk: Desk, seen: Seen) -> None:
    """Owe what the look found: strays of lost attempts, and our own key if somebody replaced it by hand."""
    rotation, state = seen.rotation, desk.state
    debts = strays_of(desk, rotation.policy, seen.listed)
    ours = state.current
    if ours is not None and (rotation.old is None or ours.key_id != rotation.old.key_id):
        debts.append(replaced(desk, rotation, ours, not_before=None))
    if debts or rotation.old != ours:
        events = events_of(desk, debts)
        desk.write(state=replace(state, current=rotation.old), rotation=rotation, debts=debts, events=events)


def slot(desk: Desk, seen: Seen) -> bool:
    """Whether the principal has room for one more live key, and it is reserved for this attempt."""
    rotation = seen.rotation
    limit = desk.provider(rotation.policy).traits.key_limit
    if limit is None:
        return True
    live = frozenset(record.key_id for record in seen.listed if record.live)
    principal = rotation.policy.provider.principal
    return desk.world.ledger.reserve(desk.claim, principal, rotation.attempt.token, live, limit)
