"""``validate`` and ``schema``: about policy files alone, offline."""

import json
from datetime import timedelta

import click

from rotator import durations
from rotator.cli import output
from rotator.cli.options import Options, json_option
from rotator.cli.session import book
from rotator.errors import PolicyError
from rotator.model import Policy


@click.command(short_help="Check policy files, offline.", epilog="Example: rotator validate ./policies")
@click.argument("path", required=False)
@json_option
@click.pass_obj
def validate(options: Options, *, path: str | None, as_json: bool) -> int:
    """Check policy files, offline; show every policy, or everything that is wrong.

    PATH is a file or a folder, else what --policies says.
    """
    asked = Options(path or options.policies, options.ledger, options.log_level)
    try:
        found = book(asked)
    except PolicyError as error:
        if not as_json:
            raise
        output.document({"ok": False, "policies": [], "problems": error.problems})
        return 2
    rows = [described(policy) for policy in found.policies]
    if as_json:
        output.document({"ok": True, "policies": rows, "problems": []})
        return 0
    output.table(
        ("policy", "provider", "store", "secret", "schedule", "grace", "owner"),
        [[row[column] or "-" for column in _COLUMNS] for row in rows],
    )
    click.echo(f"{len(rows)} {'policy is' if len(rows) == 1 else 'policies are'} well-formed.")
    return 0


_COLUMNS = ("name", "provider", "store", "secret", "schedule", "grace", "owner")


def described(policy: Policy) -> dict[str, str | None]:
    """A policy in the words of its file."""
    return {
        "name": policy.name,
        "provider": policy.provider.name,
        "store": policy.target.store.name,
        "secret": policy.target.secret,
        "schedule": schedule(policy) + (", in windows" if policy.windows else ""),
        "grace": durations.text(policy.grace),
        "owner": policy.owner,
        "consumers": ", ".join(ref.name for ref in policy.consumers) or None,
        "place": policy.place,
    }


def schedule(policy: Policy) -> str:
    """When a policy is due, in the words of its file."""
    if policy.target.native:
        return "when Secrets Manager calls"
    if isinstance(policy.renew, timedelta):
        return f"renewed {durations.text(policy.renew)} before it expires"
    if policy.renew is not None:
        return f"renewed with {policy.renew:.0%} of its life left"
    if policy.every:
        return f"every {durations.text(policy.every)}"
    return f'cron "{policy.cron}" {policy.timezone}'


@click.command(
    short_help="JSON Schema of the policy file, for editors.",
    epilog="\b\nExample: rotator schema > rotator.schema.json\n"
    "Then begin the policy file with:\n"
    "         # yaml-language-server: $schema=rotator.schema.json",
)
def schema() -> None:
    """Print the JSON Schema of the policy file, for editors."""
    from rotator.policies import json_schema  # noqa: PLC0415

    click.echo(json.dumps(json_schema(), indent=2))
