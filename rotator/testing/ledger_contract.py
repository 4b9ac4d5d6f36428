"""The promises of a Ledger as tests: inherit :class:`LedgerContract` and give it a ledger to try.

Another database's ledger is finished when this suite passes over it, unchanged.
"""
# ruff: noqa: PLR2004 - expected figures are the point of a test

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from rotator.errors import Fenced, LedgerUnusable
from rotator.interfaces import Ledger
from rotator.model import (
    Attempt,
    Change,
    CurrentKey,
    DebtPhase,
    Event,
    Level,
    Phase,
    Provenance,
)
from rotator.testing.clock import BEGINNING, ManualClock
from rotator.testing.ledger_samples import HOUR, a_debt, a_rotation, a_state, an_order
from rotator.testing.trail_contract import TrailContract, at_once

T = TypeVar("T")
MINUTE = timedelta(minutes=1)
LEDGER_ID_LENGTH = 8


class LedgerContract(TrailContract):
    """Every promise of the Protocol. Override ``ledger``; the clock given to it must be ``clock``."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The ledger's clock."""
        return ManualClock()

    @pytest.fixture
    def ledger(self, clock: ManualClock) -> Ledger:
        """An empty ledger."""
        raise LedgerUnusable(f"{type(self).__name__} must give the fixture `ledger`, over {clock}.")

    # secrets and what is due

    def test_id_and_clock(self, ledger: Ledger, clock: ManualClock) -> None:
        """A ledger has an id of eight hexadecimal digits, and its time is its clock's."""
        assert len(ledger.id) == LEDGER_ID_LENGTH
        assert int(ledger.id, 16) >= 0
        assert ledger.now() == clock.now()

    def test_enroll_adds_what_is_new(self, ledger: Ledger, clock: ManualClock) -> None:
        """Enrolling adds only secrets that are not known, and leaves the others as they are."""
        assert ledger.enroll(a_state(name) for name in ("b", "a")) == 2
        assert ledger.enroll([a_state("b", failures=7), a_state("c")]) == 1
        assert ledger.enroll([]) == 0
        assert ledger.secret("b") == a_state("b")
        assert ledger.secret("d") is None
        assert list(ledger.secrets()) == [(a_state(name), clock.now()) for name in "abc"]

    def test_due_is_oldest_first(self, ledger: Ledger, clock: ManualClock) -> None:
        """What is due comes oldest first, as many as asked for; not what is held or ahead."""
        assert ledger.next_due() is None
        for name in ("late", "early", "held", "ahead", "never"):
            ledger.release(self.claimed(ledger, name), _WHEN[name])
        assert ledger.next_due() == _WHEN["held"]
        assert ledger.claim("held", "worker", HOUR)
        assert ledger.due(10) == []
        clock.advance(3 * MINUTE)
        assert ledger.due(10) == ["early", "late"]
        assert ledger.due(1) == ["early"]

    # claims

    def test_one_claimer_wins(self, ledger: Ledger, clock: ManualClock) -> None:
        """Of two claimers one wins, even under one name, until the claim is given back."""
        claim = self.claimed(ledger)
        assert claim.until == clock.now() + MINUTE
        assert ledger.claim("one", "another", MINUTE) is None
        assert ledger.claim("one", "worker", MINUTE) is None
        assert ledger.claim("unknown", "worker", MINUTE) is None
        ledger.release(claim, clock.now())
        again = ledger.claim("one", "another", MINUTE)
        assert again
        assert again.epoch > claim.epoch

    def test_fifty_claimers_at_once(self, ledger: Ledger) -> None:
        """Of fifty threads that claim one secret at once, one wins."""
        ledger.enroll([a_state()])
        won = at_once(lambda number: ledger.claim("one", f"worker-{number}", MINUTE))
        assert sum(claim is not None for claim in won) == 1

    def test_expired_claim_is_taken_over(self, ledger: Ledger, clock: ManualClock) -> None:
        """Once a claim's time is over it writes nothing, and another may take over at a higher epoch."""
        old = self.claimed(ledger)
        clock.advance(MINUTE)
        with pytest.raises(Fenced):
            ledger.renew(old)
        assert ledger.due(1) == ["one"]
        new = ledger.claim("one", "another", MINUTE)
        assert new
        assert new.epoch > old.epoch
        ledger.release(old, None)
        assert ledger.claim("one", "third", MINUTE) is None

    def test_a_claim_of_a_clock_that_was_ahead_is_none(self, ledger: Ledger, clock: ManualClock) -> None:
        """What a clock wrote that was ahead, and put right since, holds nobody up: neither claim nor lock."""
        ledger.enroll([a_state()])
        clock.advance(24 * HOUR)
        old = ledger.claim("one", "worker", MINUTE)
        assert old
        assert ledger.lock("principal", "a", MINUTE)
        clock.advance(-24 * HOUR)
        assert ledger.due(1) == ["one"]
        new = ledger.claim("one", "another", MINUTE)
        assert new
        assert new.epoch > old.epoch
        assert ledger.claim("one", "third", MINUTE) is None
        with pytest.raises(Fenced):
            ledger.renew(old)
        assert ledger.lock("principal", "b", MINUTE)
        assert not ledger.lock("principal", "a", MINUTE)

    def test_unreleased_claim_leaves_it_due(self, ledger: Ledger, clock: ManualClock) -> None:
        """A claim that ended without a release leaves its secret due, whatever was planned before it."""
        for planned in (None, clock.now() + HOUR):
            ledger.release(self.claimed(ledger), planned)
            assert ledger.due(1) == []
            killed = ledger.claim("one", "killed", MINUTE)
            assert ledger.due(1) == []
            clock.advance(MINUTE)
            assert ledger.due(1) == ["one"]
            assert ledger.next_due() == clock.now() - MINUTE
            assert killed
            ledger.release(killed, clock.now() + HOUR)
            assert ledger.due(1) == ["one"]

    def test_fenced_commit_writes_nothing(self, ledger: Ledger, clock: ManualClock) -> None:
        """A commit under a claim that is lost raises Fenced, and none of it is written."""
        old = self.claimed(ledger)
        ledger.give("one", an_order())
        assert ledger.reserve(old, "tests", "slot", frozenset(), 1)
        clock.advance(MINUTE)
        event = Event("one", "x", "x")
        full = Change(a_state(failures=9), a_rotation(), (a_debt(),), (event,), ("slot",), (an_order(),))
        for _ in ("over", "taken over"):
            with pytest.raises(Fenced):
                ledger.commit(old, full)
            with pytest.raises(Fenced):
                ledger.reserve(old, "tests", "another", frozenset(), 9)
            new = ledger.claim("one", "another", MINUTE)
        assert new is None
        assert (ledger.secret("one"), ledger.rotation("one")) == (a_state(), None)
        assert (ledger.debts(), ledger.events(), list(ledger.orders("one"))) == ([], [], ["run"])
        clock.advance(MINUTE)
        last = ledger.claim("one", "last", MINUTE)
        assert last
        assert not ledger.reserve(last, "tests", "another", frozenset(), 1)

    def test_commit_and_renew_prolong(self, ledger: Ledger, clock: ManualClock) -> None:
        """A commit and a renewal prolong the claim by its first time to live."""
        claim = self.claimed(ledger)
        clock.advance(timedelta(seconds=59))
        ledger.commit(claim, Change(a_state()))
        clock.advance(timedelta(seconds=59))
        ledger.renew(claim)
        clock.advance(timedelta(seconds=59))
        assert ledger.claim("one", "another", MINUTE) is None
        clock.advance(timedelta(seconds=1))
        assert ledger.claim("one", "another", MINUTE)

    def test_nudge_during_a_claim(self, ledger: Ledger, clock: ManualClock) -> None:
        """A nudge while a secret is held is not put off by the release; one from before the claim is."""
        ledger.release(self.claimed(ledger), None)
        ledger.nudge(["one", "unknown"])
        claim = ledger.claim("one", "worker", MINUTE)
        assert claim
        ledger.nudge(["one"])
        ledger.release(claim, clock.now() + HOUR)
        assert ledger.due(1) == ["one"]
        again = ledger.claim("one", "worker", MINUTE)
        assert again
        ledger.release(again, clock.now() + HOUR)
        assert ledger.due(1) == []
        assert ledger.next_due() == clock.now() + HOUR

    # rotations, attempts, debts

    def test_rotation_and_its_attempts(self, ledger: Ledger) -> None:
        """A rotation is read back as it was written, and every token of a label or version leads to it."""
        claim = self.claimed(ledger)
        first = a_rotation()
        second = replace(first, phase=Phase.ISSUED, attempt=Attempt("second", 2, "push", "key"))
        for rotation in (first, second):
            ledger.commit(claim, Change(a_state(failures=1), rotation))
            assert ledger.rotation("one") == rotation
        assert ledger.secret("one") == a_state(failures=1)
        tokens = (first.attempt.token, first.attempt.push, "second", "push")
        drawn = ledger.attempts([*tokens, "never drawn"])
        assert drawn == dict.fromkeys(tokens, ("one", first.id))
        assert ledger.attempts([]) == {}

    def test_one_live_rotation(self, ledger: Ledger) -> None:
        """A secret has one live rotation: a second is refused with its whole commit, until the first ends."""
        claim = self.claimed(ledger)
        first, second = a_rotation(1), a_rotation(2)
        ledger.commit(claim, Change(a_state(), first))
        with pytest.raises(LedgerUnusable):
            ledger.commit(claim, Change(a_state(failures=1), second))
        assert ledger.secret("one") == a_state()
        ended = replace(first, phase=Phase.PROMOTED)
        ledger.commit(claim, Change(a_state(), ended))
        assert ledger.rotation("one") is None
        ledger.commit(claim, Change(a_state(), second))
        assert list(ledger.rotations("one")) == [second, ended]
        assert list(ledger.rotations("one", limit=1)) == [second]

    def test_debts(self, ledger: Ledger, clock: ManualClock) -> None:
        """Debts are listed oldest first while they are open, and are kept when they are paid."""
        one, two = self.claimed(ledger, "one"), self.claimed(ledger, "two")
        young, old = a_debt(1, since=clock.now() + HOUR), a_debt(2)
        ledger.commit(one, Change(a_state("one"), debts=(young, old)))
        ledger.commit(two, Change(a_state("two"), debts=(a_debt(3, "two"),)))
        assert list(ledger.debts()) == [old, a_debt(3, "two"), young]
        paid = replace(old, phase=DebtPhase.DEAD)
        ledger.commit(one, Change(a_state("one"), debts=(paid,)))
        assert list(ledger.debts("one")) == [young]
        assert list(ledger.debts("one", ended=True)) == [paid, young]
        assert (ledger.debt(paid.id), ledger.debt("none")) == (paid, None)

    # slots

    def test_slots(self, ledger: Ledger) -> None:
        """Keys that are listed and slots that are taken count once each, until their keys are dead."""
        claim = self.claimed(ledger)
        rotation = a_rotation()
        token = rotation.attempt.token
        listed = frozenset({"key-1"})
        assert ledger.reserve(claim, "tests", token, listed, 2)
        assert ledger.reserve(claim, "tests", token, listed, 2)
        assert not ledger.reserve(claim, "tests", "next", listed, 2)
        assert ledger.reserve(claim, "others", "elsewhere", listed, 2)
        issued = replace(rotation, attempt=replace(rotation.attempt, key_id="key-2"))
        ledger.commit(claim, Change(a_state(), issued))
        assert not ledger.reserve(claim, "tests", "next", listed | {"key-2"}, 2)
        assert ledger.reserve(claim, "tests", "next", frozenset({"key-2"}), 2)
        ledger.commit(claim, Change(a_state(), debts=(a_debt(token="next", key_id="key-3"),)))
        assert not ledger.reserve(claim, "tests", "last", frozenset({"key-2", "key-3"}), 2)
        ledger.commit(claim, Change(a_state(), frees=(token,)))
        assert ledger.reserve(claim, "tests", "last", frozenset({"key-3"}), 2)
        assert ledger.slots("tests") == {"next": "key-3", "last": None}

    def test_slots_at_once(self, ledger: Ledger) -> None:
        """Threads that reserve at once never get more slots than there are."""
        claims = [self.claimed(ledger, f"secret-{number}") for number in range(20)]
        listed = frozenset({"key-1", "key-2"})
        got = at_once(lambda n: ledger.reserve(claims[n], "tests", f"token-{n}", listed, 5), len(claims))
        assert sum(got) == 3

    def test_children(self, ledger: Ledger) -> None:
        """Secrets are found by their parent, as enrolled and as committed since."""
        ledger.enroll([a_state("token", parent="two"), a_state("other", parent="three")])
        assert [state.id for state in ledger.children("two")] == ["token"]
        ledger.commit(self.claimed(ledger), Change(a_state(parent="two")))
        assert [state.id for state in ledger.children("two")] == ["one", "token"]
        assert ledger.children("one") == []

    def test_keepers(self, ledger: Ledger) -> None:
        """Secrets are found by the key that they hold, at its own principal."""
        held = CurrentKey("v1", "key-9", Provenance.ISSUED, BEGINNING)
        ledger.enroll([a_state("copy", current=held), a_state("other", principal="others", current=held)])
        assert [state.id for state in ledger.keepers("tests", "key-9")] == ["copy"]
        claim = self.claimed(ledger)
        ledger.commit(claim, Change(a_state(current=held)))
        assert [state.id for state in ledger.keepers("tests", "key-9")] == ["copy", "one"]
        assert ledger.keepers("tests", "key-1") == []
        ledger.commit(claim, Change(a_state(current=held, holds="key-1")))
        assert [state.id for state in ledger.keepers("tests", "key-1")] == ["one"]
        assert [state.id for state in ledger.keepers("tests", "key-9")] == ["copy"]

    # orders, events, facts, locks

    def test_orders(self, ledger: Ledger) -> None:
        """An order makes its secret due, replaces one of its kind, and ends when that very one is done."""
        claim = self.claimed(ledger)
        ledger.give("one", an_order(reason="first"))
        ledger.give("one", an_order())
        ledger.give("one", an_order("pause"))
        ledger.enroll([a_state("two")])
        ledger.give("two", an_order())
        with pytest.raises(LedgerUnusable):
            ledger.give("three", an_order())
        ledger.release(claim, None)
        assert ledger.due(2) == ["one", "two"]
        assert ledger.orders("one") == {"run": an_order(), "pause": an_order("pause")}
        assert ledger.all_orders() == {"one": ledger.orders("one"), "two": {"run": an_order()}}
        claim = self.claimed(ledger)
        ledger.commit(claim, Change(a_state(), orders_done=(an_order(reason="first"),)))
        assert set(ledger.orders("one")) == {"run", "pause"}
        ledger.commit(claim, Change(a_state(), orders_done=(an_order(),)))
        assert list(ledger.orders("one")) == ["pause"]
        assert [ledger.withdraw("one", "pause") for _ in "12"] == [True, False]
        assert ledger.orders("one") == {}

    def test_withdrawing_makes_due(self, ledger: Ledger) -> None:
        """A secret whose order is withdrawn is due."""
        ledger.release(self.claimed(ledger), None)
        ledger.withdraw("one", "pause")
        assert ledger.due(1) == ["one"]

    def test_events_and_alarms(self, ledger: Ledger, clock: ManualClock) -> None:
        """Events come newest first with the ledger's time; alarms wait, oldest first, until they are told."""
        claim = self.claimed(ledger)
        written = [Event("one", str(n), "text", Level.ALARM if n % 2 else Level.INFO) for n in range(4)]
        ledger.commit(claim, Change(a_state(), events=tuple(written)))
        ledger.commit(
            self.claimed(ledger, "two"), Change(a_state("two"), events=(Event("two", "4", "text"),))
        )
        assert [event.kind for event in ledger.events()] == ["4", "3", "2", "1", "0"]
        assert [event.kind for event in ledger.events("one", limit=2)] == ["3", "2"]
        assert {event.at for event in ledger.events()} == {clock.now()}
        alarms = ledger.untold()
        assert [event.kind for event in alarms] == ["1", "3"]
        assert list(ledger.untold(limit=1)) == [alarms[0]]
        for _ in "12":
            ledger.told([alarms[0].seq])
        assert list(ledger.untold()) == [alarms[1]]
        assert len(ledger.events()) == 5

    def test_facts(self, ledger: Ledger) -> None:
        """A fact keeps its first value until it is forgotten; facts are found by how their keys begin."""
        assert [ledger.remember("control/a", value) for value in ("first", "second")] == [True, False]
        assert (ledger.fact("control/a"), ledger.fact("control")) == ("first", None)
        for key in ("control/b", "Control/c", "control%", "other"):
            assert ledger.remember(key, "")
        assert ledger.facts("control/") == {"control/a": "first", "control/b": ""}
        assert len(ledger.facts("")) == 5
        assert [ledger.forget("control/a") for _ in "12"] == [True, False]
        assert ledger.remember("control/a", "third")

    def test_swap(self, ledger: Ledger) -> None:
        """A fact is swapped by who knows what it was, and is left alone for anybody else."""
        assert not ledger.swap("count", "0", "1")
        assert ledger.swap("count", None, "1")
        assert not ledger.swap("count", None, "2")
        assert not ledger.swap("count", "0", "2")
        assert ledger.fact("count") == "1"
        assert ledger.swap("count", "1", "2")
        assert ledger.fact("count") == "2"

    def test_swaps_at_once(self, ledger: Ledger) -> None:
        """Threads that swap one fact at once lose no step: of those that read the same one wins."""

        def count(_: int) -> None:
            for _ in range(5):
                while True:
                    before = ledger.fact("count")
                    if ledger.swap("count", before, str(int(before or 0) + 1)):
                        break

        at_once(count, 10)
        assert ledger.fact("count") == "50"

    def test_locks(self, ledger: Ledger, clock: ManualClock) -> None:
        """A lock belongs to one holder, who may prolong it, until its time is over or it is given back."""
        assert ledger.lock("principal", "a", MINUTE)
        assert not ledger.lock("principal", "b", MINUTE)
        clock.advance(MINUTE / 2)
        assert ledger.lock("principal", "a", MINUTE)
        ledger.unlock("principal", "b")
        clock.advance(MINUTE / 2)
        assert not ledger.lock("principal", "b", MINUTE)
        clock.advance(MINUTE / 2)
        assert ledger.lock("principal", "b", MINUTE)
        ledger.unlock("principal", "b")
        assert sum(at_once(lambda n: ledger.lock("principal", str(n), MINUTE), 10)) == 1

    def test_closing_twice(self, ledger: Ledger) -> None:
        """A ledger may be closed twice, and refuses everything after that."""
        for _ in "12":
            ledger.close()
        with pytest.raises(LedgerUnusable):
            ledger.due(1)
        with pytest.raises(LedgerUnusable):
            ledger.nudge(["one"])


_WHEN = {
    "late": BEGINNING + 2 * MINUTE,
    "early": BEGINNING + MINUTE,
    "held": BEGINNING,
    "ahead": BEGINNING + HOUR,
    "never": None,
}
