"""``submit``: a person's fresh credential, by standard input or hidden prompts; it is never shown."""

import json
import re
import sys
from typing import NoReturn

import click

from rotator.cli import output, session
from rotator.cli.options import NotDone, Options, Wrong, json_option
from rotator.cli.select import near
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Credential, ProviderRef

MOST_BYTES = 65536
_USABLE = re.compile(r"[\x21-\x7e]{1,16384}")  # printable ASCII without blanks: fit for a header


@click.command(
    short_help="Bring a provider's fresh session or admin key.",
    epilog="Example: rotator submit --admin fat < session.json",
)
@click.argument("name", required=False)
@click.option("--admin", "provider", metavar="PROVIDER", help="The provider whose admin credential this is.")
@json_option
@click.pass_obj
def submit(options: Options, *, name: str | None, provider: str | None, as_json: bool) -> None:
    """Bring a provider's fresh session or admin key: a JSON object on standard input, or typed unseen.

    It is tried at the provider first, and written to its store only if the provider accepts it. What
    waited for it goes on at once. It is never shown, and never an argument.
    """
    book = session.book(options)
    if provider is None:
        _no_kind(name, [policy.name for policy in book.policies])
    if name is not None:
        raise Wrong("Either a policy or --admin PROVIDER, not both.")
    ref = book.providers.get(provider)
    if ref is None:
        raise Wrong(f"There is no provider {provider!r} in the policies. {near(provider, book.providers)}")
    count = _submitted(options, ref)
    if as_json:
        output.document({"provider": ref.name, "accepted": True, "policies": count})
        return
    whom = "one secret" if count == 1 else f"{count} secrets"
    click.echo(f"{ref.name} accepts it, and it is in its store. What waited for it goes on: {whom}.")


def _no_kind(name: str | None, names: list[str]) -> NoReturn:
    if name is None:
        raise Wrong("Whose credential? `rotator submit --admin PROVIDER`.")
    if name not in names:
        raise Wrong(f"There is no policy {name!r}. {near(name, names)}")
    raise Wrong(
        f"{name} needs no person's key: its provider issues keys by API, so rotator does. "
        f"To rotate now: rotator run-now {name} --reason TEXT"
    )


def _submitted(options: Options, ref: ProviderRef) -> int:
    """Read, try, write; how many secrets were waiting for it."""
    from rotator.wiring import traits  # noqa: PLC0415

    if ref.admin is None:
        raise Wrong(f"The provider {ref.name} has no admin credential in the policies.")
    names = traits(ref.type).admin_fields
    credential = Credential(_typed(names) if sys.stdin.isatty() else _piped(names))
    with session.world(options) as world:
        try:
            world.trial(ref, credential).find()
        except NeedsPerson as error:
            raise Wrong(f"{error.message} Nothing was written. Bring another one.") from None
        except EffectError as error:
            raise NotDone(f"It could not be tried, and nothing was written: {error.message}") from None
        world.store(ref.admin.store).replace_raw(ref.admin.secret, credential.reveal(), world.random_hex())
        world.ledger.forget(f"block:{ref.principal}")
        waiting = [state.id for state, _ in world.ledger.secrets() if state.principal == ref.principal]
        world.ledger.nudge(waiting)
    return len(waiting)


def _typed(names: tuple[str, ...]) -> dict[str, str]:
    """Ask for each field, unseen."""
    return {name: _fit(name, click.prompt(name, hide_input=True, err=True)) for name in names}


def _piped(names: tuple[str, ...]) -> dict[str, str]:
    """The JSON object on standard input, with exactly these fields. What it holds is never repeated."""
    expected = f"Expected is one JSON object with {', '.join(names)}, each a text."
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Wrong(f"Standard input is too long. {expected}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong(f"Standard input is not JSON. {expected}") from None
    if not isinstance(found, dict):
        raise Wrong(f"Standard input is not a JSON object. {expected}")
    missing = [name for name in names if name not in found]
    if missing:
        raise Wrong(f"Missing: {', '.join(missing)}. {expected}")
    if len(found) != len(names):
        raise Wrong(f"There are {len(found) - len(names)} fields too many. {expected}")
    return {name: _fit(name, found[name]) for name in names}


def _fit(name: str, value: object) -> str:
    if not isinstance(value, str) or not _USABLE.fullmatch(value.strip()):
        raise Wrong(f"{name} is not a text of printable characters without blanks. Nothing was written.")
    return value.strip()
