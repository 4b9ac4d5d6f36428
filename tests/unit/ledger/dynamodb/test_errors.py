import pytest
from botocore import exceptions as boto

from rotator.errors import LedgerUnusable
from rotator.ledger.dynamodb.address import Address
from rotator.ledger.dynamodb.errors import Again, Beaten, sorted_out
from rotator.ledger.dynamodb.items import closed, opened, packed

WHERE = Address("rotator", "eu-west-1")


def answered(code: str, message: str = "", *reasons: dict[str, str], status: int = 400) -> Exception:
    """What becomes of an answer with this error."""
    response = {
        "Error": {"Code": code, "Message": message},
        "CancellationReasons": list(reasons),
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return sorted_out(boto.ClientError(response, "GetItem"), WHERE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ProvisionedThroughputExceededException", 400, "busy"),
        ("ThrottlingException", 400, "busy"),
        ("TransactionInProgressException", 400, "busy"),
        ("InternalServerError", 500, "in-doubt"),
        ("503", 503, "in-doubt"),
    ],
)
def test_what_may_be_sent_again(code: str, status: int, kind: str) -> None:
    """Throttling and a server's fault are tried again."""
    found = answered(code, status=status)
    assert isinstance(found, Again)
    assert found.kind == kind


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("None", "ConditionalCheckFailed"), Beaten),
        (("TransactionConflict", "ConditionalCheckFailed"), Beaten),
        (("TransactionConflict", "None", "ThrottlingError"), Again),
        (("ProvisionedThroughputExceeded",), Again),
        (("ValidationError",), LedgerUnusable),
        (("ItemCollectionSizeLimitExceeded",), LedgerUnusable),
        ((), LedgerUnusable),
    ],
)
def test_a_transaction_that_was_not_done(codes: tuple[str, ...], expected: type[Exception]) -> None:
    """An item that is not as demanded beats a conflict, which is tried again; all else is told."""
    reasons = ({"Code": code, "Message": "Item size has exceeded"} for code in codes)
    assert isinstance(answered("TransactionCanceledException", "", *reasons), expected)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (boto.NoCredentialsError(), "credentials"),
        (boto.NoRegionError(), "region"),
        (boto.ParamValidationError(report="not-a-real-one"), "rule"),
        (ValueError("not-a-real-one"), "dynamodb"),
    ],
)
def test_what_cannot_be(raised: Exception, kind: str) -> None:
    """Settings that are wrong are told with what to do, without the library's own words."""
    found = sorted_out(raised, WHERE)
    assert isinstance(found, LedgerUnusable)
    assert str(found).endswith(f"[{kind}]")
    assert "not-a-real-one" not in str(found)


def test_what_an_item_holds() -> None:
    """Values are read back as they were written, and no other kind of value is written at all."""
    values = {"a": "text", "b": 2**60, "c": True, "d": None, "e": {"f": "g", "h": None}, "i": ""}
    assert opened(closed(values)) == values
    for wrong in (1.5, b"bytes", ["list"], object()):
        with pytest.raises(TypeError):
            packed(wrong)


def test_what_others_wrote() -> None:
    """Values of other kinds are read as they are, and break nothing."""
    found = opened({"a": {"L": [{"S": "x"}]}, "b": {"B": b"x"}, "c": {"N": "1.5"}, "d": {"SS": ["x"]}})
    assert found == {"a": [{"S": "x"}], "b": b"x", "c": "1.5", "d": ["x"]}
