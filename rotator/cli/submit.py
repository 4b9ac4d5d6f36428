"""``submit``: a person's fresh credential, by standard input or hidden prompts; it is never shown."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from rotator.cli import asking, output, session
from rotator.cli.credentials import for_headers
from rotator.cli.options import NotDone, Options, Wrong, duration, json_option
from rotator.cli.overall import must_not_be_stopped
from rotator.cli.select import named, near
from rotator.errors import EffectError, NeedsPerson
from rotator.model import Credential, ProviderRef

if TYPE_CHECKING:
    from rotator.policies import Book


@click.command(
    short_help="Bring a credential that a person issued.",
    epilog="\b\nExamples: rotator submit figure-client < new-client.json\n"
    "          rotator submit --admin fat < session.json",
)
@click.argument("name", required=False)
@click.option("--admin", "provider", metavar="PROVIDER", help="The provider whose admin credential this is.")
@click.option("--no-wait", is_flag=True, help="End once the store holds it; the daemon brings it into use.")
@click.option(
    "--wait",
    default="15m",
    show_default=True,
    metavar="D",
    callback=duration,
    help="How long to watch at most.",
)
@click.option("--once-more", is_flag=True, help="Send it though logins of its account were refused.")
@json_option
@click.pass_obj
def submit(
    options: Options,
    *,
    name: str | None,
    provider: str | None,
    no_wait: bool,
    wait: timedelta,
    once_more: bool,
    as_json: bool,
) -> int:
    """Bring a credential that a person issued: a JSON object on standard input, or typed unseen.

    NAME is a policy whose provider has no key API; or give --admin for a provider's session or admin key.
    It is tried at the provider first, and nothing is written unless the provider accepts it. It is never
    shown, and never an argument. Killed at any moment, nothing is lost: bring it again.
    """
    from jobs.harden import harden  # noqa: PLC0415

    harden()  # before the credential is read
    book = session.book(options)
    if provider is not None and name is not None:
        raise Wrong("Either a policy or --admin PROVIDER, not both.")
    if provider is not None:
        _admin(options, book, provider, as_json=as_json)
        return 0
    if name is None:
        raise Wrong("Whose credential? `rotator submit NAME`, or `rotator submit --admin PROVIDER`.")
    from rotator.cli import bringing  # noqa: PLC0415 - the whole machine

    policy, watched = named(book.policies, name), timedelta(0) if no_wait else wait
    wish = bringing.Wish(policy, watched, watch=not no_wait, once_more=once_more)
    return bringing.told(bringing.bring(options, book, wish), policy, as_json=as_json)


def _admin(options: Options, book: "Book", provider: str, *, as_json: bool) -> None:
    ref = book.providers.get(provider)
    if ref is None:
        raise Wrong(f"There is no provider {provider!r} in the policies. {near(provider, book.providers)}")
    count = _submitted(options, ref)
    if as_json:
        output.document({"provider": ref.name, "accepted": True, "policies": count})
        return
    whom = "one secret" if count == 1 else f"{count} secrets"
    click.echo(f"{ref.name} accepts it, and it is in its store. What waited for it goes on: {whom}.")


def _submitted(options: Options, ref: ProviderRef) -> int:
    """Read, try, write; how many secrets were waiting for it."""
    from rotator.submitting import Brought, record_admin  # noqa: PLC0415 - the stories
    from rotator.wiring import traits  # noqa: PLC0415

    if ref.admin is None:
        raise Wrong(f"The provider {ref.name} has no admin credential in the policies.")
    credential = Credential(for_headers(traits(ref.type).admin_fields))
    with session.world(options) as world:
        try:
            listed = world.trial(ref, credential).find()
        except NeedsPerson as error:
            raise Wrong(f"{error.message} Nothing was written. Bring another one.") from None
        except EffectError as error:
            raise NotDone(f"It could not be tried, and nothing was written: {error.message}") from None
        wrong = asking.of_another_account(ref, listed, (state for state, _ in world.ledger.secrets()))
        if wrong is not None:
            raise NotDone(wrong)
        must_not_be_stopped(world.ledger)
        written, push = ref.admin.spelled(credential.reveal()), world.random_hex()
        brought = Brought(session.person(), world.ledger.now(), push)
        record_admin(world.ledger, ref, brought)
        world.store(ref.admin.store).replace_raw(ref.admin.secret, written, push)
        record_admin(world.ledger, ref, replace(brought, written=True))
        world.ledger.forget(f"block:{ref.principal}")
        world.renewed(ref)
        waiting = [state.id for state, _ in world.ledger.secrets() if state.principal == ref.principal]
        world.ledger.nudge(waiting)
    return len(waiting)
