"""The time that AWS gives one invocation, and a world in which nothing begins once that is short.

Lambda freezes a process when its handler returns, and kills it when its time is over. So nothing may run on
after the return, and an effect begins only while there is time for the whole of it.
"""

from datetime import timedelta
from typing import Any, Protocol

from rotator.interfaces import EFFECT_SECONDS, Clock, Consumer, Ledger, Provider, SecretStore, World
from rotator.model import ConsumerRef, ProviderRef, StoreRef

LAST = timedelta(seconds=5)  # for commits, alarms and the answer, after the last effect
_EFFECT = timedelta(seconds=EFFECT_SECONDS)


class Context(Protocol):
    """What Lambda hands over beside the event, as far as it is used here."""

    function_name: str
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the process is killed."""
        ...


class Until:
    """A world for one invocation: no effect begins in it when less time is left than an effect may take."""

    def __init__(self, world: World, context: Context, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._ends = clock.monotonic() + context.get_remaining_time_in_millis() / 1000
        self._stopped = False

    def left(self) -> timedelta:
        """What is left for effects: until then one may begin."""
        return timedelta(seconds=self._ends - self._clock.monotonic()) - _EFFECT - LAST

    def stopping(self) -> bool:
        """Whether no new effect may begin."""
        return self._stopped or self._world.stopping() or self.left() <= timedelta(0)

    def stop(self) -> None:
        """Let no new effect begin in this invocation; the next one is another matter."""
        self._stopped = True

    @property
    def ledger(self) -> Ledger:
        """The durable memory."""
        return self._world.ledger

    def provider(self, ref: ProviderRef) -> Provider:
        """The adapter for a provider, which outlives the invocation."""
        return self._world.provider(ref)

    def store(self, ref: StoreRef) -> SecretStore:
        """The adapter for a store, which outlives the invocation."""
        return self._world.store(ref)

    def consumer(self, ref: ConsumerRef) -> Consumer:
        """The adapter for a consumer, which outlives the invocation."""
        return self._world.consumer(ref)

    def renewed(self, ref: ProviderRef) -> None:
        """A provider's admin credential was replaced."""
        self._world.renewed(ref)

    def random_hex(self) -> str:
        """32 hexadecimal digits."""
        return self._world.random_hex()


def named(context: Any) -> str:
    """Who asks, as far as it can be known here: CloudTrail tells by the request who called the function."""
    return f"{context.function_name} (request {context.aws_request_id})"
