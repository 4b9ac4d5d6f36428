"""The checker sees what it is there to see: a history with one line changed is judged broken."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from tests.simulation.checker import RULES, judged
from tests.simulation.engine import Setup
from tests.simulation.history import Act, Did
from tests.simulation.runs import struck

Acts = Sequence[Act]


@cache
def good() -> tuple[Act, ...]:
    """The history of a rotation that goes well, to the proven death of the old key."""
    return tuple(struck({})[0].history.acts)


def found(name: str, did: Did, **data: object) -> Act:
    """The first such line."""
    return next(
        act for act in good() if (act.name, act.did) == (name, did) and data.items() <= act.data.items()
    )


def without(*lines: Act) -> Acts:
    """The history without these lines; their places stay, since rules look up lines by them."""
    return [replace(act, name="-", did=Did.PROCESS) if act in lines else act for act in good()]


def instead(line: Act, **data: object) -> Acts:
    """The history with other facts in one line."""
    return [replace(act, data={**act.data, **data}) if act is line else act for act in good()]


def moved(line: Act, before: Act) -> Acts:
    """The history with a line before another one."""
    others = [act for act in good() if act is not line]
    place = others.index(before)
    return [replace(act, seq=seq) for seq, act in enumerate([*others[:place], line, *others[place:]])]


def twice(line: Act, times: int = 2) -> Acts:
    """The history with one line again and again at its end."""
    more = [replace(line, seq=len(good()) + each, effect=1000 + each) for each in range(times - 1)]
    return [*good(), *more]


def commit(**data: object) -> Act:
    """The first commit with these facts."""
    return found("commit", Did.LEDGER, **data)


def revoke() -> Act:
    """The line that sends the revoke."""
    return found("provider.revoke", Did.SENT)


def pays() -> Act:
    """The commit that calls the old key dead."""
    return next(act for act in good() if any(debt[2] == "dead" for debt in act.data.get("debts", ())))


def probes() -> list[Act]:
    """What the new key's probes were answered."""
    return [act for act in good() if (act.name, act.did) == ("provider.probe", Did.ANSWERED)]


def at_once(line: Act) -> Acts:
    """The history with a line at the time at which it began."""
    first = good()[0]
    return [replace(act, at=first.at, ledger_at=first.ledger_at) if act is line else act for act in good()]


def read_again() -> Act:
    """The read of what is current just before the revoke."""
    reads = (act for act in good() if (act.name, act.did) == ("store.read", Did.SENT))
    return next(act for act in reads if act.data.get("version") is None)


CHANGED: dict[str, Callable[[], Acts]] = {
    "the_current_key_lives": lambda: instead(found("died", Did.TRUTH), key="alpha-key-3"),
    "a_revoke_is_rechecked": lambda: instead(read_again(), version="v0"),
    "no_candidate_is_revoked": lambda: moved(
        replace(revoke(), effect=1000, data={"key": "alpha-key-3"}), commit(phase="promoting")
    ),
    "grace_is_kept": lambda: at_once(revoke()),
    "consumers_are_told_first": lambda: without(found("consumer.tell", Did.APPLIED)),
    "every_key_of_ours_is_named": lambda: [
        replace(act, data={**act.data, "current": None, "key": None, "token": None})
        if act.name == "commit"
        else replace(act, data={**act.data, "key": "alpha-key-2"})
        if act.name == "current"
        else act
        for act in good()
    ],
    "debts_are_never_dropped": lambda: without(pays()),
    "a_debt_is_void_only_for_what_serves": lambda: instead(
        pays(), debts=(("old", "alpha-key-2", "void", "replaced"),)
    ),
    "what_is_called_dead_is_dead": lambda: without(found("died", Did.TRUTH)),
    "all_ends_well": lambda: instead(found("left", Did.LEDGER), debts=("alpha-key-2",)),
    "intent_comes_before_issue": lambda: without(commit(phase="issuing")),
    "a_key_is_known_before_it_is_stored": lambda: moved(
        found("store.stage", Did.SENT), commit(phase="issued")
    ),
    "only_what_works_is_promoted": lambda: instead(probes()[0], verdict="dead"),
    "revoking_is_written_first": lambda: moved(revoke(), found("provider.find", Did.SENT)),
    "what_was_promoted_is_not_given_up": lambda: instead(
        pays(), debts=(("new", "alpha-key-3", "owed", "abandoned"),)
    ),
    "no_version_comes_back": lambda: [
        replace(act, data={**act.data, "version": "v0"}) if act.name == "current" else act for act in good()
    ],
    "a_drill_touches_no_secret": lambda: instead(commit(phase="issued"), drill=True),
    "who_was_fenced_does_nothing_more": lambda: instead(commit(phase="promoting"), error="fenced"),
    "one_rotation_for_each_secret": lambda: instead(commit(phase="issued"), rotation="another"),
    "only_our_own_keys_die": lambda: without(found("adopted", Did.OUTSIDE)),
    "no_key_is_asked_for_beyond_the_limit": lambda: [
        *(
            replace(
                good()[0], at=good()[0].at - timedelta(days=1), data={**good()[0].data, "key": f"more-{each}"}
            )
            for each in range(4)
        ),
        *good(),
    ],
    "no_slot_is_held_for_nothing": lambda: instead(found("left", Did.LEDGER), slots=("t-nobody",)),
    "nothing_is_repeated_without_a_pause": lambda: twice(found("provider.find", Did.SENT), 20),
    "versions_are_budgeted": lambda: twice(found("store.stage", Did.SENT), 80),
    "who_was_told_to_stop_begins_nothing": lambda: [
        replace(act, name="stopping") if act.name == "began" else act for act in good()
    ],
    "a_change_tells_what_happened": lambda: instead(pays(), events=()),
    "no_value_is_in_the_ledger": lambda: instead(found("left", Did.LEDGER), leak=True),
}


def test_a_key_dies_in_service_only_where_a_person_ordered_that() -> None:
    """The history of a key that is contained breaks two rules without its order, and none with it."""
    sim, broken = struck({}, contain=True)
    assert not broken
    acts = [replace(act, data={**act.data, "contain": None}) for act in sim.history.acts]
    rules = {found.partition(":")[0] for found in judged(acts, sim.setup)}
    assert rules == {"the_current_key_lives", "a_revoke_is_rechecked"}


def test_each_rule_has_a_history_that_breaks_it() -> None:
    """None is there that nothing can break."""
    assert set(CHANGED) == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize("rule", CHANGED)
def test_a_broken_rule_is_seen(rule: str) -> None:
    """By its own name, and only where the history was changed."""
    assert judged(good(), Setup()) == []
    assert rule in {broken.partition(":")[0] for broken in judged(CHANGED[rule](), Setup())}


def heard_by_another(late: Act) -> Acts:
    """The history with one more probe of the new key, sent by a worker that was frozen when it was answered,
    and hears of it just before ``late``.
    """
    first = found("provider.probe", Did.SENT, key="alpha-key-3")
    sent = replace(first, by="worker-9", effect=1000)
    heard = replace(late, by="worker-9", effect=1000, data={"verdict": "live"})
    acts: list[Act] = []
    for act in good():
        acts += [sent] if act is first else []
        acts += [heard] if act is late else []
        acts.append(act)
    return [replace(act, seq=seq) for seq, act in enumerate(acts)]


def test_what_another_worker_heard_is_no_part_of_a_count() -> None:
    """An answer that comes late to a worker that was fenced makes the count of who goes on no shorter."""
    assert judged(heard_by_another(probes()[2]), Setup()) == []


def test_probes_of_two_workers_are_not_one_count() -> None:
    """Who promotes has counted three itself: two of its own, and one of another, are too few."""
    acts = [replace(act, by="worker-9") if act is probes()[0] else act for act in good()]
    assert "only_what_works_is_promoted" in judged(acts, Setup())[0]
