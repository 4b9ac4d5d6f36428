"""What every consumer's adapter is made with."""

from collections.abc import Callable
from dataclasses import dataclass

from rotator.interfaces import Clock
from rotator.model import Credential
from rotator.providers.network import Network


@dataclass(frozen=True, slots=True)
class Outside:
    """What an adapter reaches besides its own settings. ``signing`` reads the secret that signs, afresh."""

    name: str  # the consumer's
    clock: Clock
    network: Network
    signing: Callable[[], Credential] | None = None
