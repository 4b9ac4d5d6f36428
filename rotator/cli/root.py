"""``rotator``: the global options, and the commands by name, each imported when it is first used."""

import importlib
from typing import Final

import click

from rotator import __version__
from rotator.cli.options import Once, Options

COMMANDS: Final = {  # name: module that holds it, in the order in which a newcomer needs them
    "demo": "work",
    "schema": "check",
    "validate": "check",
    "doctor": "doctor",
    "reconcile": "reconcile",
    "plan": "plan",
    "status": "show",
    "history": "show",
    "audit": "audit",
    "run-now": "run_now",
    "incident": "incident",
    "rollback": "rollback",
    "drill": "drill",
    "daemon": "work",
    "tick": "work",
    "health": "work",
    "pause": "hold",
    "resume": "hold",
    "stop": "hold",
    "adopt": "adopt",
    "settle": "adopt",
    "submit": "submit",
}
LEVELS: Final = ("debug", "info", "warning", "error")


class Lazy(Once):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"rotator.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with near spellings for a name that is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib  # noqa: PLC0415

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `rotator --help` lists the commands."
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nNew here?      rotator demo\n"
    "Your policies: rotator validate, rotator plan, rotator daemon\n"
    'A key leaked:  rotator run-now --leaked --reason "seen in a chat" < FILE',
)
@click.version_option(__version__, prog_name="rotator", message="%(prog)s %(version)s")
@click.option(
    "--policies",
    envvar="ROTATOR_POLICIES",
    default="rotator.yaml",
    show_default="./rotator.yaml",
    metavar="PATH",
    help="The policy file, or a folder with a rotator.yaml in it. Also ROTATOR_POLICIES.",
)
@click.option(
    "--ledger",
    envvar="ROTATOR_LEDGER",
    metavar="URL",
    help="Where rotator remembers what it did: sqlite:///PATH, postgresql://USER@HOST/DATABASE or "
    "dynamodb://TABLE?region=REGION. Also ROTATOR_LEDGER. Left out: a file in your user's state folder.",
)
@click.option(
    "--log-level",
    envvar="ROTATOR_LOG_LEVEL",
    type=click.Choice(LEVELS, case_sensitive=False),
    default=None,
    help="How much is logged on standard error (info for daemon and tick, else warning).",
)
@click.pass_context
def rotator(ctx: click.Context, policies: str, ledger: str | None, log_level: str | None) -> None:
    """Replaces API keys on a schedule, and at once when one leaks, and loses nothing."""
    ctx.obj = Options(policies=policies, ledger=ledger or None, log_level=log_level)
