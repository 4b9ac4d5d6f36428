import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rotator.cli.root import COMMANDS
from rotator.notices import severity
from rotator.policies import json_schema
from tests.docs.pages import PAGES, ROOT, anchors, blocks, column, links, prose
from tests.simulation.checker import RULES
from tests.simulation.test_guards import GUARDS
from tests.simulation.test_native_guards import NATIVE_GUARDS
from tests.simulation.test_outer_guards import OUTER_GUARDS

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
NOTIFICATIONS = ROOT / "docs" / "notifications.md"
RELIABILITY = ROOT / "docs" / "reliability.md"
PAGE = 120  # lines

NOT_OURS = ("lab", "testing")  # rooms that no worker uses


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """The source that a worker runs."""
    for package in ("rotator", "jobs"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not set(NOT_OURS) & set(path.relative_to(ROOT).parts):
                yield path, ast.parse(path.read_text())


# --- links, size, commands --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file finds it, and the heading that it names."""
    for link in links(page):
        assert "://" not in link, "pages link to each other alone"
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{page.name} links to {name}"
        assert not heading or heading in anchors(target), f"{page.name} links to {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    """A newcomer finds each page by following links."""
    seen, waiting = set[Path](), [README]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            names = (link.partition("#")[0] for link in links(page))
            waiting += [(page.parent / name).resolve() for name in names if name]
    assert set(PAGES) <= seen


def test_the_readme_is_one_page() -> None:
    """A newcomer reads it in one go."""
    assert len(README.read_text().splitlines()) <= PAGE


def test_every_command_is_told() -> None:
    """No command is left to be found by chance, and the README names each."""
    told = README.read_text()
    assert [name for name in COMMANDS if f"`{name}`" not in told and f"`{name} " not in told] == []


def test_the_excerpt_of_the_demo_is_what_it_prints() -> None:
    """Sentences of the excerpt stand in the source, so a changed sentence is noticed."""
    source = " ".join(path.read_text() for path, _ in modules())
    for words in (
        "given up: ",
        "It may do more than was asked: ",
        "is current; grace of the old one: ",
        "is proven dead: ",
        "accepted before, refused after while the current key works",
        "has no key API: a person issues the new key.",
        "its parent credential was replaced",
    ):
        assert words in source
        assert any(words in block.text for block in blocks("text") if block.page == README)


# --- settings and variables -------------------------------------------------------------------------------


def settings() -> set[str]:
    """Every key that a policy file may have, below its sections' names, from the schema that editors use."""

    def keys(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from node.get("properties", {})
            for value in node.values():
                yield from keys(value)
        elif isinstance(node, list):
            for value in node:
                yield from keys(value)

    return set(keys(json_schema()))


def test_every_setting_is_told() -> None:
    """Each key of a policy file stands in backticks or in an example on a page of settings."""
    told = " ".join(page.read_text() for page in PAGES if "docs" in page.parts)
    found = settings()
    assert len(found) > 30
    assert [key for key in sorted(found) if not re.search(rf"`{key}`|\b{key}: ", told)] == []


def variables() -> set[str]:
    """Every variable of the environment that the source names, where it speaks of the environment."""
    found: set[str] = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "envvar":
                found |= set(_capitals(node.value))
            elif isinstance(node, ast.FunctionDef) and "environ" in ast.unparse(node):
                found |= set(_capitals(node))
    return found


def _capitals(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        value = each.value if isinstance(each, ast.Constant) else None
        if isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z_]{3,}", value):
            yield value


def test_every_variable_of_the_environment_is_told() -> None:
    """The table in docs/operations.md has each variable that the program reads, and no other."""
    assert {"SENTRY_DSN", "ROTATOR_LEDGER", "HTTPS_PROXY", "XDG_STATE_HOME"} <= variables()
    assert set(column(OPERATIONS, "variable")) == variables()


# --- what people must act upon ----------------------------------------------------------------------------

NEEDS_PERSON = {
    "NeedsPerson": 0,
    "_needed": 0,
    "Block": 0,
    "conflict": 2,
}  # a call, and which argument is the kind
REFUSED = {"Refused": 0}
GIVEN_UP = {"give_up": 2, "Objection": 0}


def kinds(calls: dict[str, int]) -> set[str]:
    """The kinds that the source gives to these calls, each as it is written there."""
    found: set[str] = set()
    for path, tree in modules():
        if path.name == "errors.py":
            continue
        names = {
            ast.unparse(one.targets[0]): one.value.value
            for one in tree.body
            if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                place = calls.get(ast.unparse(node.func).rpartition(".")[2])
                if place is not None and len(node.args) > place:
                    found |= set(_said(node.args[place], names))
    return found


def _said(node: ast.expr, names: Mapping[str, object]) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _said(node.body, names)
        yield from _said(node.orelse, names)
    elif isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield re.sub(r"\{.*?\}", "NNN", ast.unparse(node)[2:-1])
    elif isinstance(node, ast.Name) and node.id in names:
        yield str(names[node.id])


@pytest.mark.parametrize(
    ("heading", "calls", "also"),
    [
        ("kind", NEEDS_PERSON, set()),
        ("kind of refusal", REFUSED, {"InvalidParameterException"}),
        ("kind of setback", GIVEN_UP, set()),
    ],
)
def test_what_people_must_act_upon_is_told(heading: str, calls: dict[str, int], also: set[str]) -> None:
    """The tables of blocks, refusals and setbacks have each kind of the source, and no other."""
    told = column(OPERATIONS, heading)
    assert len(told) == len(set(told))
    known = kinds(calls) | also
    assert known - set(told) == set(), f"docs/operations.md, table {heading!r}: these need a row"
    assert set(told) - known == set(), f"docs/operations.md, table {heading!r}: these are no more"


def alarms() -> set[str]:
    """The kinds of events that are alarms."""
    found: set[str] = set()
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and "Level.ALARM" in [
                ast.unparse(one.value) for one in node.keywords
            ]:
                named = [one.value for one in node.keywords if one.arg == "kind"]
                said = [*node.args[:1], *named]
                found |= {str(one.value) for one in said if isinstance(one, ast.Constant)}
        for word in re.findall(r'"(stuck)" if', path.read_text()):
            found.add(word)
    return found | {f"{thing}-failed" for thing in ("policies", "pass", "reconcile", "drill")}


def test_every_alarm_is_told() -> None:
    """The table of alarms has each kind of event that is told to people."""
    assert set(column(OPERATIONS, "alarm")) == alarms()


def test_severities_are_as_they_are_told() -> None:
    """The page on who is told names the alarms of each severity; all others are warnings."""
    rows = re.findall(r"^\| `(critical|info)` \| (.+) \|$", prose(NOTIFICATIONS), re.MULTILINE)
    named = {kind: level for level, those in rows for kind in re.findall(r"`([^`]+)`", those)}
    assert {kind: str(severity(kind)) for kind in alarms()} == {
        kind: named.get(kind, "warning") for kind in alarms()
    }


# --- reliability ------------------------------------------------------------------------------------------


def test_every_test_that_is_named_exists() -> None:
    """A rule that names its test names one that runs."""
    named = set(re.findall(r"`(test_\w+)`", RELIABILITY.read_text()))
    places = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "rotator" / "testing").rglob("*.py")]
    there = {name for path in places for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    assert len(named) > 30
    assert named - there == set()


def test_every_guard_is_named() -> None:
    """The list of guards is that of the simulation, by the numbers of the rules."""
    listed = re.findall(r"^- (\d+ .+)$", prose(RELIABILITY), re.MULTILINE)
    ours = sorted((*GUARDS, *OUTER_GUARDS), key=lambda guard: int(guard.rule.partition(" ")[0]))
    assert listed == [guard.rule for guard in (*ours, *NATIVE_GUARDS)]


def test_every_fault_has_a_test_or_is_named_as_not_covered() -> None:
    """Faults are numbered without a gap; a row without a test says so."""
    rows = re.findall(r"^\| (\d+) \| .+ \| (.+) \| (.*)\|$", prose(RELIABILITY), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 65))
    assert [number for number, holds, shown in rows if not shown.strip() and "**" not in holds] == []


def test_every_rule_of_the_checker_judges_an_invariant() -> None:
    """Each is named beside the invariant that it judges."""
    judged = prose(RELIABILITY)
    assert [rule.__name__ for rule in RULES if f"`{rule.__name__}`" not in judged] == []
