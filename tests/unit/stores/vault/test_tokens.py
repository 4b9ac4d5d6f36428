import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import NeedsPerson, NotSent
from rotator.lab.faults import Drop, Fault, Lose, Refuse
from rotator.lab.vault import LocalVault
from rotator.model import StoreRef
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import push, target
from rotator.wiring import wire
from tests.unit.stores.vault.conftest import Make

WHERE = target("app/one")
HOUR = timedelta(hours=1)
LOOKUP = "GET /v1/auth/token/lookup-self"
RENEW = "POST /v1/auth/token/renew-self"

Approle = Callable[..., VaultKv2]


@pytest.fixture
def approle(make: Make, vault: LocalVault, tmp_path: Path) -> Approle:
    """Makes an adapter that logs in by AppRole; its secret id is in the folder's file."""

    def store(ttl: timedelta = HOUR, **settings: Any) -> VaultKv2:
        secret_id = secrets.token_hex(8)
        file = tmp_path / "secret-id"
        file.write_text(f"{secret_id}\n")
        vault.access.role("approle", {"role_id": "worker", "secret_id": secret_id}, ttl)
        auth = {"method": "approle", "role_id": "worker", "secret_id_file": str(file)}
        return make(auth, **settings)

    return store


def test_one_login_serves_until_two_thirds_of_its_life(
    approle: Approle, vault: LocalVault, clock: ManualClock
) -> None:
    """A token is used until two thirds of its life are over, then there is another."""
    store = approle()
    for passed in (0, 20, 19):
        clock.advance(timedelta(minutes=passed))
        store.read(WHERE)
    assert vault.access.logins == 1
    clock.advance(timedelta(minutes=1))
    store.read(WHERE)
    assert vault.access.logins == 2


def test_a_refused_token_is_replaced_once(approle: Approle, vault: LocalVault) -> None:
    """On 403 there is one login and one more try, of a write too: what was refused was not done."""
    store = approle()
    store.read(WHERE)
    vault.access.expire()
    store.replace_raw("app/one", {"api_key": "second"}, "")
    assert vault.access.logins == 2
    assert vault.fields("app/one")["api_key"] == "second"


def test_a_missing_right_is_no_storm_of_logins(approle: Approle, vault: LocalVault) -> None:
    """What a new token may not do either is told; it is not replaced for every missing right."""
    store = approle()
    store.read(WHERE)
    vault.fail_next(vault.READ, Refuse(403, {"errors": ["permission denied"]}), times=5)
    for _ in range(3):
        with pytest.raises(NeedsPerson, match="access-denied"):
            store.read(WHERE)
    assert vault.access.logins == 2
    assert vault.count(vault.READ) == 5


def test_a_token_that_ends_within_an_effect_is_not_used(approle: Approle, vault: LocalVault) -> None:
    """A life shorter than an effect blocks before anything is sent with it."""
    store = approle(timedelta(seconds=25))
    with pytest.raises(NeedsPerson, match="credentials"):
        store.read(WHERE)
    assert vault.count("* /v1/secret/*") == 0


@pytest.mark.parametrize("fault", [Drop(), Refuse(500), Refuse(429), Refuse(473)], ids=str)
def test_a_login_that_fails_sends_nothing(approle: Approle, vault: LocalVault, fault: Any) -> None:
    """Without a token nothing has happened: a write is told so, a read tries again."""
    store = approle()
    vault.fail_next("POST /v1/auth/*", fault)
    with pytest.raises(NotSent):
        store.discard(WHERE, push(), None)
    assert vault.count("* /v1/secret/*") == 0
    vault.fail_next("POST /v1/auth/*", fault)
    assert store.read(WHERE) is not None


def test_a_login_that_fails_early_is_no_outage(
    approle: Approle, vault: LocalVault, clock: ManualClock
) -> None:
    """Where the next login fails, the token that still lasts is used."""
    store = approle()
    store.read(WHERE)
    clock.advance(timedelta(minutes=45))
    vault.fail_next("POST /v1/auth/*", Drop())
    assert store.read(WHERE) is not None


def test_a_refused_login_needs_a_person(approle: Approle, vault: LocalVault, tmp_path: Path) -> None:
    """A secret id that is not valid blocks; it is not shown."""
    store = approle()
    (tmp_path / "secret-id").write_text("no-longer-valid")
    with pytest.raises(NeedsPerson, match="credentials") as raised:
        store.read(WHERE)
    assert "no-longer-valid" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "two words", "ünlesbar", "a\nb", None])
def test_a_file_that_holds_no_token_needs_a_person(
    approle: Approle, vault: LocalVault, tmp_path: Path, text: str | None
) -> None:
    """What cannot be sent is not sent, and not shown."""
    store = approle()
    file = tmp_path / "secret-id"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(NeedsPerson, match="credentials") as raised:
        store.read(WHERE)
    assert not text or text not in str(raised.value)
    assert vault.calls == ()


def test_the_token_is_given_back(approle: Approle, vault: LocalVault) -> None:
    """At the end the token that we logged in for is revoked; twice is once, and a later call logs in."""
    store = approle()
    store.read(WHERE)
    store.close()
    store.close()
    assert len(vault.access.revoked) == 1
    assert store.read(WHERE) is not None


def test_the_worker_gives_its_token_back(vault: LocalVault, clock: ManualClock, tmp_path: Path) -> None:
    """A worker that ends closes its stores: no token of ours outlives it for long."""
    vault.access.role("approle", {"role_id": "worker"}, HOUR)
    settings = {"url": vault.url, "auth": {"method": "approle", "role_id": "worker"}}
    with wire(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock) as world:
        assert world.store(StoreRef("vault", "vault-kv2", settings)).read(WHERE) is not None
    assert len(vault.access.revoked) == 1


def test_closing_never_fails(approle: Approle, vault: LocalVault) -> None:
    """Where Vault is gone the token expires by itself."""
    store = approle()
    store.read(WHERE)
    vault.stop()
    store.close()


def test_kubernetes_reads_its_token_at_each_login(
    make: Make, vault: LocalVault, clock: ManualClock, tmp_path: Path
) -> None:
    """The service account's token is replaced by the kubelet: the file is read at each login."""
    jwt = tmp_path / "jwt"
    store = make({"method": "kubernetes", "role": "rotator", "jwt_file": str(jwt)})
    for text in ("first", "second"):
        jwt.write_text(text)
        vault.access.role("kubernetes", {"role": "rotator", "jwt": text}, HOUR)
        assert store.read(WHERE) is not None
        clock.advance(timedelta(minutes=41))
    assert vault.access.logins == 2


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_aws_iam_signs_for_one_vault(
    make: Make, vault: LocalVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The signed login names the Vault that it is for; another header value is refused."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    vault.access.role("aws", {"role": "rotator", "header_value": "vault.test"}, HOUR)
    auth = {"method": "aws-iam", "role": "rotator", "header_value": "vault.test"}
    assert make(auth).read(WHERE) is not None
    with pytest.raises(NeedsPerson, match="credentials"):
        make({**auth, "header_value": "other.test"}).read(WHERE)


def test_aws_iam_without_credentials_needs_a_person(
    make: Make, vault: LocalVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the machine has no AWS credentials no login is sent."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NeedsPerson, match="credentials"):
        make({"method": "aws-iam", "role": "rotator"}).read(WHERE)
    assert vault.calls == ()


# --- a token that is given ---------------------------------------------------------------------------------


def given(path: Path, token: str) -> dict[str, str]:
    """The settings for a token in a file."""
    path.write_text(token)
    return {"method": "token", "token_file": str(path)}


def test_a_given_token_is_renewed_and_never_revoked(
    make: Make, vault: LocalVault, clock: ManualClock, tmp_path: Path
) -> None:
    """The same token is renewed at two thirds of its life; it is not ours to revoke."""
    store = make(given(tmp_path / "token", vault.access.token(HOUR)))
    for _ in range(3):
        store.read(WHERE)
        clock.advance(timedelta(minutes=41))
    assert (vault.count(LOOKUP), vault.count(RENEW)) == (1, 2)
    store.close()
    assert vault.access.revoked == []


@pytest.mark.parametrize("fault", [Refuse(503, {"errors": ["Vault is sealed"]}), Lose()])
def test_a_renewal_that_failed_is_tried_again(
    make: Make, vault: LocalVault, clock: ManualClock, tmp_path: Path, fault: Fault
) -> None:
    """A token that is given lives on, though Vault was silent when it was first renewed."""
    store = make(given(tmp_path / "token", vault.access.token(HOUR)))
    store.read(WHERE)
    vault.fail_next(RENEW, fault)
    for _ in range(12):
        clock.advance(timedelta(minutes=10))
        assert store.read(WHERE) is not None


def test_a_replaced_token_is_taken_up(
    make: Make, vault: LocalVault, clock: ManualClock, tmp_path: Path
) -> None:
    """A token file that changed is read at two thirds of the old one's life, and when that is refused."""
    file = tmp_path / "token"
    store = make(given(file, vault.access.token(HOUR, renewable=False)))
    store.read(WHERE)
    file.write_text(vault.access.token(HOUR, renewable=False))
    clock.advance(timedelta(minutes=41))
    store.read(WHERE)
    file.write_text(vault.access.token())
    vault.access.expire()
    assert store.read(WHERE) is not None
    assert vault.count(LOOKUP) == 3


def test_a_token_that_runs_out_needs_a_person(
    make: Make, vault: LocalVault, clock: ManualClock, tmp_path: Path
) -> None:
    """A token that may not be renewed is used until it might end within an effect."""
    store = make(given(tmp_path / "token", vault.access.token(HOUR, renewable=False)))
    store.read(WHERE)
    clock.advance(timedelta(minutes=59))
    store.read(WHERE)
    clock.advance(timedelta(seconds=40))
    with pytest.raises(NeedsPerson, match="credentials"):
        store.read(WHERE)


def test_a_token_without_an_end_is_asked_about_once(make: Make, vault: LocalVault) -> None:
    """One look-up tells that it never expires."""
    store = make()
    for _ in range(3):
        store.read(WHERE)
    assert vault.count(LOOKUP) == 1


def test_without_a_token_nothing_is_sent(
    make: Make, vault: LocalVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VAULT_TOKEN that is not set blocks; no other place is searched for a token."""
    store = make()
    monkeypatch.delenv("VAULT_TOKEN")
    with pytest.raises(NeedsPerson, match="VAULT_TOKEN"):
        store.read(WHERE)
    assert vault.calls == ()


def test_the_namespace_is_sent_with_the_login(tmp_path: Path, clock: ManualClock) -> None:
    """A login outside its namespace would find no mount: the header is there from the first request on."""
    with LocalVault(clock=clock.now, namespace="desk-a") as vault:
        vault.put("app/one", api_key="first")
        vault.access.role("approle", {"role_id": "worker"}, HOUR)
        settings = VaultKv2.Settings.model_validate(
            {"url": vault.url, "namespace": "desk-a", "auth": {"method": "approle", "role_id": "worker"}}
        )
        store = VaultKv2(settings, clock)
        assert store.read(WHERE) is not None
        store.close()
