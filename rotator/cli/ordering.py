"""Carrying out a person's order: wave by wave, until every secret is covered or cannot be.

The orders are in the ledger, and so is the incident: whoever is killed goes on with the same command, and a
daemon beside it works the same orders.
"""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from rotator.cli import session
from rotator.cli.exporting import made_of
from rotator.cli.giving import Wish, end_beside, give
from rotator.cli.options import Options
from rotator.cli.overall import GO_ON, must_not_be_stopped
from rotator.cli.planning import provider_calls, traits_of
from rotator.cli.progress import Progress
from rotator.cli.reading import blocked_providers, paused_providers, read_one, read_some
from rotator.incident import record
from rotator.incident.coverage import Asked, Coverage, Outcome, outcome
from rotator.incident.record import Incident
from rotator.incident.report import Found, Report, report
from rotator.incident.waves import STUCK, Member, Standing, members, turn, width
from rotator.interfaces import Clock, Ledger
from rotator.model import Order, Policy, locked_out
from rotator.people import Known, ProviderBlock
from rotator.stopping import sentence, stop_of

if TYPE_CHECKING:
    from rotator.policies import Book
    from rotator.run_pass import Worker
    from rotator.wiring import Wiring

LOOK = 0.5  # seconds between passes
_REST = 4  # times as long as a look at all that is under way took, until the next: the work is to go on
_TELL = 5.0  # seconds between two times that people are told what waits for them
GOES_ON = "Stopped between effects. The orders stand: the daemon, or the same command again, goes on."
_ALL = 1_000  # rotations of one secret
_FEW = 20  # of which the last one that brought a key, or failed to, is surely one


def carry_out(options: Options, book: "Book", wish: Wish) -> tuple[Report, str]:
    """Give the orders, work until each has an outcome; what came of it, in the order of the wish, and why it
    ended before its time, or nothing.
    """
    from rotator.run_pass import Worker  # noqa: PLC0415 - the whole machine
    from rotator.wiring import holder  # noqa: PLC0415

    with session.world(options) as world, session.notifier(world, book) as tells:
        must_not_be_stopped(world.ledger)
        worker = Worker(world, book, tells, holder=holder())
        incident = _incident(world, wish)
        going = _Going(world, worker, wish, incident)
        try:
            with stopped_by_signal(world), Progress(len(wish.policies)) as progress:
                going.on(progress)
                stopped, halt = world.stopping(), stop_of(world.ledger)
        finally:
            worker.stop()
            worker.close()
        told = reported(world.ledger, incident, wish.policies, going.ended())
        if told.rotated and set(incident.secrets) <= {policy.target.id for policy in wish.policies}:
            told = replace(told, incident=record.covered(world.ledger, incident))
        worker.tell_alarms()
    return told, _halted(halt) if halt else GOES_ON if stopped else ""


def _halted(stop: Order) -> str:
    """What is said where somebody stopped everything meanwhile."""
    return f"{sentence(stop)} The orders stand. First: {GO_ON}; then the same command goes on."


def _incident(world: "Wiring", wish: Wish) -> Incident:
    """The incident that this command begins, or goes on with."""
    asked = Incident(
        id=record.fresh_id(world.random_hex()),
        by=session.person(),
        reason=wish.reason,
        at=world.ledger.now(),
        secrets=tuple(policy.target.id for policy in wish.policies),
        grace=wish.grace,
        revoke_first=wish.revoke_first,
        leaked=wish.leaked,
        besides=wish.besides,
        issued_before=wish.issued_before,
        choice=wish.choice,
    )
    incident = record.begin(world.ledger, asked)
    if incident.id != asked.id:
        click.echo(f"Going on with incident {incident.id}, begun {incident.at:%Y-%m-%d %H:%M:%S}Z.", err=True)
    return incident


def in_use_before(ledger: Ledger, policies: Sequence[Policy], incident: Incident) -> dict[str, Outcome]:
    """How those secrets stand, by id, that had a new key in use since an incident began."""
    by_id = {policy.target.id: policy for policy in policies}
    found = {
        key: _outcome(ledger, by_id[key], known, incident.asks(key))
        for key, known in read_some(ledger, list(by_id)).items()
    }
    return {key: one for key, one in found.items() if one.key_id is not None}


def reported(
    ledger: Ledger, incident: Incident, policies: Sequence[Policy], outcomes: Mapping[str, Outcome]
) -> Report:
    """The report of an incident, by the ledger's records; outcomes by the policy's name."""
    found = [
        Found(
            policy,
            outcomes[policy.name],
            ledger.rotations(policy.target.id, _ALL),
            ledger.debts(policy.target.id, ended=True),
            made_of(ledger, policy.target.id),
        )
        for policy in policies
    ]
    return report(incident, found, ledger.now())


def everybody(policies: Sequence[Policy]) -> tuple[Member, ...]:
    """The policies as the waves see them: how many of each account may be under way at once."""
    from rotator.wiring import pace  # noqa: PLC0415 - as heavy as the adapters

    peers: dict[str, int] = {}
    for policy in policies:
        peers[policy.provider.principal] = peers.get(policy.provider.principal, 0) + 1
    widths: dict[str, int] = {}
    for policy in policies:
        traits = traits_of(policy.provider)
        account = policy.provider.principal
        most = width(traits, pace(policy.provider), provider_calls(traits), peers[account])
        widths[account] = min(most, widths.get(account, most))
    return members(policies, widths)


# --- going on --------------------------------------------------------------------------------------------


class _Going:
    """One run of a command over an incident."""

    def __init__(self, world: "Wiring", worker: "Worker", wish: Wish, incident: Incident) -> None:
        self._world = world
        self._worker = worker
        self._wish = wish
        self._incident = incident
        self._from = world.ledger.now()
        self._members = everybody(wish.policies)
        self._by_id = {policy.target.id: policy for policy in wish.policies}
        self._outcomes: dict[str, Outcome] = {}  # by secret, of those that ended
        self._since: dict[str, float] = {}  # by secret, when it was ordered here
        self._begun = {*end_beside(world, wish)}  # all that was ordered: one may make another due again
        self._spared: set[str] = set()  # of those: a person must act, and the old key lives
        self._seen: dict[str, Outcome] = {}  # of those under way, as they were seen last
        self._look_at = 0.0  # when they are looked at again
        self._tells = Tells(worker, world.clock)
        if incident.at < world.ledger.now():
            self._done_before()

    def ended(self) -> dict[str, Outcome]:
        """The outcome of each policy, by name, when nobody watches any more."""
        return {policy.name: self._final(policy) for policy in self._wish.policies}

    def on(self, progress: Progress) -> None:
        """Order and work until each secret has an outcome, a person stops us, or the wait is over."""
        clock = self._world.clock
        end = clock.monotonic() + self._wish.wait.total_seconds()
        while not self._world.stopping() and clock.monotonic() < end and not stop_of(self._world.ledger):
            self._order()
            self._worker.run_pass(only=self._begun)
            self._tells.now_and_then()
            self._look()
            progress.show([*self._outcomes.values(), *self._seen.values()])
            if len(self._outcomes) == len(self._members) or self._in_vain():
                return
            clock.sleep(LOOK)

    def _order(self) -> None:
        """Give the next orders."""
        blocked, paused = self._blocked(), self._paused()
        wish, standing = self._wish, self._standing({**blocked, **paused})
        now = turn(self._members, standing, few=not wish.revoke_first, at_once=bool(wish.leaked))
        for policy in now.orders:
            refused = give(self._world, policy, self._wish)
            if refused is not None:
                self._outcomes[policy.target.id] = refused
            else:
                self._since[policy.target.id] = self._world.clock.monotonic()
                self._begun.add(policy.target.id)
        for account, policies in now.given_up.items():
            state, why = _not_begun(blocked.get(account), paused.get(account))
            for policy in policies:
                self._outcomes[policy.target.id] = Outcome(policy.name, state, why)

    def _blocked(self) -> Mapping[str, ProviderBlock]:
        """The accounts that wait for a person, as what was begun here has met: none from before counts."""
        ended = self._outcomes.keys() & self._begun
        met = {self._by_id[key].provider.principal for key in ended}
        found = blocked_providers(self._world.ledger)
        return {account: block for account, block in found.items() if account in met}

    def _paused(self) -> Mapping[str, ProviderBlock]:
        """The accounts that fail: not by what was met before, since a person's order has them tried."""
        return paused_providers(self._world.ledger, self._from)

    def _standing(self, failing: Mapping[str, object]) -> Standing:
        now = self._world.clock.monotonic()
        known = {**self._seen, **self._outcomes}
        in_use = {key for key, one in known.items() if one.key_id is not None}
        waits = self._since.keys() - in_use  # an old key that will not die holds up no other secret
        under_way = {key: timedelta(seconds=now - self._since[key]) for key in waits}
        missed = self._outcomes.keys() - in_use
        failed = missed & self._begun
        lost = failed & self._wish.contain - self._spared
        return Standing(in_use, missed, under_way, failing, failed, lost)

    def _look(self) -> None:
        """How those under way stand, by the ledger: whoever carries them out."""
        began = self._world.clock.monotonic()
        if began < self._look_at:
            return
        self._seen = {}
        for key, known in read_some(self._world.ledger, list(self._since)).items():
            found = _outcome(self._world.ledger, self._by_id[key], known, self._incident.asks(key))
            self._seen[key] = found
            if found.ended:
                self._outcomes[key] = self._seen.pop(key)
                del self._since[key]
                if found.state is Coverage.WAITING and not locked_out(known.state, known.debts):
                    self._spared.add(key)
        ended = self._world.clock.monotonic()
        self._look_at = ended + _REST * (ended - began)

    def _done_before(self) -> None:
        """Where a new key is in use since the incident began no other one is ordered, whatever the old one
        waits for.
        """
        softer = self._softer()
        for key, found in in_use_before(self._world.ledger, self._wish.policies, self._incident).items():
            self._begun.add(key)
            if key in softer:
                harder = replace(self._wish, issued_before=softer[key])
                refused = give(self._world, self._by_id[key], harder)
                found = refused or replace(found, state=Coverage.WORKING)  # noqa: PLW2901 - as it is now
            if found.ended:
                self._outcomes[key] = found
            else:
                self._since[key] = self._world.clock.monotonic()

    def _softer(self) -> dict[str, datetime]:
        """By secret whose old key another order let live for longer than this one, when its new one was
        issued: that one stays.
        """
        least, now, found = self._incident.grace, self._world.ledger.now(), {}
        for key, known in read_some(self._world.ledger, list(self._by_id)).items():
            issued, asked = known.state.issued_at, self._incident.asks(key)
            ends = [debt for debt in known.debts if asked.ends(debt) and debt.not_before is not None]
            late = [debt.grace for debt in ends if debt.not_before and debt.not_before > now]
            if issued is not None and least is not None and max(late, default=least) > least:
                found[key] = issued
        return found

    def _in_vain(self) -> bool:
        """Whether all that is left is under way at accounts that fail: their orders stand."""
        failing, now = self._paused(), self._world.clock.monotonic()
        left = [one for one in self._members if one.id not in self._outcomes]
        tried = now - STUCK.total_seconds()
        return all(one.account in failing and self._since.get(one.id, now) <= tried for one in left)

    def _final(self, policy: Policy) -> Outcome:
        """What still goes on when nobody watches is not covered."""
        key = policy.target.id
        if key in self._outcomes:
            return self._outcomes[key]
        stop = stop_of(self._world.ledger)
        if key in self._since:
            return final(look(self._world.ledger, policy, self._incident.asks(key)), stop)
        first = f"{sentence(stop)} First: {GO_ON}; then " if stop else ""
        return Outcome(policy.name, Coverage.UNCOVERED, f"not begun: {first}give the same command again")


def _not_begun(blocked: ProviderBlock | None, paused: ProviderBlock | None) -> tuple[Coverage, str]:
    """Why an account gets no more orders, and whether a person must act there."""
    if blocked is not None:
        why = f"not begun: {blocked.reason} To do: {blocked.todo}; then the same command"
        return Coverage.WAITING, why
    cause = paused.reason if paused else "the first key that died there has no successor yet."
    return Coverage.UNCOVERED, f"not begun: {cause} To do: once that is mended, give the same command again"


# --- telling people --------------------------------------------------------------------------------------


class Tells:
    """Has people told of alarms while a command waits: who must act should not hear of it at its end."""

    def __init__(self, worker: "Worker", clock: Clock) -> None:
        self._worker, self._clock = worker, clock
        self._last = clock.monotonic()

    def now_and_then(self) -> None:
        """Tell them, unless that was done a moment ago."""
        now = self._clock.monotonic()
        if now - self._last >= _TELL:
            self._worker.tell_alarms()
            self._last = now


# --- watching one ----------------------------------------------------------------------------------------


def watch(world: "Wiring", worker: "Worker", policy: Policy, asked: Asked, wait: timedelta) -> None:
    """Make passes over one secret until it has an outcome, a person stops us, or the wait is over."""
    end, tells = world.clock.monotonic() + wait.total_seconds(), Tells(worker, world.clock)
    with Progress(1) as progress:
        while not world.stopping() and world.clock.monotonic() < end:
            worker.run_pass(only={policy.target.id})
            tells.now_and_then()
            found = look(world.ledger, policy, asked)
            progress.show([found])
            if found.ended:
                return
            world.clock.sleep(LOOK)


def look(ledger: Ledger, policy: Policy, asked: Asked) -> Outcome:
    """How the order for one policy stands, by the ledger: whoever carries it out."""
    known = read_one(ledger, policy.target.id)
    assert known is not None, "a secret is never forgotten"
    return _outcome(ledger, policy, known, asked)


def _outcome(ledger: Ledger, policy: Policy, known: Known, asked: Asked) -> Outcome:
    from rotator.submitting import NOT_TAKEN  # noqa: PLC0415 - the whole machine

    every = ledger.rotations(policy.target.id, _ALL if asked.covered_at else _FEW)
    rotations = [one for one in every if one.error != NOT_TAKEN and not one.drill]
    debts = ledger.debts(policy.target.id, ended=True)
    return outcome(policy, known, rotations, debts, asked=asked, now=ledger.now())


def final(one: Outcome, stop: Order | None = None) -> Outcome:
    """The outcome when nobody watches any more: what still goes on is not covered; ``stop`` holds it."""
    if one.ended:
        return one
    held = f". {sentence(stop)} First: {GO_ON}" if stop else ""
    return replace(one, state=Coverage.UNCOVERED, why=f"not done yet ({one.why}); the order stands{held}")


@contextmanager
def stopped_by_signal(world: "Wiring") -> Iterator[None]:
    """From the first Ctrl-C or SIGTERM on no new effect begins. The handler sets a flag, and nothing else."""

    def stop(*_: object) -> None:
        world.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
