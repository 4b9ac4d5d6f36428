"""The promises of a Ledger about its audit trail, as tests; a part of the ledger's contract."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from rotator.audit.chain import trail_of
from rotator.interfaces import Ledger
from rotator.model import EVERYBODY, Chain, Change, Claim, Event, Head
from rotator.testing.ledger_samples import a_debt, a_rotation, a_state, an_order

T = TypeVar("T")
MINUTE = timedelta(minutes=1)


def at_once(act: Callable[[int], T], threads: int = 50) -> list[T]:
    """What as many threads get that all do this at the same time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(act, range(threads)))


class TrailContract:
    """Each change is recorded."""

    @staticmethod
    def claimed(ledger: Ledger, secret: str = "one") -> Claim:
        """A claim on a secret, which is enrolled for it."""
        ledger.enroll([a_state(secret)])
        claim = ledger.claim(secret, "worker", MINUTE)
        assert claim
        return claim

    def test_trail(self, ledger: Ledger) -> None:
        """Each change is a record at its chain's end, and the records say what the tables hold."""
        claim = self.claimed(ledger)
        ledger.enroll([a_state("two")])
        ledger.give("one", an_order())
        told = (Event("one", "a", "text"), Event("one", "b", "text"))
        ledger.commit(
            claim, Change(a_state(failures=1), a_rotation(), events=told, orders_done=(an_order(),))
        )
        ledger.commit(claim, Change(a_state(), debts=(a_debt(),)))
        ledger.give("two", an_order())
        ledger.withdraw("two", "run")
        ledger.give(EVERYBODY, an_order("stop"))
        ledger.remember("a", "fact")
        ledger.swap("a", "fact", "another")
        assert list(ledger.chains()) == ["", "one", "two"]
        chains = [ledger.chain(secret) for secret in ledger.chains()]
        for chain in chains:
            last = chain.records[-1]
            assert chain.head == Head(last.number, last.mac)
            assert [one.number for one in chain.records] == list(range(1, len(chain.records) + 1))
            assert _told(chain) == chain.documents
        assert [len(chain.records) for chain in chains[1:]] == [5, 3]
        assert ledger.chain("three").head is None

    def test_trail_of_writers_at_once(self, ledger: Ledger) -> None:
        """Of threads that write about one secret at once each follows another, and no change is lost."""
        claim = self.claimed(ledger)

        def write(number: int) -> None:
            if number % 2:
                ledger.commit(claim, Change(a_state(failures=number), events=(Event("one", "x", "x"),)))
            else:
                ledger.give("one", an_order(reason=str(number)))
            ledger.remember(f"fact {number}", "value")

        at_once(write, 20)
        chain = ledger.chain("one")
        assert [record.number for record in chain.records] == list(range(1, 22))
        assert _told(chain) == chain.documents

    def test_anchors(self, ledger: Ledger) -> None:
        """An anchor names a record that holds the heads of all chains that moved; none where nothing did."""
        self.claimed(ledger)
        first = ledger.anchor()
        assert first
        assert ledger.anchor() is None
        ledger.give("one", an_order())
        second = ledger.anchor()
        assert second
        assert second.head.number > first.head.number
        head = ledger.chain("one").head
        assert head
        named = trail_of(ledger.chain("").records[-1])["heads"]
        assert named == {"one": [head.number, head.mac]}
        assert ledger.holds(first)
        assert ledger.holds(second)
        assert not ledger.holds(replace(second, head=Head(second.head.number + 1, second.head.mac)))
        assert not ledger.holds(replace(second, head=Head(second.head.number, first.head.mac)))


def _told(chain: Chain) -> dict[str, str]:
    """What the records of a chain say that the tables hold."""
    said: dict[str, str | None] = {}
    for record in chain.records:
        said |= trail_of(record).get("docs", {})
    return {name: digest for name, digest in said.items() if digest is not None}
