"""Judges a history: what must hold in every run, whatever failed. It knows nothing of the stories' code.

Each rule is a function that yields a sentence for each place at which it was broken.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tests.simulation import rules_keys, rules_steps, rules_workers
from tests.simulation.cases import Case
from tests.simulation.history import Act

if TYPE_CHECKING:
    from tests.simulation.engine import Setup

Rule = Callable[[Case], Iterator[str]]

RULES: tuple[Rule, ...] = (
    rules_keys.the_current_key_lives,
    rules_keys.a_revoke_is_rechecked,
    rules_keys.no_candidate_is_revoked,
    rules_keys.grace_is_kept,
    rules_keys.consumers_are_told_first,
    rules_keys.every_key_of_ours_is_named,
    rules_keys.debts_are_never_dropped,
    rules_keys.a_debt_is_void_only_for_what_serves,
    rules_keys.what_is_called_dead_is_dead,
    rules_keys.all_ends_well,
    rules_steps.intent_comes_before_issue,
    rules_steps.a_key_is_known_before_it_is_stored,
    rules_steps.only_what_works_is_promoted,
    rules_steps.revoking_is_written_first,
    rules_steps.what_was_promoted_is_not_given_up,
    rules_steps.no_version_comes_back,
    rules_steps.a_drill_touches_no_secret,
    rules_workers.who_was_fenced_does_nothing_more,
    rules_workers.one_rotation_for_each_secret,
    rules_workers.only_our_own_keys_die,
    rules_workers.no_key_is_asked_for_beyond_the_limit,
    rules_workers.no_slot_is_held_for_nothing,
    rules_workers.nothing_is_repeated_without_a_pause,
    rules_workers.versions_are_budgeted,
    rules_workers.who_was_told_to_stop_begins_nothing,
    rules_workers.a_change_tells_what_happened,
    rules_workers.no_value_is_in_the_ledger,
)


def judged(acts: Sequence[Act], setup: "Setup") -> list[str]:
    """Every rule that was broken, by name, with where."""
    case = Case(acts, setup)
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(case)]
