"""boto3 clients for one service: made once for each region, bounded in time, quiet in the logs."""

import threading
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

import rotator
from rotator.quiet import hush
from rotator.stores import aws_errors
from rotator.stores.aws_settings import Access
from rotator.stores.aws_wire import bound
from rotator.stores.deadline import CONNECT_SECONDS, READ_SECONDS, Deadline

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    max_pool_connections=32,
    user_agent=f"rotator/{rotator.__version__}",  # botocore puts its own together anew for each request
)


class Doubt:
    """Whether an attempt of the request that this thread makes may have had an effect unknown to us."""

    def __init__(self) -> None:
        self._local = threading.local()

    def clear(self) -> None:
        """A new request begins."""
        self._local.doubt = False

    def __bool__(self) -> bool:
        return bool(getattr(self._local, "doubt", False))

    def note(self, response_dict: Any, exception: BaseException | None, **_: Any) -> None:
        """The event ``response-received``: one for each attempt, before it is tried again."""
        failed = response_dict is not None and response_dict["status_code"] >= 500  # noqa: PLR2004  server errors
        if failed or aws_errors.sent(exception):
            self._local.doubt = True


class Clients:
    """Clients of ``service`` by region. May be called from any thread."""

    def __init__(
        self, settings: Access, deadline: Deadline, doubt: Doubt, service: str = "secretsmanager"
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._doubt = doubt
        self._service: Any = service  # the stubs know a function for each name
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._clients: dict[str, Any] = {}

    def __call__(self, region: str) -> Any:
        """The client for a region, made when it is first asked for."""
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._make(region)
            return self._clients[region]

    def close(self) -> None:
        """Let go of every connection. May be called twice."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _make(self, region: str) -> Any:
        hush()
        if self._session is None:
            self._session = session(self._settings)
        client = bound(
            self._session.client(
                self._service, region_name=region, endpoint_url=self._settings.endpoint_url, config=_CONFIG
            )
        )
        named = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{named}", self._before_send)
        client.meta.events.register(f"response-received.{named}", self._doubt.note)
        return client

    def _before_send(self, **_: Any) -> None:
        """The event before each attempt: the last moment to leave it."""
        self._deadline.check()


def session(settings: Access) -> boto3.Session:
    """A session with the settings' own credentials: the machine's, a profile's, or an assumed role's."""
    source = botocore.session.Session(profile=settings.profile)
    if settings.role_arn is None:
        return boto3.Session(botocore_session=source)
    assumed = botocore.session.Session()
    vars(assumed)["_credentials"] = _role(
        source, settings, settings.role_arn
    )  # no public way to give it some that refresh
    return boto3.Session(botocore_session=assumed)


def _role(
    source: botocore.session.Session, settings: Access, role_arn: str
) -> DeferredRefreshableCredentials:
    """Credentials of an assumed role, fetched at first use and again before they expire."""

    def sts(service: str, **given: Any) -> Any:
        return bound(source.create_client(service, region_name=settings.region, config=_CONFIG, **given))

    own = source.get_credentials()
    if own is None:
        raise NoCredentialsError
    named = {"RoleSessionName": "rotator"}
    outside = {"ExternalId": settings.external_id} if settings.external_id else {}
    fetcher = AssumeRoleCredentialFetcher(sts, own, role_arn, extra_args={**named, **outside})
    return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
