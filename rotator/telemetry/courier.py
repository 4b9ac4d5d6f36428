"""One channel's thread: it sends what waits, and tries later each time while nobody takes it."""

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from rotator.errors import EffectError, LedgerUnusable, NeedsPerson
from rotator.interfaces import Clock
from rotator.notices import together
from rotator.telemetry.logs import error_text
from rotator.telemetry.outbox import Failing, Outbox
from rotator.telemetry.services import LATE, Service

log = logging.getLogger("rotator.alarms")

_AGAIN = 300.0  # seconds until the outbox is looked at anew: another process may have left something
_OTHER = 5.0  # while another process sends
_LONGEST = 60.0  # of one wait while the channel fails: the clock may be set meanwhile


class Courier:
    """Sends for one channel. No method raises, and none but :meth:`settle` takes time.

    ``warn`` is called with a sentence when people must hear by other ways that this channel fails.
    """

    def __init__(
        self, outbox: Outbox, service: Service, clock: Clock, warn: Callable[[str, str], None]
    ) -> None:
        self.outbox = outbox
        self._service = service
        self._clock = clock
        self._warn = warn
        self._failing: Failing | None = None  # as last known: it holds while the ledger is away
        self._state = threading.Condition()
        self._woken = True  # what earlier processes left is looked for at once
        self._busy = True
        self._ended = False
        self._thread = threading.Thread(target=self._work, name=f"courier {service.name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something in the outbox."""
        with self._state:
            self._woken = self._busy = True
            self._state.notify_all()

    def settle(self, timeout: float) -> bool:
        """Wait until nothing more can be sent now, ``timeout`` seconds at most; whether that was so."""
        with self._state:
            return self._state.wait_for(lambda: not self._busy or self._ended, timeout)

    def end(self) -> None:
        """Send nothing more; what waits stays in the outbox. A message in flight is not waited for."""
        with self._state:
            self._ended = True
            self._state.notify_all()

    # --- the thread ---

    def _work(self) -> None:
        while True:
            with self._state:
                self._woken = False
            wait = self._round()
            with self._state:
                self._busy = self._woken
                self._state.notify_all()
                self._state.wait_for(lambda: self._woken or self._ended, wait)
                if self._ended:
                    return

    def _round(self) -> float:
        """Send what can be sent now; seconds until the next look."""
        try:
            while (wait := self._next()) is None:
                pass
        except Exception as error:  # noqa: BLE001 - the boundary: a fault here must not end the telling
            log.error("%s could not be told", self.outbox.channel, extra={"error": error_text(error)})  # noqa: TRY400
            return _LONGEST
        finally:
            self._service.forget()
        return wait

    def _next(self) -> float | None:
        """Send a few; None where more may wait, else seconds until the next look."""
        self._recall()
        wait = self._until_next_try()
        if wait > 0:
            return min(wait, _LONGEST)
        if self._ended or not self.outbox.waiting(self._clock.now()):
            return _AGAIN
        with self.outbox.alone() as ours:
            if ours:
                self._send()
        return None if ours else _OTHER

    def _send(self) -> None:
        """One message of what waits longest."""
        waiting = self.outbox.give_up(self._clock.now())
        if not waiting:  # another process was faster
            return
        message, count = together([one.message for one in waiting])
        batch = waiting[:count]
        self.outbox.sent(batch)
        try:
            self._service.send(message)
        except (EffectError, NeedsPerson) as error:
            if not self._ended:
                if error.kind != LATE:
                    self.outbox.sent(batch, copies=0)
                self._failed(error)
            return
        if not self._ended:  # else the ledger may be closed: these are told once more
            self.outbox.remove(one.key for one in batch)
            self._works()

    def _recall(self) -> None:
        """What any process knows of the channel: who tried last may have been another."""
        with contextlib.suppress(LedgerUnusable):
            self._failing = self.outbox.failing()

    def _until_next_try(self) -> float:
        if self._failing is None or self._failing.look_at is None:
            return 0.0
        return (self._failing.look_at - self._clock.now()).total_seconds()

    def _works(self) -> None:
        if self._failing is not None:
            log.info("%s takes alarms again", self.outbox.channel)
            self._note(None)

    def _failed(self, error: EffectError | NeedsPerson) -> None:
        """Try later; people hear by other ways: at once where one of them must act, else after a while."""
        now, person = self._clock.now(), isinstance(error, NeedsPerson)
        before, late = self._failing or Failing(now, error.kind), error.kind == LATE
        failing = before.once_more(error.kind, now, may_have_come=late)
        log.warning("%s takes no alarms: %s", self.outbox.channel, error.message, extra={"error": error.kind})
        if failing.must_be_told(now, person=person):
            failing = replace(failing, told=failing.told + 1, told_at=now)
            self._warn(error.kind, _sentence(self.outbox.channel, failing, error))
        self._note(failing)

    def _note(self, failing: Failing | None) -> None:
        self._failing = failing
        with contextlib.suppress(LedgerUnusable):
            self.outbox.fails(failing)


def _sentence(channel: str, failing: Failing, error: EffectError | NeedsPerson) -> str:
    todo = (
        error.todo
        if isinstance(error, NeedsPerson)
        else f"see whether its service is up, and try it: rotator doctor --notify --channel {channel}"
    )
    since = f"{failing.since:%Y-%m-%d %H:%M} UTC"
    return (
        f"The channel {channel} has taken no alarm since {since}: {error.message} "
        f"What waits for it is kept for a day. To do: {todo}"
    )
