from dataclasses import replace
from datetime import timedelta
from typing import Any

from rotator.audit.certificates import Certificate, Death, certificates
from rotator.model import Event
from rotator.testing.clock import BEGINNING


def told(minute: int, kind: str, debt: str | None = None, **data: Any) -> Event:
    """An event of a secret, so many minutes after the beginning."""
    at = BEGINNING + timedelta(minutes=minute)
    return Event("one", kind, f"text of {kind}", debt=debt, data={"policy": "p", **data}, at=at, seq=minute)


def minutes(one: Certificate) -> list[int | None]:
    """When what happened to a key."""
    moments = (one.issued_at, one.current_at, one.owed_at, one.revoked_at, one.died_at)
    return [None if at is None else (at - BEGINNING) // timedelta(minutes=1) for at in moments]


LIFE = (told(1, "issued", key_id="a"), told(2, "promoted", key_id="a"), told(3, "owed", "d1", key_id="a"))


def test_a_revoked_key() -> None:
    """A key's whole life is told; of several revokes the first counts."""
    sent = [told(minute, "revoked", "d1", key_id="a") for minute in (4, 5)]
    (one,) = certificates(
        [*LIFE, *sent, told(6, "dead", "d1", key_id="a", proof="accepted before, refused after")]
    )
    assert (one.key_id, one.policy, minutes(one)) == ("a", "p", [1, 2, 3, 4, 6])
    assert (one.death, one.proof) == (Death.PROVEN, "accepted before, refused after")
    assert (one.why, one.record) == ("text of owed", 6)


def test_a_key_that_lives() -> None:
    """A key that is not dead yet says so by having no death, whatever else was told of it."""
    (one,) = certificates([*LIFE, told(4, "retry", "d1")])
    assert (one.key_id, minutes(one), one.death, one.proof) == ("a", [1, 2, 3, None, None], None, None)


def test_a_key_that_was_there_before() -> None:
    """What rotator did not do has no time; the id that a person adopted counts."""
    told_of = [told(3, "owed", "d1"), told(4, "adopted", "d1", key_id="b"), told(5, "dead", "d1", key_id="b")]
    (one,) = certificates(told_of)
    assert (one.key_id, minutes(one)) == ("b", [None, None, 3, None, 5])
    assert one.proof == "text of dead"


def test_a_declared_death() -> None:
    """A person's word is told as one, with the person."""
    settled = told(5, "settled", "d1", key_id="of unknown id", by="ann")
    (one,) = certificates([told(3, "owed", "d1"), settled])
    assert (one.death, one.declared_by, one.key_id) == (Death.DECLARED, "ann", None)


def test_a_token_that_expired() -> None:
    """A token is not said to have been revoked."""
    (one,) = certificates([*LIFE, told(9, "dead", "d1", key_id="a", proof="expired at 2026, not revoked")])
    assert (one.death, one.revoked_at) == (Death.EXPIRED, None)


def test_each_key_has_its_own() -> None:
    """Several keys of several secrets are kept apart, though their ids are alike."""
    other = Event("two", "issued", "x", data={"key_id": "a"}, at=BEGINNING)
    found = certificates([other, *LIFE, told(7, "owed", "d2", key_id="c")])
    assert [(one.debt, one.key_id, minutes(one)[0]) for one in found] == [("d1", "a", 1), ("d2", "c", None)]


def test_keys_that_bear_one_id_have_lives_of_their_own() -> None:
    """Where several credentials have one id, each certificate tells when its own was issued and in use."""

    def rotated(minute: int, number: int) -> list[Event]:
        came = [told(minute, "submitted", key_id="m"), told(minute + 2, "promoted", key_id="m")]
        return [replace(event, rotation=f"r{number}") for event in came]

    given_up = [replace(told(22, "submitted", key_id="m"), rotation="r2"), told(23, "owed", "d3", key_id="m")]
    ends = [told(minute, "settled", debt, key_id="m", by="ann") for minute, debt in ((60, "d1"), (61, "d2"))]
    first = [told(12, "owed", "d1", key_id="m")]
    found = certificates(
        [*rotated(10, 1), *first, *given_up, *rotated(30, 3), told(32, "owed", "d2", key_id="m"), *ends]
    )
    assert {one.debt: minutes(one) for one in found} == {
        "d1": [None, None, 12, None, 60],
        "d2": [10, 12, 32, None, 61],
        "d3": [22, None, 23, None, None],
    }
