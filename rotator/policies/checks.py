"""What can be wrong between policies that are each right in themselves."""

from collections.abc import Iterable

from rotator import cron
from rotator.policies.entries import Entry
from rotator.policies.problems import shown
from rotator.policies.references import References


def check_names(entries: Iterable[Entry]) -> None:
    """Every name once."""
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.name, entry) if entry.name else entry
        if other is not entry:
            entry.draft.say(
                (*entry.path, "name"),
                f"name: another policy has it, at {other.place}.",
                "Give each policy its own name.",
            )


def check_secrets(entries: Iterable[Entry]) -> None:
    """Every secret once, whatever its spelling."""
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.secret_id, entry) if entry.secret_id else entry
        if other is not entry:
            whose = f"policy {shown(other.name)}" if other.name else "a policy"
            entry.draft.say(
                (*entry.path, "secret"),
                f"secret: {whose} at {other.place} rotates the same secret.",
                "Remove one of the two.",
            )


def check_limits(entries: Iterable[Entry], refs: References) -> None:
    """An account needs a free key for every rotation: one policy fewer than it may have live keys, and no
    more old keys in grace at any time than it has room for, or rotations fall behind for ever.
    """
    accounts: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        if entry.provider:
            account = (entry.provider.type, entry.provider.base_url, refs.admin_id(entry.provider))
            accounts.setdefault(account, []).append(entry)
    for (kind, *_), together in accounts.items():
        limit = refs.adapters.providers.adapter(kind).traits.key_limit
        if limit is not None and len(together) > limit - 1:
            entry = together[max(limit - 1, 0)]
            entry.draft.say(
                (*entry.path, "provider"),
                f"provider: {len(together)} policies share one account of {kind}, which may have {limit} "
                "live keys, and a rotation needs a free one.",
                f"Keep at most {limit - 1} of them on this account.",
            )
        elif limit is not None and (graces := sum(map(_in_grace, together))) > limit - len(together):
            entry = max(together, key=_in_grace)
            entry.draft.say(
                (*entry.path, "provider"),
                f"provider: {len(together)} policies share one account of {kind}, which may have {limit} "
                f"live keys; their old keys, in grace, would take {graces:.1f} more at any time.",
                "Shorten the grace, or rotate less often.",
            )


def _in_grace(entry: Entry) -> float:
    """The share of time in which a policy's old key lives beside its new one; 0 where that is not known."""
    policy = entry.policy
    gap = policy and (policy.every or (cron.shortest_gap(policy.cron) if policy.cron else None))
    return policy.grace / gap if policy and gap else 0.0
