"""The keys of the audit trail: in a file, never in the database that they vouch for.

Each line of the file is one key, 64 hexadecimal digits. The first one signs; the others, of earlier times,
are kept so that old records can still be verified. A line ``lost ID`` says that the key of that id is gone
for good: a person knows that its records can be verified no more.
"""

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from rotator.errors import LedgerUnusable

_DIGITS = 64  # of a key in its file: 32 bytes, as long as what SHA-256 gives
_NEW = "openssl rand -hex 32"
_LOST = re.compile(r"lost ([0-9a-f]{8})")


class AuditKey:
    """One key; its value leaves it only as the MAC of something."""

    __slots__ = ("_value", "id")

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.id = hashlib.sha256(b"rotator audit key\n" + value).hexdigest()[:8]  # tells keys apart, no more

    def mac(self, message: bytes) -> str:
        """HMAC-SHA256, 64 hexadecimal digits."""
        return hmac.digest(self._value, message, "sha256").hex()

    def __repr__(self) -> str:
        return f"AuditKey({self.id})"


class KeyRing:
    """The keys in a file, read when they are first needed; without a file one random key, for tests."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.name = str(path)  # for messages
        self._keys: tuple[AuditKey, ...] = () if path else (AuditKey(secrets.token_bytes()),)
        self._lost: frozenset[str] = frozenset()

    def signing(self) -> AuditKey:
        """The key that new records are made with. Raises LedgerUnusable where there is none.

        It is never made anew behind a person's back: whoever removes the file would otherwise get records
        that nobody can verify, and nobody would notice.
        """
        found = self._read()
        if found:
            return found[0]
        raise LedgerUnusable(
            f"The key of the audit trail is missing: there is no {self.path}, and every step must be "
            "recorded with it. Put the file back from where you keep it, or name it in "
            f"ROTATOR_AUDIT_KEY_FILE. If it is lost for good, make a new one ({_NEW} > {self.path}); rotator "
            "then asks for one line more. [audit-key]"
        )

    def find(self, key_id: str) -> AuditKey | None:
        """The key of this id, or None. Raises LedgerUnusable for a file that holds no keys."""
        return next((key for key in self._read() if key.id == key_id), None)

    def accounts_for(self, key_id: str) -> bool:
        """Whether a key is here, or said to be lost. Raises LedgerUnusable for a file that holds no keys."""
        return self.find(key_id) is not None or key_id in self._lost

    def make(self) -> None:
        """Make the file with a random key, unless it is there; of several processes one makes it."""
        if self.path is None or self._read():
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(self.path, f"{secrets.token_hex()}\n")
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def _read(self) -> tuple[AuditKey, ...]:
        if not self._keys:
            lines = [line.strip() for line in self._lines()]
            lost = [found for line in lines if (found := _LOST.fullmatch(line))]
            self._lost = frozenset(found.group(1) for found in lost)
            told = {found.string for found in lost} | {""}
            self._keys = tuple(_parsed(self.name, line) for line in lines if line not in told)
        return self._keys

    def _lines(self) -> list[str]:
        """What stands where the keys are kept; nothing where there is no file. Raises LedgerUnusable."""
        if self.path is None:
            return []
        try:
            return self.path.read_text("ascii").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(self.path, error) from None


def _parsed(name: str, line: str) -> AuditKey:
    with suppress(ValueError):
        if len(line) == _DIGITS:
            return AuditKey(bytes.fromhex(line))
    raise LedgerUnusable(
        f"{name} holds no audit keys: each line must hold {_DIGITS} hexadecimal digits ({_NEW}), or "
        "`lost` and the id of a key that is gone. "
        "[audit-key]"
    )


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> LedgerUnusable:
    why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return LedgerUnusable(
        f"The key of the audit trail in {path} cannot be read or made: {why}. See that this user may do "
        "so, or name another file in ROTATOR_AUDIT_KEY_FILE. [audit-key]"
    )


def _write_whole(path: Path, text: str) -> None:
    """A file that appears with its whole content, for its owner alone; one that is there already stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
