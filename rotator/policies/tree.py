"""YAML text to plain data with a line for each place in it: strict, flat in memory, and never recursive.

Scalars follow the core schema of YAML 1.2: only true and false are booleans. What YAML 1.1 and 1.2 read
differently (``16:00``, ``007``) is refused: a person means text by it. Anchors and aliases are refused,
since a few lines of them can stand for gigabytes.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import yaml

from rotator.policies.problems import Finding, Path, shown

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_DEPTH = 20
_MOST_PLACES = 1_000_000  # of one file: each costs memory; 50,000 policies have about 700,000
MOST_FINDINGS = 1000  # after which a file is not read on: nobody reads so many
_TAG_DIRECTIVE = re.compile(r"(?:^|[\n\r\x85\u2028\u2029])\ufeff?%TAG")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][-+]?[0-9]{1,2})?")
_AMBIGUOUS = re.compile(
    r"[-+]?(?:[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9]*)?"  # minutes and seconds in YAML 1.1
    r"|0[0-9_]+|0[xob][0-9a-fA-F_]+|[1-9][0-9]*_[0-9_]*|\.(?:inf|nan))",
    re.IGNORECASE,
)
_NUMERIC = "+-.0123456789"  # how a number begins
_STRANGE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_NO_BOM = "\ufeff"


@dataclass(slots=True)
class Tree:
    """A file's data, the line of each place in it, counted from 1, and what was refused."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    broken: bool = False  # the data is not all there, so nothing can be said about it

    def line(self, path: Path) -> int:
        """The line of a place, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def refuse(self, path: Path, line: int, message: str, remedy: str) -> None:
        """Remember what is wrong with a place whose value was not read."""
        self.findings.append(Finding(path, message, remedy, line=line, final=True))

    def refuse_all(self, line: int, message: str, remedy: str) -> None:
        """Remember why the file was not read to its end."""
        self.broken = True
        self.refuse((), line, message, remedy)

    def remark(self, path: Path, line: int, message: str, remedy: str) -> None:
        """Remember what is wrong with one key of a mapping; the rest of it was read."""
        self.findings.append(Finding(path, message, remedy, line=line))


@dataclass(slots=True)
class _Open:
    """A mapping or a list that is being read; ``key`` is the mapping's key whose value comes next."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None
    awaits_key: bool = False
    skip: bool = False  # what is read here is thrown away: it stands where nothing can stand


class _NotOn(Exception):
    """Refused as a whole: what follows is not worth reading."""


def parse(text: str) -> Tree:
    """The one document of ``text``; what cannot be read is in the findings, and not in the data."""
    tree = Tree()
    directive = _TAG_DIRECTIVE.search(text)
    if directive:  # libyaml compares each with all before it: a million of them would take hours
        line = text.count("\n", 0, directive.end()) + 1
        tree.refuse_all(line, "Directives (%TAG) are not read.", "Leave the line out.")
        return tree
    reader = _Reader(tree)
    loader = _Loader(text.removeprefix(_NO_BOM))
    try:
        while loader.check_event():
            reader.take(loader.get_event())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        tree.refuse_all(
            line, f"This is not YAML: {_said(error)}.", "Look at this line and the one before it."
        )
    except yaml.YAMLError:
        tree.refuse_all(
            0, "This is not YAML: it holds characters that YAML forbids.", "Save it as plain text."
        )
    except _NotOn:
        pass
    finally:
        loader.dispose()
    if reader.documents == 0 or (tree.data is None and not tree.findings):
        tree.refuse_all(0, "The file is empty.", "Begin it with `version: 1`.")
    return tree


def _said(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words; they describe the grammar, and quote at most one character."""
    return ", ".join(part for part in (error.context, error.problem) if part)[:120]


class _Reader:
    """Builds data from PyYAML's events, on a stack of its own."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.stack: list[_Open] = []
        self.documents = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.tree.refuse_all(
                    line, "The file holds more than one document.", "Write one file for each."
                )
                raise _NotOn
        self._bounded(line)

    def _bounded(self, line: int) -> None:
        """Stop before a file costs more than any that is meant well."""
        if len(self.tree.lines) > _MOST_PLACES:
            self.tree.refuse_all(
                line, f"The file holds more than {_MOST_PLACES} values.", "Use several files."
            )
        elif len(self.tree.findings) > MOST_FINDINGS:
            self.tree.refuse_all(
                line, f"More than {MOST_FINDINGS} mistakes: the file was not read on.", "Mend these first."
            )
        else:
            return
        raise _NotOn

    # --- where the next value goes ---

    def _place(self) -> Path | None:
        """The path of the value that comes now; None where it is thrown away."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if top.skip:
            return None
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        return None if top.key is None else (*top.path, top.key)

    def _put(self, path: Path | None, value: Any) -> None:
        if not self.stack:
            self.tree.data = value
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            if path is not None and top.key is not None:
                top.value[top.key] = value
            top.key, top.awaits_key = None, True

    def _drop(self, path: Path | None, line: int, message: str, remedy: str) -> None:
        """Refuse a value: a list keeps an empty place, so that the others keep theirs."""
        if path is not None:
            self.tree.lines.setdefault(path, line)
            self.tree.refuse(path, line, message, remedy)
        if self.stack and isinstance(self.stack[-1].value, dict):
            self._put(None, None)
        else:
            self._put(path, None)

    def _key_comes(self) -> bool:
        return bool(self.stack) and self.stack[-1].awaits_key

    # --- events ---

    def _scalar(self, event: Any, line: int) -> None:
        if self._key_comes():
            self._key(event, line)
            return
        path = self._place()
        found = _refused(event) or _refused_value(event)
        if found:
            self._drop(path, line, *found)
            return
        if path is not None:
            self.tree.lines.setdefault(path, line)
        self._put(path, _value(event))

    def _key(self, event: Any, line: int) -> None:
        top = self.stack[-1]
        top.awaits_key = False
        top.key = None
        if top.skip:
            return
        key = event.value
        path = (*top.path, key)
        if key == "<<" and event.implicit[0]:
            self.tree.refuse(
                path, line, "Merge keys are not read.", "Write what policies share under `defaults`."
            )
        elif found := _refused(event) or _refused_key(event):
            self.tree.remark(top.path, line, *found)
        elif path in self.tree.lines:
            first = self.tree.lines[path]
            self.tree.findings.append(
                Finding(
                    path,
                    f"The key {shown(key)} is given twice, first on line {first}.",
                    "Keep one.",
                    line=line,
                )
            )
        else:
            self.tree.lines[path] = line
            top.key = key

    def _open(self, event: Any, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if self._key_comes():
            top = self.stack[-1]
            top.awaits_key, top.key = False, None
            self.tree.remark(
                top.path, line, "A key must be text, not a list or a mapping.", "Write a plain word."
            )
            self.stack.append(_Open((), {} if mapping else [], awaits_key=mapping, skip=True))
            # What follows this key is its value; `_put` of that value makes the mapping await a key again.
            return
        if len(self.stack) >= _DEPTH:
            self.tree.refuse_all(
                line, f"The file nests more than {_DEPTH} levels deep.", "Policies need five."
            )
            raise _NotOn
        path = self._place()
        value: dict[str, Any] | list[Any] = {} if mapping else []
        found = _refused(event)
        if found:
            self._drop(path, line, *found)
        else:
            if path is not None:
                self.tree.lines.setdefault(path, line)
            self._put(path, value)
        skip = found is not None or path is None
        self.stack.append(_Open(path or (), value, awaits_key=mapping, skip=skip))

    def _alias(self, line: int) -> None:
        found = "Aliases (*name) are not read.", "Write what policies share under `defaults`."
        if self._key_comes():
            top = self.stack[-1]
            top.awaits_key, top.key = False, None
            self.tree.remark(top.path, line, *found)
        else:
            self._drop(self._place(), line, *found)


# --- scalars ---------------------------------------------------------------------------------------------


def _refused(event: Any) -> tuple[str, str] | None:
    """What is refused wherever it stands: anchors and tags."""
    if event.anchor:
        return "Anchors (&name) are not read.", "Write what policies share under `defaults`."
    if event.tag and event.tag != "!":
        return "Tags (!name) are not read.", "Leave the tag out."
    return None


def _plain(event: Any) -> bool:
    return event.style in (None, "") and event.implicit[0]


def _refused_value(event: Any) -> tuple[str, str] | None:
    text = event.value
    if text[:1] in _NUMERIC and _plain(event) and _AMBIGUOUS.fullmatch(text):
        return (
            f"YAML readers disagree about what {shown(text)} is.",
            f'Quote it if it is text: "{text[:60]}".',
        )
    if _strange(text):
        return (
            "This text holds a line break or an invisible character.",
            "Write it on one line, in visible characters.",
        )
    return None


def _refused_key(event: Any) -> tuple[str, str] | None:
    text = event.value
    if _plain(event) and not isinstance(_value(event), str):
        return f"A key must be text, not {shown(_value(event))}.", f'Quote it: "{text[:60]}".'
    if not text or _strange(text):
        return "A key is empty or holds an invisible character.", "Write a plain word."
    return None


def _strange(text: str) -> bool:
    return not (text.isascii() and text.isprintable()) and any(
        unicodedata.category(character) in _STRANGE for character in text
    )


def _value(event: Any) -> Any:
    text = event.value
    if not _plain(event):
        return text
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text[0] not in _NUMERIC:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
