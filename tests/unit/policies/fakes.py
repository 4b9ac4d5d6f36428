"""Small adapters, so that these tests ask nothing of the real ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from rotator.model import Policy, Traits
from rotator.policies import Adapters, Book, PolicyError, load


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Store:
    """A store whose secrets have two spellings: a name, and the same after ``arn:``."""

    class Settings(_Model):
        """Of its section."""

        region: str
        endpoint_url: str | None = None

    @staticmethod
    def canonical(settings: Mapping[str, Any], secret: str) -> str:
        if "*" in secret:
            raise ValueError("a secret's name has no star")
        return f"store|{settings['region']}|{secret.removeprefix('arn:')}"


class Key(_Model):
    label: str
    scopes: tuple[str, ...] = ()
    trade: bool = False
    days: int | None = Field(default=None, ge=1, le=365)


class Provider:
    """A provider with a limit of three live keys."""

    class Options(_Model):
        """Of its section."""

        pool: str | None = None

    Settings = Key
    kinds: ClassVar[tuple[str, ...]] = ("key", "token")
    traits = Traits(
        version="1",
        fields=("key_id", "api_key", "api_secret"),
        secret_fields=("api_key", "api_secret"),
        id_field="key_id",
        admin_fields=("session",),
        label_setting="label",
        key_limit=3,
    )

    @staticmethod
    def check(policy: Policy) -> str | None:
        return "days and label contradict each other" if policy.key.get("days") == 13 else None


class OneValue:
    """A provider of keys with one value, whose account needs no admin credential."""

    class Options(_Model):
        """None."""

    Settings = Key
    traits = Traits(
        version="1",
        fields=("key_id", "api_key"),
        secret_fields=("api_key",),
        id_field="key_id",
        admin_fields=(),
        label_setting="label",
    )


class Bell:
    """A consumer that signs what it is told."""

    class Settings(_Model):
        """Of its section."""

        url: str

    SIGNS: ClassVar[str | None] = "clapper"


class Door:
    """A consumer that needs nothing to sign with."""

    class Settings(_Model):
        """Of its section."""

        street: str

    SIGNS: ClassVar[str | None] = None


class Table:
    """Adapters by type."""

    def __init__(self, **types: type[Any]) -> None:
        self._types = types

    def adapter(self, type: str, kind: str | None = None, /) -> type[Any]:  # noqa: A002
        return self._types[type]

    def names(self) -> list[str]:
        return sorted(self._types)


ADAPTERS = Adapters(
    providers=Table(fancy=Provider, plain=OneValue),
    stores=Table(safe=Store),
    consumers=Table(bell=Bell, door=Door),
)

HEAD = """\
version: 1
stores:
  aws: {type: safe, region: here}
providers:
  fan:
    type: fancy
    base_url: https://fancy.example
    admin: {store: aws, secret: admin}
  one: {type: plain, base_url: "https://plain.example/v1/"}
"""
POLICY = "  - {name: p, provider: one, store: aws, secret: s, every: 30d, key: {label: l}}\n"


def write(folder: Path, text: str, name: str = "rotator.yaml") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def book(folder: Path, policies: str, head: str = HEAD) -> Book:
    """The book of a file with these policies."""
    return load(write(folder, f"{head}policies:\n{policies}"), ADAPTERS)


def problems(folder: Path, policies: str = POLICY, head: str = HEAD) -> list[str]:
    """Every problem of such a file, without its name: ``line: policy: message remedy``."""
    try:
        book(folder, policies, head)
    except PolicyError as error:
        return [f"{p.line}: {p.policy or '-'}: {p.message} {p.remedy}" for p in error.problems]
    return []
