"""What went wrong at Vault, sorted by what to do next.

Sorted by HTTP status, and by two sentences of the KV engine that mean a thing of their own. Nothing of an
answer's body and nothing of a library's text is passed on: both may hold values.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
import urllib3

from rotator.errors import NeedsPerson, NotSent, Refused, RotatorError, Unknown

# KV engine, path_data.go: said with 400 where options.cas is not the current version.
CAS_MISMATCH = "check-and-set parameter did not match the current version"
_UPGRADING = "upgrade from non-versioned", "Upgrading from non-versioned"

# Not done, and worth another try (Vault API, HTTP status codes; Enterprise replication).
_NOT_NOW = {
    412: "this node has not caught up with the last write",
    429: "too many requests",
    472: "it is a disaster recovery secondary",
    473: "it is a performance standby",
}
RETRIED = frozenset({"connect", "timeout", "lost", *(f"http-{status}" for status in _NOT_NOW)})

_NEVER_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.SSLError,
    urllib3.exceptions.ProxyError,
)


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An answer as it arrived. ``body`` is None where the text is no JSON object."""

    status: int
    text: str
    body: dict[str, Any] | None
    retry_at: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether Vault says that it was done: 200 with data, 204 without (Vault API)."""
        return self.status in (200, 204)

    def says(self, *sentences: str) -> bool:
        """Whether one of its errors holds one of these sentences. The errors themselves are never shown."""
        errors = (self.body or {}).get("errors")
        told = [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []
        return any(sentence in each for each in told for sentence in sentences)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, for people: what was asked of which path, and the right that it needs."""

    verb: str
    path: str
    capabilities: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


def retried(error: RotatorError) -> bool:
    """Whether a read that failed so is worth another try at once."""
    kind = getattr(error, "kind", "")
    return kind in RETRIED or kind.startswith("http-5")


def broken(raised: Exception, asked: Asked) -> RotatorError:
    """What to do after the library raised: of ``raised`` only its class is told."""
    kind = type(raised).__name__
    if isinstance(raised, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError) or isinstance(
        _reason(raised), _NEVER_SENT
    ):
        return NotSent("connect", f"{asked} was not sent: no connection to Vault ({kind}).")
    if isinstance(raised, requests.exceptions.Timeout):
        return Unknown("timeout", f"{asked} was sent, but not answered in time.")
    if isinstance(raised, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Unknown("lost", f"{asked} was sent, but the connection ended without an answer ({kind}).")
    if isinstance(raised, OSError) and not isinstance(raised, requests.exceptions.RequestException):
        return NeedsPerson(
            "configuration",
            "No connection to Vault can be made: the CA file cannot be read.",
            todo="Name a readable PEM file in the store's ca_file.",
        )
    return Unknown(kind, f"{asked} ended without a usable answer ({kind}).")


def _reason(raised: Exception) -> object:
    """What urllib3 met, below the exception that requests made of it."""
    below = raised.args[0] if raised.args else None
    return getattr(below, "reason", below)


def answered(reply: Reply, asked: Asked) -> RotatorError:
    """What to do after an answer that is not the success which was asked for."""
    status = reply.status
    if status in _NOT_NOW:
        why = f"Vault refused {asked} for now: {_NOT_NOW[status]}."
        return Refused(f"http-{status}", why, retry_at=reply.retry_at)
    if 300 <= status < 400:  # noqa: PLR2004  redirects
        return Refused(
            "redirect",
            f"{asked} was answered with a redirect, which is not followed: give url the active node.",
        )
    if status >= 500:  # noqa: PLR2004  server errors
        sealed = " It may be sealed or overloaded." if status == 503 else ""  # noqa: PLR2004
        why = f"{asked} failed at Vault ({status}); it may have been done.{sealed}"
        return Unknown(f"http-{status}", why, retry_at=reply.retry_at)
    return _refused(reply, asked)


def _refused(reply: Reply, asked: Asked) -> RotatorError:
    if reply.status == 403:  # noqa: PLR2004  also said of an expired token
        return _denied(asked)
    if reply.status == 404:  # noqa: PLR2004
        return NeedsPerson(
            "not-kv2",
            f"{asked}: Vault knows no such mount, or not in this namespace.",
            todo="Correct mount, auth.mount or namespace in the store's settings.",
        )
    if reply.says(*_UPGRADING):
        return Refused("upgrading", f"Vault refused {asked} for now: the mount is being upgraded to KV v2.")
    if 400 <= reply.status < 500:  # noqa: PLR2004  the client's errors
        return Refused(f"http-{reply.status}", f"Vault refused {asked} ({reply.status}).", permanent=True)
    return garbage(asked)


def _denied(asked: Asked) -> NeedsPerson:
    allowed = " and ".join(f"`{capability}`" for capability in asked.capabilities) or "this"
    return NeedsPerson(
        "access-denied",
        f"{asked} is not allowed, or the token is no longer valid.",
        todo=f"Allow {allowed} on path `{asked.path}` in the policy of the worker's token (or role).",
    )


def garbage(asked: Asked) -> Unknown:
    """An answer that is none."""
    return Unknown("garbage", f"{asked} was answered with something else than an answer of Vault.")
