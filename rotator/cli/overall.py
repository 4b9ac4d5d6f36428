"""What holds every policy at once: shown before anything else."""

from dataclasses import dataclass
from datetime import datetime

import click

from rotator import budgets
from rotator.cli import output
from rotator.cli.options import NotDone
from rotator.interfaces import Ledger
from rotator.model import Order
from rotator.stopping import sentence, stop_of

GO_ON = "rotator resume --all"


@dataclass(frozen=True, slots=True)
class Overall:
    """A person's stop, and until when keys that the schedule lets die wait for their turn; None: neither."""

    stopped: Order | None = None
    revocations_held_until: datetime | None = None


def overall(ledger: Ledger | None) -> Overall:
    """What holds every policy now."""
    if ledger is None:
        return Overall()
    return Overall(stop_of(ledger), budgets.revocations_free_at(ledger))


def show(found: Overall, now: datetime) -> None:
    """Say it, if there is something to say."""
    if found.stopped is not None:
        click.echo(f"{output.printable(sentence(found.stopped))} -> {GO_ON}")
    if found.revocations_held_until is not None:
        most, until = budgets.ALL_REVOCATIONS[0].most, output.moment(found.revocations_held_until, now)
        click.echo(f"Revocations by schedule wait until {until}: {most} keys died within an hour.")


def must_not_be_stopped(ledger: Ledger) -> None:
    """Raises NotDone where a person stopped everything: nothing overrides that."""
    stop = stop_of(ledger)
    if stop is not None:
        raise NotDone(f"{output.printable(sentence(stop))} Nothing was done. First: {GO_ON}")
