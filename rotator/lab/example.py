"""The demo's policy file: what a real one says, with short times and local addresses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rotator.lab import Lab
from rotator.lab.cast import ADMINS, CALM, CAST, REGION, Part, admin_secret, part_of, providers
from rotator.lab.fintechstudios import PROBE_PATH


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the local stores listen, and the file with the worker's token at Vault."""

    aws: str
    vault: str
    vault_token: Path


def write_policies(path: Path, lab: Lab, stores: Stores, *, calm: bool = False) -> None:
    """The policy file, replaced in one step; ``calm``: nothing more falls due."""
    document = {
        "version": 1,
        "stores": _stores(stores),
        "providers": {name: _provider(name, lab) for name in providers(lab)},
        "defaults": {"grace": "5s"},
        "policies": [_policy(part, calm=calm) for part in CAST],
    }
    fresh = path.with_name("rotator.yaml.new")
    fresh.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    fresh.replace(path)


def _stores(stores: Stores) -> dict[str, Any]:
    return {
        "aws": {"type": "aws-secrets-manager", "region": REGION, "endpoint_url": stores.aws},
        "vault": {
            "type": "vault-kv2",
            "url": stores.vault,
            "mount": "secret",
            "auth": {"method": "token", "token_file": str(stores.vault_token)},
        },
    }


def _provider(name: str, lab: Lab) -> dict[str, Any]:
    local = providers(lab)[name]
    section: dict[str, Any] = {"type": local.type_name, "base_url": local.url}
    if name in ADMINS:
        section["admin"] = {"store": ADMINS[name], "secret": admin_secret(name)}
    if name == "fts":
        section["probe_path"] = PROBE_PATH
    return section


def _policy(part: Part, *, calm: bool) -> dict[str, Any]:
    section: dict[str, Any] = {"name": part.policy, "provider": part.provider}
    if part.kind:
        section["kind"] = part.kind
    if part.parent:
        parent = part_of(part.parent)
        section["from"] = {"store": parent.store, "secret": parent.secret}
    section |= {"store": part.store, "secret": part.secret, **part.when}
    if calm and part.hasty:
        section["every"] = CALM
    if part.key:
        section["key"] = dict(part.key)
    if part.issued_by == "person":
        section["owner"] = "desk-c@example.com"
    return section
