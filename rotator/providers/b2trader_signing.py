"""How a B2Trader request is signed.

HMAC-SHA512 under the private key's text, as upper-case hexadecimal, over the body's exact text or, where
there is none, over the query with its leading ``?`` (B2Trader trading API reference, General information).
"""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

SKEW = timedelta(seconds=5)  # ``ts`` further off than this is refused with 401
_FORMAT = "%Y-%m-%dT%H:%M:%S"


def sign(private_key: str, payload: str) -> str:
    """The ``Sign`` header for a query or a body."""
    return hmac.new(private_key.encode(), payload.encode(), hashlib.sha512).hexdigest().upper()


def signed_query(at: datetime) -> str:
    """``?ts=…&nonce=…``: the time to the second, and a number of 63 bits that is used once."""
    return f"?ts={at.astimezone(UTC).strftime(_FORMAT)}&nonce={secrets.randbits(63)}"


def signed_at(query: str) -> datetime:
    """The time that a signed query carries."""
    stamp = query.removeprefix("?ts=").partition("&")[0]
    return datetime.strptime(stamp, _FORMAT).replace(tzinfo=UTC)


def clocks_agree(query: str, date: datetime | None) -> bool:
    """Whether the server's ``Date`` excludes that it found ``ts`` out of date.

    Both are cut to whole seconds, so that one second of the allowed skew is given up to be sure.
    """
    return date is not None and abs(date - signed_at(query)) <= SKEW - timedelta(seconds=1)
