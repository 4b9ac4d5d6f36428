"""The section ``notify``: channels, whose addresses are kept in a store, and the routes to them."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from rotator.notices import FIELDS, Channel, Notices, Route, Severity, unknown_places
from rotator.policies.drafts import Draft
from rotator.policies.problems import Path, meant, shown
from rotator.policies.references import References
from rotator.policies.sections import AdminSection, Name, Section, Tags, wrong
from rotator.policies.words import validate

SECTION = "notify"
_WORD = re.compile(r"[a-z_]{1,20}")


def _template(text: str) -> str:
    unknown = next(unknown_places(text), None)
    if unknown is not None:
        named = f"{{{unknown}}}" if _WORD.fullmatch(unknown) else "a place in braces"
        raise wrong(f"{named} is nothing that may be said of an alarm.", f"Places: {', '.join(FIELDS)}.")
    return text


class ChannelSection(Section):
    """Where people read."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "url": "An address is a credential: it goes into the secret that `secret` names, as its field `url`."
    }
    secret: AdminSection = Field(description="Where its address is kept: an Apprise URL, in the field `url`.")
    template: Annotated[str, AfterValidator(_template)] | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        description="Instead of our own words: `{policy}: {text}`.",
    )


class MatchSection(Section):
    """What alarms must have in common: all of it."""

    tags: Tags = Field(default={}, description="Of the policy.")
    owner: str | None = Field(default=None, min_length=1, max_length=200)
    provider: Name | None = None
    severity: list[Severity] = Field(default=[], min_length=1, description="One of these.")


class RouteSection(Section):
    """Alarms of a kind, and who hears of them. Every route that matches counts."""

    match: MatchSection = MatchSection()
    to: list[Name] = Field(min_length=1, description="Names from `channels`.")


class NotifySection(Section):
    """Who is told of alarms, besides Sentry and the log."""

    channels: dict[Name, ChannelSection] = Field(min_length=1)
    routes: list[RouteSection] = Field(default=[])
    otherwise: list[Name] = Field(
        min_length=1, description="Channels for what no route matches: no alarm reaches nobody."
    )


def notices(draft: Draft, refs: References) -> Notices:
    """Who is told; what is wrong with it is in the draft."""
    path: Path = (SECTION,)
    data = draft.section(SECTION)
    if not isinstance(draft.tree.data.get(SECTION), dict):
        return Notices()
    section, findings = validate(NotifySection, data, path)
    draft.say_all(findings)
    if section is None:
        return Notices()
    channels = {name: _channel(draft, refs, name, each) for name, each in section.channels.items()}
    for place, to in _ways(section):
        _check_way(draft, (*path, *place), to, section)
    _check_used(draft, section)
    for at, route in enumerate(section.routes):
        if route.match.provider is not None:
            refs.provider(draft, (*path, "routes", at, "match", "provider"), route.match.provider)
    return Notices(
        {name: channel for name, channel in channels.items() if channel},
        tuple(_route(route) for route in section.routes),
        tuple(section.otherwise),
    )


def _channel(draft: Draft, refs: References, name: str, section: ChannelSection) -> Channel | None:
    path: Path = (SECTION, "channels", name, "secret")
    store = refs.store(draft, (*path, "store"), section.secret.store)
    if store is None or refs.canonical(draft, (*path, "secret"), store, section.secret.secret) is None:
        return None
    return Channel(name, store, section.secret.secret, section.template)


def _route(section: RouteSection) -> Route:
    match = section.match
    return Route(tuple(section.to), match.tags, match.owner, match.provider, tuple(match.severity))


def _ways(section: NotifySection) -> Iterator[tuple[Path, list[str]]]:
    """Every list of channels, with its place."""
    yield from ((("routes", at, "to"), route.to) for at, route in enumerate(section.routes))
    yield ("otherwise",), section.otherwise


def _check_way(draft: Draft, path: Path, to: list[str], section: NotifySection) -> None:
    for at, name in enumerate(to):
        if name not in section.channels:
            message = f"{path[-1]}: there is no channel {shown(name)}."
            draft.say((*path, at), message, meant(name, section.channels, what="In channels"))


def _check_used(draft: Draft, section: NotifySection) -> None:
    """A channel that nothing leads to is a mistake: somebody believes that they are told."""
    used = {name for _, to in _ways(section) for name in to}
    for name in section.channels:
        if name not in used:
            draft.say(
                (SECTION, "channels", name),
                f"channels: nothing leads to {shown(name)}.",
                "Name it in a route or in `otherwise`, or remove it.",
            )
