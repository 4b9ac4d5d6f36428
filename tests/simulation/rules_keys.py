"""What must hold of keys: the current one lives, no other is forgotten, what is called dead is dead."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from rotator.model import WhenNotTold
from tests.simulation.cases import EFFECT, ENDED, Case, Key
from tests.simulation.history import Act, Did

# --- the current key lives -------------------------------------------------------------------------------


def the_current_key_lives(case: Case) -> Iterator[str]:
    """At every instant the provider accepts what a secret holds, unless somebody else saw to that, or a
    person ordered that this key dies first.
    """
    current: dict[str, Act] = {}
    for act in case.acts:
        if act.did is not Did.TRUTH:
            continue
        key_id = act.data["key"]
        if act.name == "current" and act.secret:
            replaced, current[act.secret] = current.get(act.secret, act), act
            died = case.keys[key_id].died if key_id in case.keys else None
            ours = act.by != "outside" and not case.put_back(act, replaced)
            if ours and died and died.seq < act.seq and died.by != "outside":
                yield f"{act.by} made {key_id} current in {act.secret}, which was revoked [{act.seq}]"
        elif act.name == "died" and act.by != "outside" and act.effect not in case.contained:
            for secret, since in current.items():
                if since.data["key"] == key_id and not _moved_meanwhile(case, act, since):
                    yield f"{act.by} killed {key_id}, which {secret} holds [{act.seq}]"


def _moved_meanwhile(case: Case, died: Act, since: Act) -> bool:
    """Whether somebody else made a key current between the re-check and the end of the revoke."""
    read = _recheck(case, case.sent[died.effect or 0])
    return since.by == "outside" and (read is None or since.seq > read.seq)


def _recheck(case: Case, revoke: Act) -> Act | None:
    """The last read of the current version before a revoke, by the same worker."""
    reads = (
        act
        for act in case.sends("store.read")
        if (act.by, act.secret) == (revoke.by, revoke.secret)
        and act.data.get("version") is None
        and act.seq < revoke.seq
    )
    return max(reads, key=lambda act: act.seq, default=None)


def a_revoke_is_rechecked(case: Case) -> Iterator[str]:
    """A revoke is sent only after a fresh read under the same claim, which did not show the key, but for one
    that a person ordered to die first.
    """
    for revoke in case.sends("provider.revoke"):
        read, claim = _recheck(case, revoke), case.claim_of(revoke)
        if read is None or claim is None or read.seq < claim.seq:
            yield f"{revoke.data['key']} is revoked without a re-check [{revoke.seq}]"
        elif revoke.effect in case.contained:
            continue
        elif (answer := case.answered.get(read.effect or 0)) and answer.data.get("key") == revoke.data["key"]:
            yield f"{revoke.data['key']} is revoked though the secret holds it [{revoke.seq}]"


def no_candidate_is_revoked(case: Case) -> Iterator[str]:
    """While a rotation is under way nobody sends a revoke of its key: neither of one that is new, nor of one
    that comes back.
    """
    rotations: dict[str, tuple[str, str | None]] = {}
    for act in case.acts:
        if act.did is Did.LEDGER and act.name == "commit" and "error" not in act.data:
            _follow(act, rotations, {})
        _, candidate = rotations.get(act.secret or "", ("", None))
        if act.did is Did.SENT and act.name == "provider.revoke" and act.data["key"] == candidate:
            yield f"{candidate} is revoked while it is to come into service [{act.seq}]"


def _unseen(held: Act, left: Mapping[str, Act], looked: Mapping[str, int]) -> bool:
    """Whether somebody else put a key that was replaced back for a while, and nobody looked meanwhile."""
    again = held.by == "outside" and held.data["key"] in left
    return again and looked.get(held.secret or "", -1) < held.seq


def grace_is_kept(case: Case) -> Iterator[str]:
    """A key that a secret held is revoked only when its grace is over, on one of the two clocks."""
    holds: dict[str, Act] = {}
    left: dict[str, Act] = {}
    looked: dict[str, int] = {}
    grace = {place.name: place.grace for place in case.setup.places}
    for act in case.acts:
        if act.did is Did.SENT and act.name in ("store.look", "store.read") and act.secret:
            looked[act.secret] = act.seq
        if act.name == "current" and act.did is Did.TRUTH and act.secret:
            before = holds.get(act.secret)
            if before is not None and not _unseen(before, left, looked):
                left[before.data["key"]] = act
            holds[act.secret] = act
        elif act.did is Did.OUTSIDE and act.secret and act.data.get("grace") is not None:
            grace[act.secret] = min(grace[act.secret], act.data["grace"])
        elif act.did is Did.SENT and act.name == "provider.revoke" and act.data["key"] in left:
            since, least = left[act.data["key"]], grace[act.secret or ""]
            waited = max(act.at - since.at, act.ledger_at - since.ledger_at)
            if waited < least:
                yield f"{act.data['key']} is revoked {waited} after it was replaced [{act.seq}]"


def consumers_are_told_first(case: Case) -> Iterator[str]:
    """A replaced key is not revoked while a consumer was not told of the key that a worker put in service,
    unless the policy, or a person, said so; its grace counts from the first telling after it was replaced.
    """
    told: dict[str | None, list[tuple[str | None, Act]]] = {}  # by secret, of which key
    current: dict[str, Act] = {}
    left: dict[str, Act] = {}  # keys that were in service, and what took their place
    contained = {case.sent[effect].data["key"] for effect in case.contained}
    grace = {place.name: place.grace for place in case.setup.places}
    excused = {place.name for place in case.setup.places if place.when_not_told is not WhenNotTold.HOLD}
    for act in case.acts:
        if act.did is Did.TRUTH and act.name == "current" and act.secret:
            left |= {current[act.secret].data["key"]: act} if act.secret in current else {}
            current[act.secret] = act
        elif act.did is Did.APPLIED and act.name == "consumer.tell" and "error" not in act.data:
            sent = case.sent[act.effect or 0]
            told.setdefault(sent.secret, []).append((sent.data["key"], act))
        elif act.did is Did.OUTSIDE and act.name == "told" and act.secret in current:
            told.setdefault(act.secret, []).append((current[act.secret].data["key"], act))
        elif act.did is Did.OUTSIDE and act.secret and act.data.get("grace") is not None:
            grace[act.secret] = min(grace[act.secret], act.data["grace"])
        elif act.did is Did.SENT and act.name == "provider.revoke" and act.data["key"] in left:
            now, key = current.get(act.secret or ""), act.data["key"]
            died = case.keys[key].died
            over = died is not None and died.seq < act.seq  # sent once more, since it was not proven
            ordered = act.data["key"] in contained  # to die though it is in service: its users were given up
            if now is None or now.by == "outside" or act.secret in excused or ordered or over:
                continue
            since = [(of, one) for of, one in told.get(act.secret, []) if one.seq > left[key].seq]
            if now.data["key"] not in {of for of, _ in since}:
                yield f"{key} is revoked before a consumer was told of {now.data['key']} [{act.seq}]"
                continue
            heard = since[0][1]
            if max(act.at - heard.at, act.ledger_at - heard.ledger_at) < grace[act.secret or ""]:
                yield f"{key} is revoked within its grace after a consumer was told [{act.seq}]"


# --- nothing is forgotten ----------------------------------------------------------------------------------


def every_key_of_ours_is_named(case: Case) -> Iterator[str]:
    """A live key of ours is current, on its way or owed, once there was time to look for it."""
    current: dict[str, str | None] = {}
    rotations: dict[str, tuple[str, str | None]] = {}
    debts: dict[str, str | None] = {}
    believed: dict[str, str | None] = {}  # to be current
    named_not: set[str] = set()
    for act in case.acts:
        if act.did is Did.TRUTH and act.name == "current" and act.secret:
            current[act.secret] = act.data["key"]
        if act.did is not Did.LEDGER or act.name != "commit" or "error" in act.data:
            continue
        _follow(act, rotations, debts)
        believed[act.secret or ""] = (act.data["current"] or (None,))[0]
        known = {
            *current.values(),
            *believed.values(),
            *debts.values(),
            *(key for _, key in rotations.values()),
        }
        tokens = {token for token, _ in rotations.values()}
        for key_id, key in case.keys.items():
            if not _must_be_named(case, key, act) or key_id in named_not:
                continue
            if key_id not in known and case.token(key_id) not in tokens:
                named_not.add(key_id)
                yield f"{key_id} lives and nobody knows it [{act.seq}]"


def _must_be_named(case: Case, key: Key, now: Act) -> bool:
    """Whether a key is ours, alive, and there was time; one that was born late waits for the next look."""
    dead = key.died is not None and key.died.seq < now.seq
    late = key.ours and key.born.at - case.sent[key.born.effect or 0].at > EFFECT
    answer = case.answered.get(key.born.effect or 0)
    late = late or (answer is not None and answer.seq < key.born.seq)
    return key.ours and not dead and not late and key.born.at + timedelta(minutes=10) < now.at


def _follow(act: Act, rotations: dict[str, tuple[str, str | None]], debts: dict[str, str | None]) -> None:
    """Keep up with what a commit says is open."""
    data = act.data
    if "rotation" in data and act.secret:
        if data["phase"] in ENDED:
            rotations.pop(act.secret, None)
        else:
            rotations[act.secret] = (data["token"], data["key"])
    for debt, key_id, phase, _ in data.get("debts", ()):
        if phase in ("dead", "settled", "void"):
            debts.pop(debt, None)
        else:
            debts[debt] = key_id


def debts_are_never_dropped(case: Case) -> Iterator[str]:
    """A debt that was opened is paid, or it is still there at the end."""
    open_debts: dict[str, str | None] = {}
    for act in case.commits():
        _follow(act, {}, open_debts)
    left = {key for act in case.acts if act.name == "left" for key in act.data["debts"]}
    for debt, key_id in open_debts.items():
        if key_id not in left:
            yield f"debt {debt} for {key_id} is gone"


def a_debt_is_void_only_for_what_serves(case: Case) -> Iterator[str]:
    """A debt ends without a death only with the commit that has its key in service."""
    for act in case.commits():
        for _, key_id, phase, _ in act.data.get("debts", ()):
            if phase == "void" and (act.data["current"] or (None,))[0] != key_id:
                yield f"the debt for {key_id} is void, and it does not serve [{act.seq}]"


def what_is_called_dead_is_dead(case: Case) -> Iterator[str]:
    """A debt ends only when its key is dead, and was seen or listed so after the revoke."""
    for act in case.commits():
        for _, key_id, phase, _ in act.data.get("debts", ()):
            key = case.keys.get(key_id or "")
            if phase == "dead" and key is not None and (key.died is None or key.died.seq > act.seq):
                yield f"{key_id} is called dead and lives [{act.seq}]"


def all_ends_well(case: Case) -> Iterator[str]:
    """Once no fault is left, one key of ours lives for each secret and nothing is owed, or a person was
    asked and told.
    """
    made_for = case.made_for()
    for left in (act for act in case.acts if act.name == "left"):
        data, asked = left.data, _asked(left)
        live = {
            key_id
            for key_id, key in case.keys.items()
            if key.ours and key.died is None and made_for.get(case.token(key_id)) == left.secret
        }
        if asked:
            live -= set(data["debts"])
        elif data["debts"] or data["rotation"]:
            yield f"{left.secret}: {data['debts']} owed, rotation {data['rotation']}, and nobody was asked"
        wanted = {_held(case, left.secret)} - {None}
        if live - wanted and not (asked and data["rotation"]):
            yield f"{left.secret}: {sorted(live)} live, the secret holds {wanted}"
        if not wanted and not asked:
            yield f"{left.secret} holds no key"


def _asked(left: Act) -> bool:
    """Whether a person was told what to do; that a key was there before us ``status`` says, not an alarm."""
    blocks = {*left.data["blocked"].values(), left.data["block"]} - {None}
    return bool(blocks) and (bool(left.data["told"]) or blocks == {"unadopted"})


def _held(case: Case, secret: str | None) -> str | None:
    """The key that a secret holds at the end."""
    held = [a.data["key"] for a in case.acts if (a.did, a.name, a.secret) == (Did.TRUTH, "current", secret)]
    return held[-1] if held else None
