"""Figure Markets Partner API: a client that a person issues, and the access token that it mints.

Facts from the Figure Markets docs: Partner API, Authentication; Reference, Errors and Rate limits. The
Trader API of the same company is another product, with another token request.
"""

import re
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from rotator.model import Credential, Issued, Probe, Traits, Verdict, Verification
from rotator.providers.answers import Answer
from rotator.providers.logins import Login, PersonIssued, ShortLived, doubt, refusal
from rotator.providers.managed import json_body
from rotator.providers.network import Call
from rotator.providers.parsing import garbage, guessable, unwrapped

_TOKEN_PATH = "/oauth2/token"
_PROBE_PATH = "/api/v1/accounts/positions"
_REFUSALS = ("invalid_client", "invalid_grant", "unauthorized_client")  # RFC 6749, 5.2
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1024}")
_ACCESS_TOKEN = re.compile(r"[\x21-\x7e]{8,8192}")
_LONGEST = timedelta(days=366)


class FigureEndpoint:
    """``/oauth2/token``: client credentials in JSON, where RFC 6749 would send a form."""

    secrets: tuple[str, ...] = ("client_secret",)

    def call(self, parent: Credential) -> Call:
        """The documented request."""
        asked = {
            "client_id": parent.get("client_id"),
            "client_secret": parent.get("client_secret"),
            "grant_type": "client_credentials",
        }
        return Call("POST", _TOKEN_PATH, {"Content-Type": "application/json"}, body=json_body(asked))

    def refuses(self, answer: Answer) -> bool:
        """401 with anything, or 400 with one of RFC 6749's words; the page shows no refusal."""
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return True
        body = answer.shape() if answer.status == HTTPStatus.BAD_REQUEST else None
        return isinstance(body, dict) and body.get("error") in _REFUSALS

    def minted(self, answer: Answer, parent: Credential, sent: datetime) -> Issued:  # noqa: ARG002
        """``access_token``, ``token_type`` and ``expires_in``, seconds counted from before the request."""
        row = unwrapped(answer.json())
        token, kind, seconds = (row.get(name) for name in ("access_token", "token_type", "expires_in"))
        if not isinstance(token, str) or not _ACCESS_TOKEN.fullmatch(token) or guessable(token):
            raise garbage("access_token is missing, too simple, or holds characters that no token may hold")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise garbage("token_type is not bearer")
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise garbage("expires_in is not a number of seconds")
        if not 0 < seconds <= _LONGEST.total_seconds():
            raise garbage("expires_in is not within a year")
        ends = int(sent.timestamp()) + seconds
        fields = {"access_token": token, "token_type": kind, "expires_at": str(ends)}
        return Issued(str(ends), Credential(fields), {}, datetime.fromtimestamp(ends, sent.tzinfo))


class _Figure(Login):
    """What both kinds share. Rate limits exist and are not published: one request a second is modest."""

    kinds: ClassVar[tuple[str, ...]] = ("client", "access-token")
    rate: ClassVar[float] = 1.0
    burst: ClassVar[int] = 5
    endpoint = FigureEndpoint()


class FigureClient(_Figure, PersonIssued):
    """Client id and secret, made in the web app under For Business > API keys; no request makes them.

    A token call proves both. What "regenerate" does to the key in service is not documented.
    """

    traits: ClassVar[Traits] = Traits(
        version="client-1",
        fields=("client_id", "client_secret"),
        secret_fields=("client_secret",),
        id_field="client_id",
        admin_fields=(),
        label_setting="",
        issues=False,
        lists=False,
        revokes=False,
        verification=Verification(successes=1, over=timedelta(0)),  # each probe mints a token
        todo_issue=(
            "Sign in to the Figure Markets web app, open For Business > API keys, and create a new key with "
            "the rights of the one in service: read, or write only if its consumers trade or move money. "
            "Create a new key, do not regenerate the old one: that may end it while it is in service. Copy "
            "the client ID and the client secret at once."
        ),
        todo_revoke=(
            "Sign in to the Figure Markets web app, open For Business > API keys, find the key by its client "
            "ID, and revoke it. Do not regenerate it, and leave every other key alone."
        ),
    )

    @classmethod
    def _misshapen(cls, name: str, value: str) -> str | None:  # noqa: ARG003 - both look alike
        return None if _VISIBLE.fullmatch(value) else "holds blanks, line ends or characters outside ASCII"


class FigureToken(_Figure, ShortLived):
    """An opaque access token; documented to live about two hours, of which ``expires_in`` tells the truth."""

    traits: ClassVar[Traits] = Traits(
        version="access-token-1",
        fields=("access_token", "token_type", "expires_at"),
        secret_fields=("access_token",),
        id_field="expires_at",
        admin_fields=("client_id", "client_secret"),
        label_setting="",
        lists=False,
        exclusive=True,
        expires=True,
        rights=("a key of For Business > API keys",),
    )

    def probe(self, credential: Credential) -> Probe:
        """Read positions. 200 and 403 are LIVE, since a 403 is about a permission; 401 is DEAD."""
        token = credential.get("access_token") or ""
        if not _ACCESS_TOKEN.fullmatch(token):
            return doubt(f"{'malformed:' if token else 'incomplete: no'} access_token")
        call = Call("GET", _PROBE_PATH, {"Authorization": f"Bearer {token}"}, reads=True)
        return self._probed(call, _judged)


def _judged(answer: Answer) -> Probe:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return refusal(answer)
    if answer.status == HTTPStatus.FORBIDDEN:
        return Probe(Verdict.LIVE, "the token is accepted; it lacks the permission to read positions (403)")
    if answer.status != HTTPStatus.OK:
        return doubt(f"http-{answer.status}")
    body = answer.json()
    return Probe(Verdict.LIVE) if isinstance(body, dict | list) else doubt("garbage")
