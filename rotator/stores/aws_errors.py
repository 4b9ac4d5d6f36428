"""What botocore raises, sorted by what to do next.

Sorted by error code, never by HTTP status: Secrets Manager answers 400 to nearly everything, also to what
is missing. Nothing of a library's text is passed on: ParamValidationError prints the value it was given. An
error code is passed on where it is a word that AWS forms: what answers in its place may send anything.
"""

import re

from botocore import exceptions as boto

from rotator.errors import Conflict, NeedsPerson, NotSent, Refused, RotatorError, Unknown

BUSY = frozenset({
    "LimitExceededException", "LimitExceeded", "PreconditionNotMetException", "Throttling",
    "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "BandwidthLimitExceeded", "SlowDown",
})  # fmt: skip
WRONG = frozenset({
    "InvalidParameterException", "ValidationException", "ValidationError", "InvalidNextTokenException",
    "UnknownOperationException", "MalformedPolicyDocumentException", "SerializationException",
})  # fmt: skip
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation"})
CREDENTIALS = frozenset({
    "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException",
    "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "OptInRequired", "RequestExpired", "RequestTimeTooSkewed",
    "InvalidToken",
})  # fmt: skip
_KMS = frozenset({"DecryptionFailure", "EncryptionFailure"})
_KNOWN = BUSY | WRONG | DENIED | CREDENTIALS | _KMS
_CODE = re.compile(r"[0-9]{3}|[A-Za-z]{1,40}(Exception|Error|Failure|Fault|Unavailable)")  # 503: it had none

NEVER_SENT = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.SSLError,
)
NO_CREDENTIALS = (
    boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError,
    boto.ProfileNotFound, boto.TokenRetrievalError, boto.NoAuthTokenError, boto.SSOError, boto.LoginError,
    boto.ConfigParseError, boto.ConfigNotFound, boto.InvalidConfigError,
    boto.MetadataRetrievalError, boto.RefreshWithMFAUnsupportedError,
    boto.UnknownCredentialError,
)  # fmt: skip


def code_of(raised: BaseException) -> str:
    """The error code of an answer, or nothing: also where it is none that AWS would send."""
    if not isinstance(raised, boto.ClientError):
        return ""
    code = str(raised.response.get("Error", {}).get("Code", ""))
    return code if code in _KNOWN or _CODE.fullmatch(code) else ""


def sent(raised: BaseException | None) -> bool:
    """Whether a request may have reached the other side although ``raised`` came of it."""
    return raised is not None and not isinstance(raised, NEVER_SENT)


def translated(raised: Exception, operation: str, secret: str) -> RotatorError:
    """What to do after ``raised``, as an error of ours; of ``raised`` it holds nothing but the code."""
    if isinstance(raised, boto.ClientError):
        return _answered(code_of(raised), raised.operation_name or operation, secret)
    where = f"{operation} of secret {secret!r}"
    kind = type(raised).__name__
    if isinstance(raised, NEVER_SENT):
        return NotSent("connect", f"{where} was not sent: no connection to Secrets Manager ({kind}).")
    if isinstance(raised, NO_CREDENTIALS):
        return _no_credentials(where, kind)
    if isinstance(raised, boto.ParamValidationError):
        return Refused("param-validation", f"{where} was not sent: botocore refused a value.", permanent=True)
    if isinstance(raised, boto.ReadTimeoutError):
        return Unknown("timeout", f"{where} was sent, but not answered in time.")
    return Unknown(kind, f"{where} ended without a usable answer ({kind}).")


def _answered(code: str, operation: str, secret: str) -> RotatorError:
    where = f"{operation} of secret {secret!r}"
    if code == "ResourceNotFoundException":
        return missing(secret)
    if code in DENIED:
        return _denied(operation, where)
    if code in CREDENTIALS:
        return _no_credentials(where, code)
    if code in _KMS or code.startswith("KMS"):
        return _no_key(code, where)
    return _refused(code, where)


def _refused(code: str, where: str) -> RotatorError:
    if code == "ResourceExistsException":
        return Conflict(code, f"{where}: this token was used with another value.")
    if code == "InvalidRequestException":
        return _not_allowed_now(where)
    if code in BUSY:
        return Refused(
            code, f"Secrets Manager refused {where} for now: too many requests, or a limit is reached."
        )
    if code in WRONG:
        return Refused(code, f"Secrets Manager refused {where}.", permanent=True)
    code = code or "no-code"
    return Unknown(code, f"{where} failed at Secrets Manager; it may have been done ({code}).")


def missing(secret: str) -> NeedsPerson:
    """There is no such secret."""
    return NeedsPerson(
        "missing",
        f"Secret {secret!r}, or the version that was asked for, does not exist.",
        todo="Create the secret in this region and account, or correct `secret` in the policy.",
    )


def _not_allowed_now(where: str) -> NeedsPerson:
    return NeedsPerson(
        "not-allowed-now",
        f"{where} is not possible in the secret's present state.",
        todo="See in Secrets Manager whether it is marked for deletion, a replica, or managed by a service.",
    )


def _denied(operation: str, where: str) -> NeedsPerson:
    if operation.startswith("AssumeRole"):
        return NeedsPerson(
            "access-denied",
            f"The role for {where} may not be assumed.",
            todo="Allow `sts:AssumeRole` on role_arn, and let the role trust this account (and external_id).",
        )
    keys = {"GetSecretValue": "kms:Decrypt", "PutSecretValue": "kms:GenerateDataKey and kms:Decrypt"}
    also = f"; with a KMS key of your own also {keys[operation]} on it" if operation in keys else ""
    return NeedsPerson(
        "access-denied",
        f"{where} is not allowed.",
        todo=f"Allow `secretsmanager:{operation}` on this secret{also}.",
    )


def _no_credentials(where: str, kind: str) -> NeedsPerson:
    return NeedsPerson(
        "credentials",
        f"{where} was not possible: the AWS credentials are missing, expired or not accepted ({kind}).",
        todo="Give the worker a role or a profile that works, and check this machine's clock.",
    )


def _no_key(code: str, where: str) -> NeedsPerson:
    return NeedsPerson(
        "kms",
        f"{where} failed at the secret's KMS key ({code}).",
        todo="See that the key is enabled, and allow kms:Decrypt and kms:GenerateDataKey on it.",
    )
