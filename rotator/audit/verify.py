"""What is wrong with a ledger's chains: from their records, the keys, and what was given outside."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rotator.audit.chain import OWN, START, covered, trail_of
from rotator.audit.keys import KeyRing
from rotator.interfaces import Ledger
from rotator.model import Anchor, Chain, Head, Record

TRUSTED = "fact/trusted-since"  # as records name the fact that a person trusts the ledger as it is


class Flaw(StrEnum):
    """What is wrong."""

    CHANGED = "changed"  # a record is not as it was written, or stands where it was not written
    REMOVED = "removed"  # a record in the midst is missing
    FORKED = "forked"  # two records have one number: inserted, or by writers who did not know each other
    REORDERED = "reordered"  # the records' order in the ledger is not that of their numbers
    KEY = "unknown-key"  # made with a key that is not in the file of keys
    CUT = "cut"  # records at the end are missing
    HEAD = "head"  # the chain does not end where its secret's row says so
    REWRITTEN = "rewritten"  # what is known elsewhere is not in it
    DOCUMENT = "document"  # the tables do not hold what the records say that they hold


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong with one chain; ``number`` is the bad record's, where it is one."""

    secret: str
    flaw: Flaw
    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """A cut that a person agreed to: a backup was put back, and anchors name records that it does not hold.

    ``number`` is the record of the agreement, and ``anchors`` are so many that it explains.
    """

    at: datetime
    by: str
    number: int
    anchors: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and the first thing that is wrong with each chain; the ledger's own comes first.
    ``agreed`` is no flaw: what a person agreed to last, where an anchor shows it.
    """

    chains: int
    records: int
    anchors: int
    findings: tuple[Finding, ...]
    agreed: Agreed | None = None


def verify(ledger: Ledger, ring: KeyRing, anchors: Iterable[Anchor] = ()) -> Report:
    """Verify every chain. ``anchors`` are what was given outside; without any, who has the key may cut.

    Chains may grow meanwhile. Raises LedgerUnusable.
    """
    verifier = _Verifier(ledger.id, ring, tuple(anchors))
    records, chains, findings = 0, 0, list[Finding]()
    for secret in ledger.chains():
        chain = ledger.chain(secret)
        chains, records = chains + 1, records + len(chain.records)
        found = verifier.wrong(chain)
        findings += [found] if found else []
    findings += verifier.gone(ledger)
    return Report(chains, records, len(verifier.anchors), tuple(findings), verifier.agreed)


def judged(
    ledger: Ledger, ring: KeyRing, anchors: Iterable[Anchor] = (), secret: str | None = None
) -> Iterator[tuple[Chain, Finding | None]]:
    """Each chain with the first thing that is wrong with it; or the ledger's own, and that of one secret.

    Raises LedgerUnusable.
    """
    verifier = _Verifier(ledger.id, ring, tuple(anchors))
    for one in ledger.chains() if secret is None else (OWN, secret):
        chain = ledger.chain(one)
        yield chain, verifier.wrong(chain)


class _Verifier:
    """Verifies chain after chain; the ledger's own comes first, since it holds the heads of the others."""

    def __init__(self, ledger_id: str, ring: KeyRing, anchors: tuple[Anchor, ...]) -> None:
        self.anchors = anchors
        self.agreed: Agreed | None = None
        self._id = ledger_id
        self._ring = ring
        self._pins: dict[str, Head] = {}  # by secret, the last record of which the ledger's own chain tells

    def wrong(self, chain: Chain) -> Finding | None:
        """The first thing that is wrong with a chain, if anything is."""
        pin = self._pins.pop(chain.secret, None)
        known = [pin] if pin else []
        flaw = self._links(chain)
        if chain.secret == OWN:
            sound = chain.records[: flaw.number - 1] if flaw and flaw.number else chain.records
            self._learn(sound)
            known = self._expected(sound)
        return flaw or _anew(chain) or _missing(chain, known) or _end(chain) or _documents(chain)

    def gone(self, ledger: Ledger) -> Iterator[Finding]:
        """After the last chain: those of which nothing is left. Each is read once more, since a secret that
        was taken on while chains were listed is not among them.
        """
        for secret, head in sorted(self._pins.items()):
            chain = ledger.chain(secret)
            text = f"the whole chain is gone: the ledger's own chain tells of its record {head.number}"
            gone = Finding(secret, Flaw.CUT, text, 1)
            found = self.wrong(chain) if chain.records else gone
            yield from [found] if found else []

    def _links(self, chain: Chain) -> Finding | None:
        """Whether each record follows from the one before."""
        before, seq = START, 0
        for record in chain.records:
            flaw = self._link(before, seq, record)
            if flaw is not None:
                return flaw
            before, seq = Head(record.number, record.mac), record.seq
        return None

    def _link(self, before: Head, seq: int, record: Record) -> Finding | None:
        """What is wrong with a record that should follow the one with this head and place."""
        secret, number, expected = record.secret, record.number, before.number + 1
        if 0 < number < expected:
            return Finding(secret, Flaw.FORKED, f"there is more than one record {number}", number)
        if number > expected:
            text = f"record {expected} is missing; the next one is {number}"
            return Finding(secret, Flaw.REMOVED, text, expected)
        key = self._ring.find(record.key)
        if key is None:
            text = (
                f"record {expected} was made with key {record.key or '?'}, which is not in the file of keys"
            )
            return Finding(secret, Flaw.KEY, text, expected)
        if key.mac(covered(self._id, record, before.mac)) != record.mac:
            text = f"record {expected} is not as it was written, or not where it was written"
            return Finding(secret, Flaw.CHANGED, text, expected)
        if record.seq <= seq:
            text = f"record {number} stands before the one that it follows"
            return Finding(secret, Flaw.REORDERED, text, number)
        return None

    def _expected(self, records: Sequence[Record]) -> list[Head]:
        """The heads that anchors name, but for those that were lost before a person agreed to that.

        The agreement is a record of the chain itself: nobody makes one without the key.
        """
        agreed = next((found for one in reversed(records) if (found := _agreement(one))), None)
        macs = {record.number: record.mac for record in records}
        lost = [
            one.head
            for one in self.anchors
            if agreed and one.at <= agreed.at and macs.get(one.head.number) != one.head.mac
        ]
        if agreed and lost:
            self.agreed = replace(agreed, anchors=len(lost))
        expected = (one.head for one in self.anchors if one.head not in lost)
        return sorted(expected, key=lambda head: head.number)

    def _learn(self, records: Iterable[Record]) -> None:
        """Take the heads of the other chains from the ledger's own; the last one of each counts."""
        for record in records:
            for secret, (number, mac) in trail_of(record).get("heads", {}).items():
                self._pins[secret] = Head(number, mac)


def _agreement(record: Record) -> Agreed | None:
    """What a record tells, if it is that a person trusts a ledger which had lost records."""
    trail = trail_of(record)
    if trail.get("docs", {}).get(TRUSTED) is None:
        return None
    return Agreed(record.at, str(trail.get("by", "")), record.number)


# Whoever asks these has seen that the chain's links hold: its records are as they were written.


def _anew(chain: Chain) -> Finding | None:
    """Whether a chain began twice: a ledger that looks as if it had no chains gets MACs for what is in it."""
    began = [record.number for record in chain.records if trail_of(record).get("what") == "began"]
    if len(began) > 1:
        text = f"the chain was begun anew by record {began[1]}: what it then held was not verified"
        return Finding(chain.secret, Flaw.REWRITTEN, text, began[1])
    return None


def _missing(chain: Chain, known: Iterable[Head]) -> Finding | None:
    """Whether a record of which is known elsewhere is not in the chain."""
    macs = {record.number: record.mac for record in chain.records}
    last = len(macs)
    for head in known:
        if head.number > last:
            text = f"record {last + 1} and all after it are missing: there were {head.number} at least"
            return Finding(chain.secret, Flaw.CUT, text, last + 1)
        if macs.get(head.number) != head.mac:
            text = f"record {head.number} is not the one that is known elsewhere: the chain was rewritten"
            return Finding(chain.secret, Flaw.REWRITTEN, text, head.number)
    return None


def _end(chain: Chain) -> Finding | None:
    """Whether the chain ends where its secret's row says so."""
    last = chain.records[-1] if chain.records else None
    end = Head(last.number, last.mac) if last else START
    if chain.head is None:
        text = "there is no such secret in the ledger, but there is what is told of it elsewhere"
        return Finding(chain.secret, Flaw.DOCUMENT, text)
    if chain.head.number > end.number:
        text = f"record {end.number + 1} and all after it are missing: its secret counts {chain.head.number}"
        return Finding(chain.secret, Flaw.CUT, text, end.number + 1)
    if chain.head != end or last is None:
        text = f"its secret counts {chain.head.number} records, and there are {end.number}"
        return Finding(chain.secret, Flaw.HEAD, text, end.number or None)
    return None


def _documents(chain: Chain) -> Finding | None:
    """Whether the tables hold what the records say, and nothing else."""
    said: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for record in chain.records:
        docs = trail_of(record).get("docs", {})
        said |= docs
        numbers |= dict.fromkeys(docs, record.number)
    expected = {name: digest for name, digest in said.items() if digest is not None}
    for name in sorted({*expected, *chain.documents}):
        if expected.get(name) != chain.documents.get(name):
            text = f"{name} {_how(name, expected, chain.documents)}"
            return Finding(chain.secret, Flaw.DOCUMENT, text, numbers.get(name))
    return None


def _how(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> str:
    if name not in found:
        return "is gone from the ledger, and no record says so"
    if name not in expected:
        return "is in the ledger, and no record says how it came there"
    return "is not as it was last recorded: it was changed by hand, or by another program"
