"""The key of the audit trail, for a function: from its secret into a file of this process's own.

A function has no volume to mount a secret from. The file is in memory, readable by the owner alone, and gone
with the process.
"""

import os
import tempfile
from pathlib import Path

from rotator import wiring
from rotator.errors import EffectError, LedgerUnusable, NeedsPerson

SECRET, FILE = "ROTATOR_AUDIT_KEY_SECRET", "ROTATOR_AUDIT_KEY_FILE"


def provide() -> None:
    """Write the key where the ledger looks for it, if a secret is named and no file. May be called twice.

    Raises LedgerUnusable, with what to do.
    """
    secret = os.environ.get("ROTATOR_AUDIT_KEY_SECRET")
    if not secret or os.environ.get("ROTATOR_AUDIT_KEY_FILE"):
        return
    try:
        text = wiring.plain_secret(secret, os.environ.get("AWS_REGION") or "")
    except NeedsPerson as error:
        raise _unread(f"{error.message} To do: {error.todo}", passing=False) from None
    except EffectError as error:
        raise _unread(error.message, passing=True) from None
    except ValueError:
        raise _unread("It is not the ARN or the name of a secret.", passing=False) from None
    path = Path(tempfile.mkdtemp(prefix="rotator-")) / "audit-key"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.environ["ROTATOR_AUDIT_KEY_FILE"] = str(path)


def _unread(why: str, *, passing: bool) -> LedgerUnusable:
    return LedgerUnusable(f"{SECRET}: the key of the audit trail cannot be read. {why}", passing=passing)
