import json
from datetime import timedelta
from enum import StrEnum

import pytest

from rotator.cli import output
from tests.unit.cli.records import NOW


class Colour(StrEnum):
    RED = "red"


def test_json_has_plain_values() -> None:
    """Times are ISO 8601 in UTC, durations seconds, enums their words."""
    found = output.jsonable({"at": NOW, "for": timedelta(minutes=1), "all": (Colour.RED, None, 1)})
    assert json.loads(json.dumps(found)) == {
        "at": "2026-01-05T09:00:00Z",
        "for": 60.0,
        "all": ["red", None, 1],
    }


def test_a_table_that_is_piped_is_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    """Away from a terminal each row is one line, however long, without colours or control characters."""
    output.table(("name", "why"), [("a\x1b[31m", "x" * 300), ("bb", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("x" * 300)
    assert "\x1b" not in lines[1]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "-"),
        (timedelta(0), "0s"),
        (timedelta(days=3, hours=4, minutes=5), "3d4h"),
        (timedelta(seconds=-61), "1m1s"),
    ],
)
def test_a_span_names_its_two_largest_units(given: timedelta | None, text: str) -> None:
    """People read a duration at a glance."""
    assert output.span(given) == text


def test_a_moment_says_how_far_it_is() -> None:
    """A time stands beside its distance from now, on either side."""
    assert output.moment(NOW + timedelta(hours=2), NOW).endswith("(in 2h)")
    assert output.moment(NOW - timedelta(hours=2), NOW).endswith("(2h ago)")
    assert output.moment(None, NOW) == "-"
