"""What DynamoDB says when it cannot, as LedgerUnusable with what to do.

Sorted by error code (DynamoDB developer guide, "Error handling"); of the text nothing is repeated, since it
may quote values. One code, ValidationException, stands for many things, and is told apart by its text.
"""

from collections.abc import Mapping
from typing import Any

from botocore import exceptions as boto

from rotator.errors import LedgerUnusable, Unknown
from rotator.ledger.dynamodb import INDEX_RIGHTS, RIGHTS
from rotator.ledger.dynamodb.address import Address

# Said of a request that may be sent again as it is, at once or a moment later.
_BUSY = frozenset({
    "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded", "ThrottlingException",
    "ThrottlingError", "Throttling", "RequestLimitExceeded", "TransactionConflictException",
    "TransactionConflict", "TransactionInProgressException", "LimitExceededException",
    "ReplicatedWriteConflictException",
})  # fmt: skip
_DOWN = frozenset({"InternalServerError", "InternalFailure", "ServiceUnavailable", "RequestTimeout"})
_CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
_CREDENTIALS = frozenset({
    "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException",
    "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature",
    "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "OptInRequired", "InvalidToken",
})  # fmt: skip
_UNUSABLE_CREDENTIALS = (
    boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError,
    boto.ProfileNotFound, boto.TokenRetrievalError, boto.NoAuthTokenError, boto.SSOError, boto.LoginError,
    boto.ConfigParseError, boto.ConfigNotFound, boto.InvalidConfigError, boto.MetadataRetrievalError,
    boto.UnknownCredentialError,
)  # fmt: skip
_NEVER_SENT = (
    boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError, boto.SSLError,
)  # fmt: skip
_NOT_POSSIBLE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (_UNUSABLE_CREDENTIALS, "credentials"),
    ((boto.NoRegionError,), "region"),
    ((boto.ParamValidationError,), "rule"),
)
_SERVER_ERROR = 500

_SAID = {
    "busy": (
        "is kept busy for too long: DynamoDB slows us down, or others write the same items. Nothing of this "
        "step was written. If it stays so, raise the table's capacity, or let it be billed by request."
    ),
    "down": "is not reached: DynamoDB does not answer. See the network, and the status of the region.",
    "in-doubt": (
        "did not answer whether a step was written: it is written whole or not at all. Nothing need be "
        "done: the next look reads what stands."
    ),
    "clock": "refuses us because of this machine's clock, which is minutes off. Set it right.",
    "credentials": (
        "refuses us: the AWS credentials are missing, expired or not accepted. Give the worker a role or a "
        "profile that works, and check this machine's clock."
    ),
    "rights": (
        f"refuses us a right. Allow on the table {', '.join(sorted(RIGHTS))}, on its indexes "
        f"{', '.join(sorted(INDEX_RIGHTS))}, and, with a KMS key of your own, kms:Decrypt on it."
    ),
    "foreign": (
        "has other keys or indexes than a ledger's: it is another program's, or was made by hand. Make one "
        "with terraform/modules/state, and name that."
    ),
    "size": (
        "refuses a record that is larger than an item of DynamoDB may be (400 KB), or a step of more than "
        "100 items. Nothing of this step was written. Shorten what it is about: the names and settings in "
        "the policy; else this is a defect in rotator: please report it."
    ),
    "rule": (
        "refuses what would break one of its rules, such as a second live rotation of one secret. Nothing of "
        "this step was written. This is a defect in rotator: please report it."
    ),
    "region": "is in no region: say which, with ?region= in its address, or in AWS_DEFAULT_REGION.",
}
_PASSING = frozenset({"busy", "down", "in-doubt"})


class Again(Exception):
    """It may be sent again as it is; ``kind`` is what to say if that is of no use."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Beaten(Exception):
    """An item is not as the condition demands; nothing was written."""


def unusable(where: Address, kind: str) -> LedgerUnusable:
    """The error for people."""
    return LedgerUnusable(f"The ledger {where.name} {_SAID[kind]} [{kind}]", passing=kind in _PASSING)


def sorted_out(raised: Exception, where: Address) -> Exception:
    """What to raise instead of what botocore raised: Again, Beaten or LedgerUnusable, without its text."""
    if isinstance(raised, boto.ClientError):
        return _answered(raised, where)
    if isinstance(raised, _NEVER_SENT):
        return Again("down")
    for kinds, kind in _NOT_POSSIBLE:
        if isinstance(raised, kinds):
            return unusable(where, kind)
    if isinstance(raised, boto.BotoCoreError | Unknown):
        return Again("in-doubt")
    return _strange(where, type(raised).__name__)


def _answered(raised: boto.ClientError, where: Address) -> Exception:
    code = str(raised.response.get("Error", {}).get("Code", ""))
    if code == "TransactionCanceledException":
        return _cancelled(raised.response, where)
    if code == "ResourceNotFoundException":
        return _no_table(where)
    if code == "ValidationException":
        return _invalid(str(raised.response["Error"].get("Message", "")), where)
    return _sorted_by_code(code, _status(raised.response), where)


def _sorted_by_code(code: str, status: int, where: Address) -> Exception:
    if code == "ConditionalCheckFailedException":
        return Beaten()
    if code in _BUSY:
        return Again("busy")
    if code in _DOWN or status >= _SERVER_ERROR:
        return Again("in-doubt")
    if code.startswith(("AccessDenied", "KMS", "NotAuthorized")):
        return unusable(where, "rights")
    for codes, kind in ((_CLOCK, "clock"), (_CREDENTIALS, "credentials")):
        if code in codes:
            return unusable(where, kind)
    return _strange(where, code if code.isalnum() else "no code")


def _cancelled(response: Mapping[str, Any], where: Address) -> Exception:
    """A transaction that was not done: the reasons of its members, in their order."""
    reasons = [reason for reason in response.get("CancellationReasons", []) if reason.get("Code") != "None"]
    codes = {str(reason.get("Code", "")) for reason in reasons}
    if "ConditionalCheckFailed" in codes:
        return Beaten()
    for reason in reasons:
        if reason.get("Code") == "ValidationError":
            return _invalid(str(reason.get("Message", "")), where)
    if codes and codes <= _BUSY:
        return Again("busy")
    return _sorted_by_code(min(codes, default=""), 0, where)


def _invalid(text: str, where: Address) -> LedgerUnusable:
    text = text.lower()
    if "size" in text or "member must have length" in text or "more than" in text:
        return unusable(where, "size")
    if any(word in text for word in ("schema", "key element", "index", "type mismatch")):
        return unusable(where, "foreign")
    return unusable(where, "rule")


def _no_table(where: Address) -> LedgerUnusable:
    return LedgerUnusable(
        f"There is no table {where.table} in this account and region ({where.region or 'of the environment'}"
        "). Rotator makes none: apply terraform/modules/state, which has its keys, indexes and backups, or "
        "correct the ledger's address. [table]"
    )


def _strange(where: Address, what: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"The ledger {where.name} cannot be used ({what}). See that the table is there and active. [dynamodb]"
    )


def _status(response: Mapping[str, Any]) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
