from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("15m", 900),
        ("12h", 43200),
        ("30d", 2592000),
        ("1d12h", 129600),
        ("0s", 0),
        ("90m", 5400),
    ],
)
def test_units(text: str, seconds: int) -> None:
    """Days, hours, minutes and seconds add up."""
    assert durations.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "30", "d", "1.5h", "-1d", "12h1d", "1 d", "1w", "30D", "٣d", "1d\n", "99999d"]
)
def test_refused(text: str) -> None:
    """Anything else is refused, with what would be right."""
    with pytest.raises(ValueError, match="Write"):
        durations.parse(text)


@given(st.integers(0, 3650 * 86400))
@settings(max_examples=100, deadline=None)
def test_round_trip(seconds: int) -> None:
    """What is written is read again as the same duration."""
    duration = timedelta(seconds=seconds)
    assert durations.parse(durations.text(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(hours=24), "1d"),
        (timedelta(hours=36), "1d12h"),
        (timedelta(milliseconds=1500), "1s"),
        (timedelta(minutes=-90), "-1h30m"),
    ],
)
def test_shortest(duration: timedelta, text: str) -> None:
    """A duration is written with the parts that it has."""
    assert durations.text(duration) == text
