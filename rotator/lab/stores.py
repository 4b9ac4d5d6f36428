"""The demo's two stores: a local Secrets Manager and a local Vault, with secrets as they were before."""

import json
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from rotator.lab.cast import REGION
from rotator.lab.example import Stores
from rotator.lab.vault import LocalVault

_TOKEN_LIFE = timedelta(hours=1)
_RIGHTS = """
path "secret/config" { capabilities = ["read"] }
path "secret/data/prod/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/prod/*" { capabilities = ["read"] }
path "secret/data/rotator/b2-admin" { capabilities = ["read"] }
path "secret/metadata/rotator/b2-admin" { capabilities = ["read"] }
path "secret/data/rotator/pending/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/rotator/pending/*" { capabilities = ["delete", "list", "read"] }
path "secret/destroy/rotator/pending/*" { capabilities = ["update"] }
"""


class LocalStores:
    """Both, running until ``made`` is closed. ``folder`` is where the worker's token at Vault goes."""

    def __init__(self, made: ExitStack, folder: Path) -> None:
        self.vault = made.enter_context(LocalVault())
        token = self.vault.access.token(_TOKEN_LIFE, policy=_RIGHTS)
        self.token_file = folder / "vault-token"
        with os.fdopen(os.open(self.token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(token)
        self.addresses = Stores(_secrets_manager(made), self.vault.url, self.token_file)
        self._made: list[str] = []
        self._aws: Any = boto3.client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url=self.addresses.aws,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(proxies={}, retries={"total_max_attempts": 2}),
        )
        made.callback(self._aws.close)
        made.callback(self._empty)

    def put(
        self, store: str, secret: str, fields: Mapping[str, str] | None, age: timedelta = timedelta(0)
    ) -> None:
        """A secret as somebody made it before rotator; None: without a version. ``age`` is of a version
        in Vault.
        """
        if store == "aws":
            value = {} if fields is None else {"SecretString": json.dumps(dict(fields))}
            self._aws.create_secret(Name=secret, **value)
            self._made.append(secret)
        elif fields is None:
            self.vault.kv.annotate(secret, {"cas_required": True})
        else:
            self.vault.put(secret, **fields)
            self.vault.kv.secrets[secret].versions[1].created -= age

    def current(self, store: str, secret: str) -> dict[str, str]:
        """What a consumer reads now; empty where the secret has no version."""
        if store == "vault":
            return self.vault.fields(secret)
        with suppress(self._aws.exceptions.ResourceNotFoundException):
            found = self._aws.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
            fields: dict[str, str] = json.loads(found["SecretString"])
            return fields
        return {}

    def pending(self) -> list[str]:
        """Paths in Vault where a value still waits to be promoted, or was left."""
        return [
            path
            for path in self.vault.paths("rotator/pending/")
            if (first := self.vault.kv.secrets[path].versions.get(1)) is not None and not first.destroyed
        ]

    def _empty(self) -> None:
        """The local Secrets Manager keeps what it holds for as long as this process lives."""
        for secret in self._made:
            self._aws.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def _secrets_manager(made: ExitStack) -> str:
    """Start the local Secrets Manager; its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    made.callback(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
