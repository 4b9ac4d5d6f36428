from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from rotator import cron

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", {6}),
        ("7", {6}),
        ("sun", {6}),
        ("1", {0}),
        ("2", {1}),
        ("tue", {1}),
        ("TUE", {1}),
        ("1-5", {0, 1, 2, 3, 4}),
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("5-7", {4, 5, 6}),
        ("0-2", {6, 0, 1}),
        ("sat-sun", {5, 6}),
        ("sun-sun", {6}),
        ("7-7", {6}),
        ("0-7", {0, 1, 2, 3, 4, 5, 6}),
        ("mon,3,fri", {0, 2, 4}),
        ("*/2", {6, 1, 3, 5}),
        ("1-5/2", {0, 2, 4}),
        ("*", {0, 1, 2, 3, 4, 5, 6}),
    ],
)
def test_weekdays_are_those_of_cron(weekday: str, days: set[int]) -> None:
    """Sunday is 0 and 7, whatever the library below counts."""
    at, found = MONDAY, set()
    for _ in range(14):
        at = cron.next_fire(f"0 3 * * {weekday}", "UTC", at) or at
        found.add(at.weekday())
    assert found == days


def test_after_is_excluded() -> None:
    """A rotation at the very moment of a fire waits for the next one."""
    assert cron.next_fire("0 9 * * mon", "UTC", MONDAY) == MONDAY + timedelta(days=7)


def test_late_is_not_hidden() -> None:
    """The next fire is counted from the last rotation, also where it is long past."""
    assert cron.next_fire("0 9 1 * *", "UTC", MONDAY) == datetime(2026, 2, 1, 9, tzinfo=UTC)


def test_local_time() -> None:
    """Nine o'clock is nine o'clock in summer and in winter."""
    fires = [cron.next_fire("0 9 * * *", "Europe/London", datetime(2026, m, 1, tzinfo=UTC)) for m in (1, 7)]
    assert [fire.hour for fire in fires if fire] == [9, 8]


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
def test_changes_of_the_clocks_end(zone: str) -> None:
    """Fires go forward through a year of changes of the clocks, and a day has at most two of them."""

    def fires() -> list[datetime]:
        at, found = datetime(2025, 12, 31, tzinfo=UTC), []
        for _ in islice(range(400), 370):
            at = cron.next_fire("30 1 * * *", zone, at) or at
            found.append(at)
        return found

    gaps = [later - earlier for earlier, later in zip(fires(), fires()[1:], strict=False)]
    assert all(timedelta(0) < gap <= timedelta(hours=49) for gap in gaps)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("0 9 * * tue", timedelta(days=7)),
        ("0 9 * * mon-fri", timedelta(days=1)),
        ("0 9,10 1 * *", timedelta(hours=1)),
        ("0 0 1 jan *", timedelta(days=365)),
    ],
)
def test_shortest_gap(expression: str, gap: timedelta) -> None:
    """The least time between two fires is what grace must be shorter than."""
    assert cron.shortest_gap(expression) == gap


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a b c",
        "0 9 * *",
        "0 9 * * * *",
        "61 * * * *",
        "0 24 * * *",
        "0 9 * foo *",
        "0 9 * * wat",
        "0 9 * * 8",
        "0 9 * * fri-mon",
        "0 9 1 * tue",
        "0 0 31 2 *",
        "0 9 L * *",
        "0 9 ? * *",
        "@daily",
        "0 9 * * 2#1",
        "-1 9 * * *",
    ],
)
def test_refused(expression: str) -> None:
    """What is not cron, is read differently elsewhere, or never fires is refused."""
    with pytest.raises(ValueError, match=r"Write|Name each"):
        cron.check(expression)
