"""Durations as people write them: ``45s``, ``15m``, ``12h``, ``30d``, ``1d12h``."""

import re
from datetime import timedelta

LONGEST = timedelta(days=3650)
_PARTS = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_REMEDY = "Write days, hours, minutes and seconds in this order, such as 45s, 15m, 12h, 30d or 1d12h."


def parse(text: str) -> timedelta:
    """The duration that ``text`` names, zero included.

    Raises ValueError with two sentences: what is wrong, and what would be right.
    """
    found = _PARTS.fullmatch(text)
    if not text or not found:
        raise ValueError(f"This is not a duration. {_REMEDY}")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if duration > LONGEST:
        raise ValueError(f"This duration is too long. Write at most {LONGEST.days}d.")
    return duration


def text(duration: timedelta) -> str:
    """The shortest spelling that :func:`parse` understands; parts of a second are left out.

    A negative duration, which no policy has, gets a minus sign.
    """
    seconds = int(abs(duration).total_seconds())
    sign = "-" if duration < timedelta(0) and seconds else ""
    parts = (
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "m"),
        (seconds % 60, "s"),
    )
    return sign + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0s")
