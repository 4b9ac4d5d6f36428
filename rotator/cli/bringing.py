"""``submit NAME``, carried out: take a person's credential in, then work until it is in service.

Until the store holds it nothing depends on this process: a kill loses nothing, since the person still has it.
From then on any worker goes on with it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from rotator import breaker
from rotator.cli import credentials, output, session
from rotator.cli.options import NotDone, Options, Wrong
from rotator.cli.ordering import GOES_ON, LOOK, look, stopped_by_signal, watch
from rotator.cli.overall import must_not_be_stopped
from rotator.cli.reading import read_one
from rotator.desk import Desk
from rotator.incident.coverage import Asked, Coverage, Outcome
from rotator.memory import Memory
from rotator.model import Credential, Phase, Policy, Provenance, Rotation
from rotator.owing import holds_same, run_again
from rotator.people import paused_until
from rotator.rotation import advance
from rotator.run_pass import CLAIM, Worker
from rotator.submitting import NOT_COMPARED, NotTaken, is_candidate, submit
from rotator.wiring import holder, misshapen, traits

if TYPE_CHECKING:
    from rotator.policies import Book
    from rotator.wiring import Wiring

_UNSEEN = timedelta(hours=1)  # in which a credential is brought again, since its submit was killed
STORING = 90.0  # seconds to try the store for, while the value is in this process alone


@dataclass(frozen=True, slots=True)
class Wish:
    """The policy that a credential is brought for, and how long to watch it come into service."""

    policy: Policy
    wait: timedelta
    watch: bool = True
    once_more: bool = False  # though logins of its account failed


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a credential, and what a person does next, where an old one is left to them."""

    outcome: Outcome
    after: str

    @property
    def done(self) -> bool:
        """Whether it is in service, or on its way where nobody waits."""
        return self.outcome.state in (Coverage.ROTATED, Coverage.WORKING)


def bring(options: Options, book: "Book", wish: Wish) -> Brought:
    """Read a credential, take it in, and work on with it; what became of it.

    Raises Wrong with nothing written, NotDone where the provider or the store did not take it, and the
    errors of either.
    """
    credential = _read(wish.policy)
    with session.world(options) as world, session.notifier(world, book) as tells:
        must_not_be_stopped(world.ledger)
        worker = Worker(world, book, tells, holder=holder())
        try:
            with stopped_by_signal(world):
                asked = Asked(at=_take(world, wish, credential), dead=False)
                if wish.watch:
                    watch(world, worker, wish.policy, asked, wish.wait)
                stopped = world.stopping()
        finally:
            worker.stop()
            worker.close()
        found = _judged(world, look(world.ledger, wish.policy, asked), wish)
        _not_compared(world, wish.policy, asked)
        brought = Brought(found, _next(world, wish.policy, found))
        worker.tell_alarms()
    if stopped:
        click.echo(GOES_ON, err=True)
    return brought


def _read(policy: Policy) -> Credential:
    """The credential that a person brings, in the right form; its values stay unseen."""
    declared = traits(policy.provider.type, policy.provider.kind)
    if declared.issues:
        raise Wrong(
            f"{policy.name} needs no person's key: its provider issues keys by API, so rotator does. "
            f"To rotate now: {run_again(policy)}"
        )
    fields = credentials.brought(declared.fields)
    wrong = misshapen(policy.provider, fields)
    if wrong is not None:
        raise Wrong(f"{wrong} Nothing was written.")
    return Credential(fields)


# --- taking it in ----------------------------------------------------------------------------------------


def _take(world: "Wiring", wish: Wish, credential: Credential) -> datetime:
    """Have it tried, written down and staged, under a claim of our own; from when on what happened counts."""
    policy, began = wish.policy, world.ledger.now()
    with _claimed(world, policy) as desk:
        pause = desk.orders().get("pause")
        known = read_one(world.ledger, policy.target.id)
        if pause is not None and paused_until(known, desk.now()) is not None:
            raise NotDone(
                f"{policy.name} is paused by {pause.by}, and nothing was written. "
                f"First: rotator resume {policy.name}"
            )
        left = _left_over(world, desk)
        if left is not None and is_candidate(desk, policy, credential, left):
            return began  # by an earlier submit, which was killed: it is in service now
        done = _done(desk, policy, credential)
        if done is not None:
            return done
        if wish.once_more:
            breaker.once_more(world.ledger, policy.target.id, breaker.PERSON)
        try:
            submit(desk, policy, credential, session.person())
        except NotTaken as error:
            raise NotDone(
                f"Not taken: {error} Nothing was written; the credential in service stays."
            ) from None
        _stored(world, desk, policy)
    return began


def _done(desk: Desk, policy: Policy, credential: Credential) -> datetime | None:
    """Since when an earlier submit, whose end nobody saw, has this very one in service; None if none has."""
    known = desk.state.current
    ours = known is not None and known.provenance is Provenance.ISSUED
    if known is None or not ours or desk.now() - known.since > _UNSEEN:
        return None
    stored = desk.store(policy).read(policy.target)
    if stored is None or stored.version != known.version:
        return None
    return known.since if holds_same(desk, policy, replace(stored, credential=credential), stored) else None


def _left_over(world: "Wiring", desk: Desk) -> Rotation | None:
    """An earlier submit was killed: the store holds its value, or nobody does, which takes a few looks.

    Its rotation, if it comes into service by that.
    """
    end = world.clock.monotonic() + session.PATIENCE
    before = world.ledger.rotation(desk.state.id)
    while before is not None and before.phase is Phase.ISSUED and not world.stopping():
        advance(desk, before)
        before = _last(desk)
        if before.phase is not Phase.ISSUED or world.clock.monotonic() >= end:
            return before if before.phase is Phase.PROMOTED else None
        world.clock.sleep(LOOK)
        world.ledger.renew(desk.claim)
    return None


@contextmanager
def _claimed(world: "Wiring", policy: Policy) -> Iterator[Desk]:
    """A desk for one secret. Waits up to half a minute for a worker that acts on it; raises NotDone."""
    ledger, clock = world.ledger, world.clock
    name = f"person-{os.getpid()}-{os.urandom(4).hex()}"
    end = clock.monotonic() + session.PATIENCE
    while (claim := ledger.claim(policy.target.id, name, CLAIM)) is None:
        if clock.monotonic() >= end:
            raise NotDone("A worker is acting on this secret. Nothing was written; try again in a minute.")
        clock.sleep(LOOK)
    state = ledger.secret(policy.target.id)
    assert state is not None, "the worker has enrolled it"
    try:
        yield Desk(world, Memory(), claim, state)
    finally:
        ledger.release(claim, ledger.now())


def _stored(world: "Wiring", desk: Desk, policy: Policy) -> None:
    """Until the store holds it, its value is in this process alone: try while there is hope."""
    end = world.clock.monotonic() + STORING
    last = _last(desk)
    while last.phase is Phase.ISSUED and not world.stopping() and world.clock.monotonic() < end:
        world.clock.sleep(LOOK)
        world.ledger.renew(desk.claim)
        advance(desk, last)
        last = _last(desk)
    if last.phase is Phase.ISSUED or (last.phase is Phase.PLANNED and last.attempt.number == 1):
        raise NotDone(
            f"{policy.target.store.name} did not take it ({last.error or 'stopped'}). The credential in "
            f"service stays. Once the store answers: rotator submit {policy.name}, with the same credential."
        )


def _last(desk: Desk) -> Rotation:
    """The rotation that took the credential in, ended or not."""
    return desk.world.ledger.rotations(desk.state.id, 1)[0]


# --- what became of it -----------------------------------------------------------------------------------


def _judged(world: "Wiring", found: Outcome, wish: Wish) -> Outcome:
    """The outcome for the person who brought it: one that was given up is not "waiting"."""
    last = world.ledger.rotations(wish.policy.target.id, 1)[0]
    if last.phase is Phase.PLANNED and last.error is not None:
        why = (
            f"it was given up ({last.error}); the credential in service stays. "
            f"See rotator history {wish.policy.name}"
        )
        return replace(found, state=Coverage.FAILED, why=why)
    if found.state is Coverage.WORKING and wish.watch:
        why = f"the store holds it, not in service yet ({found.why}); the daemon or `rotator tick` goes on"
        return replace(found, state=Coverage.UNCOVERED, why=why)
    return found


def _not_compared(world: "Wiring", policy: Policy, asked: Asked) -> None:
    """Tell the person where nobody could see whether both credentials belong to one account."""
    for event in world.ledger.events(policy.target.id, 20):
        if event.kind == NOT_COMPARED and event.at is not None and event.at >= asked.at:
            click.echo(f"{policy.name}: {event.text}. See that it is the right one.", err=True)


def _next(world: "Wiring", policy: Policy, found: Outcome) -> str:
    """What a person does once the grace is over; nothing, where no old credential is left to end."""
    owed = any(debt.reason.of_service for debt in world.ledger.debts(policy.target.id))
    if found.state is Coverage.WORKING or (found.state is Coverage.ROTATED and owed):
        return traits(policy.provider.type, policy.provider.kind).todo_revoke
    return ""


def told(brought: Brought, policy: Policy, *, as_json: bool) -> int:
    """The closing sentences; 0 if it is in service, or on its way where nobody waits."""
    found, after = brought.outcome, brought.after
    if as_json:
        output.document({"policy": policy.name, "outcome": found, "next": after or None})
    else:
        click.echo(output.printable(_sentence(found, policy)))
        if after:
            click.echo(f"What comes next: once its grace is over a person revokes the old one. {after}")
    return 0 if brought.done else 1


def _sentence(found: Outcome, policy: Policy) -> str:
    match found.state:
        case Coverage.ROTATED:
            return f"{policy.name}: credential {found.key_id or ''} is in service; {found.why}."
        case Coverage.WORKING:
            return f"{policy.name}: the store holds it ({found.why}). The daemon or `rotator tick` goes on."
        case _:
            return f"{policy.name}: {found.state}: {found.why}"
