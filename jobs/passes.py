"""One tick: reload policies, begin what is due, tell alarms. Whatever goes wrong, the worker goes on."""

import logging
from collections.abc import Callable
from datetime import timedelta

from jobs.anchoring import Anchoring
from jobs.parts import Worker
from rotator.errors import PolicyError, RotatorError
from rotator.interfaces import Clock
from rotator.model import Event, Level
from rotator.telemetry.logs import error_text, where
from rotator.telemetry.sentry import Alarms

log = logging.getLogger(__name__)


class Once:
    """Alarms about one thing that can be wrong: each content of it once, until it was right again."""

    def __init__(self, notifier: Alarms, step: str) -> None:
        self._notifier = notifier
        self._step = step
        self._told: str | None = None

    def right(self) -> None:
        """It is as it should be."""
        if self._told is not None:
            log.info("what was wrong with the %s is over", self._step, extra={"step": self._step})
        self._told = None

    def wrong(self, sentence: str, error: Exception) -> None:
        """Tell people, unless they were told the very same last time."""
        text = f"{sentence} {error_text(error)}"
        if text == self._told:
            return
        self._told = text
        data = {"step": self._step, "error": type(error).__name__, "where": where(error)}
        self._notifier.tell(
            Event(secret="", kind=f"{self._step}-failed", text=text, level=Level.ALARM, data=data)
        )


class Passes:
    """What the metronome calls. ``beat`` is called when a tick begins and when it ends."""

    def __init__(
        self,
        worker: Worker,
        *,
        reload: Callable[[], None],
        notifier: Alarms,
        clock: Clock,
        beat: Callable[[], None],
        anchoring: Anchoring | None = None,
    ) -> None:
        self._worker = worker
        self._reload_policies = reload
        self._notifier = notifier
        self._clock = clock
        self._beat = beat
        self._anchoring = anchoring
        self._policies = Once(notifier, "policies")
        self._pass = Once(notifier, "pass")

    def tick(self) -> bool:
        """One tick; whether nothing went wrong with it. Never raises."""
        began = self._clock.monotonic()
        self._beat()
        self.reload()
        good = self.one()
        good = self.tell() and good
        if self._anchoring is not None:
            self._anchoring.when_due()
        self._beat()
        duration = timedelta(seconds=self._clock.monotonic() - began)
        self._notifier.checkin("ok" if good else "error", duration)
        return good

    def reload(self) -> None:
        """Take over changed policies; wrong ones change nothing, and people are told once."""
        kept = "the last good ones stay in force."
        try:
            self._reload_policies()
        except PolicyError as error:
            self._policies.wrong(f"The policies cannot be used as they are now; {kept}", error)
        except Exception as error:  # noqa: BLE001 - the boundary: a file must not stop the revocations
            self._policies.wrong(f"Changed policies could not be taken over yet; {kept}", error)
        else:
            self._policies.right()

    def one(self) -> bool:
        """Begin what is due; whether nothing went wrong with the pass itself."""
        if self._anchoring is not None:
            self._anchoring.first()
        try:
            begun = self._worker.run_pass()
        except RotatorError as error:
            self._pass.wrong("A pass could not be made; the next tick tries again.", error)
            return False
        except Exception as error:  # noqa: BLE001 - the boundary: the next tick may succeed
            self._pass.wrong(
                "A pass failed in a way that was not foreseen; the next tick tries again.", error
            )
            return False
        self._pass.right()
        log.debug("a pass began %d", begun, extra={"count": begun})
        return True

    def tell(self) -> bool:
        """Hand untold alarms on; whether that worked. What is not told now is told at the next tick."""
        try:
            self._worker.tell_alarms()
        except Exception as error:  # noqa: BLE001 - the boundary: alarms stay in the ledger until they are told
            log.error("alarms could not be told", extra={"error": error, "where": where(error)})  # noqa: TRY400
            return False
        return True

    def end(self) -> bool:
        """After the last pass: tell what is untold, and anchor what was done; whether alarms were told."""
        good = self.tell()
        if self._anchoring is not None:
            self._anchoring.draw()
        return good
