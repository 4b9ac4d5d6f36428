import traceback
from collections.abc import Callable
from typing import Any

import pytest

from rotator.errors import NeedsPerson, NotSent, Refused, RotatorError, Unknown
from rotator.lab.faults import Drop, Fault, Garbage, Late, Lose, Redirect, Refuse
from rotator.lab.vault import LocalVault
from rotator.model import Credential
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import key, push, target
from tests.unit.stores.vault.conftest import Make

WHERE = target("app/one")
LEAK = "not-to-be-shown"
BODY = {"errors": [f"1 error occurred: {LEAK}"]}


def staged(store: VaultKv2, credential: Credential | None = None) -> Any:
    """Stage a key over what is current."""
    onto = store.read(WHERE)
    assert onto is not None
    return store.stage(WHERE, credential or key(), push(), onto)


WRITES: list[tuple[Fault, type[RotatorError], str]] = [
    (Refuse(400, BODY), Refused, "http-400"),
    (Refuse(400, {"errors": ["Upgrading from non-versioned to versioned data."]}), Refused, "upgrading"),
    (Refuse(404, {"errors": ['no handler for route "secret"']}), NeedsPerson, "not-kv2"),
    (Refuse(405, BODY), Refused, "http-405"),
    (Refuse(412, BODY), Refused, "http-412"),
    (Refuse(429, BODY), Refused, "http-429"),
    (Refuse(472, BODY), Refused, "http-472"),
    (Refuse(473, BODY), Refused, "http-473"),
    (Refuse(500, [LEAK]), Unknown, "http-500"),
    (Refuse(502, f"<html>{LEAK}"), Unknown, "http-502"),
    (Refuse(503, {"errors": ["Vault is sealed"]}), Unknown, "http-503"),
    (Refuse(200, [LEAK]), Unknown, "garbage"),
    (Refuse(200, {"data": {"version": 7}}), Unknown, "garbage"),
    (Refuse(204), Unknown, "garbage"),
    (Redirect("http://127.0.0.1:1/v1/secret/data/x"), Refused, "redirect"),
    (Redirect("http://127.0.0.1:1/v1/secret/data/x", 301), Refused, "redirect"),
    (Garbage("html"), Unknown, "garbage"),
    (Garbage("huge"), Unknown, "too-long"),
    (Garbage("truncated"), Unknown, "garbage"),
    (Garbage("wrong-types"), Unknown, "garbage"),
    (Garbage("missing-secret"), Unknown, "garbage"),
    (Lose(), Unknown, "lost"),
    (Drop(), Unknown, "lost"),
    (Late(), Unknown, "lost"),
]


@pytest.mark.parametrize(("fault", "error", "kind"), WRITES, ids=lambda each: str(each)[:30])
def test_a_write_tells_what_happened(
    make: Make, vault: LocalVault, fault: Fault, error: type[RotatorError], kind: str
) -> None:
    """Each answer to a write becomes one error of ours, without a word of the body; it is not sent again."""
    store, new = make(), key()
    vault.fail_next(vault.WRITE, fault)
    with pytest.raises(error, match=rf"\[{kind}\]") as raised:
        staged(store, new)
    shown = "".join(traceback.format_exception(raised.value))
    assert not [value for value in (LEAK, vault.root, *new.reveal().values()) if value in shown]
    assert raised.value.__context__ is None
    assert vault.count(vault.WRITE) == 1


@pytest.mark.parametrize(
    "fault",
    [Refuse(412), Refuse(429), Refuse(472), Refuse(473), Refuse(500, [1]), Refuse(503, BODY), Drop()],
    ids=str,
)
def test_a_read_is_sent_again(make: Make, vault: LocalVault, fault: Fault) -> None:
    """What may pass is tried again where nothing can be done twice."""
    store = make()
    vault.fail_next(vault.READ, fault, times=2)
    assert store.read(WHERE) is not None
    assert vault.count(vault.READ) == 3


def test_a_read_gives_up_in_time(make: Make, vault: LocalVault, clock: ManualClock) -> None:
    """A sealed Vault is told after a few tries, within the time of an effect."""
    store, begun = make(), clock.monotonic()
    vault.sealed = True
    with pytest.raises(NotSent, match="sealed"):
        store.look(WHERE)
    vault.sealed = False
    assert store.read(WHERE) is not None
    vault.sealed = True
    with pytest.raises(Unknown, match="sealed"):
        store.read(WHERE)
    assert clock.monotonic() - begun < 10


def test_a_longer_wait_is_left_to_the_caller(make: Make, vault: LocalVault, clock: ManualClock) -> None:
    """A Retry-After of minutes is not waited for: it is handed on."""
    store = make()
    vault.fail_next(vault.READ, Refuse(429, BODY, {"Retry-After": "120"}))
    with pytest.raises(Refused) as raised:
        store.read(WHERE)
    assert raised.value.retry_at is not None
    assert (raised.value.retry_at - clock.now()).total_seconds() == 120
    assert clock.slept == []


def test_no_connection_is_not_sent(make: Make, vault: LocalVault) -> None:
    """Where nobody listens nothing has happened."""
    store = make()
    store.look(WHERE)
    vault.stop()
    with pytest.raises(NotSent, match="connect"):
        store.read(WHERE)


def test_redirects_are_not_followed(make: Make, vault: LocalVault) -> None:
    """The place that an answer points to gets no request: it would get the token and the value."""
    store = make()
    with LocalVault() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            vault.fail_next("*", Redirect(f"{elsewhere.url}/v1/secret/data/app/one", status))
            with pytest.raises((Refused, NotSent), match="redirect"):
                store.read(WHERE)
            store.read(WHERE)
            vault.fail_next(vault.WRITE, Redirect(f"{elsewhere.url}/v1/x", status))
            with pytest.raises(Refused, match="redirect"):
                staged(store)
        assert elsewhere.calls == ()


def test_a_refused_right_is_named(make: Make, vault: LocalVault) -> None:
    """A 403 tells which capability is missing on which path."""
    token = vault.access.token(policy='path "secret/*" { capabilities = ["read", "list"] }')
    with pytest.MonkeyPatch.context() as patch:
        store = make()
        patch.setenv("VAULT_TOKEN", token)
        with pytest.raises(NeedsPerson, match="access-denied") as raised:
            staged(store)
    assert "`create` and `update`" in raised.value.todo
    assert "secret/data/rotator/pending/" in raised.value.todo


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"mount": "nowhere"}, "not-kv2"), ({"namespace": "none"}, "not-kv2"), ({"ca_file": "/none"}, "config")],
)
def test_what_is_misconfigured_needs_a_person(make: Make, settings: dict[str, Any], kind: str) -> None:
    """A mount, a namespace or a CA file that is not there blocks, and says which setting it is."""
    if kind == "config":
        settings = {**settings, "url": "https://127.0.0.1:1"}
    with pytest.raises(NeedsPerson, match=kind):
        make(**settings).look(WHERE)


def test_a_mount_of_version_one_needs_a_person(make: Make, vault: LocalVault) -> None:
    """KV version 1 answers 404 to what asks for its settings."""
    vault.fail_next("GET /v1/secret/config", Refuse(404, {"errors": []}))
    with pytest.raises(NeedsPerson, match="not-kv2"):
        make().look(WHERE)


def test_the_settings_of_a_mount_are_asked_for_once(
    make: Make, vault: LocalVault, clock: ManualClock
) -> None:
    """Once in ten minutes is enough."""
    store = make()
    for _ in range(3):
        store.look(WHERE)
    assert vault.count("GET /v1/secret/config") == 1
    clock.sleep(601)
    store.look(WHERE)
    assert vault.count("GET /v1/secret/config") == 2


STEPS: list[Callable[[VaultKv2, Any], Any]] = [
    lambda store, onto: store.look(WHERE),
    lambda store, onto: store.read(WHERE, push()),
    lambda store, onto: store.seed(WHERE, push()),
    lambda store, onto: store.stage(WHERE, key(), push(), onto),
    lambda store, onto: store.promote(WHERE, push(), "1"),
    lambda store, onto: store.keep(WHERE, "1", "mark"),
    lambda store, onto: store.raw("app/one"),
    lambda store, onto: store.replace_raw("app/one", {"token": "two"}, push()),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("body", [[1], {"data": [1]}, {"data": {"data": 1, "metadata": 2}}, "text", None, 7])
def test_no_answer_escapes_as_anothers_exception(
    make: Make, vault: LocalVault, step: Callable[[VaultKv2, Any], Any], body: Any
) -> None:
    """Whatever JSON comes with a 200 or a 400, the error is one of ours."""
    store = make()
    onto = store.read(WHERE)
    for status in (200, 400):
        vault.fail_next("*", Refuse(status, body), times=8)
        with pytest.raises(RotatorError):
            step(store, onto)
        vault._faults.clear()


@pytest.mark.parametrize("body", [[1], "text", None, 7])
def test_a_removal_is_believed_only_of_vault(make: Make, vault: LocalVault, body: Any) -> None:
    """A 200 that is no answer of Vault removed nothing that we know of."""
    vault.fail_next("DELETE *", Refuse(200, body))
    with pytest.raises(Unknown, match="garbage"):
        make().discard(WHERE, push(), None)
