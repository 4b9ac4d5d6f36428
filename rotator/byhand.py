"""A key that a person revokes at the provider: which one is meant, what is asked, and by what it ends.

While the old key is accepted people are asked, and reminded; a refusal proves its death if the key was
accepted before. Where no probe can tell, a person's word ends the debt.
"""

from dataclasses import replace

from rotator.desk import Desk, holds_nothing
from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.model import Debt, DebtReason, Traits, Verdict

ASKED = "a-person-must-revoke"
DECLARED = "cannot-be-proven"
IN_SERVICE = "still-in-service"  # some secret holds the key
PROVEN = "accepted before, refused after while the current key works"
_UNCLEAR = 9  # looks at which the old key's probe may give no clear answer, about a quarter of an hour


def proof(desk: Desk, debt: Debt, current: Stored | None, old: Stored | None) -> str:
    """By what a key that a person revokes is proven dead.

    Raises NeedsPerson until it is, with which key is meant and what to do, and Unknown while it is not clear
    what to ask. ``current`` and ``old`` are the version in service and the one that holds the key.
    """
    provider = desk.provider(debt.policy)
    if not provider.traits.provable:
        raise _declared(provider.traits, debt, "no probe can prove its death.")
    if debt.block is not None and debt.block.kind == DECLARED:  # asked already: no probe would end it
        raise NeedsPerson(DECLARED, debt.block.reason, todo=debt.block.todo)
    if old is None:
        raise _declared(provider.traits, debt, "its value cannot be read any more, so no probe can tell.")
    probe = provider.probe(old.credential)
    if probe.verdict is Verdict.LIVE:
        if debt.baseline_at is None:
            desk.write(debts=[replace(debt, baseline_at=desk.now())])
        raise _asked(provider.traits, debt)
    if debt.baseline_at is None:
        if probe.verdict is Verdict.UNKNOWN and debt.looks < _UNCLEAR:
            raise Unknown("no-baseline", f"the old key's probe gives no clear answer: {probe.why}")
        raise _declared(provider.traits, debt, _no_baseline(probe.verdict))
    if not comparable(desk, debt, current):
        raise _declared(
            provider.traits, debt, "there is no key in service that its refusal is compared with."
        )
    assert current is not None, "a key to compare with is a current one"
    if probe.verdict is Verdict.DEAD and provider.probe(current.credential).verdict is Verdict.LIVE:
        return PROVEN
    raise _asked(provider.traits, debt)


def comparable(desk: Desk, debt: Debt, current: Stored | None) -> bool:
    """Whether the secret holds a key of the same provider, which must work while the old one is refused."""
    if desk.state.issuer != debt.policy.provider.principal:  # the policy moved to another provider
        return False
    secrets = desk.provider(debt.policy).traits.secret_fields
    return current is not None and not holds_nothing(current.credential, secrets)


def in_part(traits: Traits, debt: Debt) -> NeedsPerson:
    """The key is in service with another secret part: revoking it would end both, and only a person's word
    ends the debt.
    """
    why = f"{meant(traits, debt)}; the secret holds that key still, with another {_beside(traits)}."
    todo = (
        f"Revoke nothing: that would end what is in service. Once the old {_beside(traits)} is refused: "
        f"rotator settle {debt.id} --reason TEXT"
    )
    return NeedsPerson(IN_SERVICE, why, todo=todo)


# --- words -----------------------------------------------------------------------------------------------


def _beside(traits: Traits) -> str:
    """The last field of a key's secret part."""
    return traits.secret_fields[-1].replace("_", " ")


def _no_baseline(verdict: Verdict) -> str:
    if verdict is Verdict.DEAD:
        return "it was refused when it was first tried, so that a refusal proves nothing."
    return "its probe gives no clear answer."


def _asked(traits: Traits, debt: Debt) -> NeedsPerson:
    return NeedsPerson(ASKED, f"{meant(traits, debt)}.", todo=traits.todo_revoke)


def _declared(traits: Traits, debt: Debt, why: str) -> NeedsPerson:
    """Only a person's word can end this debt."""
    todo = f"{traits.todo_revoke} Once it is revoked: rotator settle {debt.id} --reason TEXT"
    return NeedsPerson(DECLARED, f"{meant(traits, debt)}; {why}", todo=todo)


def meant(traits: Traits, debt: Debt) -> str:
    """Which key it is, so that nobody takes it for another: its id, when it served, where its value is.

    A sentence without its full stop. No part of a secret is shown.
    """
    store, secret = debt.policy.target.store.name, debt.policy.target.secret
    copy = "pending copy" if debt.reason is DebtReason.ABANDONED else "version"  # of the one that waited
    where = f" ({copy} {debt.version} of {secret} in {store})" if debt.version else ""
    key = f"key {debt.key_id or 'of unknown id'}"
    if traits.shared_id:
        key = f"the {traits.secret_fields[0]} of {debt.key_id or 'an unknown user'}"
    until = f"{debt.since:%Y-%m-%d %H:%M} UTC"
    if debt.reason is DebtReason.ABANDONED:
        return f"{key}{where} was given up on {until} and never came into service"
    since = f"from {debt.served:%Y-%m-%d %H:%M} " if debt.served else ""
    return f"{key}{where}, in service {since}until {until}, was replaced"
