import json
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.audit import anchors
from rotator.model import Anchor, Head
from rotator.testing.clock import BEGINNING


def an_anchor(number: int = 1, ledger: str = "0a1b2c3d") -> Anchor:
    """An anchor."""
    return Anchor(ledger, Head(number, f"{number:064x}"), BEGINNING + timedelta(minutes=number), number * 3)


def test_a_line_is_read_back() -> None:
    """An anchor is read back exactly, alone, out of a sentence, and out of a log of JSON."""
    line = anchors.line(an_anchor())
    for text in (line, f"12:00 anchor: {line} more }}", json.dumps({"message": f"anchor: {line}", "a": "b"})):
        assert anchors.parsed(text) == an_anchor()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"rotator_anchor":1}', '{"rotator_anchor', anchors.line(an_anchor())[:-9]]
)
def test_what_is_no_anchor_is_refused(text: str) -> None:
    """A line that holds no whole anchor is refused."""
    with pytest.raises(ValueError, match="no anchor"):
        anchors.parsed(text)


@pytest.mark.parametrize("name", ["number", "records"])
@pytest.mark.parametrize("value", ["1e999", "-1", "0", "1.5", "true", "1" + "0" * 30, "[" * 100_000])
def test_a_number_that_no_ledger_counts_is_no_anchor(name: str, value: str) -> None:
    """What no ledger can count is no anchor, so that one bad line stops neither a pass nor a verification."""
    line = json.dumps({**json.loads(anchors.line(an_anchor())), name: "?"})
    with pytest.raises(ValueError, match="no anchor"):
        anchors.parsed(line.replace('"?"', value))


def test_a_time_without_a_zone_is_no_anchor(tmp_path: Path) -> None:
    """A time without a zone cannot be compared with others: its line is skipped."""
    path = tmp_path / "anchors"
    anchors.append(path, an_anchor())
    with path.open("a") as file:
        file.write(json.dumps({**json.loads(anchors.line(an_anchor(2))), "at": "2026-01-05T09:00:00"}) + "\n")
    assert anchors.newest(path, an_anchor().ledger) == an_anchor()


def test_the_newest_anchor_of_a_ledger_is_found(tmp_path: Path) -> None:
    """The highest number of one ledger counts; half a line and other ledgers' lines do not matter."""
    path = tmp_path / "anchors"
    assert anchors.newest(path, "0a1b2c3d") is None
    anchors.append(path, an_anchor())
    with path.open("a") as file:
        file.writelines(f"{anchors.line(an_anchor(number))}\n" for number in range(2, 900))
        file.write('{"rotator_anchor":1,"led\n')
    anchors.append(path, an_anchor(9_999, "ffffffff"))
    assert anchors.newest(path, "0a1b2c3d") == an_anchor(899)
    assert len(list(anchors.read(path, "0a1b2c3d"))) == 899
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Anchors are appended to the file itself, so that nobody leads them elsewhere."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        anchors.append(tmp_path / "link", an_anchor())


def test_the_folder_of_anchors_is_made(tmp_path: Path) -> None:
    """A single pass on a host without a state folder makes it, closed to others, and gives its anchor."""
    path = tmp_path / "state" / "anchors"
    anchors.append(path, an_anchor())
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert anchors.newest(path, an_anchor().ledger) == an_anchor()
