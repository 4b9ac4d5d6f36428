from typing import Any

import pytest
import requests

from rotator.errors import Conflict
from rotator.interfaces import Stored
from rotator.lab.vault import LocalVault
from rotator.model import Credential
from rotator.stores import vault_http
from rotator.stores.vault_kv2 import VaultKv2
from rotator.stores.vault_settings import PENDING
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import key, push, target
from tests.unit.stores.vault.conftest import Make

WHERE = target("app/one")
LEDGER = push()[:12]


class Killed(BaseException):
    """What no handler of errors takes for an error: the end of the process."""


class Mortal(requests.Session):
    """Connections of a process that is killed just before, or just after, its n-th request."""

    lives: int
    answered: bool

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        self.lives -= 1
        if self.lives == 0 and not self.answered:
            raise Killed
        response = super().send(request, **given)
        if self.lives == 0:
            response.close()
            raise Killed
        return response


def mortal(lives: int, *, answered: bool) -> Mortal:
    """Connections as the adapter has them, that end."""
    made = Mortal()
    made.__dict__.update(vault_http.session().__dict__)
    made.lives, made.answered = lives, answered
    return made


def bring_in(store: VaultKv2, new: Credential, token: str, first: Stored) -> None:
    """What the story does from the issued value on, wherever it was killed before."""
    staged = store.read(WHERE, token) or store.stage(WHERE, new, token, first)
    try:
        store.promote(WHERE, staged.version, first.version)
    except Conflict:
        now = store.read(WHERE, store.look(WHERE).current)
        candidate = store.read(WHERE, token)
        assert now is not None
        assert candidate is not None
        assert now.credential.same(candidate.credential, new.names)


@pytest.mark.parametrize("answered", [False, True], ids=["not-sent", "done"])
@pytest.mark.parametrize("lives", range(1, 14))
def test_a_kill_at_any_call_loses_nothing(
    make: Make, vault: LocalVault, clock: ManualClock, lives: int, *, answered: bool
) -> None:
    """Whoever goes on finds the new key current exactly once, and the next stage leaves no copy of it."""
    store = make()
    first = store.read(WHERE)
    assert first is not None
    new, token = key(), LEDGER + push()[12:]
    process = VaultKv2(store.settings, clock, over=mortal(lives, answered=answered))
    died = False
    try:
        bring_in(process, new, token, first)
    except Killed:
        died = True
    process.close()
    assert died == (lives <= 12)
    bring_in(store, new, token, first)
    assert vault.number("app/one") == 2
    assert vault.fields("app/one") == {"host": "example.test", **new.reveal()}
    following, now = LEDGER + push()[12:], store.read(WHERE)
    assert now is not None
    store.stage(WHERE, key(), following, now)
    assert [path.rpartition("/")[2] for path in vault.paths(PENDING)] == [following]
