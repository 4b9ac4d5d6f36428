"""An option that takes one value, given twice: the last one would count, and nobody would be told."""

from collections.abc import Iterator

import click
import pytest

from rotator.cli import run
from rotator.cli.root import rotator

Words = tuple[str, ...]


def commands(group: click.Group, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    """Every command with the words that lead to it, and the groups themselves."""
    yield path, group
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


def single() -> Iterator[Words]:
    """A command line for each option that takes one value, with that option twice."""
    for path, command in commands(rotator):
        for option in command.params:
            if isinstance(option, click.Option) and not (option.is_flag or option.multiple):
                spelled = max(option.opts, key=len)
                yield (*path, spelled, "1h", f"{spelled}=2h")


@pytest.mark.parametrize("args", list(single()), ids=" ".join)
def test_an_option_of_one_value_is_refused_if_it_is_given_twice(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every command, and of rotator itself: exit code 2, before anything is read."""
    words = args if len(args) > 3 else (*args, "status")
    assert run(words) == 2
    assert f"{args[-3]} is given more than once" in capsys.readouterr().err


def test_flags_and_options_that_are_added_up_may_be_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    """They say the same twice, or one thing more."""
    again = ("run-now", "--yes", "--yes", "--provider", "a", "--provider", "b", "--help")
    assert run(again) == 0
    assert "more than once" not in capsys.readouterr().err
