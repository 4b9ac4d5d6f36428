"""From a path to a book, or to every reason why not."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast

from rotator.errors import PolicyError, Problem
from rotator.model import ProviderRef
from rotator.policies.book import Adapters, Book, KindTable, Table
from rotator.policies.checks import check_limits, check_names, check_secrets
from rotator.policies.drafts import Draft, draft
from rotator.policies.entries import Entry, defaults, entries
from rotator.policies.files import read_all
from rotator.policies.notify import notices
from rotator.policies.references import References, references


def installed() -> Adapters:
    """The adapters that rotator has."""
    return Adapters(
        providers=cast("KindTable", import_module("rotator.providers")),
        stores=cast("Table", import_module("rotator.stores")),
        consumers=cast("Table", import_module("rotator.consumers")),
    )


def load(path: Path, adapters: Adapters | None = None) -> Book:
    """The policies of a file, or of a folder with ``rotator.yaml`` and further files of policies.

    Reads files and nothing else. Raises PolicyError with every problem at once, by file and line.
    """
    sources, problems = read_all(path)
    drafts = [draft(source) for source in sources]
    book = None
    if drafts and drafts[0].source.main and not drafts[0].tree.broken:
        book = _book(drafts, adapters or installed())
    problems += [problem for each in drafts for problem in each.problems()]
    if problems or book is None:
        raise PolicyError(_ordered(path, problems))
    return book


def _book(drafts: list[Draft], adapters: Adapters) -> Book:
    """The book; what is wrong with it is in the drafts."""
    main = drafts[0]
    refs = references(main, adapters)
    common = defaults(main)
    told = notices(main, refs)
    found = [entry for each in drafts if not each.tree.broken for entry in entries(each, refs, common)]
    _check(found, refs)
    policies = tuple(entry.policy for entry in found if entry.policy)
    names = {policy.target.id: policy.target.fields for policy in policies if policy.target.fields}
    return Book(
        refs.stores,
        {name: _spelled(provider, names) for name, provider in refs.providers.items()},
        tuple(replace(policy, provider=_spelled(policy.provider, names)) for policy in policies),
        told,
    )


def _spelled(provider: ProviderRef, names: Mapping[str, Mapping[str, str | None]]) -> ProviderRef:
    """A provider whose admin or parent credential is read under the names that its own policy writes."""
    fields = names.get(provider.account)
    if provider.admin is None or not fields:
        return provider
    return replace(provider, admin=replace(provider.admin, fields=fields))


def _check(found: list[Entry], refs: References) -> None:
    check_names(found)
    check_secrets(found)
    check_limits(found, refs)


def _ordered(path: Path, problems: list[Problem]) -> tuple[Problem, ...]:
    """By file, the main one first, and by line."""
    main = str(path / "rotator.yaml")
    return tuple(sorted(problems, key=lambda each: (each.file != main, each.file, each.line)))
