"""A person brings a new credential, where the provider has no API that issues one.

It enters the first story where an issued key would be staged. Until the store holds it nothing depends on
us: a kill loses nothing, since the person still has it. From then on the story goes on by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter

from rotator import breaker
from rotator import rotation as story
from rotator.containing import known_to_others
from rotator.desk import Desk, holds_nothing, pushed
from rotator.due import pushes_free_at
from rotator.errors import EffectError, NeedsPerson, Unknown
from rotator.interfaces import Ledger, Stored
from rotator.looking import Seen, look, owe_found, seed
from rotator.model import Credential, Level, Phase, Policy, ProviderRef, Rotation, Verdict
from rotator.owing import holds_same
from rotator.records import Codec
from rotator.setbacks import issued_name, supersede

NOT_COMPARED = "not-compared"
NOT_TAKEN = "not-taken"  # the error of a rotation that was begun for what a person brought, and withdrawn
_UNFIT = ("incomplete", "malformed")  # what an adapter says of what it does not even send


class NotTaken(Exception):  # an answer to the person, not an error of the program
    """Why a credential was not taken: nothing was written, and the one in service stays."""


def submit(desk: Desk, policy: Policy, credential: Credential, by: str) -> Rotation:
    """Take a credential in: check it at the provider, write it down, stage it; the rotation that goes on.

    One that is on its way already, since an earlier submit was killed, goes on. Raises NotTaken with a
    sentence for the person; NeedsPerson and EffectError of the store and provider.
    """
    rotation = desk.world.ledger.rotation(desk.state.id)
    if rotation is not None and rotation.phase is not Phase.PLANNED:
        if is_candidate(desk, policy, credential, rotation):
            return rotation
        _replaces(desk, policy, credential, rotation)
        rotation = None
    begun = rotation or _begun(desk, policy, by)
    try:
        seen = _seen(desk, begun)
        _must_be_new(desk, policy, credential, seen.onto)
        _must_work(desk, policy, credential, seen.onto)
        _must_be_allowed(desk, policy)
    except (NotTaken, NeedsPerson, EffectError):
        if rotation is None:
            _withdrawn(desk, begun)
        raise
    owe_found(desk, seen)
    return _staged(desk, policy, credential, seen)


def is_candidate(desk: Desk, policy: Policy, credential: Credential, rotation: Rotation) -> bool:
    """Whether it is the very credential that a rotation brings, or has brought, into service."""
    staged = desk.version(policy, rotation.attempt.version or rotation.attempt.push)
    return staged is not None and holds_same(desk, policy, replace(staged, credential=credential), staged)


def _replaces(desk: Desk, policy: Policy, credential: Credential, rotation: Rotation) -> None:
    """Another one that was brought before gives way to a good one, if its promotion failed."""
    onto = desk.store(policy).read(policy.target)
    if rotation.attempt.promoted_at is None or onto is None or onto.version == rotation.attempt.version:
        raise NotTaken(f"another credential that was submitted before is on its way ({rotation.phase}).")
    _must_be_new(desk, policy, credential, onto)
    _must_work(desk, policy, credential, onto)
    _must_be_allowed(desk, policy)
    supersede(desk, rotation, old_serves=onto.version == rotation.expected)


def _begun(desk: Desk, policy: Policy, by: str) -> Rotation:
    run = desk.orders().get("run")
    return story.begin(desk, policy, f"{by} submitted a credential", [run] if run else [])


def _withdrawn(desk: Desk, begun: Rotation) -> None:
    """Nobody had asked for this rotation but the person whose credential was not taken: it waits for none."""
    ended = replace(begun, phase=Phase.FAILED, ended_at=desk.now(), look_at=None, error=NOT_TAKEN)
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
        known = desk.state.current
        since = f", since {known.since:%Y-%m-%d %H:%M} UTC" if known else ""
        raise NotTaken(f"this is the credential that is in service already{since}.{_once_more(desk)}")
    known_still = known_to_others(desk, credential)
    if known_still:
        raise NotTaken(
            f"others know its {' and '.join(known_still)}, which leaked: have that changed as well."
        )


def _once_more(desk: Desk) -> str:
    """What brings its tokens back, where logins with it failed and its account was enabled again since."""
    if not breaker.failing(desk.world.ledger, desk.state.id):
        return ""
    names = " ".join(child.policy for child in desk.world.ledger.children(desk.state.id) if not child.gone)
    tried = f"rotator run-now {names} --reason TEXT" if names else ""
    return f" Logins with it failed; to have it tried once more: {tried}." if tried else ""


def _must_work(desk: Desk, policy: Policy, credential: Credential, onto: Stored) -> None:
    """Tried before anything is written: a wrong credential changes nothing."""
    if breaker.refused_before(desk, policy):
        raise NotTaken(
            "as many logins of this account failed as is safe, brought ones and its tokens' together, so "
            f"nothing was sent. See that this one is right, and that {policy.provider.name} still lets the "
            f"account in; then: rotator submit {policy.name} --once-more"
        )
    probe = breaker.tried(desk, policy, credential)
    if probe.verdict is Verdict.DEAD:
        raise NotTaken(f"{policy.provider.name} refuses it: {probe.why or 'it is not valid'}.")
    if probe.verdict is Verdict.UNKNOWN:
        raise NotTaken(f"{policy.provider.name} gives no clear answer about it: {probe.why}. Try again.")
    known = _account(desk, policy, onto) if probe.account is not None else None
    if known is not None and probe.account != known:
        raise NotTaken(f"it belongs to account {probe.account}, the one in service to {known}.")


def _account(desk: Desk, policy: Policy, onto: Stored) -> str | None:
    """Whose account the credential in service is of. The ledger knows from the first promotion on; before
    that a token of it may tell, else the credential itself, which is tried once. None where nothing tells.
    """
    tokens = desk.world.ledger.children(desk.state.id)
    known = desk.state.account or next((token.account for token in tokens if token.account), None)
    if known is None and not holds_nothing(onto.credential, desk.provider(policy).traits.secret_fields):
        known = _account_told(desk, policy, onto)
    if known != desk.state.account:
        desk.write(state=replace(desk.state, account=known))
    return known


def _account_told(desk: Desk, policy: Policy, onto: Stored) -> str | None:
    """The account of the credential in service by its own word. One that is refused, or never was a login,
    tells none: that is no reason to keep it, but it is said.
    """
    probe = breaker.tried(desk, policy, onto.credential)
    unfit = probe.why.startswith(_UNFIT)
    if probe.verdict is Verdict.UNKNOWN and not unfit:
        raise NotTaken(
            f"{policy.provider.name} gives no clear answer about the one in service ({probe.why}), so that "
            "nobody can tell whether both belong to one account. Try again; if it never answers, write the "
            f"new one into {policy.target.secret} yourself."
        )
    if probe.verdict is Verdict.DEAD or unfit:
        text = f"the credential in service is no login any more ({probe.why}): its account was not compared"
        desk.write(events=[desk.event(NOT_COMPARED, text, level=Level.WARNING)])
    return probe.account


def _must_be_allowed(desk: Desk, policy: Policy) -> None:
    """Nothing is written while a person holds it, nor beyond what a store bears."""
    held = desk.held(policy, urgent=True, admin=False)
    if held is not None:
        raise NotTaken(f"{held.why}.")
    room = pushes_free_at(policy, desk.state, desk.now(), locked_out=desk.locked_out())
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
    desk.memory.keep(desk.state.id, issued_name(rotation), brought, now)
    story.advance(desk, rotation)
    return desk.world.ledger.rotation(desk.state.id) or rotation


# --- the admin credential --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Brought:
    """Who brought an admin credential, when, under which token it is written, and whether it was."""

    by: str
    at: datetime
    push: str
    written: bool = False


_BROUGHT = Codec("brought admin credential", TypeAdapter(Brought))


def record_admin(ledger: Ledger, ref: ProviderRef, brought: Brought) -> None:
    """Record, in the ledger's own chain, that an admin credential is about to be written, or was.

    It is of no secret of a policy, so it is a fact: before the write, and after it. Raises LedgerUnusable.
    """
    key = f"admin:{ref.principal}"
    while not ledger.swap(key, ledger.fact(key), _BROUGHT.encode(brought)):
        pass


def admin_brought(ledger: Ledger, ref: ProviderRef) -> datetime | None:
    """When a person last brought an admin credential that was written, by the ledger's clock; None: never."""
    text = ledger.fact(f"admin:{ref.principal}")
    found = _BROUGHT.decode(text) if text is not None else None
    return found.at if found is not None and found.written else None
