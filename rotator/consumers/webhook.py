"""A webhook: an HTTPS address that takes a signed message.

Signed as Standard Webhooks says (its specification, "Signature scheme"): ``webhook-id``,
``webhook-timestamp`` (Unix seconds) and the body, joined by full stops, under HMAC-SHA256;
``webhook-signature`` is ``v1,`` and the Base64 of it. Ready-made libraries verify it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rotator.consumers import http, message
from rotator.consumers.outside import Outside
from rotator.errors import NeedsPerson
from rotator.model import News
from rotator.providers.http import Budget
from rotator.providers.network import Call

FIELD = "signing_key"  # of the secret that signs
SHORTEST = 24  # bytes of a key (Standard Webhooks: between 24 and 64)
_PREFIX = "whsec_"  # what follows is Base64


class HookSettings(BaseModel):
    """Where it is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, Field(pattern="^https?://")]


class Webhook:
    """The consumer ``webhook``."""

    Settings = HookSettings
    RIGHTS: ClassVar[frozenset[str]] = frozenset()
    SIGNS: ClassVar[str | None] = FIELD

    def __init__(self, settings: HookSettings, outside: Outside) -> None:
        self._base, self._path = http.split(settings.url)
        self._outside = outside

    def tell(self, news: News) -> None:
        """POST the message: any 2xx says that it was taken, whatever becomes of its body. The id lets the
        receiver see a second one.
        """
        budget = Budget(self._outside.clock)
        key, body = self._key(), message.body(news)
        headers = {"Content-Type": "application/json", **self._signed(key, news.id, body)}
        call = Call("POST", self._path, headers, body=body, status_only=True)
        answer = http.send(self._outside.network, self._base, self._outside.name, call, budget)
        if not answer.ok:
            raise http.refusal(answer, self._outside.name, self._outside.clock)

    def check(self) -> None:
        """The signing secret can be read, and holds a key."""
        self._key()

    def _signed(self, key: bytes, news_id: str, body: bytes) -> Mapping[str, str]:
        at = str(int(self._outside.clock.now().timestamp()))
        content = b".".join((news_id.encode(), at.encode(), body))
        signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return {"webhook-id": news_id, "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}

    def _key(self) -> bytes:
        """Read when it is used, and kept no longer than a call."""
        assert self._outside.signing is not None, "a webhook without a signing secret was refused"
        held = self._outside.signing().get(FIELD) or ""
        key = _bytes(held)
        if key is None or len(key) < SHORTEST:
            raise NeedsPerson(
                "signing-key",
                f"The signing secret of {self._outside.name} holds no {FIELD} of at least {SHORTEST} bytes.",
                todo=f"write one there: JSON with {FIELD}, 32 random bytes in Base64 after {_PREFIX}",
            )
        return key


def _bytes(held: str) -> bytes | None:
    """A key as it is kept: plain text, or Base64 after the prefix. None where that is none."""
    if not held.startswith(_PREFIX):
        return held.encode(errors="surrogatepass")
    try:
        return base64.b64decode(held.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
