"""hvac's client with an adapter of our own below it: bounded, no redirects, answers as they are.

hvac's own adapters follow redirects with the token and the body, tell statuses such as 412 and 473 by no
attribute, and put the answer's text into exceptions. This one returns every answer, and hvac raises nothing.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import hvac
import requests
from hvac.adapters import RawAdapter

from rotator.errors import Unknown
from rotator.interfaces import Clock
from rotator.quiet import hush
from rotator.stores.deadline import CONNECT_SECONDS, READ_SECONDS, Deadline
from rotator.stores.vault_errors import Reply
from rotator.stores.vault_settings import Settings

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024  # of an answer
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "rotator"}
_SECONDS = re.compile(r"[0-9]{1,4}")


class JsonText(str):
    """A JSON object as text, which goes into a request as it stands: numbers keep their spelling."""

    __slots__ = ()


class Wire(RawAdapter):  # type: ignore[misc]  # hvac has no types
    """Sends what hvac's methods ask for and returns a Reply, whatever its status."""

    clock: Clock
    deadline: Deadline

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        raise_exception: bool = True,  # noqa: ARG002  the library's signature
        **given: Any,
    ) -> Reply:
        """One request. Raises what requests raises, and Unknown when its time is over."""
        self.deadline.check()
        begun = self.clock.monotonic()
        if "json" in given:
            given["data"] = _encoded(given.pop("json"))
            headers = {"Content-Type": "application/json", **(headers or {})}
        with super().request(
            method, url, headers=dict(headers or {}), raise_exception=False, stream=True, **given
        ) as response:
            reply = self._reply(response, self._content(response, begun))
        told = (reply.body or {}).get("warnings")
        if isinstance(told, list) and told:  # what they say is not ours to repeat
            log.warning("Vault warns in its answer to %s %s (%d)", method.upper(), url, len(told))
        return reply

    def _content(self, response: requests.Response, begun: float) -> bytes:
        """The body, if it is neither too long nor too slow."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unknown("garbage", "Vault answered in an encoding that was not asked for.")
        content = bytearray()
        for piece in response.iter_content(64 * 1024):
            content += piece
            if len(content) > MOST_BYTES:
                raise Unknown("too-long", "Vault answered with more than any secret holds.")
            if self.clock.monotonic() > begun + CONNECT_SECONDS + READ_SECONDS:
                raise Unknown("timeout", "Vault did not finish its answer in time.")
        return bytes(content)

    def _reply(self, response: requests.Response, content: bytes) -> Reply:
        text = content.decode("utf-8", "replace")
        after = response.headers.get("Retry-After", "")
        wait = timedelta(seconds=int(after)) if _SECONDS.fullmatch(after) else None
        return Reply(
            response.status_code, text, _object(text), self.clock.now() + wait if wait is not None else None
        )

    def get_login_token(self, response: Reply) -> str:
        """The library's name for the token of a login's answer; it is never asked for."""
        return str(((response.body or {}).get("auth") or {}).get("client_token") or "")


def _encoded(value: Mapping[str, Any]) -> bytes:
    """A request's body; a JsonText in it stands as it is."""
    members = (
        f"{json.dumps(name)}: {inner if isinstance(inner, JsonText) else json.dumps(inner)}"
        for name, inner in value.items()
    )
    return ("{" + ", ".join(members) + "}").encode()


def _object(text: str) -> dict[str, Any] | None:
    """A JSON object, or None for everything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def session() -> requests.Session:
    """Connections that read nothing from the environment (proxy, netrc, CA bundle) and keep no cookie."""
    made = requests.Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.trust_env = False
    made.headers.clear()
    made.headers.update(_HEADERS)
    return made


def client(settings: Settings, over: requests.Session, clock: Clock, deadline: Deadline) -> Any:
    """An hvac client without a token; the namespace and the CA are fixed before anything is sent."""
    hush()
    over.verify = settings.ca_file or True
    made = hvac.Client(
        url=settings.url,
        token="",
        verify=settings.ca_file or True,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        allow_redirects=False,
        session=over,
        adapter=Wire,
        namespace=settings.namespace,
        strict_http=True,
    )
    made.adapter.clock, made.adapter.deadline = clock, deadline
    return made
