"""What a policy file says about a Vault, and how its secrets are spelled. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

TYPE = "vault-kv2"
PENDING = "rotator/pending"  # below the mount: what was staged and is not promoted yet
PATH_MAX = 400  # characters of a secret's path: the pending path is longer and must fit too
_SEGMENT = r"[A-Za-z0-9_.@+=~-]+"
_PATH = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_PUSH = re.compile(r"r1-([0-9a-f]{8})-[0-9a-f]{32}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _below(name: str, value: str) -> str:
    """A path without slashes around it; ValueError says what a path looks like."""
    bare = value.strip("/")
    if not _PATH.fullmatch(bare) or {".", ".."} & set(bare.split("/")):
        raise ValueError(f"{name} has letters, digits and _.@+=~- only, in parts with one / between them")
    return bare


def _mount(value: str) -> str:
    return _below("a mount", value)


def _url(value: str) -> str:
    """Refuse an address over which secrets would travel in the clear, or that carries a credential."""
    parts = urlsplit(value)
    local = parts.hostname in _LOOPBACK
    if parts.scheme not in {"https", "http"} or not parts.hostname or (parts.scheme == "http" and not local):
        raise ValueError("url must begin with https:// (http:// only for this machine, 127.0.0.1)")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("url is an address alone, without a user, a password or a query")
    if parts.path.strip("/"):
        raise ValueError("url ends after the host and port: the mount and the secret's path stand elsewhere")
    return value.rstrip("/")


_Mount = Annotated[str, AfterValidator(_mount)]
_Text = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenAuth(_Section):
    """A token that somebody else keeps valid: in a file (a Vault Agent's sink), else in VAULT_TOKEN."""

    method: Literal["token"]
    token_file: _Text | None = None


class AppRoleAuth(_Section):
    """AppRole. Without ``secret_id_file`` the role must have ``bind_secret_id=false``."""

    method: Literal["approle"]
    role_id: _Text
    secret_id_file: _Text | None = None
    mount: _Mount = "approle"


class KubernetesAuth(_Section):
    """Kubernetes, by the service account's token, which is read anew at each login."""

    method: Literal["kubernetes"]
    role: _Text
    jwt_file: _Text = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    mount: _Mount = "kubernetes"


class AwsIamAuth(_Section):
    """AWS IAM. ``header_value`` binds the signed request to one Vault, so that no other may replay it."""

    method: Literal["aws-iam"]
    role: _Text
    header_value: _Text | None = None
    mount: _Mount = "aws"


Auth = Annotated[TokenAuth | AppRoleAuth | KubernetesAuth | AwsIamAuth, Field(discriminator="method")]


class Settings(_Section):
    """The settings of one store of this type.

    ``destroy_old``: the version that held a revoked key is destroyed. ``create_missing``: a path at which
    nothing ever was is a secret without a version; otherwise it is taken for a mistake.
    """

    url: Annotated[str, AfterValidator(_url)]
    mount: _Mount = "secret"
    auth: Auth
    namespace: _Mount | None = None
    ca_file: _Text | None = None
    destroy_old: bool = False
    create_missing: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A secret as it is called: its path below the mount, for people with the mount."""

    mount: str
    path: str

    @property
    def name(self) -> str:
        """For people: as the policy files and ``vault kv`` spell it."""
        return f"{self.mount}/{self.path}"

    def pending(self, push: str) -> "Place":
        """Where the version staged under this token waits."""
        found = _PUSH.fullmatch(push)
        assert found, "is_push was asked before"
        return Place(self.mount, f"{self.waiting(found.group(1))}/{push}")

    def waiting(self, ledger: str) -> str:
        """The folder of everything that a ledger staged for this secret."""
        return f"{PENDING}/{ledger}/{self.path}"


def is_push(version: str) -> bool:
    """Whether a version's id is a token of ours, not one of Vault's numbers."""
    return _PUSH.fullmatch(version) is not None


def ledger_of(push: str) -> str:
    """The ledger that drew a token."""
    return push.split("-")[1]


def number(version: str) -> int | None:
    """The number of a version's id, or None where it is none."""
    return int(version) if re.fullmatch(r"[1-9][0-9]{0,17}", version) else None


def place(mount: str, secret: str) -> Place:
    """Where a secret is. ValueError for a bad spelling."""
    path = _below("a secret's path", secret)
    if len(path) > PATH_MAX:
        raise ValueError(f"a secret's path has at most {PATH_MAX} characters, this one has {len(path)}")
    if f"{path}/".startswith(f"{PENDING}/"):
        raise ValueError(f"{PENDING}/ is where rotator keeps what is not promoted yet: choose another path")
    return Place(mount, path)


def canonical(settings: Mapping[str, Any], secret: str) -> str:
    """One id for a secret: type, address, namespace, mount and path."""
    mount = str(settings.get("mount") or "secret").strip("/")
    url = str(settings.get("url") or "").rstrip("/").lower()
    namespace = str(settings.get("namespace") or "").strip("/")
    return f"{TYPE}|{url}|{namespace}|{mount}|{place(mount, secret).path}"
