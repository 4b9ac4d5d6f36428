"""Gives the end of the audit trail outside: to a file, the log, and now and then to Sentry.

Who can write the ledger, and has the key of its trail, could still cut the trail's end or write it anew: not
so that it fits what was given outside before. And a ledger that was put back from a backup does not hold what
was given outside since: then nothing is revoked until a person agrees.
"""

import logging
from datetime import timedelta
from pathlib import Path

from rotator import safe_mode
from rotator.audit import anchors
from rotator.errors import RotatorError
from rotator.interfaces import Clock, Ledger
from rotator.model import Anchor
from rotator.telemetry.logs import error_text
from rotator.telemetry.sentry import Alarms

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=10)


class Anchoring:
    """The anchors of one ledger, appended to the file ``path``. No method raises."""

    def __init__(self, ledger: Ledger, path: Path, notifier: Alarms, clock: Clock) -> None:
        self._ledger = ledger
        self._path = path
        self._notifier = notifier
        self._clock = clock
        self._last: float | None = None
        self._compared = False

    def first(self) -> None:
        """Compare the ledger with what was given outside last, before anything is done."""
        if not self._compared:
            self._compare()

    def when_due(self) -> None:
        """Draw an anchor, unless one was drawn in the last ten minutes."""
        now = self._clock.monotonic()
        if self._last is None or now - self._last >= EVERY.total_seconds():
            self._last = now
            self.draw()

    def draw(self) -> None:
        """Draw an anchor if anything moved since the last one, and give it outside."""
        self._compare()
        try:
            anchor = self._ledger.anchor()
        except RotatorError as error:
            log.error("the audit trail could not be anchored: %s", error)  # noqa: TRY400 - our own sentence
            return
        if anchor is not None:
            self._give(anchor)

    def _compare(self) -> None:
        """Enter safe mode where the ledger does not hold the last anchor since it was trusted."""
        try:
            given, trusted = anchors.newest(self._path, self._ledger.id), safe_mode.trusted_at(self._ledger)
            old = given is None or (trusted is not None and given.at <= trusted)
            if given is not None and not old and not self._ledger.holds(given):
                why = f"it does not hold its anchor of {given.at:%Y-%m-%d %H:%M:%S}Z in {self._path}"
                safe_mode.enter(self._ledger, why)  # whoever tells alarms next tells people
            self._compared = True
        except (RotatorError, OSError) as error:
            log.error("the audit trail could not be compared with %s: %s", self._path, error_text(error))  # noqa: TRY400

    def _give(self, anchor: Anchor) -> None:
        text = anchors.line(anchor)
        log.info("anchor of the audit trail: %s", text)
        try:
            before = anchors.newest(self._path, anchor.ledger)
            anchors.append(self._path, anchor)
        except OSError as error:
            before = None
            why = error.strerror or type(error).__name__
            log.error("the anchor cannot be written to %s: %s", self._path, why)  # noqa: TRY400
        if before is None or _hour(before) != _hour(anchor):  # Sentry counts what it is sent
            self._notifier.vouch(text)


def _hour(anchor: Anchor) -> int:
    return int(anchor.at.timestamp()) // 3600
