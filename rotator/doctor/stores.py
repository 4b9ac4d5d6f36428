"""What ``doctor`` asks of one store: each secret is looked at and read. Changes nothing there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rotator.capabilities import ChecksRights, Finding, Grade
from rotator.errors import EffectError, NeedsPerson, NotSent, Unknown
from rotator.interfaces import SecretStore, World
from rotator.model import Policy, StoreRef

_SIDE_BY_SIDE = 4  # looks at one store


def check_store(
    world: World, ref: StoreRef, policies: Sequence[Policy], admins: Sequence[str]
) -> Iterator[Finding]:
    """Everything about one store. ``admins`` are admin secrets that it holds.

    Where the first secret finds the store silent, the others are not asked. Raises NeedsPerson and
    EffectError.
    """
    store = world.store(ref)
    secrets = list(dict.fromkeys([*(policy.target.secret for policy in policies), *admins]))
    silent = _silent(store, policies, admins)
    if silent is not None:
        yield silent
        return
    yield from _rights(store, secrets)
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="doctor-store") as pool:
        found = list(pool.map(lambda policy: _looked_at(store, policy), policies))
    wrong = [one for one in found if one is not None]
    yield Finding(
        Grade.OK, "", f"reachable; {len(found) - len(wrong)} of {len(found)} secrets can be rotated"
    )
    yield from wrong


def _rights(store: SecretStore, secrets: Sequence[str]) -> Sequence[Finding]:
    """What the store says of our own rights; that it will not say is no more than a warning."""
    if not isinstance(store, ChecksRights):
        return []
    try:
        return store.check_rights(secrets)
    except NeedsPerson as error:
        return [Finding(Grade.WARNING, "", f"our own rights are not told: {error.message}", error.todo)]
    except EffectError as error:
        return [Finding(Grade.WARNING, "", f"our own rights are not told: {error.message}", "Ask again.")]


def _silent(store: SecretStore, policies: Sequence[Policy], admins: Sequence[str]) -> Finding | None:
    """The store does not answer at all, as its first secret shows."""
    try:
        if policies:
            store.look(policies[0].target)
        elif admins:
            store.raw(admins[0])
    except (NotSent, Unknown) as error:
        todo = "See that it is up and can be reached from here; its other secrets were not asked for."
        return Finding(Grade.ERROR, "", error.message, todo)
    except (EffectError, NeedsPerson):
        return None  # of this one secret: told when it is looked at
    return None


def _looked_at(store: SecretStore, policy: Policy) -> Finding | None:
    """What keeps one secret from being rotated, or None."""
    try:
        if store.look(policy.target).current is not None:
            store.read(policy.target)
    except NeedsPerson as error:
        return Finding(Grade.ERROR, policy.name, error.message, error.todo)
    except EffectError as error:
        return Finding(Grade.ERROR, policy.name, error.message, "Ask again; if it stays, see the message.")
    return None
