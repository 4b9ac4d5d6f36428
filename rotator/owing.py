"""Whose key is it, and which keys are owed their death: decisions that both stories share. No effects."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rotator import copied, safe_mode
from rotator.desk import Desk, holds_nothing
from rotator.interfaces import Ledger, Stored
from rotator.kinship import dead_by
from rotator.model import (
    Block,
    CurrentKey,
    Debt,
    DebtPhase,
    DebtReason,
    Event,
    KeyRecord,
    Phase,
    Policy,
    Provenance,
    Rotation,
    SecretState,
    Traits,
    token_in,
)

UNADOPTED = "unadopted"
MANY = 1_000  # rotations of a secret, drills among them
_SKEW = timedelta(minutes=5)  # for a token whose issuing we did not see
_SECONDS = 10  # digits of a Unix time until the year 2286


def identify(desk: Desk, policy: Policy, onto: Stored, listed: Iterable[KeyRecord] = ()) -> CurrentKey | None:
    """The key that a version of the secret holds, and how we know it; None where it holds none.

    ``listed`` are the provider's keys, where they were read: a label of ours tells that a key is ours, and so
    does the record of another secret of the account.

    A key that the ledger does not know is nobody's: its provenance is UNKNOWN, and it is never revoked.
    """
    traits, known = desk.provider(policy).traits, desk.state.current
    if known is not None and known.version == onto.version:
        return known
    if holds_nothing(onto.credential, traits.secret_fields):
        return None
    if known is not None and _same_key(desk, policy, onto, known):
        return replace(known, version=onto.version)
    if traits.expires:
        return _token(desk, onto, traits.id_field)
    key_id = onto.credential.get(traits.id_field)
    for debt in desk.debts():
        if key_id is not None and debt.key_id == key_id and debt.provenance is not Provenance.UNKNOWN:
            now, issued = desk.now(), debt.issued_at
            return CurrentKey(onto.version, key_id, debt.provenance, now, debt.token, issued_at=issued)
    return _told_by_others(desk, policy, onto, key_id, listed)


def _told_by_others(
    desk: Desk, policy: Policy, onto: Stored, key_id: str | None, listed: Iterable[KeyRecord]
) -> CurrentKey:
    """A key that this secret's own records do not name: its label, or another secret's record, may tell."""
    since, token = onto.created_at or desk.now(), _label_of(desk, key_id, listed)
    if token is not None:
        return CurrentKey(onto.version, key_id, Provenance.ISSUED, since, token)
    copy = copied.known(desk, policy, key_id)
    if copy is not None:
        return CurrentKey(onto.version, key_id, copy.provenance, since, copy.token)
    return CurrentKey(onto.version, key_id, Provenance.UNKNOWN, since)


def _label_of(desk: Desk, key_id: str | None, listed: Iterable[KeyRecord]) -> str | None:
    """The token of this ledger that a listed key carries: it moved here from another secret, or the ledger
    forgot that it promoted it. One that the ledger never drew is trusted only once a person has agreed: until
    then nothing is revoked.
    """
    for record in listed:
        label = token_in(record.label) if record.key_id == key_id else None
        if label is not None and label[0] == desk.world.ledger.id:
            return label[1]
    return None


def _token(desk: Desk, onto: Stored, id_field: str) -> CurrentKey:
    """A token that was there before us: when it dies is in the secret, or nobody knows."""
    text = onto.credential.get("expires_at") or ""
    expires = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() and len(text) <= _SECONDS else None
    key_id, since = onto.credential.get(id_field), onto.created_at or desk.now()
    unknown = Provenance.UNKNOWN
    surely = dead_by(expires, _SKEW)
    return CurrentKey(onto.version, key_id, unknown, since, expires_at=expires, dead_by=surely)


def _same_key(desk: Desk, policy: Policy, onto: Stored, known: CurrentKey) -> bool:
    """Whether another version holds the very key that we know: only the object's other fields changed."""
    before = desk.version(policy, known.version)
    return before is not None and holds_same(desk, policy, onto, before)


def holds_same(desk: Desk, policy: Policy, one: Stored, other: Stored) -> bool:
    """Whether two versions hold the same key: the fields that are ours are alike, and there are some."""
    return same_key(desk.provider(policy).traits, policy, one, other)


def same_key(traits: Traits, policy: Policy, one: Stored, other: Stored) -> bool:
    """The same, by what the provider's adapter declares."""
    written = [name for name in traits.fields if policy.target.fields.get(name, name) is not None]
    return one.credential.same(other.credential, written) and not holds_nothing(
        one.credential, traits.secret_fields
    )


def is_of(desk: Desk, policy: Policy, stored: Stored, key_id: str | None) -> bool:
    """Whether a version holds the key of this id, as far as it tells: somebody may have written over it."""
    told = stored.credential.get(desk.provider(policy).traits.id_field)
    return None in (told, key_id) or told == key_id


def owe(
    desk: Desk,
    policy: Policy,
    reason: DebtReason,
    key: CurrentKey,
    *,
    grace: timedelta = timedelta(0),
    not_before: datetime | None,
    urgent: bool,
) -> Debt:
    """The debt for a key: the one that is open already, begun anew, or a new one.

    It begins no sooner than a whole grace after a person agreed to a ledger that had lost commits.
    """
    now, policy = desk.now(), _issuer(desk, policy, key)
    trusted = safe_mode.trusted_at(desk.world.ledger)
    if not_before is not None and trusted is not None:
        not_before = max(not_before, trusted + policy.grace)
    open_debts = desk.debts()
    known = next((debt for debt in open_debts if _same_debt(desk, policy, debt, key)), None)
    debt = known or Debt(
        id=desk.world.random_hex()[:12],
        secret=desk.state.id,
        policy=policy,
        reason=reason,
        key_id=key.key_id,
        provenance=key.provenance,
        since=now,
        token=key.token,
    )
    return replace(
        debt,
        reason=reason,
        version=key.version or debt.version,
        served=key.since if reason.of_service else None,
        issued_at=key.issued_at or debt.issued_at,
        expires_at=key.dead_by or key.expires_at,
        grace=grace,
        not_before=not_before,
        urgent=urgent,
        phase=DebtPhase.OWED,
        look_at=None,
        looks=0,
        block=unadopted(policy, key, now) if needs_adoption(desk, policy, key.provenance) else None,
    )


def _same_debt(desk: Desk, policy: Policy, debt: Debt, key: CurrentKey) -> bool:
    """Whether a debt is this key's: by its id where that names one key, else by what its version holds."""
    traits = desk.provider(policy).traits
    if traits.expires:  # each token dies by itself, at its own time
        return False
    if not traits.shared_id:
        return key.key_id is not None and debt.key_id == key.key_id
    if debt.version is None or debt.version == key.version:
        return debt.version is not None
    return lives_on(desk, policy, debt.version, key.version)


def lives_on(desk: Desk, policy: Policy, before: str, now: str) -> bool:
    """Whether the key of one version is in another one, though a password beside it changed. That is asked
    only where an id does not tell.
    """
    traits = desk.provider(policy).traits
    one, other = (desk.version(policy, each) if traits.shared_id else None for each in (before, now))
    return one is not None and other is not None and keeps(traits, one, other)


def keeps(traits: Traits, one: Stored, other: Stored) -> bool:
    """Whether what would end with the key of one version is in another, too."""
    alike = one.credential.same(other.credential, traits.dying)
    return alike and not holds_nothing(one.credential, traits.dying)


def replaced(
    desk: Desk, rotation: Rotation, key: CurrentKey, *, not_before: datetime | None
) -> Sequence[Debt]:
    """The debt of a key whose place a rotation takes; its grace is the rotation's.

    A key that leaked is owed already: that debt goes on, with its own grace where that is shorter, and what
    was allowed while the key was in service is over. A key that was contained is dead: nothing is owed.
    """
    serving = desk.state.current
    if key.contained or (serving and serving.contained and serving.version == key.version):
        return []
    leaked = leaked_debt(desk, rotation.policy, key)
    if leaked is not None and leaked.contain:
        return [replace(leaked, contain=False)]
    grace = min(rotation.grace, leaked.grace) if leaked else rotation.grace
    sooner = not_before and not_before - (rotation.grace - grace)
    reason = DebtReason.LEAKED if leaked else DebtReason.REPLACED
    urgent = rotation.urgent or leaked is not None
    return [owe(desk, rotation.policy, reason, key, grace=grace, not_before=sooner, urgent=urgent)]


def leaked_debt(desk: Desk, policy: Policy, key: CurrentKey) -> Debt | None:
    """The open debt of a key that leaked."""
    leaked = (debt for debt in desk.debts() if debt.reason is DebtReason.LEAKED)
    return next((debt for debt in leaked if _same_debt(desk, policy, debt, key)), None)


def _issuer(desk: Desk, policy: Policy, key: CurrentKey) -> Policy:
    """The policy under which a key was issued or adopted: it may have moved to another provider since."""
    issuer = issued_under(desk.world.ledger, desk.state.id, key) or key.under or policy
    return policy if issuer.provider.principal == policy.provider.principal else issuer


def issued_under(ledger: Ledger, secret: str, key: CurrentKey) -> Policy | None:
    """The policy, as it was then, by which we issued a secret's key; None: it was not us, or nobody knows."""
    if key.token is None:
        return None
    for limit in (1, MANY):  # mostly it is the newest one
        for one in ledger.rotations(secret, limit):
            if one.attempt.token == key.token:
                return one.policy
    return None


def needs_adoption(desk: Desk, policy: Policy, provenance: Provenance) -> bool:
    """Whether a person must say whose the key is before it may die: only where we are the one to kill it."""
    traits = desk.provider(policy).traits
    return provenance is Provenance.UNKNOWN and traits.revokes and not traits.expires


def unadopted(policy: Policy, key: CurrentKey, now: datetime) -> Block:
    """The block of a key that was there before us: a person must say whose it is."""
    name = key.key_id or "ID"
    return Block(
        UNADOPTED,
        f"the key {key.key_id or 'of unknown id'} was not issued by rotator, so it is not revoked by guess",
        f"rotator adopt {policy.name} --key-id {name}"
        + ("" if key.key_id else " (ID as the provider lists it)"),
        now,
    )


def promoted_by_us(desk: Desk, key: CurrentKey) -> bool:
    """Whether it was rotator that put a key into service, whoever issued it: a rollback may have."""
    if key.provenance is not Provenance.UNKNOWN:
        return True
    last = next(
        (one for one in desk.world.ledger.rotations(desk.state.id, MANY) if one.phase is Phase.PROMOTED), None
    )
    return last is not None and last.back is not None and last.attempt.version == key.version


def strays_of(desk: Desk, policy: Policy, listed: Iterable[KeyRecord]) -> list[Debt]:
    """A debt for each live key that carries a label of this secret's attempts and is not accounted for;
    none while the ledger is in doubt, which may have forgotten that it promoted one of them.
    """
    if safe_mode.current(desk.world.ledger) is not None:
        return []
    return [
        owe(
            desk,
            policy,
            DebtReason.STRAY,
            CurrentKey("", record.key_id, Provenance.ISSUED, desk.now(), token),
            not_before=desk.now(),
            urgent=True,
        )
        for record, token in _labelled(desk, listed)
        if record.key_id not in accounted(desk)
    ]


def _labelled(desk: Desk, listed: Iterable[KeyRecord]) -> Sequence[tuple[KeyRecord, str]]:
    """Live keys whose label ends with the token of an attempt that this ledger made for this secret."""
    ours = [(record, label) for record in listed if record.live and (label := token_in(record.label))]
    tokens = [label[1] for _, label in ours if label[0] == desk.world.ledger.id]
    drawn = desk.world.ledger.attempts(tokens) if tokens else {}
    return [(record, token) for record, (_, token) in ours if drawn.get(token, ("",))[0] == desk.state.id]


def tells_of(ledger: Ledger, state: SecretState, debt: Debt, listed: Collection[KeyRecord]) -> bool:
    """Whether a list is of the account of a debt's key, so that the key's absence from it tells something.

    An admin credential of another account lists too, and lacks every key of ours. The right one shows the key
    itself or the one in service, be it revoked; where no id of that is known, or that is the key which is to
    die, a key that we issued there.
    """
    principal = debt.policy.provider.principal
    current = state.current if state.issuer == principal else None
    in_service = current.key_id if current else None
    shown = {key.key_id for key in listed}
    return bool(shown & {debt.key_id, in_service}) or (
        in_service in (None, debt.key_id) and _issued_at(ledger, principal, listed)
    )


def _issued_at(ledger: Ledger, principal: str, listed: Iterable[KeyRecord]) -> bool:
    """Whether one of these keys was issued by this ledger at this account, and at no other that it knows."""
    tokens = [label[1] for key in listed if (label := token_in(key.label)) and label[0] == ledger.id]
    drawn = ledger.attempts(tokens) if tokens else {}
    began = {rotation: secret for secret, rotation in drawn.values()}
    rotations = (one for secret in set(began.values()) for one in ledger.rotations(secret))
    return any(one.policy.provider.principal == principal for one in rotations if one.id in began)


def accounted(desk: Desk) -> set[str]:
    """Ids of the secret's keys that the ledger knows to be current, a candidate or owed."""
    current, rotation = desk.state.current, desk.rotation()
    ids = {current.key_id if current else None, rotation.attempt.key_id if rotation else None}
    ids |= {debt.key_id for debt in desk.debts()}
    return {key_id for key_id in ids if key_id}


def in_service_again(desk: Desk, rotation: Rotation, current: CurrentKey) -> list[Debt]:
    """The debts of a key that comes into service: they are void, since what is in service must live.

    Only a person can bring a key for the second time: what a provider issues to us is always new.
    """
    policy = rotation.policy
    if rotation.back is None and desk.provider(policy).traits.issues:
        return []
    proof = "void: the key came into service, and is owed anew once it is replaced"
    return [
        replace(debt, phase=DebtPhase.VOID, ended_at=desk.now(), proof=proof, block=None, look_at=None)
        for debt in desk.debts()
        if _same_debt(desk, policy, debt, current)
    ]


def afresh(desk: Desk, policy: Policy) -> str:
    """What a person does to have the key of a secret replaced by another one."""
    if desk.provider(policy).traits.issues:
        return run_again(policy)
    return f"have another one issued, and bring it: rotator submit {policy.name}"


def run_again(policy: Policy) -> str:
    """The command that rotates a secret now; its store's own rotation begins none beside one that it has."""
    if policy.target.native:
        return (
            "take the label AWSPENDING off, if a version other than the current one has it; then: "
            f"aws secretsmanager rotate-secret --secret-id {policy.target.secret}"
        )
    return f"rotator run-now {policy.name} --reason TEXT"


def events_of(desk: Desk, debts: Iterable[Debt]) -> list[Event]:
    """An event for each new debt; that of a leaked key is told when it is owed, not once more at its end."""
    leaked = {debt.id for debt in desk.debts() if debt.reason is DebtReason.LEAKED}
    return [
        desk.event("owed", _of_debt(debt), debt=debt, key_id=debt.key_id)
        for debt in debts
        if debt.id not in leaked
    ]


def _of_debt(debt: Debt) -> str:
    """What is owed and why, for people."""
    reasons = {
        DebtReason.REPLACED: "was replaced",
        DebtReason.ABANDONED: "was given up before it came into service",
        DebtReason.STRAY: "carries our label, but its creation was lost",
        DebtReason.LEAKED: "leaked",
        DebtReason.DRILL: "was issued for a drill",
    }
    name = f"key {debt.key_id or 'of unknown id'}"
    if debt.contain:
        return f"{name} must die before another one is issued, as it was ordered"
    return f"{name} {reasons[debt.reason]}: it must die"
