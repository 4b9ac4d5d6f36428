"""No password stands in a ledger's address, which process lists and environments show. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from rotator.errors import LedgerUnusable

_SETTINGS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key"})  # of libpq's
_PLAIN = re.compile(r"[\w.,-]*")


def must_not_be_in(url: str) -> None:
    """Refuse what looks like a password, before anything is understood: one that holds a slash, a question
    mark or an escape would be taken for something else, which is shown. Raises LedgerUnusable.
    """
    scheme, _, rest = url.partition("://")
    before = rest.partition("/" if scheme == "sqlite" else "?")[0]
    if ":" in unquote(before).rpartition("@")[0] or "password=" in unquote(rest):
        raise _refused()


def must_not_be_among(settings: Iterable[str]) -> None:
    """Refuse settings of which one is a password, as they were understood. Raises LedgerUnusable."""
    if not _SETTINGS.isdisjoint(settings):
        raise _refused()


def shown(part: str) -> str:
    """A part of an address, if it is so plain that it can be nothing but a name; else an ellipsis."""
    return part if _PLAIN.fullmatch(part) else "…"


def _refused() -> LedgerUnusable:
    return LedgerUnusable(
        "The ledger's address holds a password, which would be read in process lists and environments. "
        "Take it out; for PostgreSQL, postgresql://user@host/database, put it into a password file. "
        "[password]"
    )
