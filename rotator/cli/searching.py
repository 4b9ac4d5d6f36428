"""The search for a key that leaked: which secrets hold it. Its value is compared, and never shown.

Every secret is looked at to its end, whatever was found before, so that neither the time it takes nor what is
printed tells anything of the value but where it is. A policy may be deleted, and its keys live on: what the
ledger knows of its secret is looked at as well.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from rotator.cli.leaked import Place, Search, Where
from rotator.cli.reading import last_policy
from rotator.cli.select import Choice, meant
from rotator.cli.sought import Sought, matched
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Ledger
from rotator.model import DebtPhase, DebtReason, Policy, ProviderRef
from rotator.telemetry.redaction import NOT_SECRET

if TYPE_CHECKING:
    from rotator.wiring import Wiring

THREADS = 16
_TELL = 100  # secrets between two lines of progress
_PUBLIC = NOT_SECRET | {"email", "user_id"}  # fields of a login that are no secret


@dataclass(frozen=True, slots=True)
class Field:
    """Where is looked: in the secrets of the policies that were chosen, and of those that were deleted. Of
    ``every`` policy it is known that it rotates its secret; ``lost`` names the secrets of which the ledger
    does not know where they are.
    """

    chosen: tuple[Policy, ...]
    deleted: tuple[Policy, ...]
    every: tuple[Policy, ...]
    lost: tuple[str, ...] = ()


def field(ledger: Ledger, every: Sequence[Policy], chosen: Sequence[Policy], choice: Choice) -> Field:
    """Beside the chosen policies those that no file has any more, as the ledger knew them last, unless a
    person named others. Nothing rotates their secrets, nor does a store.
    """
    known, deleted, lost = {policy.target.id for policy in every}, [], []
    gone = [state for state, _ in ledger.secrets() if state.id not in known] if not choice.names else []
    for state in gone:
        policy = last_policy(ledger, state.id)
        if policy is not None and meant(policy, choice):
            deleted.append(replace(policy, target=replace(policy.target, native=False)))
        elif policy is None and state.current is not None and len(chosen) == len(every):
            lost.append(
                f"{state.policy}, whose policy was deleted: the ledger does not know where it is kept"
            )
    return Field(tuple(chosen), tuple(deleted), tuple(every), tuple(lost))


def search(world: "Wiring", where: Field, sought: Sought) -> Search:
    """Look at what each secret holds now, has pending, and still owes; side by side."""
    places: list[Place] = []
    unread: list[str] = list(where.lost)
    policies = (*where.chosen, *where.deleted)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="search") as pool:
        looks = pool.map(lambda policy: _looked(world, policy, sought), policies)
        for number, (found, why) in enumerate(looks, 1):
            places += found
            unread += why
            if number % _TELL == 0:
                click.echo(f"looked at {number} of {len(policies)} secrets", err=True)
    admins, of_admins = _admins(world, where, sought)
    narrowed = len(where.chosen) < len(where.every)
    came = Search(tuple(places), (*unread, *of_admins), admins, len(policies), narrowed)
    return replace(came, admins=(*admins, *_left(where.deleted, came)))


def _left(deleted: Sequence[Policy], found: Search) -> Iterator[str]:
    """What a person must do about a key in service that no policy rotates any more."""
    for policy in deleted:
        if found.in_service(policy.target.id):
            yield (
                f"{policy.name} holds it in service, and no policy rotates that. To do: put its policy "
                f"back and give the same command, or end the key at {policy.provider.name} yourself"
            )


def _looked(world: "Wiring", policy: Policy, sought: Sought) -> tuple[list[Place], list[str]]:
    """One secret: where it holds the key, and what of it could not be read."""
    found: list[Place] = []
    unread: list[str] = []
    for where, version, must, by in _versions(world.ledger, policy):
        try:
            stored = world.store(by.target.store).read(by.target, version)
        except (EffectError, NeedsPerson) as error:
            unread += [f"{policy.name}, {where}: {error.message}"] if must else []
            continue
        if stored is None and must and version is not None:
            unread.append(f"{policy.name}, {where}: its value cannot be read any more")
        fields = matched(sought, stored, world.provider(by.provider).traits) if stored else None
        if stored is not None and fields is not None:
            as_what = where if fields else Where.ID
            found.append(Place(policy.name, policy.target.id, as_what, stored.version, fields))
    return list(dict.fromkeys(found)), list(dict.fromkeys(unread))


def _versions(ledger: Ledger, policy: Policy) -> Iterator[tuple[Where, str | None, bool, Policy]]:
    """The versions that may hold a living key, by the ledger, and those of leaked keys that died; whether
    each must be there, since what was given up may never have been stored; and under which policy it was
    written, since one may have moved to another provider. A key that is coming back is in its grace.
    """
    yield Where.SERVICE, None, True, policy
    secret = policy.target.id
    state = ledger.secret(secret)
    if state is not None and state.current is not None and state.current.under is not None:
        yield Where.SERVICE, None, True, state.current.under
    live = ledger.rotation(secret)
    if live is not None and live.back is None and live.attempt.issued_at is not None:
        staged = live.attempt.version
        yield Where.PENDING, staged or live.attempt.push, staged is not None, live.policy
    for debt in ledger.debts(secret, ended=True):
        if debt.version and not debt.phase.ended:
            yield Where.GRACE, debt.version, debt.reason.of_service, debt.policy
        elif debt.version and (debt.reason, debt.phase) == (DebtReason.LEAKED, DebtPhase.DEAD):
            yield Where.DEAD, debt.version, False, debt.policy


# --- admin credentials -----------------------------------------------------------------------------------


def _admins(world: "Wiring", where: Field, sought: Sought) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a person must do about admin credentials that leaked and no policy rotates; what was not read."""
    rotated = {policy.target.id for policy in where.every}
    users = {one.provider.account: one for one in (*where.deleted, *where.chosen) if one.provider.admin}
    todo: list[str] = []
    unread: list[str] = []
    for account, policy in users.items():
        if account in rotated:
            continue
        what = "parent" if policy.parent else "admin"
        try:
            held = _holds(world, policy.provider, sought)
        except (EffectError, NeedsPerson) as error:
            unread.append(f"the {what} credential of {policy.provider.name}: {error.message}")
            continue
        if held:
            todo.append(_of_parent(policy) if policy.parent else _of_admin(policy.provider))
    return tuple(todo), tuple(unread)


def _of_admin(ref: ProviderRef) -> str:
    return (
        f"it is the admin credential of {ref.name}, which no policy rotates. To do: end it at "
        f"{ref.name}, and bring another one: rotator submit --admin {ref.name}"
    )


def _of_parent(policy: Policy) -> str:
    """A parent credential is no admin credential of its provider: nothing of ours takes a new one."""
    ref = policy.provider.admin
    assert ref is not None, "a token is minted from something"
    return (
        f"it is what {policy.name} mints its tokens from, and no policy rotates it. To do: have "
        f"{policy.provider.name} issue another one and end this one; put the new one into {ref.secret} of "
        f"the store {ref.store.name} yourself, then: rotator run-now {policy.name} --reason TEXT"
    )


def _holds(world: "Wiring", ref: ProviderRef, sought: Sought) -> bool:
    """Whether an admin credential is meant; other fields of its secret, and ids, tell nothing."""
    assert ref.admin is not None, "only providers with an admin credential are asked"
    held = ref.admin.read(world.store(ref.admin.store).raw(ref.admin.secret))
    names = world.provider(ref).traits.admin_fields
    return sought.any_of(held.get(name) for name in names if name not in _PUBLIC)
