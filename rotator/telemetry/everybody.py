"""Who tells people, all together: the log, Sentry, and the channels of the policies.

An alarm is taken by a channel once it waits in that channel's outbox, in the ledger: from there couriers
bring it, each channel apart. So one that is slow or away holds up neither a pass nor another channel.
"""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial

from rotator.errors import LedgerUnusable
from rotator.interfaces import Clock, Ledger
from rotator.model import Event, Level, Policy
from rotator.notices import Channel, Notices, fields_of, message
from rotator.telemetry.courier import Courier
from rotator.telemetry.logs import clean
from rotator.telemetry.outbox import Outbox
from rotator.telemetry.sentry import Alarms
from rotator.telemetry.services import INSTALL, Service, installed

log = logging.getLogger("rotator.alarms")

LAST_WORDS = timedelta(seconds=5)  # for what waits, when a process ends; the next one goes on

Serve = Callable[[Channel], Service]


class Everybody:
    """Alarms to Sentry or the log, which is ``first``, and to channels. No method raises.

    ``serve`` makes what is behind a channel; ``holder`` names this process.
    """

    def __init__(self, first: Alarms, ledger: Ledger, clock: Clock, serve: Serve, holder: str) -> None:
        self._first = first
        self._ledger = ledger
        self._clock = clock
        self._serve = serve
        self._holder = holder
        self._notices = Notices()
        self._by_secret: Mapping[str, Policy] = {}
        self._by_name: Mapping[str, Policy] = {}
        self._couriers: dict[str, tuple[Channel, Courier]] = {}
        self._handed: set[int] = set()  # alarms of the ledger that the channels have from this process
        self._marked: set[int] = set()  # of those, what the ledger knows them to have

    def use(self, notices: Notices, policies: Iterable[Policy]) -> None:
        """Tell by these routes from now on. What waits for a channel that is gone waits until it is back."""
        policies = tuple(policies)
        self._by_secret = {policy.target.id: policy for policy in policies}
        self._by_name = {policy.name: policy for policy in policies}
        before, self._notices = self._couriers, notices
        kept = {name: both for name, both in before.items() if notices.channels.get(name) == both[0]}
        for name in before.keys() - kept.keys():
            before[name][1].end()
        new = {name: channel for name, channel in notices.channels.items() if name not in kept}
        self._couriers = kept | {name: (channel, self._courier(channel)) for name, channel in new.items()}
        if new and not installed():
            log.error("The policies name channels, but Apprise is not there. To do: %s", INSTALL)

    def _courier(self, channel: Channel) -> Courier:
        outbox = Outbox(self._ledger, channel.name, self._holder)
        return Courier(outbox, self._serve(channel), self._clock, partial(self._warn, channel.name))

    # telling

    def tell(self, event: Event) -> None:
        """Log an event; an alarm also goes to Sentry and to every channel that a route leads to."""
        self._first.tell(event)
        if event.level is Level.ALARM and self._couriers and not self._had(event):
            self._hand(event, self._notices.channels_of(event, self._policy(event)))

    def _policy(self, event: Event) -> Policy | None:
        """The policy of an event's secret, as it is now."""
        named = self._by_name.get(event.data.get("policy", ""))
        return self._by_secret.get(event.secret, None if event.secret else named)

    def _hand(self, event: Event, names: Iterable[str]) -> None:
        fields = {name: clean(value) for name, value in fields_of(event).items()}
        now = self._clock.now()
        for channel, courier in [self._couriers[name] for name in names if name in self._couriers]:
            courier.outbox.add(_name(event), message(channel, fields), now)
            courier.wake()
        if event.seq:
            self._handed.add(event.seq)

    def _warn(self, channel: str, kind: str, text: str) -> None:
        """Tell by all other ways that a channel fails: no route may lead to that channel alone."""
        data = {"step": "notify", "error": kind}
        event = Event(secret="", kind="channel-fails", text=text, level=Level.ALARM, data=data)
        self._first.tell(event)
        others = dict.fromkeys((*self._notices.channels_of(event, None), *self._notices.otherwise))
        self._hand(event, [name for name in others if name != channel])

    # what was taken

    def flush(self, timeout: timedelta) -> bool:
        """Whether every alarm is taken, by the channels and, waiting ``timeout`` at most, by Sentry."""
        kept = all(courier.outbox.kept for _, courier in self._couriers.values())
        taken = self._first.flush(timeout)
        with contextlib.suppress(LedgerUnusable):
            self._mark(waits=not taken)
        return taken and kept

    def _mark(self, *, waits: bool) -> None:
        """While Sentry is away each new process hears of an alarm again, which the channels have already."""
        if waits:
            for seq in self._handed - self._marked:
                self._ledger.remember(_mark(seq), "")
                self._marked.add(seq)
            return
        for seq in self._marked:
            self._ledger.forget(_mark(seq))
        self._handed, self._marked = set(), set()

    def _had(self, event: Event) -> bool:
        if not event.seq:
            return False
        with contextlib.suppress(LedgerUnusable):
            if self._ledger.fact(_mark(event.seq)) is not None:
                self._handed.add(event.seq)
                self._marked.add(event.seq)
        return event.seq in self._handed

    # all else

    def checkin(self, status: str, duration: timedelta) -> None:
        """For Sentry alone."""
        self._first.checkin(status, duration)

    def vouch(self, anchor: str) -> None:
        """For Sentry alone."""
        self._first.vouch(anchor)

    def rest(self, timeout: timedelta) -> None:
        """Give what waits ``timeout`` at most, and let no courier go on: the process may be frozen then. What
        is left waits in the ledger; the next ``use`` goes on with it. May be called twice.
        """
        end = time.monotonic() + timeout.total_seconds()
        for _, courier in self._couriers.values():
            courier.settle(end - time.monotonic())
            courier.end()
        self._couriers = {}

    def close(self) -> None:
        """Give what waits a few seconds, then end; the rest waits in the ledger. May be called twice."""
        self.rest(LAST_WORDS)
        self._first.close()


def _mark(seq: int) -> str:
    return f"noticed:{seq}"


def _name(event: Event) -> str:
    """Tells alarms apart: those of the ledger by their number, so that one is not taken twice."""
    return f"{event.seq}" if event.seq else uuid.uuid4().hex
