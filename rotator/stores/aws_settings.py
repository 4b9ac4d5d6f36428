"""What a policy file says about an AWS Secrets Manager, and how its secrets are spelled. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from rotator import durations

TYPE = "aws-secrets-manager"
NAME_MAX = 512  # characters (Secrets Manager API, CreateSecret, Name)
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
_ARN = re.compile(r"arn:(aws[a-z-]*):secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:(.*)", re.DOTALL)
_ARN_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]+")


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return durations.parse(value if isinstance(value, str) else "")


class Access(BaseModel):
    """How an AWS service is reached, and as whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")]
    endpoint_url: str | None = None
    role_arn: Annotated[str, Field(pattern=rf"^{_ROLE.pattern}$")] | None = None
    external_id: Annotated[str, Field(min_length=2, max_length=1224)] | None = None
    profile: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        """An external id belongs to a role; an address is https, or on this machine."""
        if self.external_id and not self.role_arn:
            raise ValueError("external_id is sent when a role is assumed: give role_arn too, or leave it out")
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url)
        return self


class Settings(Access):
    """The settings of one store of this type. ``replica_delay`` is how long a replica may lag."""

    replica_delay: Annotated[
        timedelta,
        BeforeValidator(_duration, json_schema_input_type=str),
        PlainSerializer(durations.text),
        Field(json_schema_extra={"default": "10m"}),
    ] = timedelta(minutes=10)


def _check_endpoint(url: str) -> None:
    """Refuse an address over which secrets would travel in the clear, or that carries a credential."""
    parts = urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in {"https", "http"} or not parts.hostname or (parts.scheme == "http" and not local):
        raise ValueError("endpoint_url must begin with https:// (http:// only for this machine, 127.0.0.1)")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("endpoint_url is an address alone, without a user, a password or a query")


@dataclass(frozen=True, slots=True)
class Place:
    """A secret as it is called: the region to ask, the id to send, the name for people, its account."""

    region: str
    id: str
    name: str
    account: str | None = None

    def replica_id(self, region: str) -> str:
        """The secret's id in another region: the same name, or the same ARN but for the region."""
        return self.id.replace(f":{self.region}:", f":{region}:", 1) if self.account else self.id


def place(region: str, secret: str) -> Place:
    """Where a secret is, from its name or ARN; an ARN's own region counts. ValueError for a bad spelling.

    An ARN ends with a hyphen and six characters that AWS drew (Secrets Manager guide, "What's in a
    secret"); they are not part of the name. AWS advises against names that end so themselves.
    """
    if not secret.startswith("arn:"):
        return Place(region, secret, _checked(secret))
    found = _ARN.fullmatch(secret)
    if found is None:
        raise ValueError(
            "not the ARN of a secret, which reads arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX"
        )
    _, own_region, account, name = found.groups()
    return Place(own_region, secret, _checked(_ARN_SUFFIX.sub("", name)), account)


def _checked(name: str) -> str:
    """The name itself, or a ValueError that says what a name looks like."""
    if not name:
        raise ValueError("the secret's id is empty: give its name or its ARN")
    if "*" in name or "?" in name:
        raise ValueError("a policy rotates one secret: give its whole name, without * or ?")
    if len(name) > NAME_MAX:
        raise ValueError(f"a secret's name has at most {NAME_MAX} characters, this one has {len(name)}")
    if ":" in name:
        raise ValueError("leave out what follows the secret's name (JSON key, stage, version): no ':' in it")
    if not _NAME.fullmatch(name):
        raise ValueError("a secret's name has letters, digits and /_+=.@- only")
    return name


def canonical(settings: Mapping[str, Any], secret: str) -> str:
    """One id for a secret: type, address, account as far as the settings tell it, region and name.

    A name does not tell its account. Where the settings do (``role_arn``), an ARN's account is compared with
    it; where they do not, it is left out, so that a name and its ARN are always the same secret.
    """
    where = place(str(settings.get("region") or ""), secret)
    role = _ROLE.fullmatch(str(settings.get("role_arn") or ""))
    if role:
        account = where.account or role.group(1)
    else:
        account = f"profile {settings['profile']}" if settings.get("profile") else ""
    endpoint = str(settings.get("endpoint_url") or "").rstrip("/").lower()
    return f"{TYPE}|{endpoint}|{account}|{where.region}|{where.name}"
