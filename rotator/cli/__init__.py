"""The commands. :func:`main` is the one place where an error becomes a sentence and an exit code.

0: all that was asked for is done. 1: something failed or waits for a person. 2: the command line, a policy
or the configuration is wrong.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from rotator.errors import EffectError, LedgerUnusable, NeedsPerson, PolicyError, RotatorError

DONE, FAILED, WRONG = 0, 1, 2


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code; never a traceback."""
    code = run(args)
    _let_go(sys.stdout, sys.stderr)
    sys.exit(code)


def _let_go(*streams: TextIO) -> None:
    """Drop what nobody reads any more: Python would try again at the end, and end with code 120 instead."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(args: Sequence[str] | None = None) -> int:
    """The exit code of a command line; whatever goes wrong is told on standard error."""
    from rotator.cli.root import rotator  # noqa: PLC0415 - --version must not wait for the commands

    try:
        answer = rotator.main(args, prog_name="rotator", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return WRONG
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as stopped:
        return _told(_stopped(stopped), FAILED)
    except RotatorError as error:
        return _told(*explained(error))
    except Exception as error:  # noqa: BLE001 - the boundary: a fault of ours must not print our locals
        return _told(_fault(error), FAILED)
    return answer if isinstance(answer, int) else DONE


def _stopped(stopped: BaseException) -> str:
    """What to say after Ctrl-C, or Ctrl-D at a question, for which click raises its Abort without a cause."""
    if isinstance(stopped, click.Abort) and stopped.__cause__ is None:
        return "\nThat is a no: what was asked about was not done."
    return "Stopped. What had begun is in the ledger; the same command or the daemon goes on."


def explained(error: RotatorError) -> tuple[str, int]:
    """What to say of an error that we raised on purpose, and the exit code."""
    match error:
        case PolicyError(problems=problems):
            count = "One thing is" if len(problems) == 1 else f"{len(problems)} things are"
            return f"{count} wrong with the policies:\n{error}", WRONG
        case LedgerUnusable(passing=True):
            stands = "What was done before stands in the ledger; give the command again."
            return f"The ledger cannot be used now: {error}\n{stands}", FAILED
        case LedgerUnusable():
            return f"The ledger cannot be used: {error}", WRONG
        case NeedsPerson(message=message, todo=todo):
            return f"{message}\nTo do: {todo}", FAILED
        case EffectError(message=message):
            return f"{message} Nothing more was done; try again later.", FAILED
        case _:
            return str(error), FAILED


def _fault(error: Exception) -> str:
    """Of a fault of ours: its class and where, never its text, which may hold anything."""
    from rotator.telemetry.logs import where  # noqa: PLC0415

    return f"{type(error).__name__} at {where(error)}: this is a fault in rotator. Please report this line."


def _told(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code
