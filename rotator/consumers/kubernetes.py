"""A Kubernetes Deployment: restarted as ``kubectl rollout restart`` does it.

kubectl writes the time into the annotation ``kubectl.kubernetes.io/restartedAt`` of the pod template; a
template that changed is rolled out (kubectl reference, ``rollout restart``). The time of the promotion is
written, so that the second telling of the same news changes nothing. A Deployment that is paused takes the
annotation and rolls nothing out until it is resumed (Deployments, "Pausing and Resuming a rollout").
"""

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, ClassVar, Never

from pydantic import BaseModel, ConfigDict, Field

from rotator.consumers import http, message
from rotator.consumers.outside import Outside
from rotator.errors import NeedsPerson, Unknown
from rotator.model import News
from rotator.providers.answers import Answer
from rotator.providers.http import Budget
from rotator.providers.network import Call, Network, Surroundings

ANNOTATION = "kubectl.kubernetes.io/restartedAt"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PATCH = "application/strategic-merge-patch+json"
_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"  # RFC 1123, as Kubernetes names namespaces
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_TOKEN_MAX = 64 * 1024


class DeploymentSettings(BaseModel):
    """Which Deployment; in a pod the cluster's own address, token and authority are found by themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: Annotated[str, Field(pattern=_LABEL)]
    deployment: Annotated[str, Field(pattern=_NAME)]
    url: Annotated[str, Field(pattern="^https?://")] | None = None
    token_file: str = str(_ACCOUNT / "token")
    ca_file: str = str(_ACCOUNT / "ca.crt")


class Kubernetes:
    """The consumer ``kubernetes``."""

    Settings = DeploymentSettings
    RIGHTS: ClassVar[frozenset[str]] = frozenset()  # of IAM; the service account may patch this Deployment
    SIGNS: ClassVar[str | None] = None

    def __init__(self, settings: DeploymentSettings, outside: Outside) -> None:
        self._settings = settings
        self._outside = outside
        ca_file = settings.ca_file if (settings.url or "https").startswith("https") else None
        self._network = Network(Surroundings(ca_file=ca_file), outside.clock)  # never through a proxy

    def tell(self, news: News) -> None:
        """PATCH the Deployment's pod template."""
        at = message.moment(news.promoted_at)
        template = {"metadata": {"annotations": {ANNOTATION: at}}}
        body = json.dumps({"spec": {"template": template}}).encode()
        answer = self._patched(body)
        if not answer.ok:
            self._refused(answer)
            raise http.refusal(answer, self._outside.name, self._outside.clock)
        found = answer.json()
        if _member(found, "spec", "template", "metadata", "annotations", ANNOTATION) != at:
            said = f"{self._outside.name}: the answer is not that Deployment with the new annotation."
            raise Unknown("garbage", said)
        if _member(found, "spec", "paused") is True:
            self._asks_to_resume()

    def check(self) -> None:
        """The cluster's address, and the service account's token."""
        self._base()
        self._token()

    def close(self) -> None:
        """Close every connection. May be called twice."""
        self._network.close()

    def _patched(self, body: bytes) -> Answer:
        where = self._settings
        base, path = http.split(self._base())
        path = f"{path.rstrip('/')}/apis/apps/v1/namespaces/{where.namespace}/deployments/{where.deployment}"
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": _PATCH}
        call = Call("PATCH", path, headers, query="?fieldManager=rotator", body=body)
        return http.send(self._network, base, self._outside.name, call, Budget(self._outside.clock))

    def _base(self) -> str:
        if self._settings.url is not None:
            return self._settings.url
        host = os.environ.get("KUBERNETES_SERVICE_HOST")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise self._asks("no-cluster", "this process is in no pod", "give `url`, or run rotator in a pod")
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def _token(self) -> str:
        """Read for each call: the cluster writes a new one now and then."""
        path = Path(self._settings.token_file)
        try:
            with path.open("rb") as file:
                found = file.read(_TOKEN_MAX).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            found = ""
        if not found:
            why = f"{path} holds no token that can be read"
            todo = "mount a service account's token into the pod, as the component kubernetes/restarts does"
            raise self._asks("no-token", why, todo)
        return found

    def _refused(self, answer: Answer) -> None:
        """Raises NeedsPerson for a token that may not do this, or a Deployment that is not there."""
        where = f"Deployment {self._settings.deployment} of namespace {self._settings.namespace}"
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise self._asks("unauthorized", "the token is refused", "see which service account rotator has")
        if answer.status == HTTPStatus.FORBIDDEN:
            todo = f"let its service account `patch` {where} (a Role with `deployments`)"
            raise self._asks("forbidden", f"it may not patch {where}", todo)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise self._asks("missing", f"there is no {where}", "correct it in rotator.yaml")

    def _asks_to_resume(self) -> Never:
        """Raises NeedsPerson: its pods go on with the old key."""
        where = self._settings
        todo = f"kubectl rollout resume deployment/{where.deployment} --namespace {where.namespace}"
        raise self._asks("paused", f"Deployment {where.deployment} is paused, and restarts nothing", todo)

    def _asks(self, kind: str, why: str, todo: str) -> NeedsPerson:
        return NeedsPerson(kind, f"{self._outside.name}: {why}.", todo=todo)


def _member(found: Any, *path: str) -> Any:
    """What an answer holds at a path, or None."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
