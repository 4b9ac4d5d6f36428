"""One policy file on its way to values: its data, what was found, and where each finding belongs."""

import re
from dataclasses import dataclass, field

from rotator.errors import Problem
from rotator.policies.files import Source
from rotator.policies.problems import Finding, Path, meant, shown
from rotator.policies.tree import MOST_FINDINGS, Tree, parse

SECTIONS = ("version", "stores", "providers", "consumers", "notify", "defaults", "policies")
_FURTHER = ("version", "policies")
_WHY_NOT = {
    "stores": "where secrets are written",
    "providers": "where an admin credential is sent",
    "notify": "who is told",
    "consumers": "who is told of new keys",
    "defaults": "what all policies have in common",
}

_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(slots=True)
class Draft:
    """A file's tree and everything found in it so far."""

    source: Source
    tree: Tree
    findings: list[Finding] = field(default_factory=list)

    def say(self, path: Path, message: str, remedy: str, *, final: bool = False) -> None:
        """Remember what is wrong with a place."""
        self.findings.append(Finding(path, message, remedy, final=final))

    def say_all(self, findings: list[Finding], *, but: Path | None = None) -> None:
        """Remember several; those at ``but`` or below are known already."""
        self.findings += [each for each in findings if but is None or each.path[: len(but)] != but]

    def gives_up(self) -> bool:
        """Whether so much is wrong that nobody would read more of it; if so, it says so."""
        if len(self.findings) <= MOST_FINDINGS:
            return False
        self.say((), f"More than {MOST_FINDINGS} mistakes: the file was not read on.", "Mend these first.")
        return True

    def section(self, name: str) -> dict[str, object]:
        """A top-level mapping, empty where there is none; says so where it is not a mapping."""
        data = self._top(name)
        if data is None or isinstance(data, dict):
            return data or {}
        self.say(
            (name,), f"{name}: a mapping of names is expected.", "Write `name:` and its settings below it."
        )
        return {}

    def policies(self) -> list[object]:
        """The list of policies, empty where there is none; says so where it is not a list."""
        data = self._top("policies")
        if data is None or isinstance(data, list):
            return data or []
        self.say(("policies",), "policies: a list is expected.", "Begin each policy with `- name:`.")
        return []

    def _top(self, name: str) -> object:
        data = self.tree.data
        return data.get(name) if isinstance(data, dict) else None

    def problems(self) -> list[Problem]:
        """What was found, by line. What could not be read is said once, and nothing more of it."""
        unread = {each.path for each in (*self.tree.findings, *self.findings) if each.final}
        told = [
            *self.tree.findings,
            *(each for each in self.findings if each.final or not _within(each.path, unread)),
        ]
        return sorted({self._problem(each): None for each in told}, key=lambda problem: problem.line)

    def _problem(self, found: Finding) -> Problem:
        line = found.line if found.line is not None else self.tree.line(found.path)
        return Problem(self.source.name, line, found.message, found.remedy, self._policy(found.path))

    def _policy(self, path: Path) -> str | None:
        policies = self._top("policies")
        if len(path) < 2 or path[0] != "policies" or not isinstance(policies, list):  # noqa: PLR2004
            return None
        place = path[1]
        policy = policies[place] if isinstance(place, int) and place < len(policies) else None
        name = policy.get("name") if isinstance(policy, dict) else None
        return (
            name[:100] if isinstance(name, str) else f"number {place + 1}" if isinstance(place, int) else None
        )


def _within(path: Path, unread: set[Path]) -> bool:
    return any(path[:count] in unread for count in range(len(path) + 1))


def draft(source: Source) -> Draft:
    """A file with its top level checked: which sections it may have, and its version."""
    found = Draft(source, parse(source.text))
    if found.tree.broken:
        return found
    if not isinstance(found.tree.data, dict):
        found.say((), "The file is not a mapping of sections.", "Begin it with `version: 1`.", final=True)
        found.tree.broken = True
        return found
    for key, value in found.tree.data.items():
        _check_key(found, key, value)
        if found.gives_up():
            break
    _check_version(found)
    if source.alone and "policies" not in found.tree.data:
        found.say(("policies",), "policies is missing.", "Add `policies:` with a list of policies.")
    return found


def _check_key(found: Draft, key: str, value: object) -> None:
    if not found.source.main and key in _WHY_NOT:
        found.say(
            (key,),
            f"{key} may stand in rotator.yaml only: who may add a policy must not say {_WHY_NOT[key]}.",
            "Move it there.",
            final=True,
        )
    elif key not in (SECTIONS if found.source.main else _FURTHER):
        named = f" {shown(key)}" if _NAME.fullmatch(key) else ""  # it may be a line of another program's file
        found.say((key,), f"Unknown section{named}.", meant(key, SECTIONS))
    elif value is None:
        found.say((key,), f"{key}: nothing is given.", "Give it a value, or leave the key out.", final=True)


def _check_version(found: Draft) -> None:
    data = found.tree.data
    if "version" not in data:
        if found.source.main:
            found.say(("version",), "version is missing.", "Begin the file with `version: 1`.")
    elif type(data["version"]) is not int or data["version"] != 1:
        found.say(("version",), f"version: {shown(data['version'])} is not known.", "Write `version: 1`.")
