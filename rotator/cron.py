"""Cron expressions with the weekday numbers of cron, in a time zone. Pure.

APScheduler counts weekdays from Monday and joins day of month and weekday with "and"; cron counts from
Sunday and joins them with "or" (APScheduler's guide, CronTrigger). So weekdays are translated here to
names, and an expression that restricts both is refused. APScheduler is imported when first needed: most
commands need no cron.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ("minute", "hour", "day of month", "month", "weekday")
_FIELD = re.compile(r"[0-9a-z*/,-]{1,200}")
_DAY = re.compile(r"(?:(\*)|([a-z]{3}|[0-7])(?:-([a-z]{3}|[0-7]))?)(?:/([1-7]))?")
_REFERENCE = datetime(2026, 1, 1, tzinfo=UTC)
_HORIZON = datetime(2035, 1, 1, tzinfo=UTC)  # beyond the next 29 February of any calendar
_LOOKED_AT = 40  # fires, for the smallest gap: more than a month of days
EXAMPLE = 'Write minute, hour, day of month, month and weekday, such as "0 9 * * tue".'


def check(expression: str) -> None:
    """Nothing, or ValueError with what is wrong and what would be right."""
    _trigger(expression, "UTC")
    if shortest_gap(expression) is None:
        raise ValueError(f"This cron expression names a day that does not come. {EXAMPLE}")


def next_fire(expression: str, timezone: str, after: datetime) -> datetime | None:
    """The first time strictly after ``after``, in UTC."""
    after = after.astimezone(UTC)
    found: datetime | None = _trigger(expression, timezone).get_next_fire_time(
        after, after + timedelta(days=1)
    )
    return found.astimezone(UTC) if found else None


def shortest_gap(expression: str) -> timedelta | None:
    """The least time between two fires, from the next forty of them; None if it never fires.

    Counted in UTC: a change of the clocks may shorten one gap by its hour.
    """
    return min(_gaps(expression), default=None)


def longest_gap(expression: str) -> timedelta | None:
    """The most time between two fires, from the next forty of them; None if it never fires."""
    return max(_gaps(expression), default=None)


@lru_cache(maxsize=1024)
def _gaps(expression: str) -> tuple[timedelta, ...]:
    trigger = _trigger(expression, "UTC", _HORIZON)
    fires: list[datetime] = []
    found = trigger.get_next_fire_time(None, _REFERENCE)
    while found and len(fires) < _LOOKED_AT:
        fires.append(found)
        found = trigger.get_next_fire_time(found, found + timedelta(days=1))
    if len(fires) == 1:
        return (_HORIZON - _REFERENCE,)
    return tuple(later - earlier for earlier, later in pairwise(fires))


@lru_cache(maxsize=1024)
def _trigger(expression: str, timezone: str, end: datetime | None = None) -> Any:
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - see the module's docstring

    minute, hour, day, month, weekday = _split(expression)
    names = _weekdays(weekday)
    try:
        return CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=names,
            timezone=ZoneInfo(timezone),
            end_date=end,
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_reason(error)} {EXAMPLE}") from None


def _split(expression: str) -> list[str]:
    fields = expression.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"A cron expression has five fields, this one has {len(fields)}. {EXAMPLE}")
    for name, field in zip(_FIELDS, fields, strict=True):
        if not _FIELD.fullmatch(field):
            raise ValueError(f"The {name} of this cron expression is not understood. {EXAMPLE}")
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        raise ValueError(
            "This cron expression restricts the day of month and the weekday at once, which schedulers "
            "read differently. Write * in one of the two."
        )
    return fields


def _weekdays(field: str) -> str:
    """The field with every day by its name: names mean the same to everybody."""
    if field == "*":
        return field
    days = {day for part in field.split(",") for day in _days(part)}
    return ",".join(_DAYS[day] for day in sorted(days))


def _days(part: str) -> list[int]:
    found = _DAY.fullmatch(part)
    if not found:
        raise ValueError(f"The weekday of this cron expression is not understood. {EXAMPLE}")
    star, first, last, step = found.groups()
    begin = 0 if star else _day(first)
    end = 6 if star or (step and not last) else _day(last or first)
    if end == 0 and begin > 0:
        end = 7  # sat-sun: Sunday ends the week as well as beginning it
    if end < begin:
        raise ValueError(
            "The weekdays of this cron expression run backwards. Name each, such as fri,sat,mon."
        )
    return [day % 7 for day in range(begin, end + 1, int(step or 1))]


def _day(word: str) -> int:
    """The day's number, from 0 for Sunday to 7 for Sunday again, as cron counts."""
    if word.isdigit():
        return int(word)
    if word not in _DAYS:
        raise ValueError(f"The weekday of this cron expression is not one of {', '.join(_DAYS)}. {EXAMPLE}")
    return _DAYS.index(word)


def _reason(error: Exception) -> str:
    """APScheduler's own sentence: it names the field and the bounds."""
    said = str(error).strip().rstrip(".")
    return f"This cron expression is not understood: {said[:120]}."
