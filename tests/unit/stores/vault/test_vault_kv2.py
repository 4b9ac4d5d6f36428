import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rotator import stores
from rotator.errors import Conflict, NeedsPerson, Refused, Unknown
from rotator.interfaces import Stored
from rotator.lab.faults import Drop, Garbage, Late, Lose, Refuse, Slow
from rotator.lab.vault import LocalVault
from rotator.lab.vault_access import rules
from rotator.model import StoreRef
from rotator.stores import vault_rights
from rotator.stores.deadline import Deadline
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import key, push, target
from tests.unit.stores.vault.conftest import Make

WHERE = target("app/one")
PAGE = Path(__file__).parents[4] / "docs" / "stores" / "vault-kv2.md"


def current(store: VaultKv2) -> Stored:
    """What consumers read."""
    found = store.read(WHERE)
    assert found is not None
    return found


def test_a_rotation_takes_fourteen_calls(make: Make, vault: LocalVault) -> None:
    """The second rotation of a worker takes the calls that the page tells."""
    store = make()
    ledger = push()[:12]
    for _ in range(2):
        before = len(vault.calls)
        store.look(WHERE)
        first = current(store)
        staged = store.stage(WHERE, key(), ledger + push()[12:], first)
        store.promote(WHERE, staged.version, first.version)
        current(store)
        store.read(WHERE, first.version)
    assert len(vault.calls) - before == 14
    assert "fourteen calls" in PAGE.read_text()


def test_a_rotation_without_a_clean_up_is_whole(make: Make, vault: LocalVault) -> None:
    """Where the forward or the destroy fails, the promotion is done, and both values are read alike."""
    for fails in ("POST /v1/secret/destroy/*", "POST /v1/secret/data/rotator/*"):
        store = make()
        first = current(store)
        staged = store.stage(WHERE, key(), push(), first)
        vault.fail_next(fails, Drop())
        now = store.promote(WHERE, staged.version, first.version)
        found, waits = store.read(WHERE, now), store.read(WHERE, staged.version)
        assert found is not None
        assert waits is not None
        assert found.whole.same(waits.whole, [""])


@pytest.mark.parametrize("landed", [True, False])
def test_a_late_promotion_is_a_conflict_or_none(make: Make, vault: LocalVault, *, landed: bool) -> None:
    """A promotion that lands after it was sent again is refused by Vault, and is not done twice."""
    store = make()
    first = current(store)
    staged = store.stage(WHERE, key(), push(), first)
    vault.fail_next("POST /v1/secret/data/app/*", Late())
    with pytest.raises(Unknown):
        store.promote(WHERE, staged.version, first.version)
    if landed:
        vault.land()
        with pytest.raises(Conflict):
            store.promote(WHERE, staged.version, first.version)
    else:
        assert store.promote(WHERE, staged.version, first.version) == "2"
        vault.land()
    assert vault.number("app/one") == 2


def test_a_write_that_is_read_back_wrong_is_in_doubt(make: Make, vault: LocalVault) -> None:
    """Written, but not read back as written: it may have happened."""
    store = make()
    first = current(store)
    vault.fail_next("GET /v1/secret/data/rotator/*", Garbage("missing-secret"))
    with pytest.raises(Unknown):
        store.stage(WHERE, key(), push(), first)
    vault.fail_next("GET /v1/secret/data/rotator/*", Drop(), times=4)
    with pytest.raises(Unknown):
        store.stage(WHERE, key(), push(), first)


def test_old_versions_are_destroyed_where_told(make: Make, vault: LocalVault) -> None:
    """With destroy_old a version that is let go is destroyed, the current one never; twice is once."""
    store = make(destroy_old=True)
    first = current(store)
    staged = store.stage(WHERE, key(), push(), first)
    now = store.promote(WHERE, staged.version, first.version)
    for version in (first.version, first.version, now, "99"):
        store.discard(WHERE, version, None)
    assert store.look(WHERE).versions == (now,)
    assert vault.kv.secrets["app/one"].versions[1].destroyed
    assert vault.count("POST /v1/secret/destroy/app/one") == 1


def test_keep_refuses_what_the_next_write_removes(make: Make, vault: LocalVault) -> None:
    """A version that the next write removes cannot be kept; neither can one that is gone."""
    vault.kv.annotate("app/one", {"max_versions": 3})
    for _ in range(2):
        vault.put("app/one", api_key="more")
    store = make()
    store.keep(WHERE, "2", "mark")
    with pytest.raises(Refused, match="version-gone"):
        store.keep(WHERE, "1", "mark")
    vault.put("app/one", api_key="more")
    with pytest.raises(Refused, match="version-gone"):
        store.keep(WHERE, "1", "mark")


def test_a_path_that_never_was_can_be_allowed(make: Make, vault: LocalVault) -> None:
    """With create_missing a missing path is a secret without a version, which is seeded."""
    store, where = make(create_missing=True), target("app/new")
    assert store.look(where).current is None
    assert store.read(where) is None
    assert store.seed(where, push()) == "1"
    assert vault.fields("app/new") == {}


def test_cas_required_is_no_obstacle(make: Make, vault: LocalVault) -> None:
    """Every write carries check-and-set."""
    vault.kv.configure({"cas_required": True})
    store = make()
    first = current(store)
    staged = store.stage(WHERE, key(), push(), first)
    assert store.promote(WHERE, staged.version, first.version) == "2"


@pytest.mark.parametrize(
    ("mount", "own", "expires"),
    [("0s", "0s", False), ("3h", "0s", True), ("0s", "3h", True), ("-1s", "3h", False)],
)
def test_versions_that_expire_need_a_person(
    make: Make, vault: LocalVault, mount: str, own: str, *, expires: bool
) -> None:
    """delete_version_after blocks wherever it is set, unless the mount says that nothing is deleted."""
    vault.kv.configure({"delete_version_after": mount})
    vault.kv.annotate("app/one", {"delete_version_after": own})
    store = make()
    if expires:
        with pytest.raises(NeedsPerson, match="expires"):
            store.look(WHERE)
    else:
        assert store.look(WHERE).current == "1"


def test_a_current_version_with_a_date_needs_a_person(make: Make, vault: LocalVault) -> None:
    """A version written while the setting was there is still deleted at its time."""
    vault.kv.configure({"delete_version_after": "3h"})
    vault.put("app/one", api_key="second")
    vault.kv.configure({"delete_version_after": "0s"})
    with pytest.raises(NeedsPerson, match="expires"):
        make().look(WHERE)


def test_a_stage_looks_first(make: Make, vault: LocalVault) -> None:
    """A worker that goes on after a restart checks the secret's settings before it writes."""
    first = current(make())
    vault.kv.annotate("app/one", {"delete_version_after": "3h"})
    with pytest.raises(NeedsPerson, match="expires"):
        make().stage(WHERE, key(), push(), first)
    assert vault.count(vault.WRITE) == 0


def test_an_effect_ends_in_time(vault: LocalVault, clock: ManualClock, make: Make) -> None:
    """A Vault that does not answer is left behind."""
    store = make()
    store.look(WHERE)
    store.deadline = Deadline(clock, effect=0.1, request=0.0)
    vault.fail_next(vault.READ, Slow(30))
    with pytest.raises(Unknown, match="deadline"):
        store.read(WHERE)
    vault.stop()


def test_nothing_of_the_environment_is_used(
    make: Make, vault: LocalVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither a proxy nor a netrc nor Vault's own variables have a say."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "VAULT_ADDR"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("VAULT_NAMESPACE", "elsewhere")
    assert current(make()).credential.get("api_key") == "first"


def test_no_log_shows_a_value(make: Make, vault: LocalVault, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG nothing that Vault holds is logged, also where an answer is lost."""
    caplog.set_level(logging.DEBUG)
    store = make()
    first, new = current(store), key()
    vault.fail_next(vault.WRITE, Lose())
    with pytest.raises(Unknown):
        store.stage(WHERE, new, push(), first)
    staged = store.stage(WHERE, new, push(), first)
    store.promote(WHERE, staged.version, first.version)
    values = {*vault.values(), *new.reveal().values()} - {"1", "first"}
    assert not [value for value in values if value in caplog.text]
    assert repr(new.get("api_key")) not in repr(staged)


def test_a_warning_of_vault_is_logged(
    make: Make, vault: LocalVault, caplog: pytest.LogCaptureFixture
) -> None:
    """An old version that could not be cleaned up is told as a warning beside the success; we tell that."""
    answer = {"data": {"keys": []}, "warnings": ["not-to-be-shown"]}
    store = make()
    first = current(store)
    vault.fail_next("GET /v1/secret/metadata/rotator/*", Refuse(200, answer))
    store.stage(WHERE, key(), push(), first)
    assert "Vault warns in its answer to LIST" in caplog.text
    assert "not-to-be-shown" not in caplog.text


def test_a_policy_is_loaded_without_the_library() -> None:
    """Checking a policy file does not import hvac: it takes a fifth of a second."""
    code = (
        "import sys; from rotator import stores; kind = stores.adapter('vault-kv2'); "
        "kind.canonical({'url': 'http://127.0.0.1'}, 'a'); sys.exit('hvac' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_table_makes_it(clock: ManualClock) -> None:
    """The store is made from its reference, without a call."""
    settings = {"url": "https://vault.test:8200", "auth": {"method": "kubernetes", "role": "rotator"}}
    made = stores.make(StoreRef("vault", "vault-kv2", settings), clock)
    assert isinstance(made, VaultKv2)
    made.close()


def test_the_page_tells_the_rights_that_are_declared() -> None:
    """The policy that people copy is the one that the adapter declares."""
    (block,) = [each for each in PAGE.read_text().split("```") if each.startswith("text\npath")]
    told = vault_rights.policy("secret", ["prod/exchange/trading"], destroy_old=True)
    assert rules(block) == rules(told)
    assert set(VaultKv2.RIGHTS) == set(vault_rights.RIGHTS)


def test_created_times_are_read_with_nanoseconds(make: Make, clock: ManualClock) -> None:
    """A version's age is Vault's, in UTC."""
    created = current(make()).created_at
    assert created is not None
    assert abs(created - clock.now()) < timedelta(seconds=1)
