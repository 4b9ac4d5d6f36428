"""``rotator demo``: the real daemon against local providers and a local Secrets Manager, for a minute.

Nothing in the worker knows of the demo. What goes wrong in it is done by a local provider, which grants a
key more than was asked; the incident is an ordinary ``run-now``, typed by the demo instead of a person.
"""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.lab import FatTail, LocalKey, Widen, closing
from rotator.lab.cast import CAST, FAILS, LEAKED, TWICE, Part, provider_of
from rotator.lab.closing import Finding
from rotator.lab.scene import Command, Scene, ours
from rotator.lab.screen import Row, Screen
from rotator.ledger import open_ledger
from rotator.model import DebtReason, Event
from rotator.people import Known, stands
from rotator.wiring import SystemClock

LONGEST = 150.0  # seconds, after which something is wrong
_LOOK = 0.25
_REASON = "seen in a public repository"
_OPENING = """\
Five policies, three local providers, a local Secrets Manager, all on this machine, for about a minute.
You will see keys issued, verified, promoted, in grace, revoked and proven dead; a key that its provider
grants too much, which is rolled back; and a key that leaked, replaced by `rotator run-now`.
"""


def run(console: Console | None = None) -> int:
    """Play the demo; 0 if everything came out as it had to, 1 if not or if it was interrupted."""
    console = console or Console()
    with _terminable():
        try:
            console.print(_OPENING, highlight=False)
            with Scene() as scene, _telling(console):
                return _Play(scene, console).run()
        except KeyboardInterrupt:
            console.print("Stopped. Nothing is left behind.")
            return 1


@contextmanager
def _telling(console: Console) -> Iterator[None]:
    """Say why Ctrl-C is not obeyed at once."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopping: what is in flight comes to its end first. Ctrl-C again: it does not.")
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that it takes its processes with it."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Play:
    """What happens, in its order; each look does what has become possible."""

    def __init__(self, scene: Scene, console: Console) -> None:
        self.scene = scene
        self.console = console
        self.began = datetime.now(UTC)
        self.seen = 0
        self.happened: dict[str, list[Event]] = {part.policy: [] for part in CAST}
        self.adopting: dict[str, Command] = {}
        self.told: set[int] = set()
        self.incident: Command | None = None
        self.calm_at: float | None = None

    def run(self) -> int:
        """From the first tick to the closing table."""
        too_much = Widen({"scopes": ["read", "trade", "admin"]}, quiet=True)
        self.scene.lab.fattail.fail_next(FatTail.ISSUE, too_much, body=FAILS)
        with Screen(self.console, [part.policy for part in CAST]) as screen:
            screen.say("$ rotator daemon --tick 1s")
            daemon = self.scene.command("daemon", "--tick", "1s")
            ledger = self._opened(daemon)
            if ledger is None:
                return self._failed("The daemon did not start.", daemon)
            try:
                ended = self._watch(screen, ledger, daemon)
                daemon.end()
                self._news(screen, ledger)
            finally:
                ledger.close()
        if not ended:
            return self._failed("The demo did not come to its end.", daemon)
        return self._close(daemon)

    def _opened(self, daemon: Command) -> Ledger | None:
        """The daemon's ledger, as soon as there is one."""
        until = time.monotonic() + 30
        while time.monotonic() < until and daemon.code is None:
            try:
                return open_ledger(self.scene.ledger_url, SystemClock(), create=False)
            except LedgerUnusable:
                time.sleep(_LOOK)
        return None

    def _failed(self, why: str, daemon: Command) -> int:
        self.console.print(f"{why} The end of its log:", style="bold red")
        for line in daemon.text().splitlines()[-15:]:
            self.console.print(f"  {line}", highlight=False, markup=False)
        return 1

    # --- watching ----------------------------------------------------------------------------------------

    def _watch(self, screen: Screen, ledger: Ledger, daemon: Command) -> bool:
        """Look, and act, until everything is at rest; False if the daemon ended or it took too long."""
        while screen.seconds < LONGEST and daemon.code is None:
            known = self._known(ledger)
            self._news(screen, ledger)
            screen.show([self._row(part, known.get(part.policy)) for part in CAST])
            self._adopt(screen)
            self._leak(screen)
            self._quote(screen)
            if self._calm(screen) and _at_rest(known):
                return True
            time.sleep(_LOOK)
        return False

    def _known(self, ledger: Ledger) -> Mapping[str, Known]:
        """What the ledger knows, by policy."""
        return {
            state.policy: Known(
                state=state,
                looks_at=looks_at,
                rotation=ledger.rotation(state.id),
                debts=tuple(ledger.debts(state.id)),
                orders=ledger.orders(state.id),
            )
            for state, looks_at in list(ledger.secrets())
        }

    def _news(self, screen: Screen, ledger: Ledger) -> None:
        for event in reversed(ledger.events(limit=100)):
            if event.seq > self.seen:
                self.seen = event.seq
                self.happened.setdefault(event.data.get("policy", ""), []).append(event)
                screen.event(event)

    def _row(self, part: Part, known: Known | None) -> Row:
        made = provider_of(part, self.scene.lab).keys("api", "initial")
        keys = [key for key in made if ours(key, part)]
        live = [(key.key_id, _role(key, known)) for key in keys if key.live]
        now = datetime.now(UTC)
        where = stands(known, now) if known else "not taken on yet"
        return Row(part.policy, part.provider, where, live, sum(not key.live for key in keys))

    def _times(self, policy: str, kind: str) -> int:
        """How often something has happened to a policy."""
        return sum(event.kind == kind for event in self.happened[policy])

    # --- acting ------------------------------------------------------------------------------------------

    def _adopt(self, screen: Screen) -> None:
        """A person tells whose the keys are that were there before; otherwise they are never revoked."""
        for part in CAST:
            if (
                part.before == "key"
                and part.policy not in self.adopting
                and self._times(part.policy, "taken-on")
            ):
                words = ("adopt", part.policy, "--key-id", self.scene.initial_key(part))
                self.adopting[part.policy] = self._type(screen, *words)

    def _leak(self, screen: Screen) -> None:
        """The incident: once its key is known to be ours, and the failed rotation was seen."""
        adopted = self.adopting.get(LEAKED)
        if self.incident is None and adopted and adopted.code == 0:
            screen.say(f"The key of {LEAKED} was {_REASON}. It must die now:")
            self.incident = self._type(
                screen, "run-now", LEAKED, "--revoke-now", "--reason", _REASON, "--yes"
            )

    def _type(self, screen: Screen, *words: str) -> Command:
        typed = self.scene.command(*words)
        screen.say(f"$ {typed.line}")
        return typed

    def _quote(self, screen: Screen) -> None:
        """Show what a command printed, once it has ended."""
        for command in [*self.adopting.values(), *([self.incident] if self.incident else [])]:
            if command.code is not None and command.process.pid not in self.told:
                self.told.add(command.process.pid)
                screen.say(f"{command.line.split(' --')[0]}: exit code {command.code}")
                screen.quote(command.text())

    def _calm(self, screen: Screen) -> bool:
        """Once all have rotated, let nothing more fall due; whether the worker has had time to notice."""
        if self.calm_at is None and self._all_rotated():
            screen.say("All have rotated. The policy file now says every: 30d; the daemon takes it over.")
            self.scene.calm()
            self.calm_at = screen.seconds
        return self.calm_at is not None and screen.seconds > self.calm_at + 3

    def _all_rotated(self) -> bool:
        rotated = all(self._times(part.policy, "promoted") for part in CAST)
        ended = self.incident is not None and self.incident.code is not None
        return rotated and ended and self._times(TWICE, "promoted") > 1 and self._times(FAILS, "given-up") > 0

    # --- closing -----------------------------------------------------------------------------------------

    def _close(self, daemon: Command) -> int:
        ledger = open_ledger(self.scene.ledger_url, SystemClock(), create=False)
        try:
            rolled = [debt for debt in ledger.debts(ended=True) if debt.reason is DebtReason.ABANDONED]
            more = [
                Finding("the key that could do too much was rolled back and is dead", bool(rolled)),
                Finding(
                    "the incident's command says that all is covered",
                    self.incident is not None and self.incident.code == 0,
                ),
                Finding(
                    "the daemon ended by itself when asked", daemon.code == 0, f"exit code {daemon.code}"
                ),
            ]
            good = closing.show(self.console, self.scene, ledger, self.began, more)
        finally:
            ledger.close()
        self.console.print(
            "Everything came out as it had to." if good else "Something did not come out.", style="bold"
        )
        return 0 if good else 1


def _role(key: LocalKey, known: Known | None) -> str:
    """For what a live key is there, as the ledger knows it."""
    if known is None:
        return "unknown"
    if known.state.current and known.state.current.key_id == key.key_id:
        return "current"
    if known.rotation and known.rotation.attempt.key_id == key.key_id:
        return "new"
    return "must die" if any(debt.key_id == key.key_id for debt in known.debts) else "unknown"


def _at_rest(known: Mapping[str, Known]) -> bool:
    """Whether no rotation is under way and no key must die."""
    return len(known) == len(CAST) and not any(one.rotation or one.debts for one in known.values())


__all__ = ["run"]
