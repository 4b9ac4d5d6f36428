"""Speaking to one provider: its limiter, its time budget, and what may safely be sent again."""

import random
from datetime import timedelta
from http import HTTPStatus

from rotator.errors import EffectError, NotSent, Unknown
from rotator.interfaces import EFFECT_SECONDS, Clock
from rotator.model import ProviderRef
from rotator.providers.answers import Answer, retry_seconds
from rotator.providers.limiter import PATIENCE, Limiter
from rotator.providers.network import Call, Network

CALL_SECONDS = 10.0  # one request
TRIES = 3
_RESERVE = 1.0  # seconds of the effect that are left for everything but the network
_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, 500, 502, 503, 504)


class Budget:
    """The time that one effect may take, its waits and retries included."""

    def __init__(self, clock: Clock, seconds: float = EFFECT_SECONDS - _RESERVE) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, never below zero."""
        return max(0.0, self._end - self._clock.monotonic())


class Api:
    """One provider over HTTP. Threads may share it."""

    def __init__(self, ref: ProviderRef, network: Network, limiter: Limiter, clock: Clock) -> None:
        self._ref = ref
        self._network = network
        self._limiter = limiter
        self._clock = clock
        self.ahead: timedelta | None = None  # the server's clock, against ours, at its last answer

    def call(self, call: Call, budget: Budget, tries: int = TRIES, *, learns: bool = True) -> Answer:
        """Send a request, and again where that is safe; the last answer, whatever its status.

        Sent again: whatever never left this machine, and reads that met a time-out, 429 or 5xx. Waits grow
        exponentially, with jitter, and stay within ``budget``. ``learns``: what the answer says of rate
        limits holds for everybody. Raises NotSent and Unknown.
        """
        for number in range(1, tries + 1):
            outcome = self._once(call, budget, learns=learns)
            wait = self._wait(outcome, number)
            last = number == tries or not _repeatable(call, outcome)
            if last or wait > PATIENCE or wait + _RESERVE > budget.left():
                break
            self._clock.sleep(wait)
        if isinstance(outcome, EffectError):
            raise outcome from None
        return outcome

    def _once(self, call: Call, budget: Budget, *, learns: bool) -> Answer | EffectError:
        try:
            self._limiter.take(min(PATIENCE, budget.left()))
            seconds = min(CALL_SECONDS, budget.left())
            if seconds <= 0:
                return NotSent("timeout", "The time for this step was over before anything was sent.")
            answer = self._network.exchange(self._ref.base_url, self._ref.principal, call, seconds)
        except (NotSent, Unknown) as error:
            return error
        date = answer.date()
        if date is not None:
            self.ahead = date - self._clock.now().replace(microsecond=0)
        if learns:
            self._limiter.learn(answer.status, answer.headers)
        return answer

    def _wait(self, outcome: Answer | EffectError, number: int) -> float:
        grown = float(0.25 * 2**number * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
        if not isinstance(outcome, Answer):
            return grown
        if outcome.status == HTTPStatus.TOO_MANY_REQUESTS:
            return retry_seconds(outcome.headers, self._clock.now())
        if "retry-after" in outcome.headers:
            return retry_seconds(outcome.headers, self._clock.now(), grown)
        return grown


def _repeatable(call: Call, outcome: Answer | EffectError) -> bool:
    if isinstance(outcome, NotSent):
        return outcome.kind == "connect"
    if isinstance(outcome, EffectError):
        return call.reads
    return call.reads and outcome.status in _AGAIN
