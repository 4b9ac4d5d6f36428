"""Alarms to Sentry: one event an alarm, built from an allow-list, and check-ins of the clock.

An own client, not the SDK's global one: no integration, breadcrumb or scope of anybody else can add to
what we send. The SDK is imported only where a DSN is set.
"""

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol

from rotator.interfaces import Clock, Notifier
from rotator.model import Event, Level
from rotator.notices import IDS, TAGS
from rotator.telemetry.logs import clean

if TYPE_CHECKING:
    from rotator.telemetry.delivery import Delivery

log = logging.getLogger("rotator.alarms")

CHECKIN_EVERY = timedelta(minutes=1)
MONITOR = "rotator-tick"
LONGEST_TAG = 200  # Sentry drops longer ones
_KEPT = ("event_id", "timestamp", "platform", "level", "release", "environment", "fingerprint")
_KEPT_TAGS = frozenset({*TAGS, *IDS})


class Alarms(Notifier, Protocol):
    """Tells people, and an outside watch that we are alive. No method raises."""

    def checkin(self, status: str, duration: timedelta) -> None:
        """Say that a tick was ``ok`` or ended in ``error``; more than one a minute are made one."""
        ...

    def vouch(self, anchor: str) -> None:
        """Keep a line of the audit trail where the ledger's owner cannot change it."""
        ...

    def flush(self, timeout: timedelta) -> bool:
        """Wait until everything was handed over; whether it was."""
        ...

    def close(self) -> None:
        """Let go of threads and connections. May be called twice."""
        ...


class QuietNotifier:
    """No DSN: alarms go to the log alone."""

    def tell(self, event: Event) -> None:
        """Log an alarm."""
        _log(event)

    def checkin(self, status: str, duration: timedelta) -> None:
        """Nobody is listening."""

    def vouch(self, anchor: str) -> None:
        """Nobody keeps it."""

    def flush(self, timeout: timedelta) -> bool:
        """Nothing waits."""
        del timeout
        return True

    def close(self) -> None:
        """Nothing is held."""


class SentryNotifier:
    """Alarms and check-ins to one Sentry project. Raises ValueError for a DSN that is none.

    ``tick`` is how often the clock beats: what Sentry expects of the monitor follows from it.
    """

    def __init__(self, dsn: str, *, clock: Clock, tick: timedelta, environment: str | None = None) -> None:
        from sentry_sdk import Client  # noqa: PLC0415 - only where there is a DSN
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415

        from rotator.telemetry.delivery import Delivery  # noqa: PLC0415

        try:
            self._client = Client(
                dsn=dsn,
                transport=Delivery,
                release=_release(),
                environment=environment,
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                include_source_context=False,
                attach_stacktrace=False,
                max_breadcrumbs=0,
                traces_sample_rate=0,
                max_request_body_size="never",
                send_client_reports=False,
                enable_backpressure_handling=False,
                auto_session_tracking=False,
                spotlight=False,  # send_default_pii stays unset, which means False: setting it warns
                before_send=before_send,
            )
        except BadDsn:
            raise ValueError("SENTRY_DSN is not a DSN: copy it from the project's settings.") from None
        self._clock = clock
        self._every = max(CHECKIN_EVERY, tick)
        self._last: float | None = None
        self._worst = "ok"

    def tell(self, event: Event) -> None:
        """Log an event, and send it if it is an alarm. Told twice, it is one event in Sentry."""
        _log(event)
        if event.level is Level.ALARM:
            self._capture(_sentry_event(event))

    def checkin(self, status: str, duration: timedelta) -> None:
        """Say how the ticks since the last check-in went; the worst of them is told."""
        if status != "ok":
            self._worst = status
        now = self._clock.monotonic()
        if self._last is not None and now - self._last < CHECKIN_EVERY.total_seconds():
            return
        self._last = now
        self._capture(self._checkin(self._worst, duration))
        self._worst = "ok"

    def vouch(self, anchor: str) -> None:
        """Send an anchor of the audit trail as a message, which Sentry keeps with its own time."""
        self._capture({"level": "info", "message": anchor, "fingerprint": ["rotator-audit-anchor"]})

    def flush(self, timeout: timedelta) -> bool:
        """Wait until Sentry took everything, at most ``timeout``; whether it did."""
        transport = self._transport()
        if transport is None:
            return False
        transport.flush(timeout.total_seconds())
        return transport.idle

    def close(self) -> None:
        """Stop sending; what was not taken is lost. May be called twice."""
        transport = self._transport()
        if transport is not None:
            transport.kill()

    def _transport(self) -> "Delivery | None":
        from rotator.telemetry.delivery import Delivery  # noqa: PLC0415

        transport = self._client.transport
        return transport if isinstance(transport, Delivery) else None

    def _capture(self, event: dict[str, Any]) -> None:
        try:
            self._client.capture_event(event)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - the boundary: telling never disturbs a pass
            log.warning("An alarm could not be handed to Sentry", extra={"error": type(error).__name__})

    def _checkin(self, status: str, duration: timedelta) -> dict[str, Any]:
        """A check-in that also makes the monitor, or brings it up to date. Sentry docs, Crons, Check-Ins."""
        minutes = -(-self._every // timedelta(minutes=1))
        return {
            "type": "check_in",
            "check_in_id": uuid.uuid4().hex,
            "monitor_slug": MONITOR,
            "status": status,
            "duration": duration.total_seconds(),
            "environment": self._client.options["environment"],
            "release": self._client.options["release"],
            "monitor_config": {
                "schedule": {"type": "interval", "value": minutes, "unit": "minute"},
                "checkin_margin": max(2, minutes),
                "timezone": "UTC",
            },
        }


def before_send(event: Any, hint: Any) -> Any:
    """A new event of what is allowed to leave, values scrubbed; check-ins as they are."""
    del hint
    if event.get("type") == "check_in":
        return event
    kept = {name: event[name] for name in _KEPT if event.get(name) is not None}
    kept["message"] = clean(str(event.get("message") or "rotator"))
    kept["tags"] = _tags(dict(event.get("tags") or {}))
    kept["fingerprint"] = [clean(str(part)) for part in event.get("fingerprint") or ["rotator"]]
    return kept


def _tags(tags: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: clean(str(value))[:LONGEST_TAG] for name, value in tags.items() if name in _KEPT_TAGS and value
    }


def _sentry_event(event: Event) -> dict[str, Any]:
    """An alarm in Sentry's words. Its id follows from the alarm, so that Sentry can drop a repetition."""
    data = event.data
    identity = (
        f"{event.secret}|{event.kind}|{event.seq}|{event.at}|{event.text}|{event.rotation}|{event.debt}"
    )
    tags = {name: data.get(name) for name in TAGS}
    tags |= {"secret": event.secret, "kind": event.kind, "rotation": event.rotation, "debt": event.debt}
    return {
        "event_id": uuid.uuid5(uuid.NAMESPACE_OID, identity).hex,
        "timestamp": event.at or datetime.now(UTC),
        "level": "error" if event.level is Level.ALARM else event.level.value,
        "message": event.text,
        "tags": tags,
        "fingerprint": [
            data.get("step") or event.kind,
            data.get("provider") or "-",
            data.get("error") or event.kind,
        ],
    }


def _log(event: Event) -> None:
    """An alarm's line in the log."""
    named = {name: event.data[name] for name in TAGS if event.data.get(name)}
    ids = {"secret": event.secret, "kind": event.kind, "rotation": event.rotation, "debt": event.debt}
    level = logging.ERROR if event.level is Level.ALARM else logging.WARNING
    log.log(level, "%s", event.text, extra={**named, **{n: v for n, v in ids.items() if v}})


def _release() -> str:
    try:
        return f"rotator@{version('rotator')}"
    except PackageNotFoundError:
        return "rotator"
