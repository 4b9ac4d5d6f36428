"""``rotator demo``: the real daemon against five local providers and two local stores, for a minute.

Nothing in the worker knows of the demo. What goes wrong in it is done by a local provider, which grants a
key more than was asked; what a person does is done by :mod:`rotator.lab.person`, by ordinary commands.
"""

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.lab import FatTail, Widen, closing
from rotator.lab.cast import CAST, FAILS, STAYS, TOKENS, TWICE, Part, part_of
from rotator.lab.person import Person
from rotator.lab.scene import Command, OurKey, Scene
from rotator.lab.screen import Row, Screen
from rotator.ledger import open_ledger
from rotator.model import Event
from rotator.people import Known, stands
from rotator.wiring import SystemClock

LONGEST = 180.0  # seconds, after which something is wrong
_LOOK = 0.25
_WIDTH = 100  # where there is no terminal to ask
_OPENING = """\
Nine policies, five local providers, a local Secrets Manager, a local Vault with half of the secrets:
all on this machine, for about a minute. You will see
  - keys issued, verified, promoted, in grace, revoked and proven dead
  - a key that its provider grants too much, which is rolled back
  - a key that leaked, replaced by `rotator run-now`
  - a key that only a person can issue, asked for, and brought by `rotator submit`
  - tokens that are renewed before they expire
"""


def run(console: Console | None = None) -> int:
    """Play the demo; 0 if everything came out as it had to, 1 if not or if it was interrupted."""
    console = console or (Console() if sys.stdout.isatty() else Console(width=_WIDTH))
    with _terminable():
        try:
            console.print(_OPENING, highlight=False, soft_wrap=True)
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
        self.long_lives = False
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
            person = Person(self.scene, screen)
            try:
                ended = self._watch(screen, ledger, daemon, person)
                daemon.end()
                self._news(screen, ledger)
            finally:
                ledger.close()
        if not ended:
            return self._failed("The demo did not come to its end.", daemon)
        return self._close(daemon, person)

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

    def _watch(self, screen: Screen, ledger: Ledger, daemon: Command, person: Person) -> bool:
        """Look, and act, until everything is at rest; False if the daemon ended or it took too long."""
        while screen.seconds < LONGEST and daemon.code is None:
            known = self._known(ledger)
            self._news(screen, ledger)
            screen.show([self._row(part, known.get(part.policy)) for part in CAST])
            person.act(self.happened)
            self._lengthen(screen)
            if self._calm(screen, person) and _at_rest(known):
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
                policy = event.data.get("policy", "")
                self.happened.setdefault(policy, []).append(event)
                screen.event(event)
                if event.kind == "promoted" and part_of(policy) in TOKENS:
                    self.scene.note_token(part_of(policy), event.data.get("key_id", ""))

    def _row(self, part: Part, known: Known | None) -> Row:
        keys = self.scene.keys(part)
        live = [(one.name, _role(one, known, part)) for one in keys if one.key.live]
        now = datetime.now(UTC)
        where = stands(known, now) if known else "not taken on yet"
        return Row(part.policy, part.provider, part.store, where, live, len(keys) - len(live))

    def _times(self, policy: str, kind: str) -> int:
        """How often something has happened to a policy."""
        return sum(event.kind == kind for event in self.happened[policy])

    # --- the end's beginning ------------------------------------------------------------------------------

    def _lengthen(self, screen: Screen) -> None:
        """Once tokens have been renewed, let them live as long as the real ones do."""
        if not self.long_lives and all(self._times(part.policy, "promoted") > 1 for part in TOKENS):
            screen.say(
                "Tokens were renewed. From now on the local providers' tokens live for an hour or two."
            )
            self.scene.lab.figure.lifetime, self.scene.lab.fintechstudios.lifetime = 7200.0, 3600.0
            self.long_lives = True

    def _calm(self, screen: Screen, person: Person) -> bool:
        """Once all have rotated, let nothing more fall due; whether the worker has had time to notice."""
        if self.calm_at is None and self.long_lives and person.done and self._all_rotated():
            screen.say("All have rotated. The policy file now says every: 30d; the daemon takes it over.")
            self.scene.calm()
            self.calm_at = screen.seconds
        return self.calm_at is not None and screen.seconds > self.calm_at + 3

    def _all_rotated(self) -> bool:
        rotated = all(self._times(part.policy, "promoted") for part in CAST if part.policy != STAYS)
        return rotated and self._times(TWICE, "promoted") > 1 and self._times(FAILS, "given-up") > 0

    # --- closing -----------------------------------------------------------------------------------------

    def _close(self, daemon: Command, person: Person) -> int:
        ledger = open_ledger(self.scene.ledger_url, SystemClock(), create=False)
        try:
            more = closing.course(ledger, daemon, person)
            good = closing.show(self.console, self.scene, ledger, self.began, more)
        finally:
            ledger.close()
        self.console.print(
            "Everything came out as it had to." if good else "Something did not come out.", style="bold"
        )
        return 0 if good else 1


def _role(one: OurKey, known: Known | None, part: Part) -> str:
    """For what a live key is there, as the ledger knows it."""
    if known is None:
        return "unknown"
    if known.state.current and known.state.current.key_id == one.name:
        return "current"
    if known.rotation and known.rotation.attempt.key_id == one.name:
        return "new"
    if any(debt.key_id == one.name for debt in known.debts):
        return "expiring" if part in TOKENS else "must die"
    return "unknown"


def _at_rest(known: Mapping[str, Known]) -> bool:
    """Whether no rotation is under way and no key must die."""
    return len(known) == len(CAST) and not any(one.rotation or one.debts for one in known.values())


__all__ = ["run"]
