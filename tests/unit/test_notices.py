from collections.abc import Sequence

import pytest

from rotator.model import Event, Level
from rotator.notices import (
    FIELDS,
    LONGEST,
    Channel,
    Message,
    Notices,
    Route,
    Severity,
    fields_of,
    message,
    severity,
    together,
    unknown_places,
)
from tests.unit.cli.records import STORE, policy

DESK = policy("orders", tags={"team": "a", "tier": "prod"}, owner="desk-a")


def alarm(kind: str = "blocked", text: str = "It is blocked. To do: see.", **data: str) -> Event:
    """An alarm of the policy ``orders``."""
    return Event("aws|orders", kind, text, Level.ALARM, data=data)


def notices(*routes: Route) -> Notices:
    """Routes with all their channels, and one for the rest."""
    names = {name for route in routes for name in route.to} | {"rest"}
    return Notices({name: Channel(name, STORE, f"url/{name}") for name in names}, routes, ("rest",))


ROUTES = (
    Route(("a",), tags={"team": "a"}),
    Route(("a-prod",), tags={"team": "a", "tier": "prod"}),
    Route(("b",), tags={"team": "b"}),
    Route(("owner",), owner="desk-a"),
    Route(("build", "a"), provider="build"),
    Route(("pager",), severity=(Severity.CRITICAL,)),
)


@pytest.mark.parametrize(
    ("event", "of", "to"),
    [
        (alarm(), DESK, ("a", "a-prod", "owner", "build")),
        (alarm("will-not-die"), DESK, ("a", "a-prod", "owner", "build", "pager")),
        (alarm(), policy("other", provider="fat", tags={"team": "b"}), ("b",)),
        (alarm(), policy("other", provider="fat"), ("rest",)),
        (alarm(), None, ("rest",)),
        (alarm(owner="desk-a"), None, ("owner",)),
        (alarm(provider="build"), None, ("build", "a")),
        (alarm("safe-mode"), None, ("pager",)),
    ],
)
def test_every_route_that_matches_counts(event: Event, of: object, to: Sequence[str]) -> None:
    """Each channel once, in the routes' order; what no route takes goes to ``otherwise``, never to nobody."""
    assert notices(*ROUTES).channels_of(event, of) == tuple(to)  # type: ignore[arg-type]


def test_a_route_without_conditions_takes_all() -> None:
    """Whatever the alarm is about."""
    assert notices(Route(("all",))).channels_of(alarm(), None) == ("all",)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("will-not-die", "critical"), ("blocked", "warning"), ("of-tomorrow", "warning"), ("resumed", "info")],
)
def test_a_severity_follows_from_the_kind(kind: str, expected: str) -> None:
    """A kind that nobody thought of is a warning."""
    assert severity(kind) == expected


def test_our_words_say_what_and_about_which() -> None:
    """A title of one line; the sentence, and below it the names that people search by, and no more."""
    told = message(
        Channel("c", STORE, "s"),
        fields_of(alarm(policy="orders", provider="build", headers="x-secret", where="rotator/desk.py:7")),
    )
    assert told.title == "rotator warning: orders"
    assert told.body == ("It is blocked. To do: see.\n(policy orders, provider build, secret aws|orders)")
    assert told.severity is Severity.WARNING


def test_a_template_has_named_places_only() -> None:
    """Places are filled once: braces in a value stay, and what an alarm does not have is a dash."""
    channel = Channel("c", STORE, "s", "{severity} {policy}/{key_id}: {text} {}")
    told = message(channel, fields_of(alarm(policy="{secret}", text="so")))
    assert told.body == "warning {secret}/-: so -"
    assert list(unknown_places(channel.template or "")) == [""]


@pytest.mark.parametrize("place", ["policy.__class__", "0", "policy!r", "secret_value", "policy:>9"])
def test_a_place_that_is_no_field_is_known_before(place: str) -> None:
    """Nothing but the fields can be named: neither attributes nor forms."""
    assert list(unknown_places(f"a {{{place}}} b")) == [place]
    assert place not in FIELDS


def test_what_waits_is_told_together_as_far_as_it_is_read_at_a_glance() -> None:
    """Several short alarms are one message, as loud as the worst; a long one goes alone, never cut."""
    short = [Message(f"t{n}", "b" * 100, Severity.INFO) for n in range(30)]
    worst = Message("w", "worst", Severity.CRITICAL)
    told, count = together([worst, *short])
    assert count == 1 + (LONGEST - len("worst")) // 100
    assert told.title == f"rotator critical: {count} alarms"
    assert told.body.startswith("w\nworst\n\nt0\n")
    long = Message("l", "x" * 9 * LONGEST, Severity.WARNING)
    assert together([long, worst]) == (long, 1)
    assert together([worst]) == (worst, 1)
