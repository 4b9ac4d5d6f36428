"""The key of the audit trail in a secret of AWS Secrets Manager: for workers without a disk that lasts.

It is read by a process that starts, and stays in its memory. It is never made here: a worker that may write
the key could begin a trail of its own.
"""

import os
from typing import Any

import botocore.session
from botocore.config import Config

from rotator.audit.keys import KeyRing
from rotator.errors import LedgerUnusable, NeedsPerson
from rotator.quiet import hush
from rotator.stores import aws_errors
from rotator.stores.aws_settings import Place, place
from rotator.stores.aws_wire import bound
from rotator.stores.deadline import CONNECT_SECONDS, READ_SECONDS

VARIABLE = "ROTATOR_AUDIT_KEY_SECRET"
RIGHTS = frozenset({"secretsmanager:GetSecretValue", "kms:Decrypt"})  # on that secret and its key

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
)


class KeptKeyRing(KeyRing):
    """The keys in the secret with this ARN, spelled as in a file; a name is that of the worker's own account
    and region. Raises LedgerUnusable for what is neither.
    """

    def __init__(self, secret: str) -> None:
        super().__init__(None)
        self._keys = ()
        self.name = secret
        try:
            self._place = place(os.environ.get("AWS_REGION") or "", secret)
        except ValueError:
            self._place = Place("", "", "")
        if not self._place.region:
            raise LedgerUnusable(
                f"{VARIABLE} is not the ARN of a secret, which reads "
                "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX, nor the name of one where "
                "AWS_REGION says the region. [audit-key]"
            )

    def _lines(self) -> list[str]:
        text = self._read_secret().get("SecretString")
        if not isinstance(text, str) or not text.strip():
            raise LedgerUnusable(
                f"The secret {self.name} holds no key of the audit trail. Put it there as text: 64 "
                "hexadecimal digits (openssl rand -hex 32). [audit-key]"
            )
        return text.splitlines()

    def _read_secret(self) -> Any:
        """What GetSecretValue answers. Raises LedgerUnusable; passing, where nobody need change anything."""
        hush()
        client = None
        try:
            client = bound(
                botocore.session.Session().create_client(
                    "secretsmanager", region_name=self._place.region, config=_CONFIG
                )
            )
            return client.get_secret_value(SecretId=self.name, VersionStage="AWSCURRENT")
        except Exception as raised:  # noqa: BLE001 - whatever it is, it may hold the key
            error = aws_errors.translated(raised, "GetSecretValue", self._place.name)
        finally:
            if client is not None:
                client.close()
        # Raised outside the handler: the library's exception is not even the context of ours.
        raise LedgerUnusable(
            f"The key of the audit trail is not read: {error} See that {VARIABLE} names the right secret, "
            f"and that the worker may {' and '.join(sorted(RIGHTS))} on it. [audit-key]",
            passing=not isinstance(error, NeedsPerson),
        )
