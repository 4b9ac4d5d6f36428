"""What every command may be told, and the kinds of values that options take."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import click

from rotator import durations

_C = TypeVar("_C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, as they were given. ``ledger`` is None for the default."""

    policies: str
    ledger: str | None
    log_level: str | None


class Wrong(click.ClickException):
    """What was asked for is wrong, in a sentence: exit code 2, nothing was done."""

    exit_code = 2


class NotDone(click.ClickException):
    """What was asked for could not be done, in a sentence: exit code 1."""

    exit_code = 1


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    """The callback of an option that takes ``45s``, ``15m``, ``12h``, ``30d`` or ``1d12h``."""
    if value is None:
        return None
    try:
        return durations.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def tags(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """The callback of an option that takes ``key=value``, again and again."""
    pairs = []
    for value in values:
        key, sign, text = value.partition("=")
        if not (key and sign):
            raise click.BadParameter(f"{value!r} is not of the form key=value, such as team=desk-a")
        pairs.append((key, text))
    return tuple(pairs)


def json_option(command: _C) -> _C:
    """The option ``--json``, as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")(
        command
    )
