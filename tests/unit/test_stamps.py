from dataclasses import replace
from datetime import datetime, timedelta

from rotator import backoff, blocks, budgets, stamps
from rotator.errors import NeedsPerson
from rotator.ledger import open_ledger
from rotator.model import Block, CurrentKey, Phase, Provenance
from rotator.reconcile import daily
from rotator.reconcile.daily import DAY
from rotator.testing.clock import BEGINNING, ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_policy, a_rotation, a_state

NOW = BEGINNING
LATER = NOW + timedelta(days=365)


def a_token(since: datetime) -> CurrentKey:
    """A token that lives for two hours, and is surely dead after three."""
    ends, dies = since + 2 * HOUR, since + 3 * HOUR
    return CurrentKey("v", "t", Provenance.ISSUED, since, expires_at=ends, dead_by=dies)


def a_block(at: datetime) -> Block:
    """A block of which people were told."""
    return Block("kind", "reason", "todo", at, told_at=at)


def test_what_a_right_clock_wrote_stays_as_it_is() -> None:
    """Times that are past, and those to come within their span, are left alone."""
    state = a_state(rotated_at=NOW, current=a_token(NOW), spread_until=NOW + 6 * DAY, block=a_block(NOW))
    debt = a_debt(not_before=NOW + a_policy().grace, look_at=NOW + HOUR, expires_at=NOW + 900 * DAY)
    rotation = a_rotation(look_at=NOW + HOUR)
    assert not stamps.is_off(state, NOW)
    assert stamps.of_state(state, NOW) == state
    assert stamps.of_debt(debt, NOW) == debt
    assert stamps.of_rotation(rotation, NOW) == rotation


def test_a_secret_was_last_rotated_now_at_the_latest() -> None:
    """A promotion, a failure and a block of a clock that was ahead hold nothing up."""
    off = a_state(rotated_at=LATER, failed_at=LATER, block=a_block(LATER), spread_until=LATER)
    right = stamps.of_state(off, NOW)
    assert stamps.is_off(off, NOW)
    assert (right.rotated_at, right.failed_at, right.spread_until) == (NOW, NOW, None)
    assert right.block == a_block(NOW)
    assert stamps.of_state(right, NOW) == right


def test_a_token_of_a_clock_that_was_ahead_is_due_at_once() -> None:
    """Nobody knows when it was minted: it is renewed at once, and its death is awaited for a whole life."""
    right = stamps.of_state(a_state(current=a_token(LATER)), NOW).current
    assert right == replace(a_token(NOW), expires_at=NOW, dead_by=NOW + 3 * HOUR)


def test_grace_begins_anew_where_its_end_lies_too_far_ahead() -> None:
    """A key that was replaced by a clock that was ahead lives for one whole grace more, and no year."""
    off = a_debt(grace=HOUR, not_before=LATER + HOUR, since=LATER, look_at=LATER, block=a_block(LATER))
    right = stamps.of_debt(off, NOW)
    assert (right.not_before, right.since, right.look_at) == (NOW + HOUR, NOW, None)
    assert right.block == a_block(NOW)


def test_a_token_that_must_die_dies_after_its_life() -> None:
    """The end of a life that a wrong clock counted is counted from now."""
    off = a_debt(served=LATER, expires_at=LATER + 2 * HOUR)
    assert stamps.of_debt(off, NOW).expires_at == NOW + 2 * HOUR


def test_a_rotation_of_a_clock_that_was_ahead_is_looked_at_again() -> None:
    """Whatever it waited for, it is looked at now; its candidate's life is counted from now."""
    made = replace(a_rotation().attempt, issued_at=LATER, staged_at=LATER, expires_at=LATER + HOUR)
    right = stamps.of_rotation(a_rotation(phase=Phase.STAGED, attempt=made, look_at=LATER), NOW)
    assert right.look_at is None
    assert (right.attempt.issued_at, right.attempt.staged_at) == (NOW, NOW)
    assert right.attempt.expires_at == NOW + HOUR


def test_what_was_spent_ahead_of_now_counts_no_longer() -> None:
    """Of a budget of one an hour, one spent within the hour counts, be it a little ahead; no other does."""
    budget = (budgets.Budget(1, HOUR),)
    assert budgets.free_at([NOW], budget, NOW) == NOW + HOUR
    assert budgets.free_at([NOW + HOUR], budget, NOW) == NOW + 2 * HOUR
    assert budgets.free_at([NOW + HOUR * 1.01], budget, NOW) is None
    assert budgets.spend([LATER, NOW - HOUR, NOW], budget, NOW) == (NOW, NOW)


def test_what_people_were_told_ahead_of_now_mutes_nothing() -> None:
    """Who was told by a clock that was ahead is told again; the comparison of the day is due."""
    clock = ManualClock(LATER)
    ledger = open_ledger("sqlite://", clock)
    assert not daily.due(ledger)
    assert budgets.must_be_told(ledger)
    assert not budgets.must_be_told(ledger)
    clock.advance(NOW - LATER)
    assert daily.due(ledger)
    assert budgets.must_be_told(ledger)
    assert not budgets.must_be_told(ledger)
    assert not backoff.passed(NOW, DAY, NOW)
    ledger.close()


def test_a_block_ahead_of_now_is_looked_at_now() -> None:
    """A provider that was blocked by a clock that was ahead is asked again."""
    clock = ManualClock(LATER)
    ledger, policy = open_ledger("sqlite://", clock), a_policy()
    error = NeedsPerson("refused", "refused.", todo="bring another")
    until, told = blocks.block(ledger, policy, error)
    assert told
    assert blocks.blocked_until(ledger, policy) == until > LATER
    clock.advance(NOW - LATER)
    assert blocks.blocked_until(ledger, policy) == NOW
    assert blocks.block(ledger, policy, error)[1]
    ledger.close()
