"""A person brings a new credential, where the provider has no API that issues one.

It enters the first story where an issued key would be staged. Until the store holds it nothing depends on
us: a kill loses nothing, since the person still has it. From then on the story goes on by itself.
"""

from dataclasses import replace

from rotator import rotation as story
from rotator.desk import Desk, pushed
from rotator.due import pushes_free_at
from rotator.errors import EffectError, NeedsPerson, Unknown
from rotator.interfaces import Stored
from rotator.looking import Seen, look, owe_found, seed
from rotator.model import Credential, Phase, Policy, Rotation, Verdict
from rotator.owing import holds_same


class NotTaken(Exception):  # an answer to the person, not an error of the program
    """Why a credential was not taken: nothing was written, and the one in service stays."""


def submit(desk: Desk, policy: Policy, credential: Credential, by: str) -> Rotation:
    """Take a credential in: check it at the provider, write it down, stage it; the rotation that goes on.

    Raises NotTaken with a sentence for the person; NeedsPerson and EffectError of the store and provider.
    """
    rotation = desk.world.ledger.rotation(desk.state.id)
    if rotation is not None and rotation.phase is not Phase.PLANNED:
        raise NotTaken(f"a credential that was submitted before is on its way ({rotation.phase}).")
    begun = rotation or _begun(desk, policy, by)
    try:
        seen = _seen(desk, begun)
        _must_be_new(desk, policy, credential, seen.onto)
        _must_work(desk, policy, credential)
        _must_be_allowed(desk, policy)
    except (NotTaken, NeedsPerson, EffectError):
        if rotation is None:
            _withdrawn(desk, begun)
        raise
    owe_found(desk, seen)
    return _staged(desk, policy, credential, seen)


def _begun(desk: Desk, policy: Policy, by: str) -> Rotation:
    run = desk.orders().get("run")
    return story.begin(desk, policy, f"{by} submitted a credential", [run] if run else [])


def _withdrawn(desk: Desk, begun: Rotation) -> None:
    """Nobody had asked for this rotation but the person whose credential was not taken: it waits for none."""
    ended = replace(begun, phase=Phase.FAILED, ended_at=desk.now(), look_at=None, error="not-taken")
    told = desk.event("not-taken", "what a person brought was not taken: the old one stays", rotation=ended)
    desk.write(rotation=ended, events=[told], frees=[begun.attempt.token])


def _seen(desk: Desk, rotation: Rotation) -> Seen:
    """The secret as it is now; one without a version gets its first, empty one."""
    seen = look(desk, rotation)
    if seen is None:
        _must_be_allowed(desk, rotation.policy)
        rotation = seed(desk, rotation)
        seen = look(desk, rotation)
    if seen is None:
        raise Unknown("version-missing", "the store does not show the version that was just written")
    return seen


def _must_be_new(desk: Desk, policy: Policy, credential: Credential, onto: Stored) -> None:
    """The credential in service, brought again, would be revoked as the old one: a person meant another."""
    brought = replace(onto, credential=credential)
    if holds_same(desk, policy, brought, onto):
        raise NotTaken("this is the credential that is in service already.")


def _must_work(desk: Desk, policy: Policy, credential: Credential) -> None:
    """Tried before anything is written: a wrong credential changes nothing."""
    probe = desk.provider(policy).probe(credential)
    if probe.verdict is Verdict.DEAD:
        raise NotTaken(f"{policy.provider.name} refuses it: {probe.why or 'it is not valid'}.")
    if probe.verdict is Verdict.UNKNOWN:
        raise NotTaken(f"{policy.provider.name} gives no clear answer about it: {probe.why}. Try again.")
    known = desk.state.account
    if known is not None and probe.account is not None and probe.account != known:
        raise NotTaken(f"it belongs to account {probe.account}, the one in service to {known}.")


def _must_be_allowed(desk: Desk, policy: Policy) -> None:
    """Nothing is written while a person holds it, nor beyond what a store bears."""
    held = desk.held(policy, urgent=True, admin=False)
    if held is not None:
        raise NotTaken(f"{held.why}.")
    room = pushes_free_at(policy, desk.state, desk.now())
    if room is not None:
        raise NotTaken(f"too many versions of the secret were written lately; room at {room:%H:%M} UTC.")


def _staged(desk: Desk, policy: Policy, credential: Credential, seen: Seen) -> Rotation:
    """Write the intent, then the value; the first story verifies and promotes it."""
    now = desk.now()
    key_id = credential.get(desk.provider(policy).traits.id_field)
    attempt = replace(seen.rotation.attempt, key_id=key_id, issued_at=now)
    rotation = replace(seen.rotation, phase=Phase.ISSUED, attempt=attempt, urgent=True, look_at=None, looks=0)
    told = desk.event("submitted", f"a person brought credential {key_id}", rotation=rotation, key_id=key_id)
    desk.write(state=replace(pushed(policy, desk.state, now), block=None), rotation=rotation, events=[told])
    brought = replace(seen.onto, credential=credential)
    desk.memory.keep(desk.state.id, story.issued_name(rotation), brought, now)
    story.advance(desk, rotation)
    return desk.world.ledger.rotation(desk.state.id) or rotation
