"""The sections of a policy file as pydantic models: they validate, and the JSON Schema is drawn from them.

They are validated in strict mode, so that ``yes`` is not true and ``5`` is not text. What is wrong is
said by :func:`wrong`, in a sentence and its remedy.
"""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rotator import cron, durations
from rotator.model import Window
from rotator.policies.problems import shown
from rotator.policies.urls import wrong_url

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DURATION_SCHEMA = {"type": "string", "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}
WRONG = "rotator"  # the type of our own pydantic errors
_LARGEST_SHARE = 50  # of a token's life: renewed in its first half, it would be renewed for nothing


def wrong(message: str, remedy: str) -> PydanticCustomError:
    """An error that carries a message and a remedy of ours."""
    return PydanticCustomError(WRONG, "{message} {remedy}", {"message": message, "remedy": remedy})


def _said(error: ValueError) -> PydanticCustomError:
    message, _, remedy = str(error).partition(". ")
    return wrong(message if message.endswith(".") else f"{message}.", remedy)


# --- kinds of text ---------------------------------------------------------------------------------------


def check_name(text: str) -> tuple[str, str] | None:
    """What is wrong with a name and what would be right; None if nothing is."""
    if _NAME.fullmatch(text):
        return None
    return (
        f"{shown(text)} is not a name.",
        "Use up to 100 letters, digits, - _ and . beginning with a letter, a digit or _.",
    )


def _name(text: str) -> str:
    found = check_name(text)
    if found:
        raise wrong(*found)
    return text


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(
            f"A duration is text, not {shown(value)}.", "Write a number with its unit, such as 30d or 12h."
        )
    return value


def _duration(value: Any) -> timedelta:
    text = _as_text(value)
    try:
        return durations.parse(text)
    except ValueError as error:
        raise _said(error) from None


def _positive(value: Any) -> timedelta:
    found = _duration(value)
    if not found:
        raise wrong("This duration is zero.", "Write a longer one, such as 30d.")
    return found


def _cron(text: str) -> str:
    try:
        cron.check(text)
    except ValueError as error:
        raise _said(error) from None
    return " ".join(text.split())


def _renew(value: object) -> timedelta | float:
    """A duration, or a share such as 25%."""
    if isinstance(value, str) and value.endswith("%"):
        digits = value[:-1].strip()
        if digits.isdecimal() and 0 < int(digits) <= _LARGEST_SHARE:
            return int(digits) / 100
        raise wrong(f"{shown(value)} is not a share.", "Write a duration such as 20m, or 1% to 50%.")
    return _positive(value)


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder
        raise wrong(
            f"{shown(text)} is not a time zone.", "Write a name such as Europe/London or UTC."
        ) from None
    return text


def _secret(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise wrong("The secret is empty, or begins or ends with a space.", "Write its name, ARN or path.")
    return text


def _url(text: str) -> str:
    found = wrong_url(text)
    if found:
        raise wrong(*found)
    return text.rstrip("/")


def _day(text: str) -> str:
    if text not in DAYS:
        raise wrong(f"{shown(text)} is not a day.", f"Days: {', '.join(DAYS)}.")
    return text


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise wrong(
            f"{shown(text)} is not a time of day.", 'Write hours and minutes in quotes, such as "09:00".'
        )
    return text


def _tag(text: str) -> str:
    if not text or "=" in text or text != text.strip():
        raise wrong("A tag's name is empty, holds = or begins or ends with a space.", "Write a word.")
    return text


def _seldom(value: object) -> timedelta:
    found = _positive(value)
    if found < timedelta(days=1):
        raise wrong(
            "A drill more often than once a day issues too many keys.", "Write 1d or more, such as 30d."
        )
    return found


Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
Duration = Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Positive = Annotated[timedelta, BeforeValidator(_positive), WithJsonSchema(_DURATION_SCHEMA)]
Seldom = Annotated[timedelta, BeforeValidator(_seldom), WithJsonSchema(_DURATION_SCHEMA)]
Renew = Annotated[
    timedelta | float,
    BeforeValidator(_renew),
    WithJsonSchema({"type": "string", "examples": ["20m", "25%"]}),
]
Cron = Annotated[str, AfterValidator(_cron), WithJsonSchema({"type": "string", "examples": ["0 9 * * tue"]})]
Timezone = Annotated[str, AfterValidator(_timezone)]
Secret = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_secret)]
Url = Annotated[str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"enum": list(DAYS)})]
ClockTime = Annotated[
    str, AfterValidator(_clock), WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"})
]
Tags = dict[Annotated[str, AfterValidator(_tag)], str]


# --- sections --------------------------------------------------------------------------------------------


class Section(BaseModel):
    """What all sections share: no unknown key, and no input in an error. ``elsewhere`` says where keys belong
    that people write here.
    """

    elsewhere: ClassVar[Mapping[str, str]] = {}
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)


class WindowSection(Section):
    """Scheduled work happens only inside; run-now ignores it."""

    days: list[Day] = Field(default=list(DAYS), min_length=1)
    from_: ClockTime = Field(alias="from", description="Local time, such as 09:00, in quotes.")
    to: ClockTime = Field(description="Local time; before `from` it is on the next day; 24:00 is midnight.")

    def value(self) -> Window:
        """The window itself."""
        return Window(
            days=tuple(sorted({DAYS.index(day) for day in self.days})),
            start=_time(self.from_),
            end=_time(self.to),
        )


def _time(text: str) -> time:
    return time(0) if text == "24:00" else time.fromisoformat(text)


def _opens(window: WindowSection) -> WindowSection:
    if window.from_ in (window.to, "24:00"):
        raise wrong("This window has no length.", 'For the whole day write from "00:00" to "24:00".')
    return window


class Common(Section):
    """What a policy may say itself or leave to `defaults`."""

    every: Positive | None = Field(default=None, description="How often, such as 30d.")
    cron: Cron | None = Field(
        default=None, description="When, instead of `every`: minute hour day month weekday."
    )
    timezone: Timezone = Field(default="UTC", description="Of `cron` and `windows`.")
    windows: list[Annotated[WindowSection, AfterValidator(_opens)]] = Field(default=[])
    jitter: Duration = Field(
        default=timedelta(0),
        description="A random delay up to this, drawn once.",
        json_schema_extra={"default": "0s"},
    )
    grace: Duration = Field(
        default=timedelta(hours=24),
        description="Both keys live this long after promotion.",
        json_schema_extra={"default": "24h"},
    )
    tags: Tags = Field(default={}, description="For choosing policies; added to those of `defaults`.")
    owner: str | None = Field(default=None, min_length=1, max_length=200)
    store: Name | None = Field(default=None, description="A name from `stores`.")
    provider: Name | None = Field(default=None, description="A name from `providers`.")
    consumers: list[Name] = Field(default=[], description="Who is told of a new key: names from `consumers`.")
    drill: Seldom | None = Field(
        default=None, description="How often the path is tried with a key that nobody uses, such as 30d."
    )
    when_not_told: Literal["hold", "go-on"] = Field(
        default="hold",
        description="hold: a replaced key lives until every consumer was told; go-on: it dies.",
    )


class DefaultsSection(Common):
    """What policies leave out."""


class AdminSection(Section):
    """Where a credential is kept: one that may manage keys, the parent of a token, or what signs."""

    store: Name
    secret: Secret


class PolicySection(Common):
    """One secret: what is rotated, how often, and where it is kept."""

    name: Name = Field(description="Unique among all policies.")
    secret: Secret = Field(description="The secret's id in its store.")
    kind: str | None = Field(
        default=None, description="Which of the provider's credentials; its first by default."
    )
    from_: AdminSection | None = Field(
        default=None, alias="from", description="Of a token: the secret of its parent credential."
    )
    renew_before: Renew | None = Field(
        default=None, description="Of a token: how long before it expires, or which share of its life."
    )
    key: dict[str, Any] = Field(default={}, description="The provider's own settings of a key.")
    fields: dict[str, str | None] = Field(default={}, description="Other field names; null: not written.")
    format: Literal["json", "text"] = Field(
        default="json", description="text: the secret is one plain value."
    )
    trigger: Literal["schedule", "secrets-manager"] = Field(
        default="schedule",
        description="secrets-manager: Secrets Manager's own rotation says when, and calls rotator's Lambda.",
    )


class StoreSection(Section):
    """Where secrets live. Further keys are the type's own."""

    model_config = ConfigDict(extra="allow")

    type: str


class ProviderSection(Section):
    """Who issues keys. Further keys are the type's own."""

    model_config = ConfigDict(extra="allow")

    type: str
    base_url: Url
    admin: AdminSection | None = None


class ConsumerSection(Section):
    """Who is told of a new key. Further keys are the type's own."""

    model_config = ConfigDict(extra="allow")

    type: str
    signing: AdminSection | None = Field(
        default=None, description="Of a webhook: the secret whose key signs what is sent."
    )


class FileSection(Section):
    """A whole file; its sections are validated apart, so that one error hides no other."""

    version: Literal[1]
    stores: dict[Name, StoreSection] = Field(default={}, description="Where secrets live.")
    providers: dict[Name, ProviderSection] = Field(default={}, description="Who issues keys.")
    consumers: dict[Name, ConsumerSection] = Field(default={}, description="Who is told of new keys.")
    defaults: DefaultsSection = Field(default=DefaultsSection(), description="What policies leave out.")
    policies: list[PolicySection] = Field(default=[], description="What is rotated.")
