import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger.dynamodb.address import Address, parsed


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("dynamodb://rotator", Address("rotator")),
        ("dynamodb://Ledger_1.b-c?region=eu-west-1", Address("Ledger_1.b-c", "eu-west-1")),
        ("dynamodb://rotator?region=us-gov-east-1", Address("rotator", "us-gov-east-1")),
        (
            "dynamodb://rotator?endpoint_url=https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com",
            Address("rotator", None, "https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com"),
        ),
        (
            "dynamodb://rotator?region=eu-west-1&endpoint_url=http://127.0.0.1:8000",
            Address("rotator", "eu-west-1", "http://127.0.0.1:8000"),
        ),
        ("dynamodb://rotator?endpoint_url=http://[::1]:8000", Address("rotator", None, "http://[::1]:8000")),
    ],
)
def test_an_address_names_a_table(url: str, expected: Address) -> None:
    """An address is a table's name, and where it is if that is not as the environment says."""
    assert parsed(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://",
        "dynamodb://ab",
        "dynamodb:///rotator",
        "dynamodb://rotator/more",
        "dynamodb://rot ator",
        "dynamodb://rotator#part",
        "dynamodb://rotator?regoin=eu-west-1",
        "dynamodb://rotator?region=",
        "dynamodb://rotator?region=here",
        "dynamodb://rotator?region=eu-west-1&region=eu-west-2",
        "dynamodb://rotator?eu-west-1",
        "dynamodb://[rotator",
    ],
)
def test_another_address_is_refused(url: str) -> None:
    """What is no such address is told what one looks like, and is not repeated."""
    with pytest.raises(LedgerUnusable, match=r"dynamodb://TABLE\?region=eu-west-1.*\[address\]") as caught:
        parsed(url)
    assert "regoin" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://dynamodb.eu-west-1.amazonaws.com",
        "http://10.0.0.1:8000",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "https://",
        "https://me:not-a-real-one@example.com",
        "http://[::1",
    ],
)
def test_an_endpoint_in_the_clear_is_refused(endpoint: str) -> None:
    """An endpoint on another host must be reached by TLS, and holds no password."""
    with pytest.raises(LedgerUnusable, match=r"\[address\]") as caught:
        parsed(f"dynamodb://rotator?endpoint_url={endpoint}")
    assert "not-a-real-one" not in str(caught.value)
