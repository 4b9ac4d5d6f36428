"""One request to a consumer over HTTP, and what its answer means. Bodies never reach a message."""

from http import HTTPStatus
from urllib.parse import urlsplit

from rotator.errors import EffectError, NotSent, Refused, Unknown
from rotator.interfaces import Clock
from rotator.providers.answers import Answer, unwelcome
from rotator.providers.http import CALL_SECONDS, Budget
from rotator.providers.network import Call, Network


def split(url: str) -> tuple[str, str]:
    """An address as host and path: ``https://host`` and ``/path``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path or "/"


def send(network: Network, base: str, name: str, call: Call, budget: Budget) -> Answer:
    """Send it once, within what is left of ``budget``: who tells tries again by itself.

    Raises NotSent and Unknown.
    """
    seconds = min(CALL_SECONDS, budget.left())
    if seconds <= 0:
        raise NotSent("timeout", f"The time to tell {name} was over before anything was sent.")
    failed: EffectError
    try:
        return network.exchange(base, f"consumer {name}", call, seconds)
    except (NotSent, Unknown) as error:
        kind = NotSent if isinstance(error, NotSent) else Unknown
        failed = kind(error.kind, f"{name}: {error.message.replace('base_url', 'its url')}")
    raise failed


def refusal(answer: Answer, name: str, clock: Clock) -> EffectError:
    """What an answer other than 2xx means: a redirect is never followed, and will not go away by itself."""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        said = f"{name} redirects ({answer.status}), which is never followed; check its url."
        return Refused("redirect", said, permanent=True)
    return unwelcome(answer, f"Telling {name}", clock.now(), reads=False)
