"""Secrets that depend on each other: tokens on their parent credential, a provider's keys on its admin's.

A token says with which version of its parent secret it was minted. While one is in use that may have been
minted with the parent's old key, that key must live.
"""

from datetime import datetime, timedelta

from rotator.desk import Desk
from rotator.model import Debt, Order, Phase, Policy, SecretState

_ON_ITS_WAY = timedelta(seconds=30)  # longer than the pause between two probes of a new key
_TAKEN_UP = timedelta(minutes=2)  # after it is due, where any worker has room for it


def minted_with(desk: Desk, policy: Policy) -> str | None:
    """The version of the parent secret that a token would be minted with now; None where none is known.

    Read before the parent credential itself is: a token is never taken to be newer than it is.
    """
    if policy.parent is None:
        return None
    parent = desk.world.ledger.secret(policy.parent)
    desk.world.renewed(policy.provider)
    return parent.current.version if parent and parent.current else None


def up_to_date(desk: Desk, policy: Policy) -> bool:
    """Whether the current token was minted with what its parent secret holds now."""
    parent = desk.world.ledger.secret(policy.parent) if policy.parent else None
    current = desk.state.current
    if not (parent and parent.current and current) or current.made_from not in (None, parent.id):
        return False
    return current.made_with == parent.current.version


def dead_by(expires_at: datetime | None, took: timedelta) -> datetime | None:
    """When a token has surely expired: its life is counted from when it was asked for, and may have begun
    as late as its answer came; whole seconds are rounded.
    """
    return None if expires_at is None else expires_at + took + timedelta(seconds=1)


def renew_children(desk: Desk) -> None:
    """The parent credential was replaced: every token of it is due at once, if it is known what holds now."""
    if desk.state.current is None:
        return
    reason = "its parent credential was replaced"
    for child in desk.world.ledger.children(desk.state.id):
        desk.world.ledger.forget(f"block:{child.principal}")
        desk.world.ledger.give(child.id, Order("renew", "rotator", reason, desk.now()))


def in_use_below(desk: Desk, debt: Debt) -> list[SecretState]:
    """The tokens that may have been minted with the key that is to die, neither replaced nor expired.

    Versions of the parent secret say little: they move when other fields of it change. What frees the old key
    is that each token was minted with the key that is in service now.
    """
    return [
        child
        for child in _minted_below(desk, debt)
        if any(not _made_with_current(desk, debt, version) for version in _versions(desk, debt, child))
    ]


def _minted_below(desk: Desk, debt: Debt) -> list[SecretState]:
    """The secrets whose tokens are, or were, minted from the secret of a debt: policies may have moved on."""
    if desk.provider(debt.policy).traits.issues:
        return list(desk.world.ledger.children(debt.secret))
    return [
        state
        for state, _ in desk.world.ledger.secrets()
        if state.parent == debt.secret or (state.current and state.current.made_from == debt.secret)
    ]


def _versions(desk: Desk, debt: Debt, child: SecretState) -> set[str | None]:
    """The parent's versions with which a living token, and one that is on its way, were minted; None where
    nobody knows: it was there before us. What was minted from another secret has no part in it.
    """
    current, rotation = child.current, desk.world.ledger.rotation(child.id)
    ends = (current.dead_by or current.expires_at) if current else None
    alive = current is not None and (not child.gone if ends is None else ends > desk.now())
    found: set[str | None] = set()
    if current is not None and alive and (current.made_from or child.parent) == debt.secret:
        found.add(current.made_with)
    attempt = rotation.attempt if rotation is not None and rotation.phase is not Phase.PLANNED else None
    if attempt is not None and (attempt.made_from or child.parent) == debt.secret:
        found.add(attempt.made_with)
    return found


def _made_with_current(desk: Desk, debt: Debt, version: str | None) -> bool:
    """Whether a version of the parent secret holds the key that is in service, not the one that must die."""
    current = desk.state.current
    if current is None or version is None or version == debt.version:
        return False
    if version == current.version:
        return True
    minted, serving = (desk.version(debt.policy, one) for one in (version, current.version))
    if minted is None or serving is None:
        return False
    return minted.credential.same(serving.credential, desk.provider(debt.policy).traits.fields)


def keeps_admin(desk: Desk, policy: Policy) -> bool:
    """Whether the secret of a policy is the one that holds its provider's own admin credential."""
    admin = policy.provider.admin
    if admin is None or admin.store != policy.target.store:
        return False
    return desk.store(policy).canonical(admin.store.settings, admin.secret) == policy.target.id


def others_are_due(desk: Desk, policy: Policy, *, ordered: bool = False) -> bool:
    """Whether other secrets of the principal are due, or on their way: an admin credential goes last in a
    pass. One that is blocked, and looked at now and then, does not count, nor one that nobody takes up; where
    a person ``ordered`` it, only what was ordered as well, or is under way.
    """
    ledger, now = desk.world.ledger, desk.now()
    others = (
        state.id
        for state, at in ledger.secrets()
        if at is not None
        and now - _TAKEN_UP <= at <= now + _ON_ITS_WAY
        and state.principal == policy.provider.principal
        and state.id != desk.state.id
    )
    return any(
        not ordered or "run" in ledger.orders(other) or ledger.rotation(other) is not None for other in others
    )
