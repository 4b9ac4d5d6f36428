"""How envelopes reach Sentry: one thread, one at a time, each alarm again until it is taken.

The SDK's own transport drops what it could not send. An alarm is told once, so it must survive an hour in
which Sentry is down; a check-in that comes late says nothing and is dropped.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import httpx
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

log = logging.getLogger(__name__)

KEPT = 200  # envelopes that wait; then the oldest goes
TIMEOUT = 10.0  # seconds of silence from Sentry
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0  # seconds between tries while Sentry cannot be reached
_OK, _TOO_MANY, _SERVER_ERROR = range(200, 300), 429, 500


@dataclass(frozen=True, slots=True, eq=False)
class _Parcel:
    body: bytes
    keep: bool  # try again if it is not taken


class Delivery(Transport):
    """A transport for one client. No method but ``flush`` takes time; none raises."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        assert self.parsed_dsn is not None, "a transport is made only for a DSN"
        auth = self.parsed_dsn.to_auth("rotator")
        self._url = auth.get_api_url()
        self._headers = {
            "X-Sentry-Auth": auth.to_header(),
            "Content-Type": "application/x-sentry-envelope",
        }
        self._waiting: deque[_Parcel] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._wait = 0.0  # seconds before the next try; 0 while Sentry answers
        self._paused = False
        self._thread: threading.Thread | None = None

    def capture_envelope(self, envelope: Envelope) -> None:
        """Take one envelope for sending."""
        parcel = _Parcel(envelope.serialize(), keep=envelope.get_event() is not None)
        with self._changed:
            if self._ended or (self._paused and not parcel.keep):
                return
            self._waiting.append(parcel)
            while len(self._waiting) > KEPT:
                self._waiting.popleft()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sentry", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout: float, callback: Any = None) -> None:
        """Wait until all was taken, ``timeout`` seconds at most; returns early while Sentry is away."""
        del callback
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._paused or self._ended, timeout)

    @property
    def idle(self) -> bool:
        """Whether Sentry took everything."""
        with self._changed:
            return not self._waiting

    def kill(self) -> None:
        """Send nothing more; what waits is lost. Waits for the try in flight, not for its answer's end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout=1.0)

    def _work(self) -> None:
        """Send until the end. Where no client can be made (a wrong CA file, a wrong proxy), send nothing."""
        try:
            with httpx.Client(timeout=TIMEOUT, headers=self._headers, follow_redirects=False) as client:
                self._send_all(client)
        except Exception as error:  # noqa: BLE001 - the boundary: alarms never end the process
            log.error("No more alarms go to Sentry", extra={"error": type(error).__name__})  # noqa: TRY400
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _send_all(self, client: httpx.Client) -> None:
        """Send the oldest, again and again, until it is taken or not to be kept."""
        while (parcel := self._next()) is not None:
            wait = self._send(client, parcel)
            with self._changed:
                if (wait is None or not parcel.keep) and parcel in self._waiting:
                    self._waiting.remove(parcel)
                self._wait = wait or 0.0
                self._paused = wait is not None
                self._changed.notify_all()

    def _next(self) -> _Parcel | None:
        """The oldest that waits, once its time has come; None at the end."""
        with self._changed:
            if self._paused:
                self._changed.wait_for(lambda: self._ended, self._wait)
                self._paused = False
            self._changed.wait_for(lambda: self._ended or self._waiting)
            return None if self._ended else self._waiting[0]

    def _send(self, client: httpx.Client, parcel: _Parcel) -> float | None:
        """None once it was taken, or refused for good; otherwise seconds until the next try."""
        began = time.monotonic()
        try:
            answer = client.post(self._url, content=parcel.body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            log.warning("Sentry cannot be reached", extra={"error": type(error).__name__})
            return self._longer()
        seconds = round(time.monotonic() - began, 3)
        if answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_ERROR:
            log.warning(
                "Sentry does not take alarms now",
                extra={"error": f"http-{answer.status_code}", "seconds": seconds},
            )
            return max(self._longer(), _retry_after(answer))
        if answer.status_code not in _OK:
            log.error("Sentry refused an alarm", extra={"error": f"http-{answer.status_code}"})
        return None

    def _longer(self) -> float:
        return min(max(self._wait * 2, FIRST_WAIT), LONGEST_WAIT)


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that Sentry asks us to wait, never longer than LONGEST_WAIT."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), LONGEST_WAIT) if text.isdecimal() else 0.0
