import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("rotator", "jobs")

STORIES = (
    "rotation",
    "promotion",
    "rollback",
    "drilling",
    "revocation",
    "submitting",
    "looking",
    "owing",
    "copied",
    "elsewhere",
    "byhand",
    "keeping",
    "containing",
    "rechecking",
    "permits",
    "undying",
    "kinship",
    "righting",
    "setbacks",
    "telling",
    "verifying",
    "desk",
    "breaker",
    "caseload",
    "beginning",
    "native",
)
WORDS = ("interfaces", "errors", "model")
FACTS = ("records",)
HOLDS = ("budgets", "blocks", "safe_mode", "stopping")
CALENDAR = ("due", "backoff", "durations", "cron", "windows")


@dataclass(frozen=True)
class Room:
    """What a room may import besides itself; ``why`` where that is surprising."""

    may: tuple[str, ...] = ()
    why: str = ""


ROOMS: dict[str, Room] = {
    "version": Room(why="rotator/__init__.py: a number that even a small room may tell the other side"),
    "errors": Room(),
    "model": Room(),
    "interfaces": Room(("model", "errors")),
    "capabilities": Room(("model",)),
    "addresses": Room(),
    "quiet": Room(),
    "durations": Room(),
    "backoff": Room(),
    "cron": Room(),
    "windows": Room(("model",)),
    "notices": Room(("model",)),
    "records": Room(("errors",), "how anything is read from a ledger, whoever wrote it"),
    "stamps": Room(("backoff", "model")),
    "memory": Room(("interfaces", "model")),
    "likeness": Room((*FACTS, "backoff", "interfaces", "model", "stamps")),
    "budgets": Room((*FACTS, "backoff", "cron", "interfaces", "model")),
    "blocks": Room(("backoff", *FACTS, *WORDS)),
    "stopping": Room((*FACTS, "backoff", "interfaces", "model")),
    "safe_mode": Room((*FACTS, *WORDS)),
    "due": Room(("backoff", "budgets", "cron", "durations", "model", "windows")),
    "people": Room(("blocks", "errors", "model"), "blocks of providers are facts: shown as they are read"),
    **{
        story: Room(
            (*WORDS, *FACTS, *HOLDS, "due", "backoff", "durations", "memory", "stamps",
             *(one for one in STORIES if one != story))
        )
        for story in STORIES
    },
    "run_pass": Room(
        (*WORDS, "caseload", "desk", "likeness", "memory", "policies", "safe_mode", "stopping"),
        "of policies it takes the Book, a value, and nothing else",
    ),
    "providers": Room((*WORDS, *CALENDAR, "addresses", "quiet")),
    "stores": Room((*WORDS, *CALENDAR, "capabilities", "quiet", "version"), "AWS is told which one calls"),
    "consumers": Room(
        (*WORDS, *CALENDAR, "providers", "stores", "telemetry"),
        "the HTTP network of the one and the AWS clients of the other; what is told is scrubbed",
    ),
    "audit": Room(WORDS),
    "ledger": Room(
        (*WORDS, *FACTS, *CALENDAR, "audit", "quiet", "stores", "version"),
        "of stores: how calls to AWS end in time; AWS is told which one calls",
    ),
    "telemetry": Room((*WORDS, *FACTS, *CALENDAR, "notices")),
    "policies": Room(
        (*WORDS, *CALENDAR, "addresses", "consumers", "notices", "providers", "stores"),
        "their tables, by name: each adapter declares the settings that a file may give it",
    ),
    "doctor": Room((*WORDS, "capabilities", "due", "people")),
    "reconcile": Room(
        (*WORDS, *FACTS, "safe_mode", "due", "backoff", "durations", "desk", "looking", "memory", "owing",
         "setbacks", "stamps", "telling"),
        "it looks as the stories do, under the same claims, and leaves every revocation to them",
    ),
    "incident": Room((*WORDS, "audit", "due", "durations", "people"), "of audit the certificates, values"),
    "wiring": Room((*WORDS, "consumers", "ledger", "notices", "providers", "stores", "telemetry")),
    "lab": Room(
        (*WORDS, "people", "ledger", "wiring"), "the demo reads the ledger as a person does, beside a daemon"
    ),
    "testing": Room((*WORDS, "audit", "stores"), "the fake Secrets Manager stands under the real adapter"),
    "jobs": Room(
        ("audit", "errors", "interfaces", "model", "safe_mode", "telemetry"),
        "safe mode for a ledger that does not hold its own anchor; telemetry for the Protocol of alarms and "
        "for what may be said of an exception; no other adapter",
    ),
    "lambda": Room(
        (*WORDS, "jobs", "cli", "durations", "desk", "native", "policies", "reconcile", "run_pass",
         "telemetry", "wiring"),
        "a clock of its own, and its own entry, as cli is: run-now by an event is the very command",
    ),
    "cli": Room(
        (*WORDS, *CALENDAR, "people", "policies", "audit", "ledger", "telemetry", "wiring", "run_pass",
         "jobs", "lab", "version", "doctor", "reconcile", "safe_mode", "capabilities", "submitting",
         "rollback", "rotation", "desk", "stopping", "budgets", "keeping", "breaker", "incident", "owing",
         "notices", "blocks", "drilling", "memory"),
        "a command is where everything meets; lab for the command demo alone, and the story for submit: its "
        "first step is taken while the person waits",
    ),
    "__main__": Room(("cli",)),
}  # fmt: skip

ADAPTERS = ("consumers", "providers", "stores", "ledger", "telemetry", "policies")
LATE_CYCLES = {("rotator.providers.exchange", "rotator.providers.network")}
"""Modules that know each other, the second with an import inside a function: the HTTP library is heavy, and
loading policies imports network but not exchange."""


@dataclass(frozen=True)
class Import:
    """One module named by another. ``late``: inside a function or for types alone, or by its name as text."""

    importer: str
    imported: str
    late: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


# --- walking ----------------------------------------------------------------------------------------------


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def room_of(module: str) -> str:
    """The room that a module belongs to."""
    parts = module.split(".")
    if parts[0] == "jobs":
        return "lambda" if parts[-1].startswith("lambda_") else "jobs"
    return parts[1] if len(parts) > 1 else "version"


def named_in(node: ast.AST) -> Iterator[str]:
    """Modules of ours that a node names: by an import statement, or as text for a late import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        module = node.module or ""
        for alias in node.names:
            whole = f"{module}.{alias.name}"
            yield whole if whole in FILES else module
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value.partition(":")[0]
        if "." in name and name in FILES:
            yield name


def walked(node: ast.AST, *, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it is reached only later than the module itself."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        inside = late or for_types or function or isinstance(child, ast.Constant)
        yield child, inside
        yield from walked(child, late=inside)


def imports() -> Iterator[Import]:
    """Every import between modules of ours."""
    for module, path in sorted(FILES.items()):
        for node, late in walked(ast.parse(path.read_text())):
            for name in named_in(node):
                if name.split(".")[0] in (*PACKAGES, "tests") and name != module:
                    yield Import(module, name, late)


IMPORTS = tuple(imports())


def test_every_module_is_in_a_room() -> None:
    """A room that the table does not know has no rule, and the table names no room that is gone."""
    assert {room_of(module) for module in FILES} == set(ROOMS)


def test_the_walk_sees_every_kind_of_import() -> None:
    """Imports inside functions, and adapters that a table names as text, count as any other."""
    seen = {(one.importer, one.imported) for one in IMPORTS if one.late}
    assert ("rotator.cli.work", "jobs.daemon") in seen
    assert ("rotator.providers", "rotator.providers.fattail") in seen
    assert ("rotator.policies.loading", "rotator.stores") in seen


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    """Imports go in one direction: from commands over stories to words, never back."""
    allowed = {room, *ROOMS[room].may}
    wrong = [
        str(one) for one in IMPORTS if room_of(one.importer) == room and room_of(one.imported) not in allowed
    ]
    assert wrong == []


def test_only_wiring_and_commands_bring_adapters_together() -> None:
    """Nobody else knows all adapters; each other room that knows one says in the table what for."""
    know = {
        name: set(room.may) & set(ADAPTERS)
        for name, room in ROOMS.items()
        if name not in ADAPTERS and set(room.may) & set(ADAPTERS)
    }
    assert set(know) == {"wiring", "cli", "lambda", "run_pass", "jobs", "lab", "testing"}
    assert all(len(know[name]) == 1 and ROOMS[name].why for name in ("run_pass", "jobs", "lab", "testing"))


def test_nothing_real_knows_the_lab_or_the_fakes() -> None:
    """The lab is imported by the command demo alone, the fakes by nobody: neither is in a worker."""
    lab = {one.importer for one in IMPORTS if room_of(one.imported) == "lab"}
    assert {module for module in lab if room_of(module) != "lab"} == {"rotator.cli.work"}
    fakes = {one.importer for one in IMPORTS if room_of(one.imported) == "testing"}
    assert {module for module in fakes if room_of(module) != "testing"} == set()


def test_nothing_imports_the_tests() -> None:
    """What is installed stands without its tests."""
    assert [str(one) for one in IMPORTS if one.imported.split(".")[0] == "tests"] == []


def test_adapters_of_a_room_do_not_know_each_other() -> None:
    """A provider's file knows what is common to providers, and no other provider."""
    tables = [one.imported for one in IMPORTS if one.importer in ("rotator.providers", "rotator.stores")]
    adapters = {name for name in tables if name.count(".") == 2 and name.rsplit(".", 1)[1] in NAMES}
    assert len(adapters) == len(NAMES)
    assert [str(one) for one in IMPORTS if one.importer in adapters and one.imported in adapters] == []


NAMES = ("b2trader", "buildmarkets", "fattail", "figure", "fintechstudios", "aws_secrets_manager")


# --- cycles -----------------------------------------------------------------------------------------------


def circles(edges: set[tuple[str, str]]) -> set[tuple[str, ...]]:
    """Each group of modules that can be reached from each other, in order of their names."""
    after: dict[str, set[str]] = {}
    for importer, imported in edges:
        after.setdefault(importer, set()).add(imported)
    reach = {module: _reached(module, after) for module in after}
    return {
        tuple(sorted({module, *(other for other in seen if module in reach.get(other, ()))}))
        for module, seen in reach.items()
        if module in seen
    }


def _reached(module: str, after: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(after.get(module, ()))
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting.extend(after.get(found, ()))
    return seen


def test_modules_import_each_other_in_no_circle() -> None:
    """No circle of imports at a module's top, and later ones only where the table says why."""
    assert circles({(one.importer, one.imported) for one in IMPORTS if not one.late}) == set()
    assert circles({(one.importer, one.imported) for one in IMPORTS}) == LATE_CYCLES


def test_rooms_import_each_other_in_no_circle() -> None:
    """Apart from the two stories' own parts, what a room may import never leads back to it."""
    edges = {
        (name, other)
        for name, room in ROOMS.items()
        for other in room.may
        if not (name in STORIES and other in STORIES)
    }
    assert circles(edges) == set()


def test_a_circle_is_found() -> None:
    """The search for circles finds one, and no more than its members."""
    ring = set(pairwise("abca"))
    assert circles({*ring, ("a", "d"), ("e", "a")}) == {("a", "b", "c")}
