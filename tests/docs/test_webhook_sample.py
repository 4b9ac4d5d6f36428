import base64
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from rotator.consumers.outside import Outside
from rotator.consumers.webhook import Webhook
from rotator.model import Credential
from rotator.providers.network import Network, Surroundings
from rotator.testing.clock import ManualClock
from rotator.testing.consumer_contract import NEWS
from tests.contract.consumers.switchboard import Request, Switchboard
from tests.docs.pages import blocks

KEYS = (f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}", secrets.token_hex(20))
Verified = Callable[[str, Mapping[str, str], bytes, float], bool]


@pytest.fixture(scope="module")
def verified() -> Verified:
    """The function of the page, as a reader copies it."""
    (block,) = [block for block in blocks("python") if block.page.name == "consumers.md"]
    space: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), space)
    found: Verified = space["verified"]
    return found


@pytest.fixture
def board() -> Iterator[Switchboard]:
    """A receiver."""
    made = Switchboard(lambda _: (204, b""))
    yield made
    made.close()


def sent(board: Switchboard, key: str) -> tuple[Request, float]:
    """What the adapter sends, and when."""
    clock = ManualClock()
    network = Network(Surroundings(), clock)
    outside = Outside("desk", clock, network, lambda: Credential({"signing_key": key}))
    Webhook(Webhook.Settings(url=f"{board.url}/hook"), outside).tell(NEWS)
    network.close()
    return board.requests[-1], clock.now().timestamp()


@pytest.mark.parametrize("key", KEYS, ids=["base64", "text"])
def test_the_sample_verifies_what_is_sent(verified: Verified, board: Switchboard, key: str) -> None:
    """What the page tells a receiver to do accepts our message, and nothing changed, old or another's."""
    request, now = sent(board, key)
    assert verified(key, request.headers, request.body, now)
    assert not verified(key, request.headers, request.body + b" ", now)
    assert not verified(key, request.headers, request.body, now + 301)
    assert not verified(key, {**request.headers, "webhook-id": "another"}, request.body, now)
    assert not verified(secrets.token_hex(20), request.headers, request.body, now)
