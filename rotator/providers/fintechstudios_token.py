"""FinTech Studios' login: what is sent, and what its answers mean.

Facts from the FinTech Studios docs, API Authentication (2023), and from the vendor's later authentication
instructions (2025), which differ in the path, in the unit of ``expires`` and in the token's header.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

from pydantic import Field

from rotator.errors import Refused
from rotator.model import Credential, Issued
from rotator.providers.answers import Answer
from rotator.providers.managed import Pace, json_body
from rotator.providers.network import Call
from rotator.providers.parsing import garbage, guessable, jwt_ending

TOKEN = re.compile(r"[\x21-\x7e]{8,8192}")
_USER = re.compile(r"[\x21-\x7e]{1,200}")
_MILLISECONDS = 10**11  # in seconds that would be the year 5138
_LONGEST = timedelta(days=366)


class FintechOptions(Pace):
    """The provider's section.

    ``token_path`` and ``token_header`` choose between the spellings of the vendor's pages. ``probe_path`` is
    a harmless GET that needs the organisation's key and a token; the pages name none.
    """

    token_path: Literal["/auth/token", "/auth/login"] = "/auth/token"
    token_header: Literal["bearer", "raw", "x-api-token"] = "bearer"
    probe_path: str | None = Field(default=None, pattern=r"^/[A-Za-z0-9._~/-]{0,200}$")

    def headers(self, access_key: str, token: str) -> dict[str, str]:
        """What a request carries: the organisation's key, and the token in the spelling that is chosen."""
        if self.token_header == "x-api-token":
            return {"x-api-key": access_key, "x-api-token": token}
        spelled = f"Bearer {token}" if self.token_header == "bearer" else token
        return {"x-api-key": access_key, "Authorization": spelled}


class FintechEndpoint:
    """One login mints one token. Too many logins throttle or disable the account (API Authentication)."""

    secrets: tuple[str, ...] = ("access_key", "password")

    def __init__(self, options: FintechOptions, name: str) -> None:
        self._path = options.token_path
        self._name = name

    def call(self, parent: Credential) -> Call:
        """E-mail and password in JSON; the organisation's key goes along, as with every request."""
        headers = {"x-api-key": parent.get("access_key") or "", "Content-Type": "application/json"}
        asked = {name: parent.get(name) for name in ("email", "password")}
        return Call("POST", self._path, headers, body=json_body(asked))

    def refuses(self, answer: Answer) -> bool:
        """401. A 403 may be a gateway's word on the organisation's key, so it says nothing of the login."""
        return answer.status == HTTPStatus.UNAUTHORIZED

    def minted(self, answer: Answer, parent: Credential, sent: datetime) -> Issued:
        """``token``, ``expires`` and ``userId``. Raises Refused where a 2xx carries an ``error``."""
        body = answer.json()
        if failed(body):
            raise Refused(
                "login-failed", f"{self._name}: the answer to the login is an error ({answer.status})."
            )
        row: Mapping[str, Any] = body if isinstance(body, dict) else {}
        token, user = row.get("token"), row.get("userId")
        if not isinstance(token, str) or not TOKEN.fullmatch(token) or guessable(token):
            raise garbage("token is missing, too simple, or holds characters that no token may hold")
        if not isinstance(user, str) or not _USER.fullmatch(user):
            raise garbage("userId is missing or holds characters that no id may hold")
        ends = ending(row.get("expires"), token, sent)
        fields = {
            "access_key": parent.get("access_key") or "",
            "token": token,
            "user_id": user,
            "expires_at": str(ends),
        }
        return Issued(str(ends), Credential(fields), {}, datetime.fromtimestamp(ends, UTC))


def failed(body: object) -> bool:
    """Whether a body is a failure, whatever its status: the vendor's gateway answers some with a 2xx."""
    return isinstance(body, dict) and isinstance(body.get("error"), dict | str) and bool(body["error"])


def ending(expires: object, token: str, now: datetime) -> int:
    """When a token ends, in Unix seconds, rounded down: the earlier of ``expires`` and the token's own word.

    ``expires`` is in milliseconds from 10^11 on, in seconds below. Raises Unknown (``garbage``) for what is
    no number, past, or more than a year ahead.
    """
    if not isinstance(expires, int) or isinstance(expires, bool):
        raise garbage("expires is not a number")
    seconds = expires // 1000 if expires >= _MILLISECONDS else expires
    own = jwt_ending(token)
    ends = seconds if own is None else min(seconds, own)
    if ends <= now.timestamp():
        raise garbage("the token has expired already")
    if seconds > (now + _LONGEST).timestamp():
        raise garbage("expires is more than a year ahead")
    return ends
