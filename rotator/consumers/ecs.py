"""An ECS service: a new deployment of what runs, whose tasks read the secret as they start."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from rotator.consumers.aws import Caller
from rotator.consumers.outside import Outside
from rotator.errors import Unknown
from rotator.model import News
from rotator.stores.aws_settings import Access

RIGHTS = frozenset({"ecs:UpdateService"})  # on the service


class ServiceSettings(Access):
    """Which service."""

    cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$|^arn:aws[a-z-]*:ecs:[!-~]{1,1500}$")]
    service: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$|^arn:aws[a-z-]*:ecs:[!-~]{1,1500}$")]


class Ecs:
    """The consumer ``ecs``."""

    Settings = ServiceSettings
    RIGHTS = RIGHTS
    SIGNS: ClassVar[str | None] = None

    def __init__(
        self, settings: ServiceSettings, outside: Outside, *, client: Callable[[], Any] | None = None
    ) -> None:
        self._settings = settings
        self._name = outside.name
        self._caller = Caller("ecs", settings, outside, client)

    def tell(self, news: News) -> None:  # noqa: ARG002 - a deployment carries no message
        """UpdateService with ``forceNewDeployment``; told twice, it is deployed once more."""
        request = {
            "cluster": self._settings.cluster,
            "service": self._settings.service,
            "forceNewDeployment": True,
        }
        answer = self._caller.call("UpdateService", request)
        if not isinstance(answer.get("service"), dict):
            raise Unknown("garbage", f"{self._name}: ECS answered with something else than a service.")

    def check(self) -> None:
        """Credentials."""
        self._caller.check()

    def close(self) -> None:
        """Close every connection. May be called twice."""
        self._caller.close()
