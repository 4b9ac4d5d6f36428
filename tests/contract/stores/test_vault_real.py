import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from rotator.wiring import SystemClock
from tests.contract.stores.vault_contract import VaultContract
from tests.contract.stores.vault_laid_open import Admin, VaultLaidOpen, policy

PATIENCE = 30.0  # seconds for a server to be up


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
    binary = shutil.which("bao") or shutil.which("vault")
    if binary is None:
        pytest.skip("there is no `vault` or `bao` on PATH")
    port, root = free_port(), secrets.token_hex(16)
    address = f"127.0.0.1:{port}"
    options = [f"-dev-listen-address={address}", f"-dev-root-token-id={root}", "-dev-no-store-token"]
    started = subprocess.Popen(
        [binary, "server", "-dev", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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
