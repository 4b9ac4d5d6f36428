"""What ``doctor`` asks of one provider, and of one kind of its credentials. Changes nothing there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rotator import due
from rotator.capabilities import Finding, Grade, JudgesAdmin, Reachable, TellsTime
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Provider, World
from rotator.model import AdminRef, KeyRecord, Policy, Probe, ProviderRef, Traits, Verdict, token_in
from rotator.people import Known

SKEW = timedelta(seconds=30)  # worth a warning where nothing is signed with the time
_FEW = 8  # ids in a sentence
_SOON = timedelta(hours=1)  # a secret that is new to the ledger may be overdue: somebody starts the worker


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider, its policies, what the ledger knows of their secrets, and the time; ``names`` are of all
    policies, by secret.
    """

    ref: ProviderRef
    policies: tuple[Policy, ...]
    known: Mapping[str, Known]
    now: datetime
    names: Mapping[str, str] = field(default_factory=dict)


def check_provider(world: World, asked: Asked) -> Iterator[Finding]:
    """Everything about one provider. Raises NeedsPerson for options that cannot be used."""
    provider = world.provider(asked.ref)
    try:
        if provider.traits.lists:
            yield from _managed(world, asked, provider)
        else:
            yield from _by_login(world, asked, provider)
    except (EffectError, NeedsPerson) as error:
        todo = error.todo if isinstance(error, NeedsPerson) else "See that it is up, then ask again."
        yield Finding(Grade.ERROR, "", error.message, todo)
    yield from _clock(provider)


def _managed(world: World, asked: Asked, provider: Provider) -> Iterator[Finding]:
    """A provider with a list of keys: reading it tries the admin credential."""
    listed = provider.find()
    live = [record for record in listed if record.live]
    yield Finding(
        Grade.OK,
        "",
        f"reachable; its admin credential may list keys, {len(live)} live. Not tried, since it would change "
        "something: issue, revoke",
    )
    yield from _slots(world, asked, provider.traits, live)
    yield from _admin(asked, provider, listed)


# --- slots -----------------------------------------------------------------------------------------------


def _slots(world: World, asked: Asked, traits: Traits, live: Sequence[KeyRecord]) -> Iterator[Finding]:
    """Whether there is room for one more key, and whose keys take it."""
    others = [record.key_id for record in live if _is_foreign(world, asked, record)]
    few = ", ".join(others[:_FEW]) + (" …" if len(others) > _FEW else "")
    limit = traits.key_limit
    if limit is None:
        if others:
            yield Finding(Grade.OK, "", f"{len(others)} live keys are on no record here: {few}")
        return
    todo = f"Revoke at the provider what nobody needs: {few}" if others else "Wait for old keys to die."
    if len(live) >= limit:
        text = f"{len(live)} of {limit} live keys: there is no room for a new one"
        yield Finding(Grade.ERROR if others else Grade.WARNING, "", text, todo)
    elif others:
        text = f"{len(live)} of {limit} live keys; {len(others)} are on no record here: {few}"
        full = len(others) + len(asked.policies) >= limit
        yield Finding(Grade.WARNING if full else Grade.OK, "", text, todo if full else "")
    else:
        yield Finding(Grade.OK, "", f"{len(live)} of {limit} live keys, all of them on record")


def _is_foreign(world: World, asked: Asked, record: KeyRecord) -> bool:
    """Whether no secret's record names a key, and its label is not of this ledger."""
    label = token_in(record.label)
    if label is not None and label[0] == world.ledger.id:
        return False
    held = (
        (one.state.current.key_id if one.state.current else None, *(debt.key_id for debt in one.debts))
        for one in asked.known.values()
    )
    return not any(record.key_id in ids for ids in held)


# --- the admin credential --------------------------------------------------------------------------------


def _admin(asked: Asked, provider: Provider, listed: Sequence[KeyRecord]) -> Iterator[Finding]:
    """Whether it may do more than it needs, and whether it lives until it is needed."""
    if not isinstance(provider, JudgesAdmin):
        return
    more = provider.admin_excess(listed)
    if more is not None:
        needed = ", ".join(provider.traits.rights)
        yield Finding(Grade.WARNING, "", f"its admin credential: {more}", f"Give it only {needed}.")
    ends = provider.admin_ends()
    if ends is None:
        return
    todo = f"Before that: rotator submit --admin {asked.ref.name}"
    beyond = [f"{what} at {_when(at)}" for at, what in needs(asked) if at > ends]
    if ends <= asked.now:
        yield Finding(Grade.ERROR, "", f"its admin credential says that it expired at {_when(ends)}", todo)
    elif beyond:
        more = f" and {len(beyond) - 1} times more" if beyond[1:] else ""
        text = f"its admin credential expires at {_when(ends)}, before it is needed: {beyond[0]}{more}"
        yield Finding(Grade.WARNING, "", text, todo)
    else:
        yield Finding(Grade.OK, "", f"its admin credential says that it lives until {_when(ends)}")


def needs(asked: Asked) -> list[tuple[datetime, str]]:
    """When the admin credential is needed, as far as is known, and what for; the first one first. Pure."""
    found: list[tuple[datetime, str]] = []
    for policy in asked.policies:
        one = asked.known.get(policy.target.id)
        if one is None:
            found.append((asked.now + _SOON, f"{policy.name} is taken on"))
            continue
        planned = due.next_rotation(policy, one.state, one.orders, asked.now)
        found += [(max(planned.at, asked.now), f"{policy.name} rotates")] if planned else []
        found += [
            (max(debt.not_before, asked.now), f"an old key of {policy.name} is revoked")
            for debt in one.debts
            if debt.not_before is not None
        ]
    return sorted(found)


# --- where people issue ----------------------------------------------------------------------------------


def _by_login(world: World, asked: Asked, provider: Provider) -> Iterator[Finding]:
    """A provider without a list: any answer shows that it is there, and each credential speaks for itself."""
    if isinstance(provider, Reachable):
        provider.reach()
        yield Finding(Grade.OK, "", "reachable")
    traits = provider.traits
    if asked.ref.admin is not None:
        yield from _parent(world, asked, asked.ref.admin, traits)
    if not (traits.control or traits.expires):
        yield Finding(Grade.OK, "", "no login was tried: each one counts against the account")
        return
    for policy in asked.policies:
        yield _credential(world, policy, provider)


def _parent(world: World, asked: Asked, parent: AdminRef, traits: Traits) -> Iterator[Finding]:
    """Whether the secret from which tokens are minted holds what a login needs; none is tried. One that a
    policy rotates waits for a person at first, which is no mistake.
    """
    names = ", ".join(each.name for each in asked.policies)
    brings = next((name for each in asked.policies if (name := asked.names.get(each.parent or ""))), None)
    missing = f"secret {parent.secret}, the parent of {names}, holds no credential yet"
    try:
        held = parent.read(world.store(parent.store).raw(parent.secret))
    except (EffectError, NeedsPerson) as error:
        if error.kind == "no-version":
            todo = f"rotator submit {brings}" if brings else "Write it there, or have a policy rotate it."
            yield Finding(Grade.WARNING, "", missing, todo)
            return
        todo = error.todo if isinstance(error, NeedsPerson) else "See that the store is up, then ask again."
        yield Finding(Grade.ERROR, "", f"the parent of {names} cannot be read: {error.message}", todo)
        return
    lacking = [name for name in traits.admin_fields if not held.get(name)]
    if brings and len(lacking) == len(traits.admin_fields):
        yield Finding(Grade.WARNING, "", missing, f"rotator submit {brings}")
    elif lacking:
        text = f"secret {parent.secret}, the parent of {names}, has no {' and no '.join(lacking)}"
        todo = f"Correct `from` in the policy of {names}, or bring the credential into that secret."
        yield Finding(Grade.ERROR, "", text, todo)


def _credential(world: World, policy: Policy, provider: Provider) -> Finding:
    """Whether a policy's credential in service is accepted; one problem hides no other policy."""
    try:
        stored = world.store(policy.target.store).read(policy.target)
    except (EffectError, NeedsPerson) as error:
        return Finding(Grade.WARNING, policy.name, f"its secret cannot be read: {error.message}")
    held = stored.credential if stored else None
    if held is None or not all(held.get(name) for name in provider.traits.secret_fields):
        todo = "" if provider.traits.issues else f"rotator submit {policy.name}"
        return Finding(Grade.OK, policy.name, "its secret holds no credential yet", todo)
    return _accepted(policy, provider.traits, provider.probe(held))


def _accepted(policy: Policy, traits: Traits, probe: Probe) -> Finding:
    if probe.verdict is Verdict.LIVE:
        return Finding(Grade.OK, policy.name, f"its credential is accepted{_why(probe)}")
    if probe.verdict is Verdict.UNKNOWN:
        return Finding(
            Grade.WARNING, policy.name, f"it is not clear whether its credential works{_why(probe)}"
        )
    if traits.expires:
        todo = f'rotator run-now {policy.name} --reason "the token is refused"'
    else:
        todo = f"{traits.todo_issue} Then: rotator submit {policy.name}"
    return Finding(Grade.ERROR, policy.name, f"its credential is refused{_why(probe)}", todo)


def _why(probe: Probe) -> str:
    return f" ({probe.why})" if probe.why else ""


# --- the clock -------------------------------------------------------------------------------------------


def _clock(provider: Provider) -> Iterator[Finding]:
    """How far the clocks are apart, as the last answer told."""
    if not isinstance(provider, TellsTime) or provider.clock_ahead is None:
        return
    ahead, most = provider.clock_ahead, provider.clock_tolerance
    if abs(ahead) <= (most or SKEW):
        return
    seconds = abs(int(ahead.total_seconds()))
    text = f"its clock is {seconds} s {'ahead of' if ahead > timedelta(0) else 'behind'} this machine's"
    if most is not None:
        text += f"; beyond {most.total_seconds():.0f} s it refuses what is signed"
    todo = "Set this machine's clock (NTP), or tell the provider."
    yield Finding(Grade.WARNING if most is None else Grade.ERROR, "", text, todo)


def _when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
