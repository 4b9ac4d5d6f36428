"""Logins that failed: remembered, so that an account is not disabled for too many of them."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.interfaces import Clock
from rotator.model import Credential, Probe, Verdict

REFUSED = (timedelta(minutes=15), timedelta(hours=1), timedelta(days=1))
"""How long a credential is held after its first, its second and every further plain refusal."""
DOUBTED = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Likewise where a login failed and it is not said why."""
_MOST = 64  # credentials; the one that failed longest ago is forgotten first


@dataclass(frozen=True, slots=True)
class Held:
    """A credential that is not sent before ``until``; meanwhile what was last said of it stands."""

    until: datetime
    said: Probe


class Refusals:
    """A circuit breaker for each credential. Threads share it.

    It keeps digests under a key that is drawn at random, never a value. A credential with another value in
    one of the fields ``names`` is another one.
    """

    def __init__(self, names: tuple[str, ...], clock: Clock) -> None:
        self._names = names
        self._clock = clock
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._noted: OrderedDict[bytes, tuple[int, float, Probe]] = (
            OrderedDict()
        )  # how often, held until when

    def note(self, credential: Credential, said: Probe) -> Probe:
        """A login failed: DEAD is a plain refusal, anything else a doubt. Returns ``said``."""
        pauses = REFUSED if said.verdict is Verdict.DEAD else DOUBTED
        with self._lock:
            digest = self._digest(credential)
            before = self._noted.pop(digest, None)
            count = before[0] + 1 if before else 1
            pause = pauses[min(count, len(pauses)) - 1]
            self._noted[digest] = (count, self._clock.monotonic() + pause.total_seconds(), said)
            while len(self._noted) > _MOST:
                self._noted.popitem(last=False)
        return said

    def forget(self, credential: Credential) -> None:
        """It was accepted."""
        with self._lock:
            self._noted.pop(self._digest(credential), None)

    def held(self, credential: Credential) -> Held | None:
        """Until when it must not be sent; None: it may be sent now."""
        with self._lock:
            noted = self._noted.get(self._digest(credential))
        left = noted[1] - self._clock.monotonic() if noted else 0.0
        if noted is None or left <= 0:
            return None
        return Held(self._clock.now() + timedelta(seconds=left), noted[2])

    def _digest(self, credential: Credential) -> bytes:
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for name in self._names:
            value = credential.get(name) or ""
            digest.update(f"{len(value)} {value} ".encode(errors="surrogatepass"))
        return digest.digest()
