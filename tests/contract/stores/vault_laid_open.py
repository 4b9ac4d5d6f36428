"""The adapter for Vault over any server, local or real, with its inside laid open."""

import json
from pathlib import Path
from typing import Any

import requests

from rotator.interfaces import Clock
from rotator.stores import vault_http, vault_rights
from rotator.stores.vault_kv2 import VaultKv2
from rotator.stores.vault_settings import PENDING


def policy(mount: str) -> str:
    """What the adapter declares that it needs for the contract's secrets."""
    return vault_rights.policy(mount, ["app/*"])


class Lossy(requests.Session):
    """Connections over which the next write to some place gets lost on its way back, after it was done."""

    lost: list[bool]  # of each lost write: whether its path is a pending one

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        response = super().send(request, **given)
        pending = f"/{PENDING}/" in str(request.url)
        if request.method == "POST" and "/data/" in str(request.url) and pending in self.lost:
            self.lost.remove(pending)
            response.close()
            raise requests.exceptions.ReadTimeout
        return response


def lossy() -> Lossy:
    """Connections as the adapter has them, which lose nothing yet."""
    made = Lossy()
    made.__dict__.update(vault_http.session().__dict__)
    made.lost = []
    return made


class Admin:
    """Somebody with every right, speaking HTTP as anybody does."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Vault-Token"] = token

    def __call__(
        self, method: str, path: str, body: Any = None, *, text: str | None = None
    ) -> dict[str, Any]:
        """One request that must succeed; ``text`` is a body as it stands."""
        data = json.dumps(body) if text is None and body is not None else text
        headers = {"Content-Type": "application/json"}
        answer = self._session.request(
            method, f"{self.url}/v1/{path}", data=data, headers=headers, timeout=10
        )
        answer.raise_for_status()
        return dict(answer.json()) if answer.content else {}

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()


class VaultLaidOpen:
    """A Backend of the contract. The adapter's token has exactly the rights that it declares."""

    def __init__(self, admin: Admin, clock: Clock, token_file: Path, mount: str = "secret") -> None:
        self.admin = admin
        self.mount = mount
        self.over = lossy()
        given = {"method": "token", "token_file": str(token_file)}
        settings = {"url": admin.url, "mount": mount, "auth": given}
        self.store = VaultKv2(VaultKv2.Settings.model_validate(settings), clock, over=self.over)

    def at(self, kind: str, path: str) -> str:
        """A path below the mount: ``kind`` is data, metadata, destroy, …."""
        return f"{self.mount}/{kind}/{path}"

    def create(self, name: str, value: str | bytes | None) -> None:
        """A text that is no object is the one field ``value``, as people write a plain secret."""
        if value is None:
            self.admin("POST", self.at("metadata", name), {"max_versions": 0})
        elif isinstance(value, bytes) or not value.lstrip().startswith(("{", "[", '"')):
            self.admin("POST", self.at("data", name), {"data": {"value": str(value)}})
        else:
            self.admin("POST", self.at("data", name), text='{"data": ' + value + "}")

    def overwrite(self, name: str, value: str) -> None:
        self.admin("POST", self.at("data", name), text='{"data": ' + value + "}")

    def mark_deleted(self, name: str) -> None:
        self.admin("DELETE", self.at("data", name))

    def rotate_natively(self, name: str) -> None:
        """KV has no rotation of its own; what it does by itself is to delete versions after some time."""
        self.admin("POST", self.at("metadata", name), {"delete_version_after": "3h"})

    def replicate(self, name: str) -> None:
        """KV v2 has no replicas that are addressed one by one."""

    def lose_answer(self, verb: str) -> None:
        self.over.lost.append(verb == "stage")

    def consumed(self, name: str) -> str:
        found = self.admin("GET", self.at("data", name))["data"]["data"]
        return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def pending(self) -> list[str]:
        """Whatever lies below the pending paths: each path's whole name, folders followed."""
        return self._below(f"{PENDING}/")

    def _below(self, folder: str) -> list[str]:
        try:
            names = self.admin("GET", self.at("metadata", f"{folder}?list=true"))["data"]["keys"]
        except requests.exceptions.HTTPError:
            return []
        return [
            path
            for name in names
            for path in (self._below(folder + name) if name.endswith("/") else [folder + name])
        ]

    def close(self) -> None:
        """Let go of every connection."""
        self.store.close()
        self.admin.close()
