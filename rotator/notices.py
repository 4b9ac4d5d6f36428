"""Who is told of an alarm, how loudly, and in which words. Pure: nothing here sends or reads anything.

A channel is one place where people read: a chat, a pager, a mailbox. Its address holds credentials and is
never here, only where it is kept. What may be said of an alarm is an allow-list, Sentry's own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rotator.model import LOCKED_OUT, Event, Policy, StoreRef

TAGS = ("policy", "provider", "owner", "step", "error", "key_id", "where")  # of an event's data
IDS = ("secret", "kind", "rotation", "debt")  # of an event itself
FIELDS = (*TAGS, *IDS, "severity", "text")  # what a template may name
LONGEST = 1500  # characters of a message; what is longer than a service takes is split by Apprise
_PLACE = re.compile(r"\{([^{}]*)\}")
_SHOWN = ("policy", "provider", "owner", "key_id", "secret", "debt", "error")  # below the text, where known


class Severity(StrEnum):
    """How much an alarm asks of people."""

    INFO = "info"  # nothing: it is over
    WARNING = "warning"  # somebody must see to it, in working hours
    CRITICAL = "critical"  # a key may be in wrong hands, or nothing works: wake somebody


_OF_KIND = {
    "conflict": Severity.CRITICAL,
    "fault": Severity.CRITICAL,
    "pass-failed": Severity.CRITICAL,
    "safe-mode": Severity.CRITICAL,
    "will-not-die": Severity.CRITICAL,
    "resumed": Severity.INFO,
    "test": Severity.INFO,
}


def severity(kind: str) -> Severity:
    """The severity of an alarm by its kind; of those that are not named it is a warning."""
    return _OF_KIND.get(kind, Severity.WARNING)


def severity_of(event: Event) -> Severity:
    """That of its kind; whatever befalls a secret whose key in service is dead wakes somebody."""
    return Severity.CRITICAL if event.data.get(LOCKED_OUT) else severity(event.kind)


@dataclass(frozen=True, slots=True)
class Channel:
    """Where people read. The field ``url`` of ``secret`` in ``store`` is its address, as Apprise has them."""

    name: str
    store: StoreRef
    secret: str
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Alarms that are alike in all that is given here, and the names of the channels that they go to."""

    to: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    provider: str | None = None
    severity: tuple[Severity, ...] = ()

    def takes(self, event: Event, policy: Policy | None) -> bool:
        """Whether an alarm goes this way; ``policy`` is that of its secret, if there is one now."""
        tags = policy.tags if policy else {}
        owner = policy.owner if policy else event.data.get("owner")
        provider = event.data.get("provider") or (policy.provider.name if policy else None)
        return (
            all(tags.get(name) == value for name, value in self.tags.items())
            and self.owner in (None, owner)
            and self.provider in (None, provider)
            and (not self.severity or severity_of(event) in self.severity)
        )


@dataclass(frozen=True, slots=True)
class Notices:
    """The section ``notify`` of the policies. ``otherwise`` gets what no route takes."""

    channels: Mapping[str, Channel] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    otherwise: tuple[str, ...] = ()

    def channels_of(self, event: Event, policy: Policy | None) -> tuple[str, ...]:
        """The names of the channels that an alarm goes to: every route that takes it counts."""
        ways = [route.to for route in self.routes if route.takes(event, policy)] or [self.otherwise]
        return tuple(dict.fromkeys(name for way in ways for name in way))


# --- the words -------------------------------------------------------------------------------------------


def fields_of(event: Event) -> dict[str, str]:
    """Everything that may be said of an alarm; its values are still to be scrubbed."""
    ids = {"secret": event.secret, "kind": event.kind, "rotation": event.rotation, "debt": event.debt}
    found = {**{name: event.data.get(name) for name in TAGS}, **ids}
    return {
        **{name: str(value) for name, value in found.items() if value},
        "severity": str(severity_of(event)),
        "text": event.text,
    }


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a title of one line, a body, and how loud it is."""

    title: str
    body: str
    severity: Severity


def message(channel: Channel, fields: Mapping[str, str]) -> Message:
    """An alarm in a channel's words, of fields that were scrubbed."""
    about = fields.get("policy") or fields.get("provider") or fields["kind"]
    body = _filled(channel.template, fields) if channel.template else _ours(fields)
    return Message(f"rotator {fields['severity']}: {about}", body, Severity(fields["severity"]))


def _ours(fields: Mapping[str, str]) -> str:
    known = ", ".join(f"{name} {fields[name]}" for name in _SHOWN if name in fields)
    return "\n".join([fields["text"], *([f"({known})"] if known else [])])


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """A template with its places filled, those that an alarm has nothing for by a dash."""
    return _PLACE.sub(lambda place: fields.get(place[1], "-"), template)


def unknown_places(template: str) -> Iterator[str]:
    """The places of a template that no field fills."""
    return (name for name in _PLACE.findall(template) if name not in FIELDS)


def together(messages: Sequence[Message]) -> tuple[Message, int]:
    """The first messages as one, as many as are read at a glance, and how many they are: at least one."""
    count, length = 1, len(messages[0].body)
    while count < len(messages) and length + len(messages[count].body) <= LONGEST:
        length += len(messages[count].body)
        count += 1
    if count == 1:
        return messages[0], 1
    some = messages[:count]
    worst = max((one.severity for one in some), key=list(Severity).index)
    body = "\n\n".join(f"{one.title}\n{one.body}" for one in some)
    return Message(f"rotator {worst}: {count} alarms", body, worst), count
