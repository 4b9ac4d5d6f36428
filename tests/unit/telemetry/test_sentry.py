import logging
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rotator.model import Credential, Event, Level
from rotator.telemetry import delivery
from rotator.telemetry.sentry import QuietNotifier, SentryNotifier, before_send
from rotator.testing.clock import ManualClock
from tests.unit.telemetry.ingest import Ingest, ingest

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SOON = timedelta(seconds=10)


def alarm(**changes: object) -> Event:
    """An alarm about a rotation that failed."""
    event = {
        "secret": "aws/prod/orders",
        "kind": "failed",
        "text": "The rotation of orders failed: Markets refused the key.",
        "level": Level.ALARM,
        "rotation": "r7",
        "data": {"policy": "orders", "provider": "markets", "step": "verify", "error": "http-403", "x": "y"},
        "at": AT,
        "seq": 4,
    }
    return Event(**{**event, **changes})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "staging")


@pytest.fixture
def server() -> Iterator[Ingest]:
    """A local Sentry."""
    with ingest() as state:
        yield state


@pytest.fixture
def clock() -> ManualClock:
    """A clock that is moved by hand."""
    return ManualClock()


@pytest.fixture
def notifier(server: Ingest, clock: ManualClock) -> Iterator[SentryNotifier]:
    """Tells the local Sentry."""
    made = SentryNotifier(server.dsn, clock=clock, tick=timedelta(seconds=15))
    yield made
    made.close()


def test_an_alarm_arrives_as_one_event_of_allowed_parts(server: Ingest, notifier: SentryNotifier) -> None:
    """What arrives names release, environment, policy, step and ids, and holds nothing else."""
    notifier.tell(alarm())
    assert notifier.flush(SOON)
    (event,) = server.items("event")
    assert len(event.pop("event_id")) == 32
    assert event.pop("release").startswith("rotator")
    assert event == {
        "timestamp": "2026-01-05T09:00:00.000000Z",
        "platform": "python",
        "level": "error",
        "environment": "staging",
        "fingerprint": ["verify", "markets", "http-403"],
        "message": "The rotation of orders failed: Markets refused the key.",
        "tags": {
            "policy": "orders",
            "provider": "markets",
            "step": "verify",
            "error": "http-403",
            "secret": "aws/prod/orders",
            "kind": "failed",
            "rotation": "r7",
        },
    }
    assert "sentry_key=key" in server.headers[0]["X-Sentry-Auth"]


def test_alarms_group_by_step_provider_and_error(server: Ingest, notifier: SentryNotifier) -> None:
    """Two policies with one failure share a fingerprint; another step, provider or error has its own."""
    data = {"policy": "a", "provider": "markets", "step": "verify", "error": "timeout"}
    for number, change in enumerate(
        [{}, {"policy": "b"}, {"step": "issue"}, {"provider": "fts"}, {"error": "garbage"}]
    ):
        notifier.tell(alarm(data={**data, **change}, seq=number))
    assert notifier.flush(SOON)
    prints = [tuple(event["fingerprint"]) for event in server.items("event")]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def test_an_alarm_told_twice_has_one_id(server: Ingest, notifier: SentryNotifier) -> None:
    """Sentry can drop a repetition, since its id is the same; another alarm has another."""
    for event in (alarm(), alarm(), alarm(seq=5)):
        notifier.tell(event)
    assert notifier.flush(SOON)
    ids = [event["event_id"] for event in server.items("event")]
    assert ids[0] == ids[1] != ids[2]


def test_only_alarms_are_sent(server: Ingest, notifier: SentryNotifier) -> None:
    """What is not an alarm is logged and stays here."""
    notifier.tell(alarm(level=Level.WARNING))
    assert notifier.flush(SOON)
    assert server.raw == []


def test_an_anchor_is_a_message(server: Ingest, notifier: SentryNotifier) -> None:
    """An anchor of the audit trail arrives as it is, as a message that wakes nobody."""
    notifier.vouch('{"rotator_anchor":1,"number":3,"mac":"00ff"}')
    assert notifier.flush(SOON)
    (event,) = server.items("event")
    assert (event["message"], event["level"]) == ('{"rotator_anchor":1,"number":3,"mac":"00ff"}', "info")


def test_no_secret_is_in_an_envelope_wherever_it_was_put(server: Ingest, notifier: SentryNotifier) -> None:
    """A live value in any part of an alarm, or known to the caller's frames, does not reach Sentry."""
    canary = secrets.token_hex(24)
    live = Credential({"api_secret": canary})
    new_key = canary  # a local variable of the calling frame
    try:
        raise ValueError(new_key)  # noqa: TRY301
    except ValueError:
        notifier.tell(
            alarm(
                text=f"refused {canary}",
                secret=canary,
                kind=canary,
                rotation=canary,
                data=dict.fromkeys(("policy", "provider", "step", "error", "where", "body"), canary),
            )
        )
    assert notifier.flush(SOON)
    assert len(server.items("event")) == 1
    assert canary[:12].encode() not in server.raw[0]
    del live


def test_before_send_builds_a_new_event() -> None:
    """Whatever the SDK adds one day is dropped unless it is allowed; check-ins are handed on as they are."""
    event = {
        "event_id": "0" * 32,
        "message": "m",
        "tags": {"policy": "p", "new": "x"},
        "server_name": "host",
        "extra": {"a": 1},
        "breadcrumbs": [],
        "request": {},
        "exception": {"values": [{"value": "text", "stacktrace": {"frames": [{"vars": {"k": "v"}}]}}]},
        "contexts": {},
        "modules": {},
    }
    assert before_send(event, {}) == {
        "event_id": "0" * 32,
        "message": "m",
        "tags": {"policy": "p"},
        "fingerprint": ["rotator"],
    }
    checkin = {"type": "check_in", "status": "ok"}
    assert before_send(checkin, {}) is checkin


def test_there_is_at_most_one_check_in_a_minute_and_it_tells_the_worst(
    server: Ingest, notifier: SentryNotifier, clock: ManualClock
) -> None:
    """Ticks within a minute make one check-in; a failed one among them is not lost."""
    for status in ("ok", "error", "ok", "ok", "ok", "ok", "ok", "ok", "ok"):
        notifier.checkin(status, timedelta(seconds=0.5))
        clock.advance(timedelta(seconds=15))
    assert notifier.flush(SOON)
    found = server.items("check_in")
    assert [each["status"] for each in found] == ["ok", "error", "ok"]
    assert found[0]["monitor_slug"] == "rotator-tick"
    assert found[0]["environment"] == "staging"
    assert found[0]["duration"] == 0.5
    assert found[0]["monitor_config"]["schedule"] == {"type": "interval", "value": 1, "unit": "minute"}


def test_a_slow_clock_promises_less(server: Ingest, clock: ManualClock) -> None:
    """The monitor expects a check-in as often as the tick is, rounded up to minutes."""
    notifier = SentryNotifier(server.dsn, clock=clock, tick=timedelta(seconds=150))
    notifier.checkin("ok", timedelta(0))
    assert notifier.flush(SOON)
    assert server.items("check_in")[0]["monitor_config"]["schedule"]["value"] == 3
    notifier.close()


def test_a_slow_sentry_costs_nothing(server: Ingest, notifier: SentryNotifier) -> None:
    """While Sentry does not answer, telling and checking in return at once, and flushing in its time."""
    server.go_on.clear()
    began = time.monotonic()
    for number in range(500):
        notifier.tell(alarm(seq=number))
    notifier.checkin("ok", timedelta(0))
    assert not notifier.flush(timedelta(seconds=0.05))
    assert time.monotonic() - began < 5
    server.go_on.set()


def test_an_absent_sentry_costs_nothing(clock: ManualClock) -> None:
    """With nobody at the address, telling works, flushing ends early and says that something is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        notifier = SentryNotifier(f"http://k@127.0.0.1:{taken.getsockname()[1]}/1", clock=clock, tick=SOON)
        notifier.tell(alarm())
        began = time.monotonic()
        assert not notifier.flush(SOON)
        assert time.monotonic() - began < 5
        notifier.close()


@pytest.mark.parametrize(("status", "retry_after"), [(429, "1"), (503, None)])
def test_an_alarm_is_sent_again_until_sentry_takes_it(
    server: Ingest,
    notifier: SentryNotifier,
    status: int,
    retry_after: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Too many requests and server errors delay an alarm; a check-in that could not be told is dropped."""
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_WAIT", 0.05)
    server.status, server.retry_after = status, retry_after
    notifier.tell(alarm())
    server.wait(lambda: len(server.raw) >= 2)
    server.status, server.retry_after = 200, None
    server.wait(lambda: server.raw[0] == server.raw[-1] and len(server.raw) >= 3)
    while not notifier.flush(SOON):
        assert len(server.raw) < 100
    assert len({event["event_id"] for event in server.items("event")}) == 1


def test_what_sentry_refuses_for_good_is_not_sent_again(server: Ingest, notifier: SentryNotifier) -> None:
    """A 4xx for one alarm holds up no other."""
    server.status = 413
    notifier.tell(alarm())
    assert notifier.flush(SOON)
    server.status = 200
    notifier.tell(alarm(seq=9))
    assert notifier.flush(SOON)
    assert len(server.raw) == 2


def test_the_queue_is_bounded_and_keeps_the_newest(
    server: Ingest, notifier: SentryNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storm of alarms cannot eat the memory: the oldest that waits goes."""
    monkeypatch.setattr(delivery, "KEPT", 3)
    server.go_on.clear()
    for number in range(10):
        notifier.tell(alarm(text=f"number {number}", seq=number))
    server.go_on.set()
    assert notifier.flush(SOON)
    sent = [event["message"] for event in server.items("event")]
    assert sent[-3:] == ["number 7", "number 8", "number 9"]
    assert len(sent) <= 4


def test_without_a_dsn_alarms_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No DSN: everything works, and an alarm is a line in the log."""
    notifier = QuietNotifier()
    with caplog.at_level(logging.INFO, "rotator"):
        notifier.tell(alarm())
    notifier.checkin("ok", timedelta(0))
    assert notifier.flush(SOON)
    notifier.close()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("ERROR", alarm().text)]
    assert vars(caplog.records[0])["policy"] == "orders"


@pytest.mark.parametrize("dsn", ["nonsense", "http://127.0.0.1/1", "https://k@host.invalid/project"])
def test_a_wrong_dsn_is_refused_without_repeating_it(dsn: str, clock: ManualClock) -> None:
    """A DSN that is none is said when the notifier is made, and its text is not shown."""
    with pytest.raises(ValueError, match="SENTRY_DSN is not a DSN") as refused:
        SentryNotifier(dsn, clock=clock, tick=SOON)
    assert dsn not in str(refused.value)


def test_the_sdk_is_imported_only_for_a_dsn() -> None:
    """Commands without a DSN do not pay for Sentry's SDK or an HTTP client."""
    script = (
        "import sys\n"
        "from rotator.telemetry.sentry import QuietNotifier\n"
        "QuietNotifier()\n"
        "assert not {'sentry_sdk', 'httpx', 'urllib3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)
