"""What must hold of workers: who may act, on what, how often."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.cases import EFFECT, ENDED, Case
from tests.simulation.history import Act, Did

MUTATING = ("provider.issue", "provider.revoke", "store.seed", "store.stage", "store.promote", "store.keep",
            "store.discard", "consumer.tell")  # fmt: skip
_INSTANT = 12  # calls of one kind for one secret in one instant
_PUSHES = 60  # versions of one secret in 24 hours
_LISTED = timedelta(seconds=20)  # a list may be as late


# --- who may act -------------------------------------------------------------------------------------------


def who_was_fenced_does_nothing_more(case: Case) -> Iterator[str]:
    """Nothing is changed outside by who lost the claim, or under a claim that may end meanwhile."""
    until: dict[tuple[str, str | None], datetime] = {}
    moved: set[str] = set()  # whose clock was set since they last spoke to the ledger
    for act in case.acts:
        who = (act.by, act.secret)
        if act.did is Did.LEDGER and act.name in ("claim", "commit", "renew", "reserve", "release"):
            moved.discard(act.by)
            if "error" in act.data or act.name == "release":
                until.pop(who, None) if act.data.get("error") != "held" else None
            else:
                until[who] = act.ledger_at + timedelta(seconds=90)
        elif act.did is Did.CLOCK:
            moved |= {by for by, _ in until}
        elif act.did is Did.SENT and act.name in MUTATING and act.by not in moved:
            if who not in until:
                yield f"{act.name} by {act.by} without a claim [{act.seq}]"
            elif until[who] - act.ledger_at < EFFECT:
                yield f"{act.name} by {act.by} {until[who] - act.ledger_at} before its claim ends [{act.seq}]"


def one_rotation_for_each_secret(case: Case) -> Iterator[str]:
    """At most one rotation of a secret is under way."""
    live: dict[str | None, str] = {}
    for act in case.commits():
        rotation = act.data.get("rotation")
        if rotation is None:
            continue
        if live.get(act.secret, rotation) != rotation:
            yield f"{act.secret} has rotations {live[act.secret]} and {rotation} [{act.seq}]"
        if act.data["phase"] in ENDED:
            live.pop(act.secret, None)
        else:
            live[act.secret] = rotation


def only_our_own_keys_die(case: Case) -> Iterator[str]:
    """A key is revoked if an attempt of ours made it for this secret, or a person adopted it."""
    made_for = case.made_for()
    adopted = {act.data["key"] for act in case.acts if act.did is Did.OUTSIDE and act.name == "adopted"}
    for revoke in case.sends("provider.revoke"):
        key_id = revoke.data["key"]
        key = case.keys.get(key_id)
        ours = key is not None and key.ours and case.token(key_id) in made_for
        if not ours and key_id not in adopted:
            yield f"{key_id} is revoked and is not ours [{revoke.seq}]"


def no_key_is_asked_for_beyond_the_limit(case: Case) -> Iterator[str]:
    """Issue is sent where the account has room, as far as anybody could know: a list may be late."""
    for issue in case.sends("provider.issue"):
        provider = next(place.provider for place in case.setup.places if place.name == issue.secret)
        claim = case.claim_of(issue)
        known = [
            key
            for key in case.keys.values()
            if key.provider == provider
            and (key.died is None or key.died.seq > issue.seq)
            and key.born.at <= (claim or issue).at - _LISTED
        ]
        if len(known) >= case.setup.limits[provider]:
            yield f"{provider} holds {len(known)} keys already [{issue.seq}]"


# --- pace --------------------------------------------------------------------------------------------------


def no_slot_is_held_for_nothing(case: Case) -> Iterator[str]:
    """At the end a slot is held for a key that lives or is owed, or for a rotation that is under way."""
    left = [act for act in case.acts if act.name == "left"]
    owed = {key for act in left for key in act.data["debts"]}
    used = {case.token(name) for name, key in case.keys.items() if key.died is None or name in owed}
    if not any(act.data["rotation"] for act in left):
        yield from (f"{token} holds a slot" for act in left[:1] for token in set(act.data["slots"]) - used)


def nothing_is_repeated_without_a_pause(case: Case) -> Iterator[str]:
    """Nothing is tried again and again in one instant."""
    count: dict[tuple[Any, ...], int] = defaultdict(int)
    for act in case.sent.values():
        count[act.at, act.by, act.name, act.secret] += 1
    for (at, _, name, secret), times in count.items():
        if times > _INSTANT:
            yield f"{name} for {secret} {times} times at {at}"


def versions_are_budgeted(case: Case) -> Iterator[str]:
    """No more versions of a secret are written in a day than its store bears."""
    pushes: dict[str | None, list[Act]] = defaultdict(list)
    for act in case.sends("store.stage"):
        young = [one for one in pushes[act.secret] if one.at > act.at - timedelta(hours=24)]
        pushes[act.secret] = [*young, act]
        if len(young) >= _PUSHES:
            yield f"{len(young) + 1} versions of {act.secret} in a day [{act.seq}]"


def who_was_told_to_stop_begins_nothing(case: Case) -> Iterator[str]:
    """After SIGTERM the effect in flight is the last: issue and stage are one."""
    stopped: dict[str, int] = {}
    for act in case.acts:
        if act.did is Did.PROCESS and act.name == "stopping":
            stopped[act.by] = 0
        elif act.did is Did.SENT and act.name in MUTATING and act.by in stopped:
            stopped[act.by] += 1
            if stopped[act.by] > 2:  # issue, and stage with it
                yield f"{act.name} by {act.by} after it was told to stop [{act.seq}]"


def a_change_tells_what_happened(case: Case) -> Iterator[str]:
    """What ends a rotation or a debt is in one commit with its event; the program itself has no fault."""
    for act in case.commits():
        ends = act.data.get("phase") in ENDED
        ends = ends or any(phase == "dead" for _, _, phase, _ in act.data.get("debts", ()))
        if ends and not act.data["events"]:
            yield f"a commit without an event [{act.seq}]"
        if "fault" in act.data["events"]:
            yield f"a fault of the program [{act.seq}]"


def no_value_is_in_the_ledger(case: Case) -> Iterator[str]:
    """The ledger holds no key's value."""
    if any(act.data["leak"] for act in case.acts if act.name == "left"):
        yield "a value is in the ledger's pages"
