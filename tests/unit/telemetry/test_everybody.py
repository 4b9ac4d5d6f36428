import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import LedgerUnusable
from rotator.interfaces import Ledger
from rotator.ledger import open_ledger
from rotator.model import Credential, Event, Level
from rotator.notices import Channel, Notices, Route, Severity
from rotator.telemetry import outbox as outboxes
from rotator.telemetry.everybody import Everybody
from rotator.telemetry.outbox import Failing, Outbox
from rotator.telemetry.services import Service
from rotator.testing.clock import ManualClock
from tests.unit.cli.records import STORE, policy
from tests.unit.telemetry.ingest import Ingest, ingest

DESK = policy("orders", tags={"team": "a"})
AT_ONCE = timedelta(0)


class First:
    """Sentry, or the log: it remembers, and takes what it may."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.takes = True

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def flush(self, timeout: timedelta) -> bool:
        return self.takes

    def checkin(self, status: str, duration: timedelta) -> None:
        """Not asked for here."""

    def vouch(self, anchor: str) -> None:
        """Not asked for here."""

    def close(self) -> None:
        """Nothing is held."""


class Away:
    """A ledger whose database is away."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def missing(*_: object, **__: object) -> None:
            raise LedgerUnusable("The ledger is away.", passing=True)

        return missing


@dataclass
class Hall:
    """Two channels on real servers, a ledger, and as many processes as are begun."""

    ledger: Ledger
    clock: ManualClock
    desk: Ingest
    rest: Ingest
    stack: ExitStack
    urls: dict[str, str] = field(default_factory=dict)
    first: First = field(default_factory=First)

    def begin(self, ledger: Ledger | None = None) -> Everybody:
        """A process."""
        made = Everybody(
            self.first, ledger or self.ledger, self.clock, self._serve, holder=secrets.token_hex(4)
        )
        channels = {name: Channel(name, STORE, name) for name in ("desk", "rest")}
        made.use(Notices(channels, (Route(("desk",), tags={"team": "a"}),), ("rest",)), [DESK])
        self.stack.callback(made.close)
        return made

    def _serve(self, channel: Channel) -> Service:
        return Service(channel, lambda: Credential({"url": self.urls[channel.name]}))

    def outbox(self, name: str) -> Outbox:
        return Outbox(self.ledger, name, "test")


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Both channels take what comes."""
    with ExitStack() as stack:
        clock = ManualClock()
        ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite", clock)
        stack.callback(ledger.close)
        desk, rest = stack.enter_context(ingest()), stack.enter_context(ingest())
        urls = {name: f"json://127.0.0.1:{each.port}" for name, each in (("desk", desk), ("rest", rest))}
        yield Hall(ledger, clock, desk, rest, stack, urls)


def alarm(
    seq: int = 1, text: str = "It is blocked.", kind: str = "blocked", of: str = DESK.target.id
) -> Event:
    """An alarm, of the one policy unless told otherwise."""
    return Event(of, kind, text, Level.ALARM, seq=seq)


def bodies(server: Ingest) -> list[str]:
    """What a channel was told, message by message."""
    return [json.loads(body)["message"] for body in server.raw]


def settled(everybody: Everybody) -> None:
    """Wait until every courier has done what it can do now."""
    for _, courier in everybody._couriers.values():
        assert courier.settle(10)


def facts(hall: Hall) -> dict[str, str]:
    """All that is kept for channels."""
    return dict(hall.ledger.facts("notice"))


def test_an_alarm_goes_where_its_route_leads(hall: Hall) -> None:
    """To Sentry or the log as ever, to its channels, and to no other; nothing is left in the ledger."""
    everybody = hall.begin()
    everybody.tell(alarm())
    everybody.tell(alarm(2, "Of nobody.", of=""))
    assert everybody.flush(AT_ONCE)
    settled(everybody)
    assert bodies(hall.desk) == [f"It is blocked.\n(secret {DESK.target.id})"]
    assert bodies(hall.rest) == ["Of nobody."]
    assert [event.seq for event in hall.first.events] == [1, 2]
    assert facts(hall) == {}


def test_what_is_no_alarm_is_not_sent(hall: Hall) -> None:
    """Channels hear of alarms alone."""
    everybody = hall.begin()
    everybody.tell(replace(alarm(), level=Level.WARNING))
    settled(everybody)
    assert bodies(hall.desk) == []


def test_a_live_value_is_in_no_message(hall: Hall) -> None:
    """Every field passes the scrubbing before it waits anywhere."""
    live = Credential({"api_secret": secrets.token_hex(20)})
    everybody = hall.begin()
    hall.desk.status = 500
    event = replace(
        alarm(text=f"it is {live.get('api_secret')}"), data={"provider": live.get("api_secret") or ""}
    )
    everybody.tell(event)
    settled(everybody)
    waiting = " ".join(facts(hall).values())
    assert "it is [redacted]" in waiting
    for text in (waiting, *bodies(hall.desk)):
        assert str(live.get("api_secret")) not in text


def test_a_channel_that_fails_holds_up_no_other(hall: Hall) -> None:
    """Its alarms are taken all the same, since they wait in the ledger; others get theirs once."""
    hall.desk.status = 500
    everybody = hall.begin()
    everybody.tell(alarm())
    everybody.tell(alarm(2, of=""))
    assert everybody.flush(AT_ONCE)
    settled(everybody)
    assert len(hall.rest.raw) == 1
    assert [one.message.severity for one in hall.outbox("desk").waiting(hall.clock.now())] == [
        Severity.WARNING
    ]


def test_another_process_brings_what_one_could_not(hall: Hall) -> None:
    """What waits survives its process, and so does the back-off; it is brought once."""
    hall.desk.status = 503
    one = hall.begin()
    one.tell(alarm())
    settled(one)
    one.close()
    hall.desk.status = 200
    other = hall.begin()
    settled(other)
    assert len(hall.desk.raw) == 1, "the channel rests after a try that failed"
    hall.clock.advance(timedelta(seconds=3))
    other._couriers["desk"][1].wake()
    settled(other)
    assert len(hall.desk.raw) == 2
    assert facts(hall) == {}


def test_a_channel_is_tried_later_each_time(hall: Hall) -> None:
    """New alarms do not hasten a channel that fails; what waited comes together once it works."""
    hall.desk.status = 500
    everybody = hall.begin()
    for seq in range(1, 6):
        everybody.tell(alarm(seq, f"alarm {seq}"))
        settled(everybody)
    assert len(hall.desk.raw) == 1
    hall.desk.status = 200
    hall.clock.advance(timedelta(seconds=3))
    everybody._couriers["desk"][1].wake()
    settled(everybody)
    assert len(hall.desk.raw) == 2
    assert json.loads(hall.desk.raw[1])["title"] == "rotator warning: 5 alarms"
    assert [bodies(hall.desk)[1].count(f"alarm {seq}\n") for seq in range(1, 6)] == [1] * 5


def test_what_may_have_come_is_not_sent_for_ever(hall: Hall) -> None:
    """A service that takes all and never answers in time gets a message so often and no more, later each
    time, whichever process sends it; the next alarm goes out all the same.
    """
    hall.urls["desk"] += "?rto=0.05"
    hall.desk.go_on.clear()
    everybody = hall.begin()
    everybody.tell(alarm(1, "First."))
    for _ in range(20):
        settled(everybody)  # before the clock moves: its claim on the channel would run out in mid-send
        hall.clock.advance(timedelta(minutes=5))
        everybody.close()
        everybody = hall.begin()
    settled(everybody)
    hall.desk.go_on.set()
    hall.desk.wait(lambda: len(hall.desk.raw) == outboxes.COPIES)
    assert hall.outbox("desk").waiting(hall.clock.now()) == []
    hall.urls["desk"] = hall.urls["desk"].partition("?")[0]
    everybody = hall.begin()
    everybody.tell(alarm(2, "Second."))
    settled(everybody)
    assert [body.partition("\n")[0] for body in bodies(hall.desk)[outboxes.COPIES :]] == ["Second."]


def test_what_surely_did_not_come_is_sent_until_it_does(hall: Hall) -> None:
    """A message that was refused is not counted: it goes on waiting, however often it was tried."""
    hall.desk.status = 500
    everybody = hall.begin()
    everybody.tell(alarm())
    failed_for(hall, everybody, timedelta(hours=3))
    (waits,) = hall.outbox("desk").waiting(hall.clock.now())
    assert (waits.copies, len(hall.desk.raw) > outboxes.COPIES) == (0, True)


def failed_for(hall: Hall, everybody: Everybody, last: timedelta) -> None:
    """Let the channel be tried, and fail, again and again for so long."""
    end = hall.clock.now() + last
    while hall.clock.now() < end:
        everybody._couriers["desk"][1].wake()
        settled(everybody)
        hall.clock.advance(timedelta(minutes=1))


def test_people_hear_of_a_channel_that_fails_by_the_others(hall: Hall) -> None:
    """After ten minutes, once; then after a day. Never by itself, and without what its service answered."""
    hall.desk.status, hall.desk.answer = 500, b"internal words"
    everybody = hall.begin()
    everybody.tell(alarm())
    failed_for(hall, everybody, timedelta(minutes=9))
    assert [event.kind for event in hall.first.events] == ["blocked"]
    failed_for(hall, everybody, timedelta(minutes=51))
    assert [event.kind for event in hall.first.events] == ["blocked", "channel-fails"]
    (said,) = bodies(hall.rest)
    assert "The channel desk has taken no alarm since 2026-01-05 09:00 UTC" in said
    assert "rotator doctor --notify --channel desk" in said
    assert "internal" not in said
    assert 5 < len(hall.desk.raw) < 20
    hall.clock.advance(timedelta(days=1))
    everybody.tell(alarm(2))
    failed_for(hall, everybody, timedelta(minutes=2))
    assert [event.kind for event in hall.first.events].count("channel-fails") == 2


def test_a_wrong_address_is_told_at_once(hall: Hall) -> None:
    """Waiting would not help: a person must act, and is told what to do."""
    hall.urls["desk"] = "nothing://here"
    everybody = hall.begin()
    everybody.tell(alarm())
    settled(everybody)
    settled(everybody)
    assert [event.kind for event in hall.first.events] == ["blocked", "channel-fails"]
    assert "write an Apprise URL into the field url of its secret" in hall.first.events[1].text
    assert len(bodies(hall.rest)) == 1


def test_no_route_keeps_the_others_from_hearing_of_a_channel_that_fails(hall: Hall) -> None:
    """Where every alarm goes to the channel that fails, those of ``otherwise`` are told all the same."""
    hall.urls["desk"] = "nothing://here"
    everybody = hall.begin()
    channels = {name: Channel(name, STORE, name) for name in ("desk", "rest")}
    everybody.use(Notices(channels, (Route(("desk",)),), ("rest",)), [DESK])
    everybody.tell(alarm())
    settled(everybody)
    settled(everybody)
    (said,) = bodies(hall.rest)
    assert "The channel desk has taken no alarm" in said


def test_what_is_a_day_old_is_given_up(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody acts on it any more; the log says how many, and what is younger is still brought."""
    hall.desk.status = 500
    everybody = hall.begin()
    everybody.tell(alarm(1, "old"))
    settled(everybody)
    hall.clock.advance(timedelta(hours=23))
    everybody.tell(alarm(2, "new"))
    settled(everybody)
    hall.clock.advance(timedelta(hours=2))
    hall.desk.status = 200
    everybody._couriers["desk"][1].wake()
    settled(everybody)
    assert bodies(hall.desk)[-1].startswith("new\n")
    assert "1 alarms were given up: desk" in caplog.text
    assert facts(hall) == {}


def test_an_outbox_has_an_end(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than it may hold the oldest go at the next try."""
    monkeypatch.setattr(outboxes, "MOST", 3)
    hall.desk.status = 500
    everybody = hall.begin()
    for seq in range(1, 8):
        everybody.tell(alarm(seq, f"alarm {seq}"))
        hall.clock.advance(timedelta(milliseconds=1))
    settled(everybody)  # else a try that is under way would fail after the minute, and begin a wait
    hall.clock.advance(timedelta(minutes=1))
    everybody._couriers["desk"][1].wake()
    settled(everybody)
    assert [one.message.body.split("\n")[0] for one in hall.outbox("desk")._all()] == [
        f"alarm {seq}" for seq in (5, 6, 7)
    ]


def test_two_processes_bring_an_alarm_once(hall: Hall) -> None:
    """Whoever holds the channel's lock sends; an alarm that both tell waits but once."""
    hall.desk.status = 500
    one, other = hall.begin(), hall.begin()
    for each in (one, other):
        each.tell(alarm())
        settled(each)
    assert len(hall.outbox("desk").waiting(hall.clock.now())) == 1
    hall.desk.status = 200
    hall.clock.advance(timedelta(minutes=1))
    assert hall.ledger.lock("notice:desk:", "a third", timedelta(minutes=1))
    one._couriers["desk"][1].wake()
    settled(one)
    assert len(hall.desk.raw) == 1
    hall.ledger.unlock("notice:desk:", "a third")
    for each in (one, other):
        each._couriers["desk"][1].wake()
        settled(each)
    assert len(hall.desk.raw) == 2


def test_while_sentry_is_away_channels_hear_of_an_alarm_once(hall: Hall) -> None:
    """Each process tells again what Sentry did not take; channels that have it are left out until it did."""
    hall.first.takes = False
    for _ in range(3):
        process = hall.begin()
        process.tell(alarm())
        assert not process.flush(AT_ONCE)
        settled(process)
        process.close()
    assert (len(hall.desk.raw), len(hall.first.events)) == (1, 3)
    hall.first.takes = True
    last = hall.begin()
    last.tell(alarm())
    assert last.flush(AT_ONCE)
    assert facts(hall) == {}


def test_that_the_ledger_is_away_is_told(hall: Hall) -> None:
    """What cannot wait in the ledger is brought from memory, and not taken before."""
    hall.desk.status = 500
    everybody = hall.begin(Away())  # type: ignore[arg-type]
    everybody.tell(alarm(0, "A pass could not be made.", "pass-failed", of=""))
    settled(everybody)
    assert bodies(hall.rest) == ["A pass could not be made."]
    assert everybody.flush(AT_ONCE)
    everybody.tell(alarm())
    settled(everybody)
    assert not everybody.flush(AT_ONCE)


def test_changed_policies_change_who_is_told(hall: Hall) -> None:
    """A channel that stays goes on; of one that is gone nothing more is sent, and what waited is kept."""
    everybody = hall.begin()
    before = everybody._couriers["rest"]
    hall.desk.status = 500
    everybody.tell(alarm())
    settled(everybody)
    everybody.use(Notices({"rest": Channel("rest", STORE, "rest")}, (), ("rest",)), [DESK])
    everybody.tell(alarm(2, "after"))
    settled(everybody)
    assert everybody._couriers == {"rest": before}
    assert len(bodies(hall.rest)) == 1
    assert len(hall.outbox("desk").waiting(hall.clock.now())) == 1


def test_the_end_gives_what_waits_a_moment(hall: Hall) -> None:
    """A command that ends right after an alarm has sent it."""
    process = hall.begin()
    process.tell(alarm())
    process.close()
    assert len(hall.desk.raw) == 1


def test_a_failing_channel_is_kept_as_it_is(hall: Hall) -> None:
    """What is written down of it is read back."""
    now = hall.clock.now()
    failing = replace(Failing(now, "http-500").once_more("timeout", now), told=1, told_at=now)
    hall.outbox("desk").fails(failing)
    assert hall.outbox("desk").failing() == failing
