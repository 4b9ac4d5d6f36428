"""Which policies a command line means."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from rotator import durations
from rotator.cli.options import Wrong
from rotator.model import Policy
from rotator.people import Known

FEW = 8  # names that may be listed in a sentence


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person chose by: names, or everything; each of the others narrows that.

    A policy is meant by any of several providers, stores or owners, but only with all of the tags.
    """

    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    providers: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    issued_before: datetime | None = None
    everything: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == Choice()

    @property
    def words(self) -> str:
        """The same, in whatever order it was given: names and options, but for a time."""
        given = {*self.names, *self._options, *(("--all",) if self.everything else ())}
        return " ".join(sorted(given)) or "--all"

    @property
    def _options(self) -> list[str]:
        """What narrows, but for a time, as it is typed."""
        named = {"provider": self.providers, "store": self.stores, "owner": self.owners}
        pairs = [("tag", f"{key}={value}") for key, value in self.tags]
        pairs += [(name, value) for name, values in named.items() for value in values]
        return [f"--{name} {value}" for name, value in pairs]

    def __str__(self) -> str:
        told = self._options
        if self.issued_before is not None:
            told.append(f"--issued-before {self.issued_before:%Y-%m-%dT%H:%M:%SZ}")
        return " ".join(told) or "that"


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


def select(policies: Sequence[Policy], choice: Choice) -> tuple[Policy, ...]:
    """The policies that a person means: those named, or all, narrowed; but for when keys were issued.

    Raises Wrong where nothing is asked for, nothing is found, or a policy is named and narrowed away.
    """
    if choice.empty:
        raise Wrong(
            "Which policies? Name them, or give --tag, --provider, --store, --owner, "
            "--issued-before or --all."
        )
    if choice.names and choice.everything:
        raise Wrong("Either names or --all, not both.")
    _known("provider", choice.providers, {policy.provider.name for policy in policies})
    _known("store", choice.stores, {policy.target.store.name for policy in policies})
    _known("owner", choice.owners, {policy.owner for policy in policies if policy.owner})
    chosen = [named(policies, name) for name in dict.fromkeys(choice.names)] or list(policies)
    found = tuple(policy for policy in chosen if meant(policy, choice))
    if not found:
        raise Wrong(f"No policy is selected by {choice}. `rotator validate` lists the policies.")
    if choice.names and len(found) < len(chosen):
        others = ", ".join(policy.name for policy in chosen if policy not in found)
        raise Wrong(f"Named, but not selected by {choice}: {others}. Leave the name or the option out.")
    return found


def meant(policy: Policy, choice: Choice) -> bool:
    """Whether a policy is among what the options narrow to; names apart."""
    return (
        _among(policy.provider.name, choice.providers)
        and _among(policy.target.store.name, choice.stores)
        and _among(policy.owner, choice.owners)
        and all(policy.tags.get(key) == value for key, value in choice.tags)
    )


def _among(name: str | None, given: Collection[str]) -> bool:
    return not given or name in given


def _known(what: str, given: Iterable[str], names: Iterable[str]) -> None:
    known = sorted(names)
    for name in given:
        if name not in known:
            raise Wrong(f"No policy has the {what} {name!r}. Those in use: {', '.join(known) or 'none'}.")


def is_older(known: Known | None, choice: Choice) -> bool:
    """Whether a secret's keys are among those that a time of issue chooses, where one was given."""
    return choice.issued_before is None or _older(known, choice.issued_before)


def issued_before(
    policies: Sequence[Policy],
    known: Mapping[str, Known],
    choice: Choice,
    going_on: Collection[str] = (),
) -> tuple[Policy, ...]:
    """Those whose key is older than the time that was chosen by, or that owe an older one its death. A key
    whose age nobody knows may be, and is among them, and so is a secret of an incident that goes on. Raises
    Wrong where there is none.
    """
    before = choice.issued_before
    if before is None:
        return tuple(policies)
    found = tuple(
        policy
        for policy in policies
        if _older(known.get(policy.target.id), before) or policy.target.id in going_on
    )
    if not found:
        raise Wrong(f"No policy is selected by {choice}: every key is younger.")
    if choice.names and len(found) < len(policies):
        others = ", ".join(policy.name for policy in policies if policy not in found)
        raise Wrong(f"Named, but not selected by {choice}: {others}. Leave the name or the option out.")
    return found


def _older(known: Known | None, before: datetime) -> bool:
    """Whether the key in service may be older, one that was replaced and lives, or one on its way there."""
    if known is None or known.state.rotated_at is None:
        return True
    state, live = known.state, known.rotation
    issued = [debt.born for debt in known.debts if debt.reason.of_service]
    issued.append(state.rotated_at if state.current is None else state.issued_at)
    if live is not None and live.attempt.issued_at is not None:
        issued.append(live.attempt.issued_at)
    return any(at is None or at < before for at in issued)


def moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """The callback of an option that takes a time: ``2026-11-22T09:00Z``, a day, or how long ago, ``30d``."""
    if value is None:
        return None
    try:
        return datetime.now(UTC) - durations.parse(value)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time. Write a day, a time with its zone, or how long ago it is: 2026-11-22, "
            "2026-11-22T09:00Z, 30d."
        ) from None
