"""When a policy's windows are open: by the clock on the wall, whatever the zone does to it. Pure.

A window is open at every moment whose local time lies in it. So a time that the spring change leaves out
opens the window at the change, and one that the autumn change repeats opens it twice.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from rotator.model import Policy, Window

_DAY = timedelta(days=1)
_SPAN = 16  # days: a weekday that a zone left out (Samoa, 2011) comes again within these
_SECOND = timedelta(seconds=1)


def in_window(policy: Policy, at: datetime) -> bool:
    """Whether scheduled work may happen at this moment: in one of the windows, or there are none."""
    if not policy.windows:
        return True
    return _open(policy.windows, at.astimezone(ZoneInfo(policy.timezone)))


def window_opens(policy: Policy, at: datetime) -> datetime:
    """The earliest moment not before ``at`` that is in a window; ``at`` itself where there are none."""
    if in_window(policy, at):
        return at
    zone = ZoneInfo(policy.timezone)
    moments = sorted({*_starts(policy.windows, at, zone), *_changes(zone, at)})
    return next(moment for moment in moments if moment >= at and in_window(policy, moment))


def _open(windows: Iterable[Window], local: datetime) -> bool:
    today, yesterday, clock = local.weekday(), (local.weekday() - 1) % 7, local.time()
    for window in windows:
        if window.start < window.end:
            if today in window.days and window.start <= clock < window.end:
                return True
        elif (today in window.days and clock >= window.start) or (
            yesterday in window.days and clock < window.end
        ):
            return True
    return False


def _starts(windows: Iterable[Window], at: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Each moment at which a window's own beginning is on the clock."""
    first = at.astimezone(zone).date() - _DAY
    for day in (first + _DAY * count for count in range(_SPAN + 2)):
        for window in windows:
            if day.weekday() in window.days:
                yield from _moments(day, window.start, zone)


def _moments(day: date, clock: time, zone: tzinfo) -> Iterator[datetime]:
    for fold in (0, 1):
        yield datetime.combine(day, clock.replace(fold=fold), zone).astimezone(UTC)


def _changes(zone: tzinfo, at: datetime) -> Iterator[datetime]:
    """The moments in the days after ``at`` at which the zone's offset changes."""
    at = at.astimezone(UTC).replace(microsecond=0)
    for begin in (at + _DAY * count for count in range(_SPAN + 1)):
        if _offset(zone, begin) != _offset(zone, begin + _DAY):
            yield _change(zone, begin, begin + _DAY)


def _change(zone: tzinfo, low: datetime, high: datetime) -> datetime:
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: tzinfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
