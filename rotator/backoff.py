"""When to look again. Pure: the counts and times live in the ledger, so a restart forgets no back-off."""

from datetime import datetime, timedelta

_FAILURES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
_TOKENS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
_REMINDERS = (timedelta(days=1), timedelta(days=2), timedelta(days=4), timedelta(days=7))
_FIRST = timedelta(seconds=2)
_PATIENT = timedelta(minutes=10)
_UNANSWERED = (timedelta(minutes=1), timedelta(minutes=5))
_VERIFYING = timedelta(seconds=15)
_PERSON = (timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
_ASKED = (timedelta(seconds=10), timedelta(hours=1))

ATTEMPTS = 3  # tries at one rotation before it fails

_CLOCKS = timedelta(minutes=15)  # by which the clocks of hosts, stores and databases may differ


def is_ahead(at: datetime, now: datetime, span: timedelta = timedelta(0)) -> bool:
    """Whether a time lies further ahead than its span can be: a clock that was wrong wrote it."""
    return at > now + span + _CLOCKS


def passed(since: datetime, span: timedelta, now: datetime) -> bool:
    """Whether so long has passed since a time; one that lies ahead holds nothing up."""
    return now - since >= span or is_ahead(since, now)


def after_failures(failures: int) -> timedelta:
    """How long after a failed rotation the next one may begin, ``failures`` counted since a success."""
    return _FAILURES[min(max(failures, 1), len(_FAILURES)) - 1]


def after_token_failures(failures: int) -> timedelta:
    """The same for a token, which expires meanwhile: 1, 5, then 15 minutes."""
    return _TOKENS[min(max(failures, 1), len(_TOKENS)) - 1]


def after_looks(looks: int) -> timedelta:
    """How long after an error the same step is tried again: doubling from 2 seconds to 10 minutes."""
    return min(_FIRST * (1 << min(looks, 16)), _PATIENT)


def after_no_answer(looks: int) -> timedelta:
    """How long until a message that may have come is sent once more: 1, 5, then 10 minutes."""
    return _UNANSWERED[looks] if looks < len(_UNANSWERED) else _PATIENT


def while_verifying(looks: int) -> timedelta:
    """How long until a key that is not yet accepted is probed again: doubling from 1 to 15 seconds."""
    return min(timedelta(seconds=1) * (1 << min(looks, 16)), _VERIFYING)


def until_reminder(told: int) -> timedelta:
    """How long after people were told the ``told``-th time they are reminded: a day, then later each time."""
    return _REMINDERS[min(max(told, 1), len(_REMINDERS)) - 1]


def while_blocked(looks: int) -> timedelta:
    """How long until we look whether a person has acted; an order or a fresh credential ends it at once."""
    return _PERSON[min(looks, len(_PERSON) - 1)]


def while_asked(waited: timedelta) -> timedelta:
    """How long until we look whether a person has done what they were asked to ``waited`` ago, since nothing
    tells us: after 10 seconds, then after twice as long each time, at last every hour.
    """
    soonest, latest = _ASKED
    return min(max(waited, soonest), latest)
