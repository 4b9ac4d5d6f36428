"""What ``settle --consumer`` does: a person says that a consumer needs no telling."""

from collections.abc import Sequence

import click

from rotator.cli import declaring, output, session
from rotator.cli.declaring import Declaration
from rotator.cli.options import Options
from rotator.cli.show import secret_of
from rotator.model import Change


def settle_telling(
    options: Options, name: str, consumers: Sequence[str], reason: str, *, as_json: bool
) -> None:
    """Write, for the secret of a policy, that these consumers were told, on a person's word. Raises Wrong."""
    policies = session.book(options).policies
    with session.world(options, create=False) as world:
        ledger = world.ledger
        secret = secret_of(policies, ledger, name)
        said = Declaration(session.person(), reason, ledger.now())

        def decided() -> Change:
            state = ledger.secret(secret)
            if state is None:
                raise declaring.Impossible(f"{name}: nobody waits to be told. Nothing was changed.")
            return declaring.telling(state, consumers, said)

        session.change(ledger, world.clock, secret, decided)
    if as_json:
        output.document({"policy": name, "consumers": consumers, "settled": True, "by": said.by})
        return
    click.echo(f"{', '.join(consumers)}: declared told of the new key of {name}, on your word.")
