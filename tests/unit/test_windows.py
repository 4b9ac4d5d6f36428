from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.model import Policy, ProviderRef, StoreRef, Target, Window
from rotator.windows import in_window, window_opens

EVERY_DAY = tuple(range(7))
ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
)


def policy(*windows: Window, timezone: str = "UTC") -> Policy:
    """A policy with these windows."""
    store = StoreRef("aws", "fake")
    return Policy(
        "p",
        ProviderRef("b", "fake", "https://b.example"),
        Target("id", store, "s"),
        windows=windows,
        timezone=timezone,
    )


def window(start: str, end: str, *days: int) -> Window:
    """A window on these days, or on all."""
    return Window(days or EVERY_DAY, time.fromisoformat(start), time.fromisoformat(end))


def utc(text: str) -> datetime:
    """A moment, from its text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("which", "zone", "at", "opens"),
    [
        ((), "UTC", "2026-01-05T03:00", "2026-01-05T03:00"),
        ((("09:00", "16:00"),), "UTC", "2026-01-05T03:00", "2026-01-05T09:00"),
        ((("09:00", "16:00"),), "UTC", "2026-01-05T09:00", "2026-01-05T09:00"),
        ((("09:00", "16:00"),), "UTC", "2026-01-05T16:00", "2026-01-06T09:00"),
        ((("09:00", "16:00", 1, 2),), "UTC", "2026-01-07T17:00", "2026-01-13T09:00"),
        ((("09:00", "10:00", 4), ("08:00", "09:00", 3)), "UTC", "2026-01-05T00:00", "2026-01-08T08:00"),
        ((("22:00", "02:00", 0),), "UTC", "2026-01-06T01:00", "2026-01-06T01:00"),
        ((("22:00", "02:00", 0),), "UTC", "2026-01-06T02:00", "2026-01-12T22:00"),
        ((("22:00", "02:00", 0),), "UTC", "2026-01-05T01:00", "2026-01-05T22:00"),
        ((("00:00", "00:00", 6),), "UTC", "2026-01-05T00:00", "2026-01-11T00:00"),
        ((("09:00", "10:00"),), "Europe/London", "2026-07-01T00:00", "2026-07-01T08:00"),
        # the spring change in London leaves out 01:00 to 02:00
        ((("01:15", "03:00"),), "Europe/London", "2026-03-29T00:30", "2026-03-29T01:00"),
        ((("01:15", "01:45"),), "Europe/London", "2026-03-29T00:30", "2026-03-30T00:15"),
        # the autumn change there repeats 01:00 to 02:00
        ((("01:15", "01:45"),), "Europe/London", "2026-10-25T00:50", "2026-10-25T01:15"),
        ((("00:30", "01:15"),), "Europe/London", "2026-10-25T00:30", "2026-10-25T01:00"),
        # Samoa left out a whole Friday
        ((("09:00", "10:00", 4),), "Pacific/Apia", "2011-12-30T09:00", "2012-01-05T19:00"),
    ],
)
def test_opens(which: tuple[tuple[str | int, ...], ...], zone: str, at: str, opens: str) -> None:
    """A window opens when the local clock first shows a time that lies in it."""
    windows = [window(str(w[0]), str(w[1]), *(int(day) for day in w[2:])) for w in which]
    assert window_opens(policy(*windows, timezone=zone), utc(at)) == utc(opens)


_CLOCKS = st.times().map(lambda at: at.replace(second=0, microsecond=0))
_WINDOWS = st.builds(
    Window,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda d: tuple(sorted(d))),
    start=_CLOCKS,
    end=_CLOCKS,
)
_NEAR_CHANGES = st.sampled_from(
    [
        utc(f"{day}T00:00")
        for day in ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2011-12-29")
    ]
)


@given(
    st.lists(_WINDOWS, min_size=1, max_size=2),
    st.sampled_from(ZONES),
    _NEAR_CHANGES,
    st.integers(-4000, 4000),
)
@settings(max_examples=100, deadline=None)
def test_earliest(windows: list[Window], zone: str, near: datetime, minutes: int) -> None:
    """The moment found is in a window, and no minute before it is, whatever the clocks do."""
    case, at = policy(*windows, timezone=zone), near + timedelta(minutes=minutes)
    opens = window_opens(case, at)
    assert opens >= at
    assert in_window(case, opens)
    before = [at + timedelta(minutes=count) for count in range(0, int((opens - at).total_seconds() // 60), 7)]
    assert not any(in_window(case, moment) for moment in before if moment < opens)
    assert opens == at or not in_window(case, opens - timedelta(seconds=1))
