"""Which logins count as failed ones, for how long, and what is not sent any more after them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rotator import breaker
from rotator.errors import NeedsPerson, Unknown
from rotator.interfaces import Ledger
from rotator.model import Credential, Order, Phase, Probe, Verdict
from rotator.submitting import NotTaken
from rotator.testing.fakes import FakeKey
from tests.simulation.test_kinds import REFUSED, Rig, ask


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A parent and a token."""
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


def said(rig: Rig, probe: Probe) -> None:
    """The provider answers every login alike."""
    rig.hand.probe = lambda credential: probe  # type: ignore[method-assign]


def mistyped(rig: Rig, times: int) -> None:
    """A person brings wrong credentials."""
    for _ in range(times):
        dead = rig.hand.add("dead")
        dead.live = False
        with pytest.raises(NotTaken):
            rig.submit(dead)


def test_every_answer_to_a_brought_login_counts_unless_it_says_nothing_of_it(rig: Rig) -> None:
    """Three that are not LIVE are the last; a server that is busy or down is asked on."""
    rig.until(timedelta(minutes=1))
    said(rig, Probe(Verdict.UNKNOWN, "http-503", passing=True))
    mistyped(rig, 5)
    assert not breaker.failing(rig.ledger, rig.parent.target.id)
    said(rig, Probe(Verdict.UNKNOWN, "http-422"))
    mistyped(rig, 3)
    with pytest.raises(NotTaken, match="--once-more"):
        rig.submit(rig.hand.add("new"))


def test_a_lost_answer_counts_for_a_day(rig: Rig) -> None:
    """It may have been a refusal: three, and no fourth that day; then an outage is over by itself."""
    rig.tokens.refusal = Unknown("connection-lost", "it broke.")
    rig.until(timedelta(hours=23))
    assert rig.tokens.logins == 3
    rig.tokens.refusal = None
    rig.until(timedelta(hours=2))
    assert len(rig.tokens.minted) == 1


def promoting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> FakeKey:
    """A credential that a person brought is good, but the store does not take its promotion."""

    def down(*_: object) -> str:
        raise Unknown("http-503", "sealed.")

    rig.until(timedelta(minutes=1))
    ask(rig)
    new = rig.hand.add("new")
    monkeypatch.setattr(rig.store, "promote", down)
    rig.submit(new)
    rig.until(timedelta(minutes=3))
    return new


def test_one_refusal_ends_the_verification_of_what_a_person_brought(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent again until somebody orders it: neither by the next look, nor once the store is well."""
    new = promoting(rig, monkeypatch)
    new.live = False
    probes = rig.hand.probes
    rig.until(timedelta(days=1))
    monkeypatch.undo()
    rig.until(timedelta(days=1))
    assert rig.hand.probes == probes + 1
    live = rig.ledger.rotation(rig.parent.target.id)
    assert live is not None
    assert live.phase is Phase.CONFLICT
    assert rig.alarms() == ["blocked", "conflict", "conflict"], "told, and reminded"
    rig.ledger.give(rig.parent.target.id, Order("run", "a person", "again", rig.clock.now()))
    rig.until(timedelta(minutes=5))
    assert rig.ledger.rotation(rig.parent.target.id) != live


def test_an_order_that_comes_with_the_refusal_sends_no_second_login(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given before anybody was told, so that it joins what is under way, and tries nothing again."""
    new, probe, asked = promoting(rig, monkeypatch), rig.hand.probe, list[Credential]()
    new.live = False

    def ordered(credential: Credential) -> Probe:
        asked.append(credential)
        rig.ledger.give(rig.parent.target.id, Order("run", "a person", "again", rig.clock.now()))
        return probe(credential)

    rig.hand.probe = ordered  # type: ignore[method-assign]
    rig.until(timedelta(days=1))
    live = rig.ledger.rotation(rig.parent.target.id)
    assert live is not None
    assert (live.phase, len(asked)) == (Phase.CONFLICT, 1)
    assert not rig.ledger.orders(rig.parent.target.id)


def test_verification_without_a_clear_answer_sends_no_fourth_login(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be a refusal is counted here as well."""
    promoting(rig, monkeypatch)
    asked: list[Credential] = []

    def doubtful(credential: Credential) -> Probe:
        asked.append(credential)
        return Probe(Verdict.UNKNOWN, "http-403")

    rig.hand.probe = doubtful  # type: ignore[method-assign]
    rig.until(timedelta(days=1))
    assert len(asked) == breaker.EACH


def test_a_conflict_goes_on_by_itself_after_an_outage(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider was down while a credential was to be verified anew: that is no refusal of it."""
    new = promoting(rig, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(rig.hand, "probe", lambda _: Probe(Verdict.UNKNOWN, "http-503", passing=True))
        rig.until(timedelta(minutes=30))
    monkeypatch.undo()
    rig.until(timedelta(hours=2))
    assert rig.store.value("parent")["key_id"] == new.key_id


def test_what_people_mistype_never_keeps_a_token_from_its_first_login(rig: Rig) -> None:
    """Nor does a worker that was killed besides: its login counts for an hour."""
    rig.until(timedelta(minutes=1))
    mistyped(rig, 3)
    rig.tokens.refusal = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        rig.until(timedelta(hours=2))
    rig.worker, rig.tokens.refusal = rig.start(), None
    rig.until(timedelta(minutes=90))
    assert len(rig.tokens.minted) == 2


def test_after_what_people_mistyped_a_refused_token_is_the_last(rig: Rig) -> None:
    """Four logins are sent in all."""
    rig.until(timedelta(minutes=1))
    mistyped(rig, 3)
    rig.tokens.refusal = REFUSED
    logins = rig.tokens.logins
    rig.until(timedelta(days=1))
    assert rig.tokens.logins == logins + 1


class Killed:
    """The ledger of a process that is killed when it writes for the nth time."""

    def __init__(self, ledger: Ledger, writes: int) -> None:
        self._ledger = ledger
        self._left = writes

    def __getattr__(self, name: str) -> object:
        if name in ("swap", "forget", "remember"):
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return getattr(self._ledger, name)


@pytest.mark.parametrize("writes", range(3))
def test_once_more_that_is_killed_lets_no_more_than_one_through(rig: Rig, writes: int) -> None:
    """At whichever line: the count is never lost."""
    rig.until(timedelta(minutes=1))
    mistyped(rig, 3)
    probes = rig.hand.probes
    with pytest.raises(KeyboardInterrupt):
        breaker.once_more(
            Killed(rig.ledger, writes),  # type: ignore[arg-type]
            rig.parent.target.id,
            breaker.PERSON,
        )
    mistyped(rig, 3)
    assert rig.hand.probes <= probes + 1


def test_a_refusal_names_the_login(rig: Rig) -> None:
    """Whatever the answer was: people are told which secret holds what was refused."""
    rig.tokens.refusal = NeedsPerson("admin-refused", "refused.", todo="x")
    rig.until(timedelta(hours=3))
    (block,) = rig.ledger.facts("block:").values()
    assert "the parent secret parent" in block
