"""The world and the ledger, compared. Pure: what was read in, findings out."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from rotator import safe_mode
from rotator.due import late
from rotator.durations import text as every
from rotator.model import Debt, KeyRecord, Phase, token_in
from rotator.owing import run_again
from rotator.reconcile.values import Finding, Holding, Kind, Listing, View

PATIENCE = timedelta(days=1)  # after which a debt that could be paid, or a rotation that is due, is named
_MINUTE = timedelta(minutes=1)


def compare(view: View) -> list[Finding]:
    """Everything that is not as the ledger says, what needs somebody first."""
    checks: tuple[Callable[[View], Iterator[Finding]], ...] = (
        _behind,
        _keys,
        _secrets,
        _debts,
        _left_behind,
        _slots,
        _unread,
    )
    found = [finding for check in checks for finding in check(view)]
    return sorted(found, key=lambda one: list(Kind).index(one.kind))


# --- a ledger that is older than the world ---------------------------------------------------------------


def unknown_tokens(view: View) -> dict[str, str]:
    """Tokens of this ledger that it never drew, each with where it was seen."""
    seen = {
        key.label: f"key {key.key_id} of {each.provider.name}" for each in view.listings for key in each.keys
    }
    for one in view.holdings:
        versions = one.look.versions if one.look else ()
        seen |= dict.fromkeys(versions, f"a version of {one.policy.target.secret}")
    found = ((token_in(name), where) for name, where in seen.items())
    own = {label[1]: where for label, where in found if label and label[0] == view.records.ledger_id}
    return {token: where for token, where in own.items() if token not in view.records.drawn}


def _behind(view: View) -> Iterator[Finding]:
    """Tokens of ours that the ledger never drew, and the safe mode that it is in."""
    mode, unknown = view.records.safe_mode, unknown_tokens(view)
    if mode is not None or unknown:
        why = f" ({mode.why})" if mode else ""
        text = f"the ledger is older than the world, so nothing is revoked until a person agrees{why}"
        yield Finding(Kind.BEHIND, "ledger", text, safe_mode.TODO)
    for token, where in unknown.items():
        text = f"{where} carries {token}, which this ledger never drew"
        yield Finding(Kind.BEHIND, "ledger", text, "it is taken over with --trust-ledger", token=token)


# --- keys ------------------------------------------------------------------------------------------------


def _keys(view: View) -> Iterator[Finding]:
    """What providers list, key by key; and the keys in use that they do not."""
    known = needed_ids(view)
    for each in view.listings:
        if each.told:
            for key in each.keys:
                if key.live:
                    yield from _key(view, each, key, known)
        elif not each.lists:
            text = "its keys cannot be listed: what it issued is known from the ledger and the stores alone"
            yield Finding(Kind.UNLISTED, f"provider {each.provider.name}", text)


def needed_ids(view: View) -> set[str]:
    """Ids of keys that a record names, or that a secret holds, whatever the ledger says."""
    records = view.records
    ids = {state.current.key_id for state in records.states.values() if state.current}
    ids |= {live.attempt.key_id for live in records.rotations.values()}
    ids |= {live.old.key_id for live in records.rotations.values() if live.old}
    ids |= {debt.key_id for debt in records.debts} | {one.key_id for one in view.holdings}
    return {key_id for key_id in ids if key_id is not None}


def _key(view: View, listed: Listing, key: KeyRecord, known: set[str]) -> Iterator[Finding]:
    label, name = token_in(key.label), f"{listed.provider.name} key {key.key_id}"
    if label is not None and label[0] != view.records.ledger_id:
        held = "; a record of ours names it all the same" if key.key_id in known else ""
        text = f"carries the label of ledger {label[0]}: it is that rotator's{held}"
        yield Finding(Kind.FOREIGN, name, text, key_id=key.key_id)
    elif key.key_id in known:
        return
    elif label is None:
        todo = "see whose it is: it may be the admin credential's own"
        yield Finding(Kind.NOBODYS, name, "carries no label, and no record names it", todo, key_id=key.key_id)
    elif _orphaned(view, listed, key, label[1]):
        yield _orphan(view, listed, key, label[1])


def _orphaned(view: View, listed: Listing, key: KeyRecord, token: str) -> bool:
    """Whether a key under a token of ours is nobody's: its attempt is over, and it is not just being made."""
    in_use = {live.attempt.token for live in view.records.rotations.values()}
    young = key.created_at is not None and listed.at - key.created_at < listed.visible
    return token in view.records.drawn and token not in in_use and not young


def _orphan(view: View, listed: Listing, key: KeyRecord, token: str) -> Finding:
    """A key that must die; none is proven while a secret of its account may hold it."""
    secret, name = view.records.drawn[token][0], f"{listed.provider.name} key {key.key_id}"
    text = f"carries our label ({_whose(view, secret)}), and no record needs it"
    unclear = _may_hold(view, listed.provider.principal)
    if unclear:
        text += f"; whether the secret of {', '.join(unclear)} holds it cannot be told"
        return Finding(
            Kind.UNREAD, name, text, "see to that secret; it is compared again", secret, key.key_id
        )
    todo = "rotator reconcile --fix" if view.records.safe_mode is None else safe_mode.TODO
    return Finding(Kind.ORPHAN, name, text, todo, secret, key.key_id, token)


def _may_hold(view: View, principal: str) -> list[str]:
    """Policies of an account, or that left a key behind there, whose secrets were not read, or hold a key
    that nobody can name.
    """
    states = view.records.states
    left = {state.id for state in states.values() if state.issuer == principal}
    return [
        one.policy.name
        for one in view.holdings
        if (one.policy.provider.principal == principal or one.policy.target.id in left)
        and (one.error or (one.key_id is None and strange(view, one) and not one.empty))
    ]


def _whose(view: View, secret: str) -> str:
    state = view.records.states.get(secret)
    return state.policy if state else secret


# --- secrets ---------------------------------------------------------------------------------------------


def _secrets(view: View) -> Iterator[Finding]:
    """What each secret holds, beside what the ledger says."""
    listings = {each.provider.principal: each for each in view.listings}
    for one in view.holdings:
        state = view.records.states.get(one.policy.target.id)
        if state is not None and state.gone:
            text = (
                "the policy is here, but marked as deleted by a worker whose files lack it: it is not rotated"
            )
            todo = "give every worker the same policy files; a worker that has it takes it up within minutes"
            yield Finding(Kind.MARKED, f"policy {one.policy.name}", text, todo, state.id)
        if state is None or one.error:
            continue
        yield from _drift(view, one)
        yield from _key_gone(view, one, listings.get(one.policy.provider.principal))
        over = late(one.policy, state, view.records.now)
        if over is not None and over > max(PATIENCE, one.policy.grace):
            name = one.policy.name
            text = f"its key is older than the policy allows, by {_span(over)}"
            yield Finding(Kind.OVERDUE, f"policy {name}", text, f"rotator status {name}", state.id)


def strange(view: View, one: Holding) -> bool:
    """Whether the secret holds another key than the ledger says, and no rotation explains it."""
    secret = one.policy.target.id
    state, live = view.records.states.get(secret), view.records.rotations.get(secret)
    known = state.current if state else None
    if one.error or one.as_known or (live is not None and live.phase is not Phase.PLANNED):
        return False
    if known is None:
        return one.key_id is not None
    return known.since < one.at and (one.key_id is None or one.key_id != known.key_id)


def _drift(view: View, one: Holding) -> Iterator[Finding]:
    """The secret holds another key than the ledger says; one that is to die lives as long as it does."""
    name, secret = one.policy.name, one.policy.target.id
    known = view.records.states[secret].current
    if known is None or not strange(view, one):
        return
    holds = "no key" if one.empty else f"key {one.key_id}" if one.key_id else "a key of unknown id"
    text = f"the secret holds {holds}, the ledger says key {known.key_id or 'of unknown id'}"
    owed = [debt.policy.name for debt in view.records.debts if one.key_id and debt.key_id == one.key_id]
    text += f"; the key is to die for {owed[0]}, and lives while a secret holds it" if owed else ""
    text += _by_us(view, one.key_id)
    todo = f"see who wrote {one.policy.target.secret}; then: {run_again(one.policy)}"
    yield Finding(Kind.DRIFT, f"policy {name}", text, todo, secret, known.key_id)


def _by_us(view: View, key_id: str | None) -> str:
    """What is added of a key that is dead by our own hand: somebody copied it, and it died in its turn."""
    policy = view.records.killed.get(key_id or "")
    return f"; rotator revoked that key, which was replaced for {policy}: it was copied" if policy else ""


def _key_gone(view: View, one: Holding, listed: Listing | None) -> Iterator[Finding]:
    """The key that consumers read is not listed as live."""
    state = view.records.states[one.policy.target.id]
    known, name = state.current, one.policy.name
    if listed is None or not listed.told or known is None or known.key_id is None or not one.as_known:
        return
    if known.since >= listed.at - listed.visible or state.issuer != listed.provider.principal:
        return
    if not any(key.live and key.key_id == known.key_id for key in listed.keys):
        text = f"{listed.provider.name} does not list key {known.key_id} as live, which the secret holds"
        text += "; it was ordered to die first" if known.contained else _by_us(view, known.key_id)
        todo = (
            f"rotator status {name}"
            if known.contained
            else f"see who revoked it; then: {run_again(one.policy)}"
        )
        yield Finding(Kind.KEY_GONE, f"policy {name}", text, todo, state.id, known.key_id)


def _left_behind(view: View) -> Iterator[Finding]:
    """Secrets whose policy was deleted, and whose key lives on."""
    live = {key.key_id for each in view.listings for key in each.keys if key.live}
    here = {one.policy.target.id for one in view.holdings}
    for state in view.records.states.values():
        key_id = state.current.key_id if state.current else None
        if state.gone and state.id not in here and key_id in live:
            text = f"its policy was deleted, and its key {key_id} lives on"
            todo = "revoke it at the provider, or bring the policy back"
            yield Finding(Kind.LEFT, f"policy {state.policy}", text, todo, state.id, key_id)


# --- debts and slots -------------------------------------------------------------------------------------


def _debts(view: View) -> Iterator[Finding]:
    """Keys that must die and do not; in safe mode none may."""
    for debt in view.records.debts:
        name = f"policy {debt.policy.name}"
        if debt.block is not None:
            text = f"key {debt.key_id or 'of unknown id'} cannot die: {debt.block.reason}"
            yield Finding(Kind.WAITS, name, text, debt.block.todo, debt.secret, debt.key_id)
        elif view.records.safe_mode is None and (since := _undying(view, debt)) is not None:
            tried = f"tried {debt.looks} times" if debt.revoked_at else "no revoke was sent yet"
            text = f"key {debt.key_id or 'of unknown id'} will not die: {tried}, due for {_span(since)}"
            todo = f"rotator history {debt.policy.name}; rotator doctor"
            yield Finding(Kind.UNDYING, name, text, todo, debt.secret, debt.key_id)


def _undying(view: View, debt: Debt) -> timedelta | None:
    """For how long a debt could have been paid, where that is too long."""
    begins = debt.revoked_at or debt.expires_at or debt.not_before or debt.since + debt.grace
    waited = view.records.now - begins
    return waited if waited > PATIENCE else None


def _slots(view: View) -> Iterator[Finding]:
    """Slots that no record needs, and whose key is not listed: room that nobody uses."""
    records = view.records
    needed = {live.attempt.token for live in records.rotations.values()}
    needed |= {debt.token for debt in records.debts if debt.token}
    needed |= {
        state.current.token for state in records.states.values() if state.current and state.current.token
    }
    labels = {
        label[1] for each in view.listings for key in each.keys if key.live and (label := token_in(key.label))
    }
    for token, key_id in records.slots.items():
        if token not in needed | labels and token in records.drawn:
            secret = records.drawn[token][0]
            what = f"of key {key_id}, which is gone" if key_id else "of a key that never came"
            text = f"a slot {what}, is still reserved"
            yield Finding(
                Kind.SLOT,
                f"policy {_whose(view, secret)}",
                text,
                "rotator reconcile --fix",
                secret,
                key_id,
                token,
            )


# --- what was not compared -------------------------------------------------------------------------------


def _unread(view: View) -> Iterator[Finding]:
    """Providers and stores that did not answer: nothing is said of their keys."""
    for each in view.listings:
        if each.error:
            yield Finding(Kind.UNREAD, f"provider {each.provider.name}", each.error, each.todo)
    for one in view.holdings:
        if one.error:
            yield Finding(Kind.UNREAD, f"policy {one.policy.name}", one.error, one.todo, one.policy.target.id)


def _span(value: timedelta) -> str:
    return every(value // _MINUTE * _MINUTE)


def standing(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stay until somebody acts."""
    return [one for one in findings if one.needs_somebody]
