import re
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from rotator.errors import NeedsPerson
from rotator.stores import vault_rights
from rotator.stores.vault_kv2 import VaultKv2
from rotator.testing.clock import ManualClock
from rotator.testing.store_backend import target
from rotator.wiring import SystemClock
from tests.contract.stores.vault_contract import VaultContract
from tests.contract.stores.vault_laid_open import Admin, VaultLaidOpen, policy

PATIENCE = 30.0  # seconds for a server to be up


def binary() -> str | None:
    """The server's program, which is its client too."""
    return shutil.which("bao") or shutil.which("vault")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_answered(admin: Admin, path: str) -> None:
    """Ask until there is an answer."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            admin("GET", path)
        except requests.exceptions.RequestException:
            assert time.monotonic() < ends, f"{path} does not answer"
            time.sleep(0.02)  # a process of its own: there is nothing to wait on
        else:
            return


@pytest.fixture(scope="module")
def server() -> Iterator[Admin]:
    """A real server in development mode: in memory, on a port of its own, ended at the end."""
    program = binary()
    if program is None:
        pytest.skip("there is no `vault` or `bao` on PATH")
    port, root = free_port(), secrets.token_hex(16)
    address = f"127.0.0.1:{port}"
    options = [f"-dev-listen-address={address}", f"-dev-root-token-id={root}", "-dev-no-store-token"]
    started = subprocess.Popen(
        [program, "server", "-dev", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    admin = Admin(f"http://{address}", root)
    try:
        until_answered(admin, "sys/health")
        yield admin
    finally:
        admin.close()
        started.kill()
        started.wait()


class TestRealServer(VaultContract):
    @pytest.fixture
    def backend(self, server: Admin, tmp_path: Path) -> Iterator[VaultLaidOpen]:
        """The adapter, on a mount of its own, with a token that has the declared rights alone."""
        mount, token = f"kv-{secrets.token_hex(4)}", tmp_path / "token"
        server("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
        until_answered(server, f"{mount}/config")
        server("POST", f"sys/policies/acl/{mount}", {"policy": policy(mount)})
        made = server("POST", "auth/token/create", {"policies": [mount], "ttl": "1h"})
        token.write_text(made["auth"]["client_token"])
        laid_open = VaultLaidOpen(server, SystemClock(), token, mount)
        yield laid_open
        laid_open.store.close()
        laid_open.over.close()
        server("DELETE", f"sys/mounts/{mount}")


NEEDED = vault_rights.policy("secret", ["app/one"])


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (NEEDED, [("ok", "and nothing else of what was asked about")]),
        (NEEDED.replace('path "secret/config"', 'path "secret/other"'), [("error", "config: read")]),
        (
            NEEDED + 'path "secret/undelete/*" { capabilities = ["update"] }',
            [("warning", "more than needed on secret/undelete/app/one")],
        ),
        (
            NEEDED + 'path "secret/data/app/*" { capabilities = ["read"] }',
            [("warning", "more than needed on secret/data/app/(any other secret): read")],
        ),
        (
            NEEDED + 'path "sys/policies/acl/*" { capabilities = ["update", "sudo"] }',
            [("warning", "more than needed on sys/policies/acl/rotator-asks: sudo, update")],
        ),
        (None, [("warning", "is a root token")]),
    ],
    ids=["exact", "missing", "never-needed", "other-secrets", "policies", "root"],
)
def test_a_real_server_tells_the_rights(
    server: Admin, tmp_path: Path, rules: str | None, told: list[tuple[str, str]]
) -> None:
    """What the token lacks, and what it has beyond need, as the server itself says; nothing is written."""
    name = f"rights-{secrets.token_hex(4)}"
    if rules is not None:
        server("POST", f"sys/policies/acl/{name}", {"policy": rules})
    made = server("POST", "auth/token/create", {"policies": [name if rules else "root"], "ttl": "1h"})
    (tmp_path / "token").write_text(made["auth"]["client_token"])
    auth = {"method": "token", "token_file": str(tmp_path / "token")}
    store = VaultKv2(VaultKv2.Settings.model_validate({"url": server.url, "auth": auth}), SystemClock())
    found = [one for one in store.check_rights(["app/one"]) if "cas_required" not in one.text]
    store.close()
    assert [one.level for one in found] == [level for level, _ in told]
    assert all(part in one.text for one, (_, part) in zip(found, told, strict=True))


@pytest.fixture
def approle(server: Admin) -> Iterator[tuple[str, str, str]]:
    """A mount for logins with one role whose tokens live for a minute, the role's id and a secret id."""
    mount = f"approle-{secrets.token_hex(4)}"
    server("POST", f"sys/auth/{mount}", {"type": "approle"})
    server("POST", f"auth/{mount}/role/worker", {"token_ttl": "60s", "token_policies": ["default"]})
    role_id = server("GET", f"auth/{mount}/role/worker/role-id")["data"]["role_id"]
    secret_id = server("POST", f"auth/{mount}/role/worker/secret-id", {})["data"]["secret_id"]
    yield mount, role_id, secret_id
    server("DELETE", f"sys/auth/{mount}")


def test_a_real_login(server: Admin, approle: tuple[str, str, str], tmp_path: Path) -> None:
    """AppRole lets us in, what the role may not do is told, and the token is revoked at the end."""
    mount, role_id, secret_id = approle
    file = tmp_path / "secret-id"
    file.write_text(secret_id)
    auth = {"method": "approle", "mount": mount, "role_id": role_id, "secret_id_file": str(file)}
    store = VaultKv2(VaultKv2.Settings.model_validate({"url": server.url, "auth": auth}), SystemClock())
    with pytest.raises(NeedsPerson, match="access-denied"):
        store.look(target("app/one"))
    before = len(server("GET", "auth/token/accessors?list=true")["data"]["keys"])
    store.close()
    assert len(server("GET", "auth/token/accessors?list=true")["data"]["keys"]) == before - 1
    file.write_text("not-a-secret-id")
    with pytest.raises(NeedsPerson, match="credentials"):
        store.look(target("app/one"))
    store.close()


def test_a_real_token_is_renewed(server: Admin, tmp_path: Path) -> None:
    """A given token whose life is nearly over is renewed, and goes on being used."""
    made = server("POST", "auth/token/create", {"policies": ["root"], "ttl": "40s", "no_parent": True})
    (tmp_path / "token").write_text(made["auth"]["client_token"])
    auth = {"method": "token", "token_file": str(tmp_path / "token")}
    clock = ManualClock()
    settings = VaultKv2.Settings.model_validate({"url": server.url, "auth": auth, "create_missing": True})
    store = VaultKv2(settings, clock)
    for _ in range(3):
        assert store.look(target("app/nothing")).current is None
        clock.sleep(30)
    store.close()


def test_the_command_for_a_secret_without_a_value_makes_it(server: Admin, tmp_path: Path) -> None:
    """What people are told to type works: a request that sets nothing would make nothing."""
    (tmp_path / "token").write_text(server.token)
    auth = {"method": "token", "token_file": str(tmp_path / "token")}
    store = VaultKv2(VaultKv2.Settings.model_validate({"url": server.url, "auth": auth}), SystemClock())
    name = f"app/{secrets.token_hex(4)}"
    with pytest.raises(NeedsPerson) as caught:
        store.look(target(name))
    command = re.search("`(vault [^`]*)`", caught.value.todo)
    assert command is not None
    asked = [binary() or "", *shlex.split(command.group(1))[1:]]
    environ = {"VAULT_ADDR": server.url, "BAO_ADDR": server.url, "HOME": str(tmp_path)}
    token = {"VAULT_TOKEN": server.token, "BAO_TOKEN": server.token}
    subprocess.run(asked, env={**environ, **token}, check=True, capture_output=True)
    assert store.look(target(name)).current is None
    store.close()
