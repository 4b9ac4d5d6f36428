from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.policies import PolicyError, load
from rotator.policies.tree import parse
from tests.unit.policies.fakes import ADAPTERS, HEAD, POLICY, problems, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: true", True),
        ("a: yes", "yes"),
        ("a: on", "on"),
        ("a: 'true'", "true"),
        ("a: 12", 12),
        ("a: '12'", "12"),
        ("a: -1.5", -1.5),
        ("a: 0", 0),
        ("a: 2026-01-05", "2026-01-05"),
        ("a: 203.0.113.7", "203.0.113.7"),
        ("a: ~", None),
        ("a:", None),
        ("a: ''", ""),
        ("a: 1e3", 1000.0),
        ("a: 12345678901234567890123", "12345678901234567890123"),
        ('a: "16:00"', "16:00"),
        ("a: [x, {b: c}, []]", ["x", {"b": "c"}, []]),
        ("\ufeffa: b", "b"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    """Scalars are those of YAML 1.2: only true and false are booleans, and a date is text."""
    tree = parse(text)
    assert tree.findings == []
    assert tree.data == {"a": value}
    assert type(tree.data["a"]) is type(value)


@pytest.mark.parametrize(
    "text", ["09:00", "16:00", "1:30:00", "007", "0x1F", "0o17", "1_000", ".inf", "-.INF", ".nan"]
)
def test_ambiguous(text: str) -> None:
    """What YAML 1.1 and 1.2 read differently is refused, and quoted it is text."""
    (found,) = parse(f"a: {text}").findings
    assert f'Quote it if it is text: "{text}".' in found.remedy
    assert parse(f'a: "{text}"').data == {"a": text}


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\na: 2", 2, "The key 'a' is given twice, first on line 1."),
        ("a: {b: 1,\n b: 2}", 2, "The key 'b' is given twice"),
        ("a: 1\n2: b", 2, 'A key must be text, not 2. Quote it: "2".'),
        ("true: b", 1, "A key must be text, not true."),
        ("~: b", 1, "A key must be text, not nothing."),
        ("? [x, y]\n: z", 1, "A key must be text, not a list or a mapping."),
        ("'': b", 1, "A key is empty"),
        ("a: &x 1", 1, "Anchors (&name) are not read. Write what policies share under `defaults`."),
        ("a: &x [1]", 1, "Anchors"),
        ("&x a: 1", 1, "Anchors"),
        ("a: *x", 1, "Aliases (*name) are not read."),
        ("*x : 1", 1, "Aliases"),
        ("a: {<<: {b: 1}}", 1, "Merge keys are not read."),
        ("a: !secret x", 1, "Tags (!name) are not read."),
        ("a: !!python/object/apply:os.system [id]", 1, "Tags"),
        ("a: !!str 5", 1, "Tags"),
        ("a: 1\n---\nb: 2", 2, "more than one document"),
        ("a: [\n", 2, "This is not YAML:"),
        ("a: 1\n\tb: 2", 2, "This is not YAML:"),
        ("a: b: c", 1, "This is not YAML:"),
        ("a: \x01", 0, "This is not YAML: it holds characters that YAML forbids."),
        ('a: "x\\ny"', 1, "a line break or an invisible character"),
        ('a: "\\e[31mred"', 1, "invisible character"),
        ("a: x\u202ey", 1, "invisible character"),
        ("a: |\n  x\n  y", 1, "a line break"),
        ("", 0, "The file is empty."),
        ("# only a remark\n", 0, "The file is empty."),
        ("---\n...\n", 0, "The file is empty."),
        ("a: " + "[" * 30 + "]" * 30, 1, "nests more than 20 levels deep"),
        ("[" * 100_000, 1, "nests more than"),
        ("{a: " * 100_000, 1, "nests more than"),
        (BOMB, 1, "Anchors"),
    ],
)
def test_refused(text: str, line: int, said: str) -> None:
    """What YAML allows and a policy never needs is refused, with its line and what to write instead."""
    tree = parse(text)
    first = tree.findings[0]
    assert said in f"{first.message} {first.remedy}"
    assert (first.line if first.line is not None else tree.line(first.path)) == line


def test_lines() -> None:
    """Every place knows its line, and a place that is not there that of the one around it."""
    tree = parse("a:\n  - b: 1\n    c: {d: 2}\n  - e\n")
    places = [("a",), ("a", 0), ("a", 0, "c", "d"), ("a", 1), ("a", 0, "zzz")]
    assert [tree.line(place) for place in places] == [1, 2, 3, 4, 2]


@pytest.mark.parametrize("text", ["just text\n", "- a\n", "5\n"])
def test_not_a_mapping(tmp_path: Path, text: str) -> None:
    """A file that is no mapping is refused as a whole."""
    with pytest.raises(PolicyError, match=r"rotator\.yaml:1: The file is not a mapping of sections"):
        load(write(tmp_path, text), ADAPTERS)


def test_what_was_not_read_is_told_once(tmp_path: Path) -> None:
    """A value that was refused is not also missing, or of the wrong type."""
    (problem,) = problems(tmp_path, POLICY.replace("secret: s", "secret: &s s"))
    assert "Anchors" in problem


def test_refused_policy_hides_no_other(tmp_path: Path) -> None:
    """The policies around one that was refused are still checked, under their own lines."""
    found = problems(tmp_path, f"  - &a {{name: x}}\n  - *a\n{POLICY.replace('30d', '30x')}")
    assert ["Anchors" in found[0], "Aliases" in found[1], "every" in found[2]] == [True] * 3
    assert [int(problem.split(":")[0]) - HEAD.count("\n") for problem in found] == [2, 3, 4]


@given(st.text(alphabet="ab:-{}[]&*!|>'\"#%@`,? \n\t0~<", max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    """Whatever stands in a file is data or a finding, never an exception."""
    tree = parse(text)
    assert tree.findings or tree.data is not None
