"""What a provider's own list says against a person's word: a key is dead, a credential is the account's."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rotator.cli.options import NotDone
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Debt, KeyRecord, Provenance, ProviderRef, SecretState, token_in
from rotator.owing import tells_of

if TYPE_CHECKING:
    from rotator.wiring import Wiring


def heard_of(world: "Wiring", debt: Debt) -> str:
    """What the provider says of a key that a person declares dead, as a sentence for the record.

    Raises NotDone where it is listed live. A key under another ledger's label may be: it is not ours to end.
    """
    name = debt.policy.provider.name
    listed = _listed(world, debt)
    if isinstance(listed, str):
        return f"{name} could not be asked whether it lives: {listed}"
    record = next((one for one in listed if one.key_id == debt.key_id and one.live), None)
    state = world.ledger.secret(debt.secret)
    if record is None and (state is None or not tells_of(world.ledger, state, debt, listed)):
        return (
            f"{name} could not tell whether it lives: its list shows no key that is known there, so it may "
            "be another account's."
        )
    if record is None:
        return f"{name} did not list it as live."
    label = token_in(record.label)
    if label is not None and label[0] != world.ledger.id:
        return f"{name} lists it live: it is ledger {label[0]}'s, and lives on."
    raise NotDone(
        f"{name} lists key {debt.key_id} as live, so it is not dead. Nothing was changed. Revoke it at the "
        "provider first, then settle the debt."
    )


def _listed(world: "Wiring", debt: Debt) -> Sequence[KeyRecord] | str:
    """What the provider lists, or why it cannot tell of this key."""
    provider = world.provider(debt.policy.provider)
    if debt.key_id is None:
        return "the key's id is not known."
    if not provider.traits.lists or debt.policy.provider.admin is None:
        return "it lists no keys to rotator."
    try:
        return provider.find()
    except (EffectError, NeedsPerson) as error:
        return error.message


def of_another_account(
    ref: ProviderRef, listed: Iterable[KeyRecord], states: Iterable[SecretState]
) -> str | None:
    """Why a credential that lists these keys is not of our account, as a sentence; None if it may be.

    Another account's credential lists too, and lists none of the keys that we have in service.
    """
    ours = {key_id for state in states for key_id in _in_service(ref, state)}
    if not ours or any(record.live and record.key_id in ours for record in listed):
        return None
    assert ref.admin is not None, "an admin credential has its place"
    return (
        f"It lists none of the keys that rotator knows at {ref.name}: is it of another account? Nothing was "
        f"written. Bring one of the account that has key {min(ours)}. If that account is given up, or all of "
        f"its keys were revoked by hand, put the credential into {ref.admin.secret} of the store "
        f"{ref.admin.store.name} yourself."
    )


def _in_service(ref: ProviderRef, state: SecretState) -> tuple[str, ...]:
    """The id of the key that a secret holds, where this provider's list must show it."""
    key = state.current
    if (
        key is None
        or key.key_id is None
        or key.provenance is Provenance.UNKNOWN
        or key.expires_at is not None
    ):
        return ()
    return (key.key_id,) if state.issuer == ref.principal and not state.gone else ()
