"""An EventBridge bus: an event of ours, which rules there hand on."""

import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from rotator.consumers import message
from rotator.consumers.aws import Caller
from rotator.consumers.outside import Outside
from rotator.errors import Unknown
from rotator.model import News
from rotator.stores.aws_settings import Access

SOURCE = "rotator"
RIGHTS = frozenset({"events:PutEvents"})  # on the bus


class BusSettings(Access):
    """Which bus."""

    bus: Annotated[str, Field(pattern=r"^[/.\-_A-Za-z0-9]{1,256}$|^arn:aws[a-z-]*:events:[!-~]{1,1500}$")]


class EventBridge:
    """The consumer ``eventbridge``."""

    Settings = BusSettings
    RIGHTS = RIGHTS
    SIGNS: ClassVar[str | None] = None

    def __init__(
        self, settings: BusSettings, outside: Outside, *, client: Callable[[], Any] | None = None
    ) -> None:
        self._bus = settings.bus
        self._name = outside.name
        self._caller = Caller("events", settings, outside, client)

    def tell(self, news: News) -> None:
        """PutEvents with one entry. EventBridge does not know a second one: rules may, by the id in it."""
        entry = {
            "Time": news.promoted_at,
            "Source": SOURCE,
            "DetailType": message.TYPE,
            "Detail": json.dumps(message.data(news)),
            "EventBusName": self._bus,
        }
        answer = self._caller.call("PutEvents", {"Entries": [entry]})
        entries = answer.get("Entries")
        taken = isinstance(entries, list) and len(entries) == 1 and bool(entries[0].get("EventId"))
        if answer.get("FailedEntryCount") != 0 or not taken:
            raise Unknown("not-taken", f"{self._name}: the bus did not take the event.")

    def check(self) -> None:
        """Credentials."""
        self._caller.check()

    def close(self) -> None:
        """Close every connection. May be called twice."""
        self._caller.close()
