"""Secrets that depend on each other: tokens on their parent credential, a provider's keys on its admin's.

A token says with which version of its parent secret it was minted. While one that was minted with the old
version is in use, the parent's old key must live.
"""

from datetime import datetime, timedelta

from rotator.desk import Desk
from rotator.model import Debt, Order, Policy, SecretState

_ON_ITS_WAY = timedelta(seconds=30)  # longer than the pause between two probes of a new key


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
    return bool(parent and parent.current and current and current.made_with == parent.current.version)


def dead_by(expires_at: datetime | None, took: timedelta) -> datetime | None:
    """When a token has surely expired: its life is counted from when it was asked for, and may have begun
    as late as its answer came; whole seconds are rounded.
    """
    return None if expires_at is None else expires_at + took + timedelta(seconds=1)


def renew_children(desk: Desk) -> None:
    """The parent credential was replaced: every token of it is due at once."""
    reason = "its parent credential was replaced"
    for child in desk.world.ledger.children(desk.state.id):
        desk.world.ledger.forget(f"block:{child.principal}")
        desk.world.ledger.give(child.id, Order("renew", "rotator", reason, desk.now()))


def in_use_below(desk: Desk, debt: Debt) -> list[SecretState]:
    """The tokens that were minted with the key that is to die, and are neither replaced nor expired."""
    return [
        child
        for child in desk.world.ledger.children(debt.secret)
        if debt.version is not None and debt.version in _versions(desk, child)
    ]


def _versions(desk: Desk, child: SecretState) -> set[str | None]:
    """The parent's versions on which a token, or one that is on its way, depends."""
    current, rotation = child.current, desk.world.ledger.rotation(child.id)
    ends = (current.dead_by or current.expires_at) if current else None
    alive = current is not None and (ends is None or ends > desk.now())
    return {
        current.made_with if current and alive else None,
        rotation.attempt.made_with if rotation else None,
    }


def keeps_admin(desk: Desk, policy: Policy) -> bool:
    """Whether the secret of a policy is the one that holds its provider's own admin credential."""
    admin = policy.provider.admin
    if admin is None or admin.store != policy.target.store:
        return False
    return desk.store(policy).canonical(admin.store.settings, admin.secret) == policy.target.id


def others_are_due(desk: Desk, policy: Policy) -> bool:
    """Whether other secrets of the principal are due, or on their way: an admin credential goes last in a
    pass. One that is blocked, and looked at now and then, does not count.
    """
    soon = desk.now() + _ON_ITS_WAY
    return any(
        at is not None and at <= soon and state.principal == policy.provider.principal
        for state, at in desk.world.ledger.secrets()
        if state.id != desk.state.id
    )
