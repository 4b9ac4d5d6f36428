from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from rotator.due import Due, due, first_spread, next_rotation, settings_digest
from rotator.model import (
    AdminRef,
    CurrentKey,
    Order,
    Policy,
    Provenance,
    ProviderRef,
    SecretState,
    StoreRef,
    Target,
    Window,
)

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)  # a Monday
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
STORE = StoreRef("aws", "fake")
WITHOUT_ADMIN = ProviderRef("b", "fake", "https://b.example")
POLICY = Policy("p", WITHOUT_ADMIN, Target("id", STORE, "s"), every=30 * DAY, key={"scopes": ["read"]})
STATE = SecretState("id", "p", "a", NOW, looked_at=NOW - 40 * DAY, rotated_at=NOW - 10 * DAY)
NIGHTS = (Window(tuple(range(7)), time(20), time(22)),)


def run(at: datetime = NOW) -> dict[str, Order]:
    """A person's order to rotate now."""
    return {"run": Order("run", "ann", "leaked", at)}


def pause(until: datetime | None) -> dict[str, Order]:
    """A person's order to hold."""
    return {"pause": Order("pause", "ann", "audit", NOW, until=until)}


def at(found: Due | None) -> datetime:
    """When; there must be something."""
    assert found is not None
    return found.at


LATE = replace(STATE, rotated_at=NOW - 31 * DAY)
Case = tuple[str, Policy, SecretState, dict[str, Order], datetime | None, str, str]
OUT = replace(STATE, current=CurrentKey("v", "k", Provenance.ISSUED, NOW, contained=True))
CASES: list[Case] = [
    ("its key is dead", POLICY, OUT, {}, NOW, "rotate", "the key in service is dead"),
    (
        "its key is dead, and no other could be issued",
        POLICY,
        replace(OUT, failures=1, failed_at=NOW),
        {},
        NOW + 15 * MINUTE,
        "rotate",
        "failed once",
    ),
    (
        "on schedule",
        POLICY,
        STATE,
        {},
        NOW + 20 * DAY,
        "rotate",
        "every 30d: last rotated 2025-12-26 09:00 UTC",
    ),
    ("late", POLICY, LATE, {}, NOW - DAY, "rotate", "every 30d"),
    ("never rotated", POLICY, replace(STATE, rotated_at=None), {}, NOW, "rotate", "never rotated"),
    (
        "marked as deleted by a worker without it",
        POLICY,
        replace(LATE, gone=True),
        {},
        NOW - DAY,
        "rotate",
        "every 30d",
    ),
    ("run", POLICY, STATE, run(), NOW, "rotate", "run-now by ann: leaked"),
    ("run wins over pause", POLICY, STATE, {**run(), **pause(NOW + DAY)}, NOW, "rotate", "run-now"),
    ("run ignores windows", replace(POLICY, windows=NIGHTS), STATE, run(), NOW, "rotate", "run-now"),
    ("run looks first", POLICY, replace(STATE, looked_at=None), run(), NOW, "take-on", "run-now"),
    (
        "run after older failures",
        POLICY,
        replace(STATE, failures=4, failed_at=NOW - HOUR),
        run(),
        NOW,
        "rotate",
        "run-now",
    ),
    (
        "run that failed itself",
        POLICY,
        replace(STATE, failures=1, failed_at=NOW - MINUTE),
        run(NOW - HOUR),
        NOW + 14 * MINUTE,
        "rotate",
        "failed once",
    ),
    ("first look", POLICY, replace(STATE, looked_at=None), {}, NOW, "take-on", "never looked at"),
    (
        "first look, paused",
        POLICY,
        replace(STATE, looked_at=None),
        pause(NOW + DAY),
        NOW + DAY,
        "take-on",
        "paused until",
    ),
    (
        "first look of a token, paused",
        replace(POLICY, every=None, renew=HOUR),
        replace(STATE, looked_at=None),
        pause(NOW + DAY),
        NOW,
        "take-on",
        "never looked at",
    ),
    (
        "paused and late",
        POLICY,
        LATE,
        pause(NOW + DAY),
        NOW + DAY,
        "rotate",
        "paused until 2026-01-06 09:00 UTC by ann: audit; every 30d",
    ),
    ("paused, due later", POLICY, STATE, pause(NOW + DAY), NOW + 20 * DAY, "rotate", "every 30d"),
    ("pause is over", POLICY, LATE, pause(NOW - DAY), NOW - DAY, "rotate", ""),
    ("paused for ever", POLICY, STATE, pause(None), None, "", ""),
    (
        "backing off",
        POLICY,
        replace(LATE, failures=2, failed_at=NOW - 10 * MINUTE),
        {},
        NOW + 50 * MINUTE,
        "rotate",
        "failed 2 times",
    ),
    (
        "backed off long enough",
        POLICY,
        replace(LATE, failures=9, failed_at=NOW - 25 * HOUR),
        {},
        NOW - DAY,
        "rotate",
        "every 30d",
    ),
    (
        "settings changed",
        POLICY,
        replace(STATE, settings="0" * 64),
        {},
        NOW,
        "rotate",
        "settings were changed",
    ),
    (
        "settings as they were",
        POLICY,
        replace(STATE, settings=settings_digest(POLICY)),
        {},
        NOW + 20 * DAY,
        "rotate",
        "",
    ),
    (
        "settings changed, window",
        replace(POLICY, windows=NIGHTS),
        replace(STATE, settings="0" * 64),
        {},
        NOW + 11 * HOUR,
        "rotate",
        "window opens 2026-01-05 20:00 UTC",
    ),
    (
        "jitter",
        replace(POLICY, jitter=8 * HOUR),
        replace(STATE, jitter=0.25),
        {},
        NOW + 20 * DAY + 2 * HOUR,
        "rotate",
        "",
    ),
    (
        "cron",
        replace(POLICY, every=None, cron="0 9 * * tue", jitter=2 * HOUR),
        replace(STATE, jitter=0.5),
        {},
        datetime(2025, 12, 30, 10, tzinfo=UTC),
        "rotate",
        "cron '0 9 * * tue' UTC: last rotated",
    ),
    (
        "spread",
        POLICY,
        replace(STATE, rotated_at=NOW - 99 * DAY, spread_until=NOW + 3 * DAY),
        {},
        NOW + 3 * DAY,
        "rotate",
        "spread to 2026-01-08 09:00 UTC",
    ),
    (
        "window of a later day",
        replace(POLICY, windows=NIGHTS),
        STATE,
        {},
        NOW + 20 * DAY + 11 * HOUR,
        "rotate",
        "window",
    ),
    (
        "a window that was missed",
        replace(POLICY, windows=NIGHTS),
        LATE,
        {},
        NOW + 11 * HOUR,
        "rotate",
        "",
    ),
    (
        "late, in its window",
        replace(POLICY, windows=(Window((0,), time(8), time(10)),)),
        LATE,
        {},
        NOW - DAY,
        "rotate",
        "",
    ),
    (
        "six pushes in an hour",
        POLICY,
        replace(STATE, rotated_at=None, pushes=tuple(NOW - n * MINUTE for n in range(5, 65, 10))),
        {},
        NOW + 5 * MINUTE,
        "rotate",
        "too many versions",
    ),
    (
        "fifty pushes in a day",
        POLICY,
        replace(STATE, rotated_at=None, pushes=tuple(NOW - n * 20 * MINUTE for n in range(10, 60))),
        {},
        NOW + 24 * HOUR - 59 * 20 * MINUTE,
        "rotate",
        "too many versions",
    ),
    (
        "five pushes in an hour",
        POLICY,
        replace(STATE, rotated_at=None, pushes=tuple(NOW - n * MINUTE for n in range(5))),
        {},
        NOW,
        "rotate",
        "",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_chain(case: Case) -> None:
    """The first reason wins, and what holds back moves it to a later time."""
    _, policy, state, orders, when, kind, why = case
    found = due(policy, state, orders, NOW)
    if when is None:
        assert found is None
    else:
        assert found is not None
        assert (found.at, found.kind) == (when, kind)
        assert why in found.why


# --- rehearsals ---

ADMIN = replace(POLICY, provider=replace(WITHOUT_ADMIN, admin=AdminRef(STORE, "admin")))


def test_rehearsal_comes_a_day_ahead() -> None:
    """The admin credential is tried a day before it is needed; the rotation keeps its own time."""
    found = due(ADMIN, STATE, {}, NOW)
    assert found is not None
    assert (found.at, found.kind) == (NOW + 19 * DAY, "rehearse")
    assert next_rotation(ADMIN, STATE, {}, NOW) == due(POLICY, STATE, {}, NOW)


@pytest.mark.parametrize(
    ("tried", "kind"),
    [(None, "rehearse"), (NOW - 12 * DAY, "rehearse"), (NOW - 2 * HOUR, "rotate")],
)
def test_rehearsal_is_once(tried: datetime | None, kind: str) -> None:
    """It is tried once for each due time."""
    state = replace(STATE, rotated_at=NOW - 30 * DAY + 12 * HOUR, rehearsed_at=tried)
    found = due(ADMIN, state, {}, NOW)
    assert found is not None
    assert found.kind == kind


def test_rehearsal_of_short_periods() -> None:
    """A key that lives shortly is rehearsed a quarter of its period ahead."""
    policy = replace(ADMIN, every=4 * HOUR)
    assert at(due(policy, replace(STATE, rotated_at=NOW), {}, NOW)) == NOW + 3 * HOUR


@pytest.mark.parametrize(
    ("state", "orders"),
    [
        (replace(STATE, failures=1, failed_at=NOW), {}),
        (LATE, {}),
        (STATE, run()),
        (STATE, pause(NOW + 20 * DAY)),
        (replace(STATE, looked_at=None), {}),
    ],
    ids=["failed just now", "late", "ordered", "paused till then", "first look"],
)
def test_no_rehearsal(state: SecretState, orders: dict[str, Order]) -> None:
    """Nothing is rehearsed where the credential was just used, is used at once, or may not be used."""
    found = due(ADMIN, state, orders, NOW)
    assert found is not None
    assert found.kind != "rehearse"


def test_cron_is_rehearsed() -> None:
    """A cron expression has a quarter of its shortest gap, at most a day."""
    policy = replace(ADMIN, every=None, cron="0 9 * * tue")
    assert at(due(policy, replace(STATE, rotated_at=NOW - 5 * DAY), {}, NOW)) == NOW


# --- digests and spreading ---


def test_digest_is_of_what_a_key_is_issued_with() -> None:
    """The order of settings changes nothing; a setting, the kind or the provider's type does."""
    policy = replace(POLICY, key={"b": 1, "a": [2]})
    same = replace(policy, key={"a": [2], "b": 1}, name="renamed", every=DAY)
    others = [
        replace(policy, key={"a": [3], "b": 1}),
        replace(policy, kind="client"),
        replace(policy, provider=replace(WITHOUT_ADMIN, type="other")),
    ]
    assert settings_digest(policy) == settings_digest(same)
    assert len({settings_digest(each) for each in [policy, *others]}) == 4


def test_spread_is_even_and_the_same_each_time() -> None:
    """A fleet that is overdue is spread over seven days by its ids; what is not overdue is not delayed."""
    moments = [first_spread(f"secret-{n}", NOW, overdue=True) for n in range(700)]
    assert moments == [first_spread(f"secret-{n}", NOW, overdue=True) for n in range(700)]
    assert all(NOW <= moment < NOW + 7 * DAY for moment in moments)
    assert all(60 < sum((m - NOW) // DAY == day for m in moments) < 140 for day in range(7))
    assert first_spread("secret-1", NOW, overdue=False) == NOW
