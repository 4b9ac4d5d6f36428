"""Who is told of a new key: one adapter for each type of consumer, found by an explicit table."""

from importlib import import_module
from typing import Any

from rotator.consumers.outside import Outside
from rotator.interfaces import Consumer
from rotator.model import ConsumerRef

_ADAPTERS = {
    "ecs": "rotator.consumers.ecs:Ecs",
    "eventbridge": "rotator.consumers.eventbridge:EventBridge",
    "kubernetes": "rotator.consumers.kubernetes:Kubernetes",
    "webhook": "rotator.consumers.webhook:Webhook",
}


def names() -> tuple[str, ...]:
    """The types that a policy file may name, in alphabetical order."""
    return tuple(sorted(_ADAPTERS))


def adapter(consumer_type: str) -> Any:
    """The adapter's class, imported when it is first asked for; KeyError for a type that is not known.

    Every adapter has ``Settings`` (a pydantic model), ``RIGHTS`` (IAM actions that it needs, maybe none) and
    ``SIGNS`` (the field of the secret that it signs with; None where it signs nothing).
    """
    module, _, name = _ADAPTERS[consumer_type].partition(":")
    return getattr(import_module(module), name)


def make(ref: ConsumerRef, outside: Outside) -> Consumer:
    """The consumer that ``ref`` describes. Raises KeyError, and ValueError for settings that are wrong."""
    kind = adapter(ref.type)
    consumer: Consumer = kind(kind.Settings.model_validate(dict(ref.settings)), outside)
    return consumer
