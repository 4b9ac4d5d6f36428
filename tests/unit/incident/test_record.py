from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotator.incident.record import Incident, begin, covered, covered_before, going_on, incidents
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until it is set."""
    return ManualClock()


@pytest.fixture
def ledger(clock: ManualClock) -> Iterator[Ledger]:
    """An empty one, in memory."""
    made = open_ledger("sqlite://", clock)
    yield made
    made.close()


def asked(ledger: Ledger, name: str, **more: object) -> Incident:
    """An order over two secrets."""
    made = Incident(name, "ann", "laptop lost", ledger.now(), ("a", "b"))
    return replace(made, **more)  # type: ignore[arg-type]


def test_the_same_command_goes_on_until_all_is_covered(ledger: Ledger, clock: ManualClock) -> None:
    """Whoever gives it, in whatever order its secrets come; then it begins anew."""
    first = begin(ledger, asked(ledger, "1"))
    clock.advance(timedelta(hours=3))
    assert begin(ledger, asked(ledger, "2", by="ben", secrets=("b", "a"))) == first
    done = covered(ledger, first)
    assert done.ended_at == ledger.now()
    assert covered(ledger, done) == done
    assert begin(ledger, asked(ledger, "3")).id == "3"
    assert [one.id for one in incidents(ledger)] == ["3", "1"]


@pytest.mark.parametrize(
    "other",
    [
        {"reason": "another"},
        {"secrets": ("c",)},
        {"grace": timedelta(0)},
        {"revoke_first": True},
        {"choice": "one"},
    ],
    ids=["reason", "secrets", "grace", "revoke-first", "choice"],
)
def test_another_command_is_another_incident(ledger: Ledger, other: dict[str, object]) -> None:
    """What is asked for, and how, is part of it."""
    begin(ledger, asked(ledger, "1", choice="--provider build"))
    assert begin(ledger, asked(ledger, "2", **{"choice": "--provider build"} | other)).id == "2"


@pytest.mark.parametrize(
    ("first", "minutes", "same"),
    [
        (None, 0, False),
        (-60, -60, True),
        (-60, -30, True),
        (-60, -90, False),
        (-60, 1, False),
        (60, 60, True),
    ],
    ids=["none-at-first", "the-same", "counted-from-now", "earlier", "keys-of-the-incident", "ahead"],
)
def test_a_later_age_is_another_incident(
    ledger: Ledger, clock: ManualClock, first: int | None, minutes: int, *, same: bool
) -> None:
    """Where a key that was issued in it may be too old: none of those counts as done then."""

    def at(later: int | None) -> datetime | None:
        return None if later is None else began + timedelta(minutes=later)

    began = ledger.now()
    begin(ledger, asked(ledger, "1", issued_before=at(first)))
    clock.advance(timedelta(hours=2))
    again = asked(ledger, "2", issued_before=at(minutes))
    assert (begin(ledger, again).id == "1") is same


def test_policies_that_came_or_went_meanwhile_make_no_other_incident(ledger: Ledger) -> None:
    """What both ask for is not rotated twice; the incident keeps what is gone, and takes in what is new."""
    first = begin(ledger, asked(ledger, "1"))
    fewer = begin(ledger, asked(ledger, "2", secrets=("b",)))
    assert (fewer.id, fewer.secrets) == (first.id, ("a", "b"))
    more = begin(ledger, asked(ledger, "3", secrets=("b", "c")))
    assert (more.id, more.secrets) == (first.id, ("a", "b", "c"))


def test_one_that_is_covered_is_remembered_for_a_day(ledger: Ledger, clock: ManualClock) -> None:
    """Whoever orders the very same again begins anew, and may be told."""
    again = asked(ledger, "2")
    first = covered(ledger, begin(ledger, asked(ledger, "1")))
    assert covered_before(ledger, again) == first
    assert covered_before(ledger, asked(ledger, "3", reason="another")) is None
    clock.advance(timedelta(days=1))
    assert covered_before(ledger, again) is None


def test_fewer_secrets_hold_a_leaked_key_when_the_command_is_given_again(ledger: Ledger) -> None:
    """It is the same incident, with what a person must see to now."""
    first = begin(ledger, asked(ledger, "1", leaked={"a": ("v1",)}, besides=("not looked at: a",)))
    again = begin(ledger, asked(ledger, "2", leaked={"a": ("v1",)}, secrets=("a",)))
    assert (again.id, again.secrets, again.besides) == (first.id, first.secrets, ())
    token = {"a": ("v1",), "token": ("t2",)}  # holds a part of it, and was renewed since
    assert begin(ledger, asked(ledger, "3", leaked=token, secrets=("a", "token"))).id == first.id
    assert begin(ledger, asked(ledger, "4", leaked={"c": ("v1",)}, secrets=("c",))).id == "4"


def test_an_incident_of_another_day_is_another_one(ledger: Ledger, clock: ManualClock) -> None:
    """A key that was replaced days ago is not what a person means by now."""
    begin(ledger, asked(ledger, "1"))
    clock.advance(timedelta(days=1))
    assert begin(ledger, asked(ledger, "2")).id == "2"


def test_an_incident_that_is_not_covered_keeps_its_secrets(ledger: Ledger, clock: ManualClock) -> None:
    """Whatever they were chosen by may not choose them a second time."""
    first = begin(ledger, asked(ledger, "1"))
    assert going_on(ledger, asked(ledger, "2", secrets=())) == {"a", "b"}
    assert going_on(ledger, asked(ledger, "2", reason="another")) == frozenset()
    covered(ledger, first)
    assert going_on(ledger, asked(ledger, "2")) == frozenset()


def test_another_leaked_key_is_another_incident(ledger: Ledger) -> None:
    """Though it is in the same secret, and the reason is the same."""
    begin(ledger, asked(ledger, "1", leaked={"a": ("v1",)}))
    assert begin(ledger, asked(ledger, "2", leaked={"a": ("v2",)})).id == "2"


def test_more_leaked_keys_are_to_be_covered_anew(ledger: Ledger) -> None:
    """An incident goes on with the keys that leaked besides, and with a later age, not as covered."""
    first = begin(ledger, asked(ledger, "1", leaked={"a": ("v1",)}, besides=("not looked at: b",)))
    known = covered(ledger, first)
    assert (known.rotated_at is None, known.ended_at) == (False, None)
    again = begin(ledger, asked(ledger, "2", leaked={"a": ("v2", "v1")}, besides=()))
    assert (again.id, again.leaked, again.rotated_at) == (first.id, {"a": ("v1", "v2")}, None)
    assert begin(ledger, asked(ledger, "3", leaked={"a": ("v2",)})) == again
