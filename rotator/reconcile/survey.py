"""Read the world, then the ledger: every provider's keys once for each account, what every secret holds.

The order is what makes the comparison safe beside workers. A token is committed before it leaves, so what was
seen outside is in a ledger that is read later; what was committed meanwhile is younger than the look, and is
not judged by it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from rotator import safe_mode
from rotator.desk import holds_nothing
from rotator.errors import EffectError, NeedsPerson
from rotator.interfaces import Ledger, World
from rotator.model import CurrentKey, Policy, ProviderRef
from rotator.owing import same_key
from rotator.reconcile.values import Holding, Listing, Records, View

_MOST = 16  # threads; each call ends within its adapter's deadline
_Read = TypeVar("_Read")

LATER = "See that it is up; it is compared again at the next reconcile."


def survey(world: World, policies: Sequence[Policy], others: Iterable[Policy] = ()) -> View:
    """Everything that these policies concern, and the keys of ``others``, which were deleted.

    Changes nothing. Raises LedgerUnusable.
    """
    with ThreadPoolExecutor(_MOST, thread_name_prefix="reconcile") as pool:
        everybody = principals([*policies, *others])
        listings = _all(pool, [partial(listing, world, ref) for ref in everybody])
        holdings = _all(pool, [partial(holding, world, policy) for policy in policies])
    return View(listings, holdings, records(world.ledger, listings, holdings))


def _all(pool: ThreadPoolExecutor, reads: Iterable[Callable[[], _Read]]) -> tuple[_Read, ...]:
    """Every answer, in order; all of them before what comes next is begun."""
    return tuple(future.result() for future in [pool.submit(read) for read in reads])


def left_behind(ledger: Ledger) -> list[Policy]:
    """Policies that were deleted, as they were: of secrets that are gone, and of debts."""
    gone = [state.id for state, _ in ledger.secrets() if state.gone]
    last = (next(iter(ledger.rotations(secret, 1)), None) for secret in gone)
    return [one.policy for one in last if one] + [debt.policy for debt in ledger.debts()]


def principals(policies: Iterable[Policy]) -> list[ProviderRef]:
    """One provider for each account: kinds of credentials and several names share a list of keys."""
    return list({policy.provider.principal: policy.provider for policy in policies}.values())


def listing(world: World, ref: ProviderRef) -> Listing:
    """Every key of an account, or why it could not be listed."""
    at = world.ledger.now()
    try:
        provider = world.provider(ref)
        if not provider.traits.lists:
            return Listing(ref, at, lists=False)
        if world.stopping():
            return Listing(ref, at, error="the worker is stopping", todo=LATER)
        return Listing(ref, at, tuple(provider.find()), visible=provider.traits.visibility_delay)
    except (EffectError, NeedsPerson) as error:
        return Listing(ref, at, error=error.message, todo=_todo(error))


def holding(world: World, policy: Policy) -> Holding:
    """What a secret holds: one look, and a read only where it is not the version that the ledger knows."""
    at = world.ledger.now()
    state = world.ledger.secret(policy.target.id)
    known = state.current if state else None
    try:
        if world.stopping():
            return Holding(policy, at, error="the worker is stopping", todo=LATER)
        look = world.store(policy.target.store).look(policy.target)
        if look.current is None:
            return Holding(policy, at, look, empty=True, as_known=known is None)
        if known is not None and look.current == known.version:
            return Holding(policy, at, look, known.key_id, as_known=True)
        return _read(world, policy, Holding(policy, at, look), known)
    except (EffectError, NeedsPerson) as error:
        return Holding(policy, at, error=error.message, todo=_todo(error))


def _read(world: World, policy: Policy, seen: Holding, known: CurrentKey | None) -> Holding:
    """The key of a version that the ledger does not know; the same key, where only other fields changed."""
    store, traits = world.store(policy.target.store), world.provider(policy.provider).traits
    stored = store.read(policy.target, seen.look.current if seen.look else None)
    if stored is None or holds_nothing(stored.credential, traits.secret_fields):
        return Holding(policy, seen.at, seen.look, empty=True, as_known=known is None)
    before = store.read(policy.target, known.version) if known is not None else None
    if known is not None and before is not None and same_key(traits, policy, stored, before):
        return Holding(policy, seen.at, seen.look, known.key_id, as_known=True)
    return Holding(policy, seen.at, seen.look, stored.credential.get(traits.id_field))


def _todo(error: EffectError | NeedsPerson) -> str:
    return error.todo if isinstance(error, NeedsPerson) else LATER


def records(ledger: Ledger, listings: Iterable[Listing], holdings: Iterable[Holding]) -> Records:
    """What the ledger says now."""
    listings = tuple(listings)
    seen = [key.label for each in listings for key in each.keys]
    seen += [version for each in holdings if each.look for version in each.look.versions]
    drawn = ledger.attempts(safe_mode.own_tokens(ledger, seen))
    slots = {
        token: key
        for each in listings
        if each.told
        for token, key in ledger.slots(each.provider.principal).items()
    }
    drawn = ledger.attempts(safe_mode.own_tokens(ledger, [*seen, *slots]))
    states = {state.id: state for state, _ in ledger.secrets()}
    rotations = {secret: live for secret in states if (live := ledger.rotation(secret)) is not None}
    debts, mode = tuple(ledger.debts()), safe_mode.current(ledger)
    killed = _killed(ledger, listings, holdings)
    return Records(ledger.id, ledger.now(), states, rotations, debts, drawn, slots, mode, killed)


def _killed(ledger: Ledger, listings: Iterable[Listing], holdings: Iterable[Holding]) -> Mapping[str, str]:
    """Of the keys that secrets hold and nobody lists as live, those that rotator revoked: for which policy.

    Paid debts are many: they are read only where there is such a key.
    """
    live = {key.key_id for each in listings for key in each.keys if key.live}
    held = {one.key_id for one in holdings if one.key_id} - live
    ended = ledger.debts(ended=True) if held else ()
    return {debt.key_id: debt.policy.name for debt in ended if debt.key_id in held and debt.revoked_at}
