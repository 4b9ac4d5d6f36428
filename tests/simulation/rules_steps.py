"""What must hold of steps: each after the one that it needs, and written down before it is taken."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from tests.simulation.cases import Case
from tests.simulation.history import Act, Did

_PROBES, _OVER = 3, timedelta(seconds=5)
_NOTHING_HAPPENED = ("NotSent", "Refused", "NeedsPerson")

# --- the order of steps ------------------------------------------------------------------------------------


def intent_comes_before_issue(case: Case) -> Iterator[str]:
    """Issue is sent by who wrote down that it would be, and not again under a token that may be used."""
    intents = {
        (act.by, act.data["token"]): act.seq
        for act in reversed(list(case.commits()))
        if act.data.get("phase") == "issuing"
    }
    asked: set[str] = set()
    for issue in case.sends("provider.issue"):
        token = issue.data["token"]
        if intents.get((issue.by, token), issue.seq) >= issue.seq:
            yield f"{token} is issued without an intent [{issue.seq}]"
        if token in asked:
            yield f"{token} is issued twice [{issue.seq}]"
        if case.answered.get(issue.effect or 0, issue).data.get("raised") not in _NOTHING_HAPPENED:
            asked.add(token)


def a_key_is_known_before_it_is_stored(case: Case) -> Iterator[str]:
    """The ledger has a key's id before its value goes to the store."""
    known: dict[str, int] = {}
    for act in case.commits():
        if act.data.get("key"):
            known.setdefault(act.data["key"], act.seq)
    for stage in case.sends("store.stage"):
        if known.get(stage.data["key"], stage.seq) >= stage.seq:
            yield f"{stage.data['key']} is stored before the ledger knows it [{stage.seq}]"


def only_what_works_is_promoted(case: Case) -> Iterator[str]:
    """Promote is sent after it was written down, for a key that was accepted three times in a row, over at
    least five seconds on one of the two clocks.
    """
    intents = {
        (act.by, act.data["version"]): act.seq
        for act in reversed(list(case.commits()))
        if act.data.get("phase") == "promoting"
    }
    keys = {stage.data["version"]: stage for stage in case.sends("store.stage")}
    for promote in case.sends("store.promote"):
        version = promote.data["version"]
        if intents.get((promote.by, version), promote.seq) >= promote.seq:
            yield f"{version} is promoted without an intent [{promote.seq}]"
        streaks = list(_streaks(case, keys[version], promote))
        if not any(probes >= _PROBES and over >= _OVER for probes, over in streaks):
            told = " and ".join(f"{probes} probes in {over}" for probes, over in streaks) or "no probe"
            yield f"{version} is promoted after {told} [{promote.seq}]"


def _between(one: Act, other: Act) -> timedelta:
    """The time from one line to another, on the clock that ran faster."""
    return max(other.at - one.at, other.ledger_at - one.ledger_at)


def _streaks(case: Case, staged: Act, promote: Act) -> Iterator[tuple[int, timedelta]]:
    """For each worker how often a staged key was accepted since its last refusal, and over what time.

    Workers count apart, each what it was told itself; a refusal that any was told of ends all, from when the
    provider gave it. So what one hears that was frozen, long after others went on, makes the count of none of
    them longer or shorter.
    """
    streaks: dict[str, list[Act]] = defaultdict(list)
    for answer in _answers(case, staged, promote):
        if answer.data.get("verdict") == "dead":
            streaks.clear()
        elif answer.data.get("verdict") == "live":
            streaks[answer.by].append(answer)
    for streak in streaks.values():
        yield len(streak), _between(streak[0], streak[-1])


def _answers(case: Case, staged: Act, promote: Act) -> list[Act]:
    """What was heard of a staged key until it was promoted, in the order in which the provider gave it."""
    probes = (probe for probe in case.sends("provider.probe") if probe.data["key"] == staged.data["key"])
    heard = (case.answered.get(probe.effect or 0) for probe in probes)
    within = (answer for answer in heard if answer is not None and staged.seq < answer.seq < promote.seq)
    return sorted(within, key=lambda answer: _given(case, answer).seq)


def _given(case: Case, answer: Act) -> Act:
    """When the provider gave an answer: its worker may have been frozen before it heard it."""
    return next(iter(case.applied[answer.effect or 0]), answer)


def revoking_is_written_first(case: Case) -> Iterator[str]:
    """A revoke is sent under the claim under which it was written down."""
    for revoke in case.sends("provider.revoke"):
        claim = case.claim_of(revoke)
        written = any(
            act.by == revoke.by
            and (claim.seq if claim else revoke.seq) < act.seq < revoke.seq
            and any(
                (key, phase) == (revoke.data["key"], "revoking") for _, key, phase, _ in act.data["debts"]
            )
            for act in case.commits(revoke.secret)
            if "debts" in act.data
        )
        if not written:
            yield f"{revoke.data['key']} is revoked without an intent [{revoke.seq}]"


def what_was_promoted_is_not_given_up(case: Case) -> Iterator[str]:
    """From promoting a rotation only goes forward, until a person asks for another."""
    promoting: dict[str, Act] = {}
    asked: dict[str, int] = {}
    for act in case.acts:
        if act.did is Did.OUTSIDE and act.name == "run-now" and act.secret:
            asked[act.secret] = act.seq
        if act.did is not Did.LEDGER or act.name != "commit" or "error" in act.data or not act.secret:
            continue
        if act.data.get("key"):
            first = promoting.pop(act.data["key"], None)
            if act.data["promoting"]:
                promoting[act.data["key"]] = first or act
        for _, key_id, _, reason in act.data.get("debts", ()):
            sent = promoting.get(key_id or "")
            if reason == "abandoned" and sent and asked.get(act.secret, 0) < sent.seq:
                yield f"{key_id} is given up after it was promoted [{act.seq}]"


def no_version_comes_back(case: Case) -> Iterator[str]:
    """A version that was current never becomes current again by our hand."""
    seen: set[tuple[str | None, str | None]] = set()
    before: dict[str | None, Act] = {}
    for act in case.acts:
        if act.did is Did.TRUTH and act.name == "current":
            replaced, before[act.secret] = before.get(act.secret, act), act
            ours = act.by != "outside" and not case.put_back(act, replaced)
            if ours and (act.secret, act.data["version"]) in seen:
                yield f"{act.data['version']} of {act.secret} is current again [{act.seq}]"
            seen.add((act.secret, act.data["version"]))


def a_drill_touches_no_secret(case: Case) -> Iterator[str]:
    """The key of a drill is neither stored nor ever in a secret."""
    drilled = {act.data["key"] for act in case.commits() if act.data.get("drill")} - {None}
    for act in case.acts:
        stored = act.did is Did.SENT and act.name == "store.stage"
        held = act.did is Did.TRUTH and act.name == "current"
        if (stored or held) and act.data["key"] in drilled:
            yield f"{act.data['key']} was issued for a drill, and is in {act.secret} [{act.seq}]"
