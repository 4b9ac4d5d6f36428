"""Addresses to which no credential is ever sent, however they are spelled or looked up. Pure."""

import ipaddress

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What answers whoever asks from this machine with credentials of the machine (the clouds' own pages).
_METADATA = frozenset(
    {
        "169.254.169.254",  # AWS, Google Cloud, Azure and most others; link-local as a whole is refused
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure, WireServer
        "192.0.0.192",  # Oracle Cloud
    }
)
# Their last 32 bits are an IPv4 address: compatible, mapped (RFC 4291), translated (2765), NAT64 (6052).
_EMBEDDING = tuple(
    ipaddress.ip_network(net) for net in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")  # RFC 8215
_NOBODY = (ipaddress.ip_network("0.0.0.0/8"), ipaddress.ip_network("240.0.0.0/4"))


def address(text: str) -> _Address | None:
    """The address that a text spells, with an IPv4 address inside IPv6 unpacked; None if it spells none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if not isinstance(found, ipaddress.IPv6Address) or found.is_loopback or found.is_unspecified:
        return found
    if found in _LOCAL_NAT64 or any(found in net for net in _EMBEDDING):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.sixtofour or found


def forbidden(found: _Address) -> bool:
    """Whether it is link-local, a cloud's source of credentials, or nobody's address.

    Private addresses and this machine are not: providers may be reached through a private endpoint, and TLS
    proves who answers there.
    """
    return (
        found.is_link_local
        or found.is_unspecified
        or found.is_multicast
        or str(found) in _METADATA
        or any(found.version == net.version and found in net for net in _NOBODY)
        or getattr(found, "scope_id", None) is not None
    )


def refused(text: str, *, loopback_only: bool = False) -> bool:
    """Whether a looked-up address must not be spoken to; ``loopback_only`` leaves this machine alone."""
    found = address(text)
    return found is None or forbidden(found) or (loopback_only and not found.is_loopback)
