import pytest
from botocore import exceptions as boto

from rotator.errors import Conflict, NeedsPerson, NotSent, Refused, RotatorError, Unknown
from rotator.stores import aws_errors

VALUE = "what nobody may see"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", Refused),
        ("LimitExceededException", Refused),
        ("TooManyRequestsException", Refused),
        ("InternalServiceError", Unknown),
        ("InternalFailure", Unknown),
        ("ServiceUnavailable", Unknown),
        ("500", Unknown),
        ("403", Unknown),
        ("", Unknown),
        ("InvalidParameterException", Refused),
        ("ValidationException", Refused),
        ("InvalidRequestException", NeedsPerson),
        ("ResourceNotFoundException", NeedsPerson),
        ("ResourceExistsException", Conflict),
        ("AccessDeniedException", NeedsPerson),
        ("ExpiredTokenException", NeedsPerson),
        ("UnrecognizedClientException", NeedsPerson),
        ("DecryptionFailure", NeedsPerson),
        ("EncryptionFailure", NeedsPerson),
        ("KMSDisabledException", NeedsPerson),
    ],
)
@pytest.mark.parametrize("status", [400, 503])
def test_answers_are_sorted_by_code(code: str, kind: type[RotatorError], status: int) -> None:
    """The error code alone says what to do next; the HTTP status and the message say nothing."""
    raised = boto.ClientError(
        {"Error": {"Code": code, "Message": VALUE}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutSecretValue",
    )
    error = aws_errors.translated(raised, "PutSecretValue", "app/one")
    assert type(error) is kind
    assert VALUE not in str(error)
    assert "app/one" in str(error)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (boto.EndpointConnectionError(endpoint_url=VALUE), NotSent),
        (boto.ConnectTimeoutError(endpoint_url=VALUE), NotSent),
        (boto.ProxyConnectionError(proxy_url=VALUE), NotSent),
        (boto.SSLError(endpoint_url=VALUE, error=ValueError(VALUE)), NotSent),
        (boto.ReadTimeoutError(endpoint_url=VALUE), Unknown),
        (boto.ConnectionClosedError(endpoint_url=VALUE), Unknown),
        (boto.HTTPClientError(error=VALUE), Unknown),
        (boto.ParamValidationError(report=VALUE), Refused),
        (boto.NoCredentialsError(), NeedsPerson),
        (boto.ProfileNotFound(profile="one"), NeedsPerson),
        (boto.CredentialRetrievalError(provider="one", error_msg=VALUE), NeedsPerson),
        (boto.DataNotFoundError(data_path=VALUE), Unknown),
        (ValueError(VALUE), Unknown),
        (UnicodeEncodeError("ascii", VALUE, 0, 1, VALUE), Unknown),
    ],
)
def test_exceptions_are_sorted_by_class(raised: Exception, kind: type[RotatorError]) -> None:
    """What never left this machine is told apart from what may have arrived; no text is passed on."""
    error = aws_errors.translated(raised, "PutSecretValue", "app/one")
    assert type(error) is kind
    assert VALUE not in str(error)


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("GetSecretValue", "kms:Decrypt"),
        ("PutSecretValue", "kms:GenerateDataKey"),
        ("UpdateSecretVersionStage", "secretsmanager:UpdateSecretVersionStage"),
        ("AssumeRole", "sts:AssumeRole"),
    ],
)
def test_denied_names_the_missing_right(operation: str, right: str) -> None:
    """A person is told which action to allow."""
    raised = boto.ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)
    error = aws_errors.translated(raised, "GetSecretValue", "app/one")
    assert isinstance(error, NeedsPerson)
    assert right in error.todo


@pytest.mark.parametrize(
    "code", [VALUE, f"KMS{VALUE}", "hunter2hunter2hunter2", "AKIA0000000000000000", "5000"]
)
def test_a_code_that_aws_does_not_form_is_not_repeated(code: str) -> None:
    """What answers in the place of AWS may send a value as its error code: it is no code then."""
    raised = boto.ClientError({"Error": {"Code": code}}, "PutSecretValue")
    error = aws_errors.translated(raised, "PutSecretValue", "app/one")
    assert isinstance(error, Unknown)
    assert code not in f"{error} {error.kind}"
