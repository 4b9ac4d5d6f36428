"""Which addresses a policy may name: those to which a credential may be sent."""

import re
from urllib.parse import SplitResult, urlsplit

from rotator.addresses import address as spelled
from rotator.addresses import forbidden

_HOST = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*\.?")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
_PRINTABLE = re.compile(r"[!-~]+")
_BRACKETED = re.compile(r"\[[^\[\]]*\](?::[0-9]*)?")
_METADATA = frozenset({"metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal"})
_EXAMPLE = "Write it as https://host/path."

Wrong = tuple[str, str]


def wrong_url(text: str) -> Wrong | None:
    """What is wrong with a base URL and what would be right, without quoting it; None if nothing is.

    https, or http to this machine; no user, query or fragment; no address that answers whoever asks from
    this machine with credentials (169.254.169.254 and its like).
    """
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        return "The URL holds a space or a character that no URL has.", _EXAMPLE
    try:
        url = urlsplit(text)
        port, host = url.port, url.hostname or ""
    except ValueError:
        return "This is not a URL, or its port is not a number.", _EXAMPLE
    return _wrong_parts(url, text) or _wrong_host(host.lower(), port, url)


def _wrong_parts(url: SplitResult, text: str) -> Wrong | None:
    if url.scheme not in ("https", "http"):
        return "The URL does not begin with https://.", _EXAMPLE
    if "@" in url.netloc:
        return "The URL holds a user or a password.", "Leave it out: credentials are kept in a store."
    if "[" in url.netloc and not _BRACKETED.fullmatch(url.netloc):
        return "The URL's host is not a name or an address.", _EXAMPLE
    if "?" in text or "#" in text:
        return "The URL holds a query or a fragment.", "End it with the path."
    return None


def _wrong_host(host: str, port: int | None, url: SplitResult) -> Wrong | None:
    if port == 0:
        return "Port 0 reaches nothing.", "Write a port from 1 to 65535, or leave it out."
    address = spelled(host)
    if address is None and (not _HOST.fullmatch(host) or _NUMERIC.fullmatch(host)):
        return "The URL's host is not a name or an address.", _EXAMPLE
    if host.rstrip(".") in _METADATA or (address is not None and forbidden(address)):
        return "The URL's host is an address from which machines get their own credentials, or nobody's.", (
            "Write the provider's host name."
        )
    if url.scheme == "http" and not _loopback(host):
        return (
            "The URL is not https, so keys would be sent readable.",
            "Write https://; http is for this machine only.",
        )
    return None


def _loopback(host: str) -> bool:
    address = spelled(host)
    return host in ("localhost", "localhost.") or (address is not None and address.is_loopback)
