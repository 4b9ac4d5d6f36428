"""FinTech Studios: a login that the account manager issues, and the token that it mints.

What is sent and answered is in :mod:`rotator.providers.fintechstudios_token`.
"""

import re
import threading
import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar

from rotator.errors import EffectError
from rotator.interfaces import Clock
from rotator.model import Credential, Issued, Probe, ProviderRef, Traits, Verdict, Verification
from rotator.providers.admin import Admin
from rotator.providers.answers import Answer
from rotator.providers.fintechstudios_token import TOKEN, FintechEndpoint, FintechOptions, failed
from rotator.providers.http import Budget
from rotator.providers.logins import Login, PersonIssued, ShortLived, doubt, refusal, said_of
from rotator.providers.managed import Pace, options_of
from rotator.providers.network import Call, Network
from rotator.providers.refusals import Refusals

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,189}")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_LONGEST_PASSWORD = 1024
_KEPT_SECONDS = 300.0  # in which a login that was accepted is not tried again
_NOT_PROVEN = "x-api-key not proven: no probe_path is set"


class _Fintech(Login):
    """What both kinds share. No limit is published, but accounts are throttled or disabled: be slow."""

    Options: ClassVar[type[Pace]] = FintechOptions
    kinds: ClassVar[tuple[str, ...]] = ("access-key", "token")
    admin_in_headers: ClassVar[tuple[str, ...]] = ("access_key",)
    rate: ClassVar[float] = 0.1
    burst: ClassVar[int] = 4

    def __init__(self, ref: ProviderRef, admin: Admin | None, clock: Clock, network: Network) -> None:
        super().__init__(ref, admin, clock, network)
        self._chosen = options_of(ref, FintechOptions)
        self.endpoint = FintechEndpoint(self._chosen, ref.name)

    def _probe_call(self, credential: Credential) -> Call | None:
        """A harmless read with a token and its organisation's key; None where no path is known for it."""
        if self._chosen.probe_path is None:
            return None
        headers = self._chosen.headers(credential.get("access_key") or "", credential.get("token") or "")
        return Call("GET", self._chosen.probe_path, headers, reads=True)


class FintechAccessKey(_Fintech, PersonIssued):
    """The organisation's ``x-api-key`` with a user's e-mail and password.

    No probe can prove all three dead: a login is refused for its password, while the organisation's key may
    live on. Logins that were accepted are not repeated within five minutes, those that were refused not for
    15 minutes, an hour, then a day; the verdict of the last one stands meanwhile.
    """

    traits: ClassVar[Traits] = Traits(
        version="access-key-1",
        fields=("access_key", "email", "password"),
        secret_fields=("access_key", "password"),
        id_field="email",
        shared_id=True,
        admin_fields=(),
        label_setting="",
        issues=False,
        lists=False,
        control=False,
        revokes=False,
        provable=False,
        verification=Verification(successes=1, over=timedelta(0)),
        todo_issue=(
            "Ask your account manager at FinTech Studios for a second API key of your organisation, in "
            "addition to the one in service, for the same user and with the same rights. Ask for a new key: "
            "the old one must not be regenerated or replaced, and must stay valid until you confirm. Where "
            "the password is to change too, change it last: the old one ends at once."
        ),
        todo_revoke=(
            "Have your account manager at FinTech Studios remove that API key, and no other. One e-mail may "
            "stand beside several API keys, so tell them which is meant by its value, read from the version "
            "of the secret that holds it; it must not be the one in service. No request can prove that it is "
            "gone: once they have confirmed it, say so by `rotator settle`."
        ),
    )

    def __init__(self, ref: ProviderRef, admin: Admin | None, clock: Clock, network: Network) -> None:
        super().__init__(ref, admin, clock, network)
        self._refusals = Refusals(self.traits.fields, clock)
        self._one_login = threading.Lock()
        self._accepted: tuple[float, Credential, Issued] | None = None

    @classmethod
    def _misshapen(cls, name: str, value: str) -> str | None:
        if name == "access_key":
            return None if _UUID.fullmatch(value) else "is not a UUID of 36 characters, as an x-api-key is"
        if name == "email":
            return None if _EMAIL.fullmatch(value) else "is not an e-mail address"
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
            return "holds line ends or other control characters"
        return None if len(value) <= _LONGEST_PASSWORD else f"is longer than {_LONGEST_PASSWORD} characters"

    def _tried(self, credential: Credential) -> Probe:
        """LIVE: the login is accepted, and so is the organisation's key where ``probe_path`` asks for it."""
        with self._one_login:
            minted = self._logged_in(credential)
        if isinstance(minted, Probe):
            return minted
        account = minted.credential.get("user_id")
        call = self._probe_call(minted.credential)
        if call is None:
            return Probe(Verdict.LIVE, f"a token was minted; {_NOT_PROVEN}", account)
        answer = self._api.call(call, Budget(self._clock), tries=1)
        if _judged(answer).verdict is Verdict.LIVE:
            return Probe(Verdict.LIVE, "a token was minted, and x-api-key is accepted", account)
        said = f"the login is accepted; of x-api-key it is unknown (http-{answer.status})"
        return doubt(said, passing=True)

    def _logged_in(self, credential: Credential) -> Issued | Probe:
        """A token of this login, or the verdict that no token came."""
        known = self._accepted
        fresh = known is not None and self._clock.monotonic() - known[0] < _KEPT_SECONDS
        if known and fresh and known[1].same(credential, self.traits.fields):
            return known[2]
        held = self._refusals.held(credential)
        if held is not None:
            why = f"{held.said.why}; not tried before {held.until:%Y-%m-%d %H:%M} UTC"
            return Probe(held.said.verdict, why, passing=True)
        sent = self._clock.now()
        answer = self._login(credential, Budget(self._clock), tries=1)
        if answer.ok:
            return self._read(answer, credential, sent)
        said = said_of(answer, self.endpoint)
        return said if _busy(answer) else self._refusals.note(credential, said)

    def _read(self, answer: Answer, credential: Credential, sent: datetime) -> Issued | Probe:
        try:
            minted = self.endpoint.minted(answer, credential, sent)
        except EffectError as error:
            return self._refusals.note(credential, doubt(error.kind))
        self._refusals.forget(credential)
        self._accepted = (self._clock.monotonic(), credential, minted)
        return minted


class FintechToken(_Fintech, ShortLived):
    """A JWT of one user, for requests that carry the organisation's key as well."""

    traits: ClassVar[Traits] = Traits(
        version="token-1",
        fields=("access_key", "token", "user_id", "expires_at"),
        secret_fields=("access_key", "token"),
        id_field="expires_at",
        admin_fields=("access_key", "email", "password"),
        label_setting="",
        lists=False,
        control=False,
        exclusive=True,
        verification=Verification(successes=1, over=timedelta(0)),
        expires=True,
        rights=("a user's e-mail and password, and an API key of the same organisation",),
    )

    def probe(self, credential: Credential) -> Probe:
        """DEAD once it has expired. Before that ``probe_path`` decides, and without one the issue itself."""
        for name, form in (("access_key", _VISIBLE), ("token", TOKEN), ("expires_at", _UNIX_SECONDS)):
            if not form.fullmatch(credential.get(name) or ""):
                return doubt(f"{'malformed' if credential.get(name) else 'incomplete: no'} {name}")
        if int(credential.get("expires_at") or 0) <= self._clock.now().timestamp():
            return Probe(Verdict.DEAD, "expired")
        account, call = credential.get("user_id"), self._probe_call(credential)
        if call is None:
            return Probe(Verdict.LIVE, "as issued, not probed: no probe_path is set", account)
        return replace(self._probed(call, _judged), account=account)


def _judged(answer: Answer) -> Probe:
    """LIVE: 200 without an error in it. DEAD: 401. A 403 may be about the organisation's key alone."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return refusal(answer)
    if answer.status != HTTPStatus.OK:
        return doubt(f"http-{answer.status}")
    body = answer.json()
    if not isinstance(body, dict | list) or failed(body):
        return doubt("the answer is an error" if failed(body) else "garbage")
    return Probe(Verdict.LIVE)


def _busy(answer: Answer) -> bool:
    """Whether an answer is about the server's state: then the same login may be sent again at once."""
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
