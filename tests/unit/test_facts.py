"""Facts of the ledger that were damaged: whoever reads one says what to do."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from rotator import blocks, breaker, budgets, likeness, people, safe_mode, stopping
from rotator.errors import LedgerUnusable, NeedsPerson, Scope
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import EVERYBODY, Order, Policy, ProviderRef, StoreRef, Target
from rotator.notices import Message, Severity
from rotator.reconcile import daily
from rotator.telemetry.outbox import Failing, Outbox
from rotator.testing.clock import BEGINNING, ManualClock

TARGET = Target("fake|one", StoreRef("fake", "fake"), "one")
POLICY = Policy("one", ProviderRef("fake", "fake", "https://fake.invalid"), TARGET, every=timedelta(days=30))
REFUSED = NeedsPerson("admin-refused", "refused.", todo="submit", scope=Scope.PROVIDER)


def paused(ledger: Ledger) -> None:
    """Three secrets fail in the same way."""
    for secret in ("one", "two", "three"):
        blocks.failed(ledger, POLICY, secret, "http-500")


def stopped(ledger: Ledger) -> None:
    """A person stops everything, and people are told."""
    ledger.give(EVERYBODY, Order("stop", "a person", "drill", ledger.now()))
    assert stopping.news(ledger)


def login(ledger: Ledger) -> None:
    """A login that is under way."""
    place = breaker.Place(breaker.TOKEN, None, ledger.now(), ledger.now(), "login:1:parent")
    ledger.remember(place.key, breaker.PLACE.encode(place))


def trusted(ledger: Ledger) -> None:
    """A person agreed to a ledger that had lost commits."""
    assert safe_mode.enter(ledger, "why")
    assert safe_mode.leave(ledger)


def outbox(ledger: Ledger) -> Outbox:
    """What waits for a channel."""
    return Outbox(ledger, "desk", "test")


MESSAGE = Message("title", "body", Severity.WARNING)
Act = Callable[[Ledger], object]
FACTS: dict[str, tuple[Act, Act]] = {
    "safe-mode": (lambda ledger: safe_mode.enter(ledger, "why"), safe_mode.current),
    "trusted-since": (trusted, safe_mode.trusted_at),
    "budget:": (budgets.take_revocation, budgets.revocations_free_at),
    "block:": (
        lambda ledger: blocks.block(ledger, POLICY, REFUSED),
        lambda ledger: blocks.blocked_until(ledger, POLICY),
    ),
    "failing:": (paused, lambda ledger: people.provider_pauses(ledger.facts("failing:"))),
    "login:": (login, lambda ledger: breaker.failing(ledger, "parent")),
    "told:stop": (stopped, stopping.news),
    "notice:": (
        lambda ledger: outbox(ledger).add("1", MESSAGE, ledger.now()),
        lambda ledger: outbox(ledger).waiting(ledger.now()),
    ),
    "notice-fails:": (
        lambda ledger: outbox(ledger).fails(Failing(ledger.now(), "http-500")),
        lambda ledger: outbox(ledger).failing(),
    ),
    "policies:": (
        lambda ledger: likeness.must_be_told(ledger, ledger.now()),
        lambda ledger: likeness.must_be_told(ledger, ledger.now()),
    ),
    "reconcile:made": (daily.due, daily.due),
}


@pytest.mark.parametrize("prefix", FACTS)
def test_a_fact_that_was_damaged_says_what_to_do(prefix: str) -> None:
    """Whatever part of a date is wrong, or the whole, nobody meets an error without a remedy."""
    ledger, (write, read) = open_ledger("sqlite://", ManualClock()), FACTS[prefix]
    write(ledger)
    ((key, kept),) = ledger.facts(prefix).items()
    read(ledger)
    whole = kept if kept.startswith("{") else f'"{kept}"'
    year = f"{BEGINNING:%Y-%m-%d}"
    for damaged in (re.sub(year, "2o26-01-05", kept), kept[: len(kept) // 2], whole.replace(year, "")):
        ledger.forget(key)
        ledger.remember(key, damaged)
        with pytest.raises(LedgerUnusable, match="restore its last backup"):
            read(ledger)
    ledger.close()


SINCE = "2026-01-05T09:00:00+00:00"
HELD = {
    "provider": "fake",
    "kind": "k",
    "reason": "r",
    "todo": "t",
    "since": SINCE,
    "told": 1,
    "told_at": SINCE,
}
BEFORE: dict[str, tuple[object, Act]] = {
    "safe-mode": ({"why": "why", "since": SINCE}, safe_mode.current),
    f"login:1:{TARGET.id}": (
        {"by": "token", "version": None, "until": SINCE, "ends": None},
        lambda ledger: breaker.failing(ledger, TARGET.id),
    ),
    blocks.failing_key(POLICY): (
        {"kind": "k", "secrets": {"one": SINCE}, "pause": {**HELD, "look_at": SINCE, "looks": 0}},
        lambda ledger: blocks.works(ledger, POLICY),
    ),
    "budget:revocations": ({"spent": [SINCE], "told_at": None}, budgets.must_be_told),
    "told:stop": ({"stop": SINCE, "times": 1, "at": SINCE}, stopping.news),
}


@pytest.mark.parametrize("key", BEFORE)
def test_a_fact_as_it_was_written_before_is_read(key: str) -> None:
    """A ledger that is older than this program keeps its facts."""
    ledger, (written, read) = open_ledger("sqlite://", ManualClock()), BEFORE[key]
    ledger.remember(key, json.dumps(written))
    assert read(ledger)
    ledger.close()
