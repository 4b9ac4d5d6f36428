"""What every command may be told, and the kinds of values that options take."""

from collections.abc import Callable, Sequence
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


class Once(click.Group):
    """A group that refuses an option of its own or of a command if it is given twice and takes one value: the
    last one would count, and of the others nothing would be said.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, each option once."""
        _each_once(self, ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; each option of the command once."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, Once):
            inner = command.context_class(command, ctx, info_name=name, **command.context_settings)
            _each_once(command, inner, rest)
        return name, command, rest


def _each_once(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    for option in given:
        one = isinstance(option, click.Option) and not (option.multiple or option.is_flag or option.count)
        if one and given.count(option) > 1:
            name = max(option.opts, key=len)
            raise click.UsageError(f"{name} is given more than once, and only one can be meant.", ctx)


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    """The callback of an option that takes ``45s``, ``15m``, ``12h``, ``30d`` or ``1d12h``."""
    if value is None:
        return None
    try:
        return durations.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def kept(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """The callback of an option whose text is kept for ever: it may hold nothing that looks like a secret."""
    from rotator.telemetry.redaction import scrub  # noqa: PLC0415 - a command that keeps none is fast

    if value is not None and scrub(value) != value:
        raise click.BadParameter("It holds what looks like a secret, and is kept for ever. Leave that out.")
    return value


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


def tag_option(command: _C) -> _C:
    """The option ``--tag``, as the parameter ``tag``: pairs, of which a policy has all."""
    what = "Only policies with this tag; given again, with both."
    return click.option("--tag", "tag", multiple=True, metavar="K=V", callback=tags, help=what)(command)


def provider_option(command: _C) -> _C:
    """The option ``--provider``, as the parameter ``providers``: names, of which a policy has one."""
    what = "Only policies of this provider; given again, of either."
    return click.option("--provider", "providers", multiple=True, metavar="P", help=what)(command)


def json_option(command: _C) -> _C:
    """The option ``--json``, as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")(
        command
    )
