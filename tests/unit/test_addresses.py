import pytest

from rotator.addresses import refused

NOWHERE = [
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "FD00:EC2:0:0::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "::ffff:0:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "not an address",
]
SOMEWHERE = ["127.0.0.1", "::1", "10.0.0.1", "100.64.0.1", "203.0.113.7", "2001:db8::1", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("text", NOWHERE)
def test_addresses_that_give_credentials_are_refused(text: str) -> None:
    """Link-local addresses, the clouds' sources of credentials and nobody's, in every spelling."""
    assert refused(text)


@pytest.mark.parametrize("text", SOMEWHERE)
def test_addresses_where_a_provider_may_be_are_not(text: str) -> None:
    """Public and private addresses and this machine: a provider may have a private endpoint."""
    assert not refused(text)


@pytest.mark.parametrize("text", SOMEWHERE + NOWHERE)
def test_only_loopback_is_spoken_to_in_clear(text: str) -> None:
    """What is not encrypted stays on this machine, whatever a name leads to."""
    assert refused(text, loopback_only=True) == (text not in ("127.0.0.1", "::1"))
