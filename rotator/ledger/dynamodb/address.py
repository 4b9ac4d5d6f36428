"""The address of a ledger in DynamoDB: ``dynamodb://TABLE?region=eu-west-1``."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from rotator.errors import LedgerUnusable

SCHEME = "dynamodb://"
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")  # DynamoDB API, CreateTable, TableName
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
_SETTINGS = {"region", "endpoint_url"}
_FORM = (
    "It is dynamodb://TABLE, and may say more: dynamodb://TABLE?region=eu-west-1, "
    "&endpoint_url=https://… for an endpoint of your own."
)


@dataclass(frozen=True, slots=True)
class Address:
    """A table, its region (None: the environment's or the profile's) and its endpoint (None: AWS's own)."""

    table: str
    region: str | None = None
    endpoint_url: str | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{SCHEME}{self.table}"


def parsed(url: str) -> Address:
    """What an address names. Raises LedgerUnusable, and never repeats what is not understood."""
    try:
        parts = urlsplit(url)
        given = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong() from None
    table = parts.netloc
    once = all(len(values) == 1 for values in given.values())
    if not _TABLE.fullmatch(table) or parts.path or parts.fragment or set(given) - _SETTINGS or not once:
        raise _wrong()
    region, endpoint = (given.get(name, [None])[0] for name in ("region", "endpoint_url"))
    if region is not None and not _REGION.fullmatch(region):
        raise _wrong()
    if endpoint is not None and not _is_safe(endpoint):
        raise LedgerUnusable(
            "The endpoint_url in the ledger's address is refused: what is signed and written there must be "
            "read by nobody between. Name one with https, or one on this machine. [address]"
        )
    return Address(table, region, endpoint)


def _is_safe(endpoint: str) -> bool:
    """Whether it is reached by TLS, or is on this machine."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        plain = not (parts.query or parts.fragment or parts.username or parts.password) and bool(host)
    except ValueError:
        return False
    return plain and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong() -> LedgerUnusable:
    return LedgerUnusable(f"The ledger's address is not understood. {_FORM} [address]")
