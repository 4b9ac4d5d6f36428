"""What most commands begin with: the policies, the ledger, the log. Heavy parts are imported here, late."""

import getpass
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from rotator.cli.declaring import Impossible
from rotator.cli.options import NotDone, Options, Wrong
from rotator.errors import LedgerUnusable
from rotator.interfaces import Clock, Ledger
from rotator.model import Change

if TYPE_CHECKING:
    from rotator.policies import Book
    from rotator.telemetry.everybody import Everybody
    from rotator.wiring import Wiring

T = TypeVar("T")
CLAIM = timedelta(seconds=60)
LAST_WORDS = timedelta(seconds=3)  # for alarms that are not handed over yet
PATIENCE = 30.0  # seconds to wait for a worker that acts on the same secret
_PAUSE = 0.5


def log(options: Options, level: str = "warning") -> None:
    """Log on standard error, redacted: lines for people on a terminal, JSON anywhere else."""
    from rotator.telemetry import logs  # noqa: PLC0415

    logs.configure(options.log_level or level, json=not sys.stderr.isatty(), stream=sys.stderr)


def book(options: Options) -> "Book":
    """The policies. Raises PolicyError with everything that is wrong."""
    from rotator import policies  # noqa: PLC0415

    return policies.load(Path(options.policies))


@contextmanager
def world(
    options: Options,
    *,
    create: bool = True,
    level: str = "warning",
    opened: "Callable[[Callable[[], Wiring]], Wiring] | None" = None,
) -> Iterator["Wiring"]:
    """Everything outside; the ledger is made if there is none and ``create``.

    ``opened`` calls what opens it, for who waits where it is away. Raises LedgerUnusable, and NotDone where
    the ledger is away now.
    """
    from rotator.wiring import wire  # noqa: PLC0415

    log(options, level)
    with (opened or _at_once)(lambda: wire(options.ledger, create=create)) as wiring:
        yield wiring


def _at_once(opens: Callable[[], T]) -> T:
    """Open a ledger for a command: of one that is away now it says that nothing was done."""
    try:
        return opens()
    except LedgerUnusable as error:
        if not error.passing:
            raise
        raise NotDone(f"{error} Nothing was done; give the command again.") from None


@contextmanager
def reading(options: Options, *, tell: bool = False) -> Iterator[Ledger | None]:
    """The ledger, to be read only; None where there is none yet, and none is made. Raises LedgerUnusable.

    With ``tell`` standard error says that there is none: its path may be another than was meant.
    """
    from rotator import ledger as ledgers  # noqa: PLC0415
    from rotator.wiring import SystemClock  # noqa: PLC0415

    log(options)
    try:
        url = options.ledger or ledgers.default_url()
        ledger = _at_once(lambda: ledgers.open_ledger(url, SystemClock(), create=False))
    except LedgerUnusable as error:
        if not str(error).endswith("[missing]"):
            raise
        if tell:
            where = (options.ledger or ledgers.default_url()).removeprefix("sqlite:///")
            click.echo(
                f"There is no ledger at {where} yet; "
                "the first `rotator tick`, `daemon` or `run-now` makes it.",
                err=True,
            )
        yield None
        return
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def outside(options: Options) -> Iterator["Wiring"]:
    """Everything outside. Where there is no ledger yet, none is made: an empty one stands in for it."""
    with reading(options) as ledger:
        missing = ledger is None
    if not missing:
        with world(options, create=False) as wiring:
            yield wiring
        return
    from rotator.ledger import need_not_last  # noqa: PLC0415 - heavy parts come late

    with tempfile.TemporaryDirectory(prefix="rotator-") as folder:
        need_not_last(Path(folder))
        empty = Options(options.policies, f"sqlite:///{folder}/ledger.sqlite", options.log_level)
        with world(empty) as wiring:
            yield wiring


def heartbeat(options: Options) -> Path:
    """The file by which a worker shows that it lives: beside its ledger, or in the user's state folder."""
    return _beside(options, "heartbeat")


def anchors(options: Options) -> Path:
    """The file that anchors of the audit trail are appended to: as ROTATOR_AUDIT_ANCHOR says, or beside its
    ledger.
    """
    named = os.environ.get("ROTATOR_AUDIT_ANCHOR")
    return Path(named).expanduser() if named else _beside(options, "anchors")


def _beside(options: Options, what: str) -> Path:
    """A file beside the ledger, or in the user's state folder where that is no file."""
    scheme = "sqlite:///"
    address = (options.ledger or "").removeprefix(scheme)
    if not address or "://" in address:
        from rotator.ledger import default_url  # noqa: PLC0415 - a health check that needs it not is fast

        address = default_url().removeprefix(scheme)
    ledger = Path(address).expanduser().absolute()
    return ledger.with_name(f"{ledger.name}.{what}")


@contextmanager
def notifier(
    world: "Wiring", told_by: "Book", tick: timedelta = timedelta(minutes=1)
) -> Iterator["Everybody"]:
    """Who tells people, by the routes of the policies. Raises Wrong where SENTRY_DSN is not one."""
    from rotator import wiring  # noqa: PLC0415

    try:
        made = wiring.everybody(world, tick)
    except ValueError as error:
        raise Wrong(str(error)) from None
    try:
        made.use(told_by.notices, told_by.policies)
        yield made
    finally:
        made.flush(LAST_WORDS)
        made.close()


_PERSON: ContextVar[str | None] = ContextVar("person", default=None)


@contextmanager
def as_person(name: str) -> Iterator[None]:
    """For who asks in another way than by typing: ``name`` stands in the history."""
    before = _PERSON.set(name)
    try:
        yield
    finally:
        _PERSON.reset(before)


def person() -> str:
    """Who types: the name of the operating system's user."""
    named = _PERSON.get()
    if named is not None:
        return named
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return f"uid {os.getuid()}"


def change(ledger: Ledger, clock: Clock, secret_id: str, decide: Callable[[], Change]) -> None:
    """Write what ``decide`` answers, under a claim of our own, and make the secret due.

    Waits up to half a minute for a worker that acts on the secret; ``decide`` reads the records only once
    nobody else can change them. Raises NotDone, and Wrong for what ``decide`` finds Impossible.
    """
    holder = f"person {person()}-{os.getpid()}-{os.urandom(4).hex()}"
    end = clock.monotonic() + PATIENCE
    while (claim := ledger.claim(secret_id, holder, CLAIM)) is None:
        if clock.monotonic() >= end:
            raise NotDone("A worker is acting on this secret. Nothing was changed; try again in a minute.")
        clock.sleep(_PAUSE)
    try:
        ledger.commit(claim, decide())
    except Impossible as error:
        raise Wrong(str(error)) from None
    finally:
        ledger.release(claim, ledger.now())
