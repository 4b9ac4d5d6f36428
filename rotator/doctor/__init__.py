"""Can every provider and store be reached, with the rights that are needed and no more? Changes nothing, and
tells no consumer.

Each of them is asked in a thread of its own, within its adapter's deadlines: one that hangs holds up no
other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial

from rotator.capabilities import Finding, Grade
from rotator.doctor.providers import Asked, check_provider
from rotator.doctor.stores import check_store
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import World
from rotator.model import AdminRef, ConsumerRef, Policy, Provenance, ProviderRef, StoreRef
from rotator.people import Known, is_ours_to_revoke

_MOST = 32  # threads
_FEW = 8  # names in a sentence

Job = tuple[str, Callable[[], Iterable[Finding]]]


def examine(
    world: World,
    policies: Sequence[Policy],
    known: Mapping[str, Known],
    now: datetime,
    *,
    provider: str | None = None,
    store: str | None = None,
) -> list[Finding]:
    """Everything that was found, providers first. ``known`` is the ledger's; ``provider`` and ``store``
    narrow what is asked: with one of them the other kinds are left out.
    """
    jobs: list[Job] = []
    if provider is not None or store is None:
        jobs += _of_providers(world, policies, known, now, provider)
    if store is not None or provider is None:
        jobs += _of_stores(world, policies, store)
    if provider is None and store is None:
        jobs += _of_consumers(world, policies)
    with ThreadPoolExecutor(max(1, min(_MOST, len(jobs))), thread_name_prefix="doctor") as pool:
        asked = [(subject, pool.submit(_answered, check)) for subject, check in jobs]
        found = [
            one if one.subject else replace(one, subject=subject)
            for subject, future in asked
            for one in future.result()
        ]
    whole = provider is None and store is None
    return found + (list(_of_ledger(policies, known)) if whole else [])


def _answered(check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a check finds; an error that it meets is a finding too."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except NeedsPerson as error:
        found.append(Finding(Grade.ERROR, "", error.message, error.todo))
    except EffectError as error:
        found.append(Finding(Grade.ERROR, "", error.message, "See that it is up, then ask again."))
    return found


# --- whom to ask -----------------------------------------------------------------------------------------


def _of_providers(
    world: World, policies: Sequence[Policy], known: Mapping[str, Known], now: datetime, only: str | None
) -> list[Job]:
    """A job for each provider, and for each kind of its credentials."""
    groups: list[tuple[ProviderRef, list[Policy]]] = []
    for policy in policies:
        if only in (None, policy.provider.name):
            group = next((those for ref, those in groups if ref == policy.provider), None)
            if group is None:
                groups.append((policy.provider, [policy]))
            else:
                group.append(policy)
    names = {policy.target.id: policy.name for policy in policies}
    return [
        (
            f"provider {ref.name}" + (f" ({ref.kind})" if ref.kind else ""),
            partial(check_provider, world, Asked(ref, tuple(those), known, now, names)),
        )
        for ref, those in groups
    ]


def _of_stores(world: World, policies: Sequence[Policy], only: str | None) -> list[Job]:
    """A job for each store: the secrets of its policies, and the admin secrets that it holds."""
    refs: list[StoreRef] = []
    for policy in policies:
        admin = policy.provider.admin
        for ref in (policy.target.store, *([admin.store] if admin else [])):
            if ref not in refs and only in (None, ref.name):
                refs.append(ref)
    return [
        (
            f"store {ref.name}",
            partial(
                check_store,
                world,
                ref,
                [each for each in policies if each.target.store == ref],
                _admins(policies, ref),
            ),
        )
        for ref in refs
    ]


def _of_consumers(world: World, policies: Sequence[Policy]) -> list[Job]:
    """A job for each consumer: whether what telling it needs is there."""
    refs: list[ConsumerRef] = []
    for ref in (ref for policy in policies for ref in policy.consumers):
        if ref not in refs:
            refs.append(ref)
    return [(f"consumer {ref.name}", partial(_check_consumer, world, ref)) for ref in refs]


def _check_consumer(world: World, ref: ConsumerRef) -> Iterable[Finding]:
    world.consumer(ref).check()
    yield Finding(Grade.OK, "", "what telling it needs is there; it was told nothing")


def _admins(policies: Sequence[Policy], ref: StoreRef) -> list[str]:
    """The admin secrets that a store holds."""
    admins: list[AdminRef] = [policy.provider.admin for policy in policies if policy.provider.admin]
    return list(dict.fromkeys(admin.secret for admin in admins if admin.store == ref))


# --- what the ledger says --------------------------------------------------------------------------------


def _of_ledger(policies: Sequence[Policy], known: Mapping[str, Known]) -> Iterable[Finding]:
    """Secrets whose key is nobody's: it would never be revoked."""
    waiting = [
        policy.name
        for policy in policies
        if is_ours_to_revoke(policy) and _unadopted(known.get(policy.target.id))
    ]
    if waiting:
        names = ", ".join(waiting[:_FEW]) + (
            f" and {len(waiting) - _FEW} more" if len(waiting) > _FEW else ""
        )
        text = f"nobody has said whose key these secrets hold, so it is never revoked: {names}"
        yield Finding(Grade.WARNING, "ledger", text, "rotator adopt --suggest")
    unseen = sum(policy.target.id not in known for policy in policies)
    if unseen:
        text = f"{unseen} of {len(policies)} policies were not taken on yet"
        yield Finding(Grade.OK, "ledger", text)


def _unadopted(known: Known | None) -> bool:
    current = known.state.current if known else None
    return current is not None and current.provenance is Provenance.UNKNOWN
