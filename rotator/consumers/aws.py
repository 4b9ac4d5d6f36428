"""Calls to an AWS service that a consumer needs: one at a time, bounded in time, with errors sorted."""

from collections.abc import Callable, Mapping
from typing import Any

from rotator.consumers.outside import Outside
from rotator.errors import EffectError, NeedsPerson, NotSent, Refused, RotatorError, Unknown
from rotator.stores.aws_settings import Access
from rotator.stores.deadline import Deadline


class Caller:
    """One AWS service as one consumer calls it. ``client`` stands in for boto3's in tests."""

    def __init__(
        self, service: str, settings: Access, outside: Outside, client: Callable[[], Any] | None = None
    ) -> None:
        self._service = service
        self._settings = settings
        self._name = outside.name
        self._deadline = Deadline(outside.clock)
        self._own: Any = None
        self._client = client or self._boto

    def call(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request, ``operation`` as AWS names it. Raises NotSent, Refused, Unknown, NeedsPerson."""
        return self._deadline.run(lambda: self._sent(operation, request))

    def check(self) -> None:
        """Whether there are credentials to sign with. Raises NeedsPerson."""
        self._deadline.run(self._signs)

    def close(self) -> None:
        """Close the clients that were made here."""
        if self._own is not None:
            self._own.close()

    def _boto(self) -> Any:
        """boto3's client, imported when it is first needed."""
        if self._own is None:
            from rotator.stores.aws_clients import Clients, Doubt  # noqa: PLC0415

            self._own = Clients(self._settings, self._deadline, Doubt(), self._service)
        return self._own(self._settings.region)

    def _signs(self) -> None:
        from rotator.stores import aws_clients  # noqa: PLC0415

        error: RotatorError | None = None
        try:
            found = aws_clients.session(self._settings).get_credentials()
            error = None if found is not None else self._no_credentials("none were found")
        except Exception as raised:  # noqa: BLE001  the library's edge
            error = self._no_credentials(type(raised).__name__)
        if error is not None:
            raise error

    def _sent(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The boundary at which every exception of the library becomes one of ours."""
        error: RotatorError
        self._deadline.check()
        try:
            answer: Mapping[str, Any] = getattr(self._client(), _method(operation))(**request)
        except RotatorError:
            raise
        except Exception as raised:  # noqa: BLE001  whatever it is
            error = self._translated(raised, operation)
        else:
            return answer
        raise error

    def _translated(self, raised: Exception, operation: str) -> RotatorError:
        """What to do after ``raised``, as an error of ours; of ``raised`` it holds nothing but the code."""
        from rotator.stores import aws_errors  # noqa: PLC0415

        code, kind = aws_errors.code_of(raised), type(raised).__name__
        where = f"{self._name}: {self._service}:{operation}"
        if isinstance(raised, aws_errors.NEVER_SENT):
            return NotSent("connect", f"{where} was not sent: no connection ({kind}).")
        if isinstance(raised, aws_errors.NO_CREDENTIALS) or code in aws_errors.CREDENTIALS:
            return self._no_credentials(code or kind)
        if code in aws_errors.DENIED:
            todo = (
                f"allow `{self._service}:{operation}` on it, and `sts:AssumeRole` on role_arn if one is given"
            )
            return NeedsPerson("access-denied", f"{where} is not allowed.", todo=todo)
        if code.endswith(("NotFoundException", "NotActiveException")):
            return NeedsPerson(code, f"{where}: there is none ({code}).", todo="correct it in rotator.yaml")
        return _sorted(code, kind, where, busy=code in aws_errors.BUSY, wrong=code in aws_errors.WRONG)

    def _no_credentials(self, kind: str) -> NeedsPerson:
        said = f"{self._name}: the AWS credentials are missing, expired or not accepted ({kind})."
        return NeedsPerson("credentials", said, todo="give the worker a role or a profile that works")


def _sorted(code: str, kind: str, where: str, *, busy: bool, wrong: bool) -> EffectError:
    if busy:
        return Refused(code, f"{where} was refused for now: too many requests.")
    if wrong:
        return Refused(code, f"{where} was refused ({code}).", permanent=True)
    return Unknown(code or kind, f"{where} ended without a usable answer ({code or kind}).")


def _method(operation: str) -> str:
    """boto3's name of an operation: ``PutEvents`` is ``put_events``."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).removeprefix("_")
