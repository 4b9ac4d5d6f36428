"""Ways to a token: one function for each method of the settings. Nothing read here is kept."""

import os
import re
from pathlib import Path
from typing import Any

from botocore.session import Session as AwsSession

from rotator.errors import NeedsPerson, Unknown
from rotator.stores.vault_errors import Asked, Reply
from rotator.stores.vault_settings import AppRoleAuth, AwsIamAuth, KubernetesAuth, TokenAuth

_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")  # what a header may hold: else a library quotes the value


def login(auth: AppRoleAuth | KubernetesAuth | AwsIamAuth, client: Any) -> Reply:
    """One login. Raises NeedsPerson where what it is made with is missing, and what ``client`` raises."""
    match auth:
        case AppRoleAuth():
            secret_id = read(auth.secret_id_file, "secret_id_file") if auth.secret_id_file else ""
            answer = client.auth.approle.login(
                auth.role_id, secret_id, use_token=False, mount_point=auth.mount
            )
        case KubernetesAuth():
            jwt = read(auth.jwt_file, "jwt_file")
            answer = client.auth.kubernetes.login(auth.role, jwt, use_token=False, mount_point=auth.mount)
        case AwsIamAuth():
            answer = _aws_iam(auth, client)
    if not isinstance(answer, Reply):
        raise Unknown("garbage", "the login was not answered by Vault")
    return answer


def asked(auth: AppRoleAuth | KubernetesAuth | AwsIamAuth) -> Asked:
    """The login, for people."""
    return Asked("login", f"auth/{auth.mount}/login")


def token(auth: TokenAuth) -> str:
    """The token that was given, read afresh."""
    if auth.token_file is not None:
        return read(auth.token_file, "token_file")
    found = os.environ.get("VAULT_TOKEN", "").strip()
    if not found:
        raise _unusable("VAULT_TOKEN is not set", "set VAULT_TOKEN, or name a token_file in the store's auth")
    return checked(found, "VAULT_TOKEN")


def read(path: str, setting: str) -> str:
    """A file's one line."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = None
    if text is None:
        raise _unusable(f"the {setting} cannot be read", f"see that {setting} names a file that can be read")
    return checked(text, setting)


def checked(value: str, setting: str) -> str:
    """The value itself, if it can be sent."""
    if not _HEADER_VALUE.fullmatch(value):
        raise _unusable(f"the {setting} is empty, or holds more than one word", f"write the {setting} anew")
    return value


def _aws_iam(auth: AwsIamAuth, client: Any) -> Reply:
    """A signed GetCallerIdentity, which Vault sends on to AWS (Vault docs, AWS auth method)."""
    found = AwsSession().get_credentials()
    frozen = found.get_frozen_credentials() if found is not None else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise _unusable("this machine has no AWS credentials", "give the worker a role or a profile")
    answer: Reply = client.auth.aws.iam_login(
        frozen.access_key,
        frozen.secret_key,
        frozen.token,
        header_value=auth.header_value,
        role=auth.role,
        use_token=False,
        mount_point=auth.mount,
    )
    return answer


def _unusable(message: str, todo: str) -> NeedsPerson:
    return NeedsPerson("credentials", f"No login at Vault is possible: {message}.", todo=f"{todo}.")
