from datetime import timedelta

import pytest

from rotator.errors import NeedsPerson, NotSent, Scope, Unknown
from rotator.model import Credential
from rotator.providers.admin import Admin
from rotator.testing.clock import ManualClock


class Store:
    def __init__(self, **fields: str) -> None:
        self.fields = fields
        self.reads = 0
        self.error: Exception | None = None

    def read(self) -> Credential:
        self.reads += 1
        if self.error:
            raise self.error
        return Credential(self.fields)


def test_kept_for_a_minute() -> None:
    """The credential is read when it is used, and again when it is a minute old."""
    store, clock = Store(token="first"), ManualClock()
    admin = Admin(store.read, ("token",), "here", clock)
    assert store.reads == 0
    admin.credential()
    clock.advance(timedelta(seconds=59))
    admin.credential()
    assert store.reads == 1
    clock.advance(timedelta(seconds=1))
    admin.credential()
    assert store.reads == 2


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "admin-incomplete"),
        ({"token": ""}, "admin-incomplete"),
        ({"token": "canary\n"}, "admin-malformed"),
        ({"token": "Bearer canary"}, "admin-malformed"),
        ({"token": "can\u00e4ry"}, "admin-malformed"),
    ],
)
def test_unusable_admin_is_one_block_of_the_provider(fields: dict[str, str], kind: str) -> None:
    """A field that is missing or unfit for a header is told with the command that mends it."""
    admin = Admin(Store(**fields).read, ("token",), "here", ManualClock())
    with pytest.raises(NeedsPerson) as caught:
        admin.credential()
    assert (caught.value.kind, caught.value.scope) == (kind, Scope.PROVIDER)
    assert "rotator submit --admin here" in caught.value.todo
    assert "canary" not in str(caught.value)


def test_a_parent_credential_is_brought_to_its_own_policy() -> None:
    """What tokens are minted from is no admin credential: nobody is told to bring it as one."""
    empty = Store()
    parent = Admin(empty.read, ("login",), "here", ManualClock(), parent="prod/login of vault")
    empty.error = NeedsPerson("no-version", "it has no value yet.", todo="rotator submit --admin")
    for error in (empty.error, None):
        empty.error = error
        with pytest.raises(NeedsPerson) as caught:
            parent.credential()
        assert "--admin" not in caught.value.todo
        assert "the policy of prod/login of vault by `rotator submit NAME`" in caught.value.todo


def test_renewed_only_when_the_store_holds_another() -> None:
    """After a refusal the store is asked once: another value is worth a try, the same one is not."""
    store = Store(token="first")
    admin = Admin(store.read, ("token",), "here", ManualClock())
    old = admin.credential()
    assert admin.renewed(old) is None
    store.fields = {"token": "second"}
    fresh = admin.renewed(admin.credential())
    assert fresh is not None
    assert fresh.get("token") == "second"
    assert admin.credential() is fresh


def test_another_threads_renewal_is_used() -> None:
    """Who was refused with what has meanwhile been replaced takes the new one without asking the store."""
    store = Store(token="first")
    admin = Admin(store.read, ("token",), "here", ManualClock())
    old = admin.credential()
    store.fields = {"token": "second"}
    fresh = admin.renewed(old)
    assert admin.renewed(old) is fresh
    assert store.reads == 2


def test_refused_forgets() -> None:
    """A refused credential is not used again from memory."""
    store = Store(token="first")
    admin = Admin(store.read, ("token",), "here", ManualClock())
    admin.credential()
    assert admin.refused("401").scope is Scope.PROVIDER
    admin.credential()
    assert store.reads == 2


def test_store_that_cannot_be_asked_means_not_sent() -> None:
    """Whatever the store's own trouble, nothing has reached the provider."""
    store = Store()
    store.error = Unknown("timeout", "The store is silent.")
    with pytest.raises(NotSent):
        Admin(store.read, ("token",), "here", ManualClock()).credential()


def test_missing_admin_secret_blocks_the_provider() -> None:
    """What a person must mend in the admin secret concerns every policy of the provider."""
    store = Store()
    store.error = NeedsPerson("missing", "The secret is not there.", todo="Create it.")
    with pytest.raises(NeedsPerson) as caught:
        Admin(store.read, ("token",), "here", ManualClock()).credential()
    assert (caught.value.kind, caught.value.scope) == ("missing", Scope.PROVIDER)
