"""Other secrets that hold a key which is about to die: by its id where that is known, else by its value.

Within an account an id that the ledger knows tells by itself. Where no id is known (none is written to the
secret, nobody looked at it yet, or somebody wrote it), where the policy moved to another account and the key
stays behind, and where the same id is known at another account of the provider's address (it may be the same
one, with a second admin credential), the secret is read afresh and compared with the version that holds the
dying key. No value is kept, so that nothing is to be forgotten.

Nor does a key die that another secret is about to hold again, by a rollback.
"""

from collections.abc import Iterator

from rotator.desk import Desk, holds_nothing
from rotator.errors import EffectError, NeedsPerson, Unknown, clause
from rotator.interfaces import Stored
from rotator.model import Debt, SecretState

NOT_COMPARED = "not-compared"
COMES_BACK = "comes-back"
_DELETED = "not-allowed-now"  # as Secrets Manager says of one that is marked for deletion: nor that one
_MISSING = "missing"  # as every store says that there is no such secret: nobody reads it


def holders(desk: Desk, debt: Debt, old: Stored | None) -> list[SecretState]:
    """Every other secret that holds the key of a debt; ``old`` is the version that its value is read from.

    Raises Unknown where one cannot be compared now, or is about to hold it, NeedsPerson where a person must
    see to that.
    """
    principal = debt.policy.provider.principal
    known = desk.world.ledger.keepers(principal, debt.key_id or "")
    found = [other for other in known if other.issuer == principal and not _left(debt, other)]
    if debt.served is None:  # it was nowhere that it could be copied from
        return found
    _must_not_come_back(desk, debt, old)
    beside = [other for other in _beside(desk, debt) if not _left(debt, other)]
    return found + [other for other in beside if alike(desk, debt, old, other)]


def _left(debt: Debt, other: SecretState) -> bool:
    """Whether it is the debt's own secret; or the old place of its policy, whose secret moved: nobody is told
    to read there any more.
    """
    return other.id == debt.secret or (other.gone and other.policy == debt.policy.name)


def _beside(desk: Desk, debt: Debt) -> Iterator[SecretState]:
    """The secrets at the provider's address of which an id does not tell."""
    ledger, provider = desk.world.ledger, debt.policy.provider
    for principal, unnamed in desk.memory.unnamed(ledger).items():
        if not principal.startswith(provider.address):
            continue
        if principal != provider.principal:
            yield from ledger.keepers(principal, debt.key_id or "")
        states = (ledger.secret(secret) for secret in unnamed)
        yield from (state for state in states if state and state.unnamed)


def alike(desk: Desk, debt: Debt, old: Stored | None, other: SecretState) -> bool:
    """Whether a secret of which an id does not tell holds the key.

    The record alone tells of a secret of which nobody noted where it was before its policy was deleted.
    """
    traits = desk.provider(debt.policy).traits
    if other.holder is None and (other.gone or not other.unnamed):
        return not other.unnamed
    found = _read(desk, debt, other)
    if found is None:
        return False
    if old is not None and found.credential.shares(old.credential, traits.secret_fields):
        return True
    told = found.credential.get(traits.id_field)
    if old is None and told is None and not holds_nothing(found.credential, traits.secret_fields):
        why = f"the value of key {debt.key_id} cannot be read any more"
        raise _not_compared(debt, other, why, f"rotator run-now {other.policy} --reason TEXT")
    return told == debt.key_id and (old is None or other.issuer == debt.policy.provider.principal)


def _read(desk: Desk, debt: Debt, other: SecretState) -> Stored | None:
    """What a secret holds now; None where it does not exist, or has no version."""
    never_ours = other.gone and other.looked_at is None  # a mistake in a file, which was put right
    target = other.holder
    if target is None:
        raise Unknown(NOT_COMPARED, f"waiting for a first look at the secret of {other.policy}")
    if desk.world.stopping():
        raise Unknown(NOT_COMPARED, "stopping")
    try:
        return desk.store_at(target).read(target)
    except NeedsPerson as error:
        if error.kind == _MISSING or never_ours or (other.gone and error.kind == _DELETED):
            return None
        raise _not_compared(debt, other, error.message, error.todo) from None
    except EffectError as error:
        why = f"what the secret of {other.policy} holds cannot be compared: {error.message}"
        raise Unknown(NOT_COMPARED, why, retry_at=error.retry_at) from None


def _must_not_come_back(desk: Desk, debt: Debt, old: Stored | None) -> None:
    """Raise Unknown while another secret's rollback may bring the key back: it was verified, or will be."""
    for one in _owed_elsewhere(desk, debt):
        live = desk.world.ledger.rotation(one.secret)
        coming = live is not None and live.back is not None and live.back.debt == one.id
        if coming and _same_key(desk, debt, old, one):
            why = f"waiting for the rollback of {one.policy.name}, which may bring key {debt.key_id} back"
            raise Unknown(COMES_BACK, why)


def _owed_elsewhere(desk: Desk, debt: Debt) -> Iterator[Debt]:
    """What other secrets owe at the provider's address that may be the same key."""
    ledger, provider = desk.world.ledger, debt.policy.provider
    every, accounts = desk.memory.debts(ledger), {provider.principal, *desk.memory.unnamed(ledger)}
    for principal in sorted(accounts):
        if principal.startswith(provider.address):
            for key_id in (debt.key_id, None):
                yield from (one for one in every.get((principal, key_id), ()) if one.secret != debt.secret)


def _same_key(desk: Desk, debt: Debt, old: Stored | None, other: Debt) -> bool:
    """Whether two debts are for one key: by its id within an account, else by value, as far as it tells."""
    if (other.policy.provider.principal, other.key_id) == (debt.policy.provider.principal, debt.key_id):
        return True
    target, fields = other.policy.target, desk.provider(debt.policy).traits.secret_fields
    its = desk.store_at(target).read(target, other.version) if other.version else None
    return its is not None and (old is None or its.credential.shares(old.credential, fields))


def _not_compared(debt: Debt, other: SecretState, why: str, todo: str) -> NeedsPerson:
    """A key lives while nobody knows whether it is in service."""
    what = f"what the secret of {other.policy} holds cannot be compared with it"
    return NeedsPerson(NOT_COMPARED, f"key {debt.key_id} is to die, but {what}: {clause(why)}.", todo=todo)
