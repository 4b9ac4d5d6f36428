"""The pages for people, and what is in them: blocks by language, links, tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page: where it begins, its language, its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in one of the languages; every block at all where none is named."""
    return [
        block for page in PAGES for block in _blocks(page) if not languages or block.language in languages
    ]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Where a page's links lead, in its own spelling."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """What may follow # in a link to a page: its headings, as they are spelled in addresses."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))
    }


def column(page: Path, heading: str) -> list[str]:
    """The words in backticks in the first column of the tables whose first column has this heading."""
    found: list[str] = []
    inside = False
    for line in prose(page).splitlines():
        first = line.split("|")[1].strip() if line.startswith("|") else None
        inside = first is not None and (inside or first == heading)
        if inside and first is not None:
            found += re.findall(r"`([^`]+)`", first)
    return found
