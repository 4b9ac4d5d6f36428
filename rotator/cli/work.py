"""``daemon``, ``tick``, ``health`` and ``demo``: the worker and its clocks."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator.cli import output, session
from rotator.cli.options import NotDone, Options, Wrong, duration, json_option

if TYPE_CHECKING:
    from rotator.run_pass import Worker
    from rotator.telemetry.everybody import Everybody

TICK = "15s"
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(hours=1)


def _tick_option(command: Callable[..., object]) -> Callable[..., object]:
    return click.option(
        "--tick",
        "beat",
        default=TICK,
        show_default=True,
        metavar="D",
        callback=duration,
        help="How often it looks.",
    )(command)


@click.command(
    short_help="Run the long-running worker.", epilog="Example: rotator --policies ./policies daemon"
)
@_tick_option
@click.pass_obj
def daemon(options: Options, beat: timedelta) -> int:
    """Run the long-running worker, until SIGTERM or Ctrl-C.

    It looks every --tick for what is due, and takes over changed policies by itself. Where its ledger's
    server is away when it starts, it waits. SIGTERM lets the effect in flight end; that takes less than a
    minute.
    """
    from jobs import signals  # noqa: PLC0415

    stop = signals.catch()  # before anything slow: a platform may end us while we start
    _in_bounds(beat)
    from jobs import daemon as clock  # noqa: PLC0415
    from jobs import waiting  # noqa: PLC0415
    from jobs.anchoring import Anchoring  # noqa: PLC0415
    from jobs.changes import WhenChanged  # noqa: PLC0415
    from jobs.harden import harden  # noqa: PLC0415
    from rotator.policies import stamp  # noqa: PLC0415
    from rotator.reconcile.daily import Daily  # noqa: PLC0415
    from rotator.run_pass import Worker  # noqa: PLC0415
    from rotator.wiring import holder  # noqa: PLC0415

    harden()
    # Looked at before the first reading: a change in between is taken over at the first tick.
    reload = WhenChanged(lambda: stamp(Path(options.policies)), lambda: _take_over(options, worker, tells))
    book, heartbeat = session.book(options), session.heartbeat(options)
    opened = partial(waiting.opened, stop=stop, heartbeat=heartbeat)
    try:
        with (
            session.world(options, level="info", opened=opened) as world,
            session.notifier(world, book, beat) as tells,
        ):
            worker = Worker(world, book, tells, holder=holder())
            return clock.run(
                worker,
                tick=beat,
                heartbeat=heartbeat,
                reload=reload,
                notifier=tells,
                clock=world.clock,
                anchoring=Anchoring(world.ledger, session.anchors(options), tells, world.clock),
                daily=Daily(world, lambda: worker.book.policies, holder()),
                stop=stop,
            )
    except waiting.Ended:
        return 0


def _take_over(options: Options, worker: "Worker", tells: "Everybody") -> None:
    """Work, and tell people, by the policies as they are now. Raises PolicyError, with nothing changed."""
    book = session.book(options)
    worker.use(book)
    tells.use(book.notices, book.policies)


@click.command(short_help="Make one pass over what is due, then end.", epilog="Example: rotator tick")
@click.pass_obj
def tick(options: Options) -> int:
    """Make one pass over what is due, then end: for cron, a Kubernetes CronJob, a scheduled task.

    The exit code is 1 if anything that this pass worked on failed or waits for a person. What is blocked is
    looked at again every five minutes to an hour; a pass in between does not count it.
    """
    from jobs import signals  # noqa: PLC0415

    stop = signals.catch()
    from jobs import tick as clock  # noqa: PLC0415
    from jobs.anchoring import Anchoring  # noqa: PLC0415
    from jobs.harden import harden  # noqa: PLC0415
    from rotator.reconcile.daily import Daily  # noqa: PLC0415
    from rotator.run_pass import Worker  # noqa: PLC0415
    from rotator.wiring import holder  # noqa: PLC0415

    harden()
    book = session.book(options)
    with session.world(options, level="info") as world, session.notifier(world, book) as tells:
        worker = Worker(world, book, tells, holder=holder())
        try:
            return clock.run(
                worker,
                notifier=tells,
                clock=world.clock,
                anchoring=Anchoring(world.ledger, session.anchors(options), tells, world.clock),
                daily=Daily(world, lambda: worker.book.policies, holder()),
                stop=stop,
            )
        finally:
            worker.close()


@click.command(
    short_help="For a container's health check: is the worker alive?", epilog="Example: rotator health"
)
@_tick_option
@json_option
@click.pass_obj
def health(options: Options, *, beat: timedelta, as_json: bool) -> int:
    """Tell by the exit code whether the daemon on this machine is alive: for a container's health check.

    Give the same --ledger and --tick as to the daemon. A worker that a person stopped (rotator stop) is
    alive; the sentence says so.
    """
    from jobs.heartbeat import healthy  # noqa: PLC0415

    _in_bounds(beat)
    good, why = healthy(session.heartbeat(options), beat)
    if as_json:
        output.document({"healthy": good, "why": why})
    else:
        click.echo(output.printable(why), err=not good)
    return 0 if good else 1


@click.command(short_help="Everything on this machine, in about a minute.", epilog="Example: rotator demo")
def demo() -> int:
    """Show everything on this machine in about a minute; nothing is installed and nothing is left behind."""
    try:
        from rotator.lab import demo as lab  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "rotator":
            raise
        raise NotDone(f"The demo needs {error.name}: pip install 'rotator[demo]'.") from None
    return int(lab.run() or 0)


def _in_bounds(beat: timedelta) -> None:
    if not SHORTEST <= beat <= LONGEST:
        raise Wrong("--tick takes a duration from 1s to 1h, such as 15s.")
