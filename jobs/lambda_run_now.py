"""``run-now`` by an event: the very command, its options as keys, its JSON document as the answer."""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import click

from jobs.lambda_events import WrongEvent
from rotator import durations
from rotator.cli import root, session
from rotator.cli.run_now import run_now

_NOT_OURS = ("json", "html")  # the first is given always; a function's files go with it
_ALWAYS = ("--json",)


def run(given: Mapping[str, Any], by: str, left: timedelta) -> dict[str, Any]:
    """Rotate now; the command's document, and its exit code. ``left`` bounds how long is waited.

    Raises WrongEvent with everything that is wrong with the options, and what the command raises.
    """
    arguments = _arguments({**given, "wait": _wait(given.get("wait"), left)})
    told = io.StringIO()
    with contextlib.redirect_stdout(told), session.as_person(by):
        code = root.rotator.main(["run-now", *arguments], prog_name="rotator", standalone_mode=False)
    answer: dict[str, Any] = json.loads(told.getvalue())
    return {"rotator": "run-now", "by": by, "exit_code": code, **answer}


def _wait(asked: object, left: timedelta) -> object:
    """How long to watch: as asked, and not beyond the time of the function."""
    try:
        wanted = durations.parse(asked) if isinstance(asked, str) else left
    except ValueError:
        return asked  # told with whatever else is wrong
    seconds = max(0, int(min(wanted, left).total_seconds()))
    return asked if asked is not None and not isinstance(asked, str) else f"{seconds}s"


def _arguments(given: Mapping[str, Any]) -> list[str]:
    """The command line of an order. Raises WrongEvent."""
    known = {_key(param): param for param in run_now.params if _key(param) not in _NOT_OURS}
    wrong = [f"{name}: unknown; known are {', '.join(known)}" for name in given if name not in known]
    options: list[str] = []
    names: list[str] = []
    context = click.Context(run_now)
    for key, value in given.items():
        param = known.get(key)
        if param is None:
            continue
        try:
            words = list(_words(param, value))
            param.process_value(context, _processed(param, words))
        except (WrongEvent, click.UsageError) as error:
            wrong.append(f"{key}: {error.message if isinstance(error, click.UsageError) else error}")
            continue
        if isinstance(param, click.Argument):
            names += words
        else:
            options += [f"--{key}"] if _flag(param) and words else _pairs(key, words)
    if wrong:
        raise WrongEvent(f"The order cannot be given, and nothing was done. {'; '.join(wrong)}.")
    return [*options, *_ALWAYS, "--", *names]


def _key(param: click.Parameter) -> str:
    """The name of an option without its hyphens, or of an argument."""
    return str(param.name) if isinstance(param, click.Argument) else max(param.opts, key=len).lstrip("-")


def _flag(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and param.is_flag


def _several(param: click.Parameter) -> bool:
    return param.nargs == -1 or (isinstance(param, click.Option) and param.multiple)


def _words(param: click.Parameter, value: object) -> Iterator[str]:
    """The values of an option as texts; of a flag that is set one, else none. Raises WrongEvent."""
    if _flag(param):
        if not isinstance(value, bool):
            raise WrongEvent("it is true or false")
        yield from ["true"] if value else []
    elif _several(param):
        one = [value] if isinstance(value, str) and isinstance(param, click.Option) else value
        pairs = [f"{key}={text}" for key, text in one.items()] if isinstance(one, Mapping) else one
        if not isinstance(pairs, list) or not all(isinstance(one, str) for one in pairs):
            raise WrongEvent("it is a list of texts")
        yield from pairs
    elif isinstance(value, str):
        yield value
    else:
        raise WrongEvent("it is a text")


def _processed(param: click.Parameter, words: list[str]) -> object:
    """The value as click has it after parsing."""
    if _flag(param):
        return bool(words)
    return tuple(words) if _several(param) else words[0]


def _pairs(key: str, words: list[str]) -> list[str]:
    return [f"--{key}={word}" for word in words]
