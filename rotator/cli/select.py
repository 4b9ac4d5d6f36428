"""Which policies a command line means."""

import difflib
from collections.abc import Iterable, Sequence

from rotator.cli.options import Wrong
from rotator.model import Policy

FEW = 8  # names that may be listed in a sentence


def near(name: str, names: Iterable[str]) -> str:
    """A hint at the names that are spelled nearly the same, or at where names are listed."""
    known = list(names)
    found = difflib.get_close_matches(name, known, n=3)
    if not found and len(known) > FEW:
        return "`rotator validate` lists every policy."
    if not found:
        return f"There is: {', '.join(known)}." if known else "There is none at all."
    return f"Did you mean {' or '.join(repr(other) for other in found)}?"


def named(policies: Sequence[Policy], name: str) -> Policy:
    """The policy of this name. Raises Wrong, with near spellings."""
    for policy in policies:
        if policy.name == name:
            return policy
    raise Wrong(f"There is no policy {name!r}. {near(name, [policy.name for policy in policies])}")


def select(
    policies: Sequence[Policy],
    names: Sequence[str],
    tags: Sequence[tuple[str, str]],
    provider: str | None,
    *,
    everything: bool,
) -> tuple[Policy, ...]:
    """The policies that a person means: those named, or all, narrowed by tags and provider.

    Raises Wrong where nothing is asked for, or nothing is found.
    """
    if not (names or tags or provider or everything):
        raise Wrong("Which policies? Name them, or give --tag, --provider or --all.")
    if names and everything:
        raise Wrong("Either names or --all, not both.")
    _known_provider(policies, provider)
    chosen = [named(policies, name) for name in dict.fromkeys(names)] or list(policies)
    found = tuple(
        policy
        for policy in chosen
        if provider in (None, policy.provider.name)
        and all(policy.tags.get(key) == value for key, value in tags)
    )
    if not found:
        asked = " ".join(f"--tag {key}={value}" for key, value in tags)
        asked += f" --provider {provider}" if provider else ""
        raise Wrong(
            f"No policy is selected by {asked.strip() or 'that'}. `rotator validate` lists the policies."
        )
    return found


def _known_provider(policies: Sequence[Policy], provider: str | None) -> None:
    names = sorted({policy.provider.name for policy in policies})
    if provider is not None and provider not in names:
        raise Wrong(f"No policy uses a provider {provider!r}. Those in use: {', '.join(names) or 'none'}.")
