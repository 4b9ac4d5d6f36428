"""What an order does not touch though it is about the place: keys of ours there that no policy rotates.

Where a provider, a store, everything or an age is meant, and not some policies, a person must see to these:
secrets whose policy is gone, or names another account by now, and admin credentials without a policy.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from rotator.cli.planning import traits_of
from rotator.cli.reading import read_one
from rotator.cli.select import Choice, is_older, meant
from rotator.interfaces import Ledger
from rotator.model import CurrentKey, Debt, DebtPhase, Policy, ProviderRef, SecretState
from rotator.owing import MANY, issued_under
from rotator.people import adopt_command, is_ours_to_revoke, unproven

if TYPE_CHECKING:
    from rotator.policies import Book


@dataclass(frozen=True, slots=True)
class Beside:
    """What lives beside an order: as sentences with what to do, and, by secret, the versions of replaced keys
    that the order lets die with its own.
    """

    words: tuple[str, ...] = ()
    ends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOTHING = Beside()


@dataclass(frozen=True, slots=True)
class _Left:
    """A key that lives in a secret that is not rotated: the one in service, or that of a debt. ``was`` is the
    policy under which it was issued, as far as is known, ``now`` the one that the files have for its secret.
    """

    state: SecretState
    key: CurrentKey | Debt
    principal: str
    was: Policy | None
    now: Policy | None
    provider: ProviderRef | None

    @property
    def at(self) -> str:
        """The provider's name."""
        return self.provider.name if self.provider else self.principal.partition("|")[0]

    @property
    def dies(self) -> bool:
        """Whether rotator is to revoke the key without a person, now or when its grace is over."""
        debt = self.key
        if isinstance(debt, CurrentKey) or debt.block is not None or unproven(debt):
            return False
        return is_ours_to_revoke(debt.policy)


def besides(
    ledger: Ledger | None,
    book: "Book",
    choice: Choice,
    touched: Collection[str],
    since: datetime,
    *,
    no_grace: bool = False,
) -> Beside:
    """What lives beside an order about a place; nothing where it names policies or chooses by what only
    policies have. ``touched`` are the secrets that it is about, by id; an admin credential that a person
    brought after ``since`` is another one already. What is in its grace dies by itself, as what the order
    replaces does: it counts where there is ``no_grace``.
    """
    of_place = choice.providers or choice.stores or choice.issued_before or choice.everything
    if choice.names or not of_place:
        return NOTHING
    found = _not_over(ledger, touched, _keys(ledger, book, choice, touched)) if ledger else []
    keys = [one for one in found if no_grace or not one.dies]
    admins = _admins(ledger, book, choice, touched, choice.issued_before or since)
    ends: dict[str, tuple[str, ...]] = {}
    for one in keys:
        if one.dies and one.key.version:
            ends[one.state.id] = (*ends.get(one.state.id, ()), one.key.version)
    return Beside((*map(_of_key, keys), *admins), ends)


# --- keys ------------------------------------------------------------------------------------------------


def _keys(ledger: Ledger, book: "Book", choice: Choice, touched: Collection[str]) -> list[_Left]:
    """The keys that live by the ledger at what was chosen, in secrets that are not rotated."""
    debts: dict[str, list[Debt]] = {}
    for debt in ledger.debts():
        debts.setdefault(debt.secret, []).append(debt)
    refs = _refs(book)
    chosen = {ref.principal for ref in refs if ref.name in choice.providers}
    accounts = {ref.principal: ref for ref in refs}
    found = []
    for state, _ in list(ledger.secrets()):
        now = book.by_secret.get(state.id)
        if state.id in touched or (now is not None and not choice.providers):
            continue  # with a policy it is left only where the key is another account's than the policy's
        held = _in_service(ledger, state, accounts), *(_owed(debt, state) for debt in debts.get(state.id, ()))
        left = [replace(one, now=now) for one in held if one is not None]
        found += [one for one in left if _meant(one, choice, chosen)]
    aged = {one.state.id: is_older(read_one(ledger, one.state.id), choice) for one in found}
    return [one for one in found if aged[one.state.id]]


def _refs(book: "Book") -> list[ProviderRef]:
    """Every provider, and each as policies see it: a token's has its parent for an admin credential."""
    return [*(policy.provider for policy in book.policies), *book.providers.values()]


def _in_service(ledger: Ledger, state: SecretState, accounts: dict[str, ProviderRef]) -> _Left | None:
    """The key that a secret holds, unless it is dead."""
    key = state.current
    if key is None or key.contained:
        return None
    ends = key.dead_by or key.expires_at
    if ends is not None and ends <= ledger.now():
        return None
    was = issued_under(ledger, state.id, key) or key.under or _last_policy(ledger, state)
    principal = was.provider.principal if was else state.issuer
    return _Left(state, key, principal, was, None, was.provider if was else accounts.get(principal))


def _last_policy(ledger: Ledger, state: SecretState) -> Policy | None:
    """The policy of a key that we did not issue, as a rotation of its secret last knew it."""
    made = (one.policy for one in ledger.rotations(state.id, MANY))
    return next((one for one in made if one.provider.principal == state.principal), None)


def _owed(debt: Debt, state: SecretState) -> _Left:
    provider = debt.policy.provider
    return _Left(state, debt, provider.principal, debt.policy, None, provider)


def _meant(left: _Left, choice: Choice, chosen: Collection[str]) -> bool:
    """Whether an order would be about a key, had its secret the policy under which it was issued."""
    if left.now is not None and left.now.provider.principal == left.principal:
        return False  # its policy was not chosen, or it is young enough
    here = left.principal in chosen or (left.provider is not None and left.provider.name in choice.providers)
    policy = left.now or left.was
    rest = replace(choice, providers=())
    return (here or not choice.providers) and (policy is None or meant(policy, rest))


def _not_over(ledger: Ledger, touched: Collection[str], found: Sequence[_Left]) -> list[_Left]:
    """Without keys of which another secret's record tells that they die now, or are dead: a policy that moved
    to another secret has left its key behind.
    """
    if not found:
        return []
    known = {
        (debt.policy.provider.principal, debt.key_id)
        for debt in ledger.debts(ended=True)
        if debt.secret in touched or debt.phase in (DebtPhase.DEAD, DebtPhase.SETTLED)
    }
    states = (ledger.secret(secret) for secret in touched)
    known |= {(one.issuer, one.current.key_id) for one in states if one is not None and one.current}
    return [one for one in found if (one.principal, one.key.key_id) not in known or not _names_one(one)]


def _names_one(left: _Left) -> bool:
    """Whether the id is that of one key alone."""
    if left.provider is None or left.key.key_id is None:
        return False
    traits = traits_of(left.provider)
    return not (traits.shared_id or traits.expires)


def _of_key(left: _Left) -> str:
    """What lives, and what ends it."""
    name = left.now.name if left.now else left.state.policy
    why = f"whose policy names {left.now.provider.name} now" if left.now else "whose policy was deleted"
    key = f"key {left.key.key_id or 'of unknown id'} of {left.at}"
    return f"{name}, {why}: {key} {_stands(left.key)}. To do: {_todo(left, name)}"


def _stands(key: CurrentKey | Debt) -> str:
    return "is in service, as far as is known" if isinstance(key, CurrentKey) else "must still die"


def _todo(left: _Left, name: str) -> str:
    """Who can end a key, and how it is told."""
    debt = left.key if isinstance(left.key, Debt) else None
    waits = _waits(debt, name) if debt is not None else None
    if waits is not None:
        return waits
    if left.now is not None:
        return f"rotator run-now {name} --revoke-now --reason TEXT; then the same command"
    if left.was is not None and left.was.renew is not None:
        return "nothing revokes a token: replace what it is minted from"
    if debt is not None:
        return f"revoke it at {left.at}, then: rotator settle {debt.id} --reason TEXT; then the same command"
    return f"revoke it at {left.at}; or put the policy back, and give the same command again"


def _waits(debt: Debt, name: str) -> str | None:
    """What the death of a replaced key waits for, where rotator is the one to end it."""
    if debt.block is not None:
        return debt.block.todo
    if unproven(debt):
        return adopt_command(name, debt.key_id)
    if is_ours_to_revoke(debt.policy):
        return "nothing but the same command, which sees whether it is dead: the order ends its grace"
    return None


# --- admin credentials -----------------------------------------------------------------------------------


def _admins(
    ledger: Ledger | None, book: "Book", choice: Choice, touched: Collection[str], since: datetime
) -> Iterator[str]:
    """The admin credentials of what was chosen that are not rotated with it. They have no tags and no owner;
    one that a policy rotates is among ``touched`` if it is old enough.
    """
    from rotator.submitting import admin_brought  # noqa: PLC0415 - the whole machine

    if choice.tags or choice.owners:
        return
    told = set(touched)
    for ref in reversed(_refs(book)):  # a provider before its tokens
        brought = admin_brought(ledger, ref) if ledger else None
        if ref.admin is None or ref.account in told or not _holds(ref, choice):
            continue
        told.add(ref.account)
        if brought is not None and brought >= since:
            continue
        by = book.by_secret.get(ref.account)
        if by is None:
            yield _by_hand(ref, of_tokens=ref not in book.providers.values())
        elif choice.issued_before is None:
            yield (
                f"the admin credential of {ref.name}, which {by.name} rotates. To do: "
                f"rotator run-now {by.name} --revoke-now --reason TEXT"
            )


def _holds(ref: ProviderRef, choice: Choice) -> bool:
    """Whether a provider's admin credential is at what was chosen."""
    at, kept = choice.providers, choice.stores
    store = ref.admin.store.name if ref.admin else ""
    return (not at or ref.name in at) and (not kept or store in kept)


def _by_hand(ref: ProviderRef, *, of_tokens: bool) -> str:
    assert ref.admin is not None, "only what has one is asked"
    if of_tokens:
        where = f"{ref.admin.secret} in {ref.admin.store.name}"
        return (
            f"what tokens of {ref.name} are minted from ({where}), which no policy rotates. To do: give it a "
            f"policy, and the same command again; or replace it at {ref.name} and there yourself"
        )
    return (
        f"the admin credential of {ref.name}, which no policy rotates. To do: rotate it by hand at "
        f"{ref.name}, then: rotator submit --admin {ref.name}; then the same command"
    )
