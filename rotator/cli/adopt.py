"""``adopt`` and ``settle``: what a person declares about keys, and about who uses them."""

import sys
from collections.abc import Callable, Sequence

import click

from rotator.cli import asking, declaring, output, session
from rotator.cli.declaring import Declaration
from rotator.cli.options import Options, Wrong, json_option, kept
from rotator.cli.reading import read_all, read_one
from rotator.cli.select import named
from rotator.interfaces import Ledger
from rotator.keeping import keeps
from rotator.model import Change, Debt, Policy
from rotator.people import Known


@click.command(
    short_help="Tell which key a secret holds.",
    epilog="\b\nExamples: rotator adopt market-maker --key-id 1047\n          rotator adopt --suggest",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--key-id", metavar="ID", help="The key's id, as the provider lists it.")
@click.option(
    "--debt", "debt_id", metavar="DEBT", help="Which replaced key is meant, where there are several."
)
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    callback=kept,
    help="How you know, for those who read the history.",
)
@click.option("--suggest", is_flag=True, help="List the keys that secrets may hold; adopt those proven.")
@click.option("--yes", is_flag=True, help="With --suggest: adopt what is proven without asking.")
@json_option
@click.pass_obj
def adopt(
    options: Options,
    *,
    names: tuple[str, ...],
    key_id: str | None,
    debt_id: str | None,
    reason: str,
    suggest: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Tell which key a secret holds, so that rotator may revoke it once it is replaced.

    A key that was there before rotator is never revoked by guess. The id is looked up at the provider
    first: it must be listed there, live, and nobody else's. --suggest lists what each key could be, and
    marks what the secret's own values prove; only that is adopted in bulk.
    """
    if suggest:
        if key_id is not None or debt_id is not None:
            raise Wrong("Either --suggest or --key-id, not both.")
        return _suggest(options, names, reason, yes=yes, as_json=as_json)
    if len(names) != 1 or key_id is None:
        raise Wrong(
            "Which key of which policy? `rotator adopt NAME --key-id ID`, or `rotator adopt --suggest`."
        )
    held_too = _adopt(options, names[0], key_id, debt_id, reason)
    if as_json:
        output.document({"policy": names[0], "adopted": key_id, "held_too": held_too})
        return 0
    click.echo(
        f"Key {key_id} of {names[0]} is adopted: "
        "rotator revokes it once it is replaced and its grace is over."
    )
    if held_too:
        click.echo(f"It is on record of {', '.join(held_too)} as well: it dies when no secret holds it.")
    return 0


def _suggest(options: Options, names: tuple[str, ...], reason: str, *, yes: bool, as_json: bool) -> int:
    """List candidates, and adopt those that are proven where a person says so."""
    from rotator.cli import suggesting  # noqa: PLC0415

    policies = session.book(options).policies
    chosen = [named(policies, name) for name in dict.fromkeys(names)] or list(policies)
    with session.world(options, create=False) as world:
        found = suggesting.suggested(world, chosen)
        if not as_json:
            suggesting.show(found)
        count = sum(one.proven is not None for one in found)
        done = []
        if count and (yes or (not as_json and _agreed(count))):
            why = reason or "the secret's own values prove it"
            said = Declaration(session.person(), why, world.ledger.now())
            done = suggesting.adopt_proven(world, chosen, found, said)
    if as_json:
        output.document({"suggestions": found, "adopted": done})
    elif done:
        click.echo(f"Adopted: {', '.join(done)}.")
    return 1 if any(one.why_none for one in found) else 0


def _agreed(count: int) -> bool:
    """Whether the person at the terminal wants the proven ones adopted; where nobody can be asked, no."""
    if not sys.stdin.isatty():
        click.echo("--yes adopts what is proven.")
        return False
    return click.confirm(f"Adopt {'the proven one' if count == 1 else f'the {count} proven ones'}?", err=True)


def _adopt(options: Options, name: str, key_id: str, debt_id: str | None, reason: str) -> Sequence[str]:
    """Look the key up at its provider, and write whose it is; the other policies whose secrets hold it too.

    Where the secret's own record names the key it is no matter whether another's does: one was copied.
    """
    policies = session.book(options).policies
    with session.world(options, create=False) as world:
        ledger = world.ledger
        said = Declaration(session.person(), reason or "no reason given", ledger.now())
        policy = _meant(ledger, policies, name, lambda one: _proposed(ledger, one, key_id, said, debt_id))
        meant = declaring.waiting(_known(ledger, policy), key_id, debt_id)
        account = declaring.where_it_is(meant, policy).provider
        listed = world.provider(account).find()
        _refuse(declaring.unfit(key_id, listed, ledger.id, meant))
        known, secret = read_all(ledger).values(), policy.target.id
        if meant.key_id != key_id:
            _refuse(declaring.claimed_by(key_id, known, secret))
        made = next((record.created_at for record in listed if record.key_id == key_id), None)

        def decided() -> Change:
            adopted = _proposed(ledger, policy, key_id, said, debt_id)
            return declaring.no_younger(adopted, policy, made, said.at)

        session.change(ledger, world.clock, secret, decided)
        here = [one for one in known if account.principal in (one.state.principal, one.state.issuer)]
        ledger.nudge(one.state.id for one in here if key_id in declaring.ids_of(one))  # it is theirs as well
        return declaring.on_record_of(key_id, here, secret)


def _meant(
    ledger: Ledger, policies: Sequence[Policy], name: str, propose: Callable[[Policy], Change]
) -> Policy:
    """The policy of this name, or as it was when it was deleted or its secret moved: the first that fits.

    What is plainly wrong costs no call: raises Wrong where none fits, with what is wrong of the first.
    """
    left = _left_behind(ledger, name)
    here = [policy for policy in policies if policy.name == name]
    wrong: declaring.Impossible | None = None
    for policy in [*here, *left] or [named(policies, name)]:
        if ledger.secret(policy.target.id) is None:
            continue
        try:
            propose(policy)
        except declaring.Impossible as error:
            wrong = wrong or error
        else:
            return policy
    raise Wrong(str(wrong) if wrong else f"{name} was not taken on yet. Run `rotator tick`, and adopt then.")


def _left_behind(ledger: Ledger, name: str) -> list[Policy]:
    """The policy of this name as it was, for each secret that is gone and where an old key still waits."""
    gone = (state.id for state, _ in ledger.secrets() if state.gone and state.policy == name)
    found = (next(iter(ledger.debts(secret)), None) for secret in gone)
    return [debt.policy for debt in found if debt is not None]


def _proposed(ledger: Ledger, policy: Policy, key_id: str, said: Declaration, debt_id: str | None) -> Change:
    return declaring.adoption(_known(ledger, policy), key_id, said, debt_id)


def _known(ledger: Ledger, policy: Policy) -> Known:
    known = read_one(ledger, policy.target.id)
    assert known is not None, "a secret is never forgotten"
    return known


def _refuse(why: str | None) -> None:
    if why is not None:
        raise Wrong(f"{why} Nothing was changed.")


@click.command(
    short_help="Declare a key dead, or a consumer told, that nothing can prove.",
    epilog='Example: rotator settle 5f0c1b2a9d3e --reason "support closed the account, ticket 4711"',
)
@click.argument("debt")
@click.option(
    "--consumer",
    "consumers",
    multiple=True,
    metavar="C",
    help="With a policy's name for DEBT: who is served.",
)
@click.option("--reason", required=True, metavar="TEXT", callback=kept, help="How you know.")
@json_option
@click.pass_obj
def settle(options: Options, *, debt: str, consumers: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Declare a key dead that no probe can prove; the record says declared, never proven.

    DEBT is the id that `rotator status` shows. The provider is asked first, where it lists keys: one that it
    lists live is revoked there before its debt is settled.

    With --consumer it is a policy, and declared is that this consumer uses the new key, or needs none: what
    was replaced waits for it no longer, and its grace begins.
    """
    if not reason.strip():
        raise Wrong("--reason must say how you know that the key is dead, or that the consumer is served.")
    if consumers:
        from rotator.cli.told import settle_telling  # noqa: PLC0415

        settle_telling(options, debt, list(dict.fromkeys(consumers)), reason.strip(), as_json=as_json)
        return
    with session.world(options, create=False) as world:
        ledger = world.ledger
        found = ledger.debt(debt)
        if found is None:
            raise Wrong(f"There is no debt {debt!r}. `rotator status` shows the open ones with their ids.")
        said = Declaration(session.person(), reason.strip(), ledger.now())
        heard = "" if found.phase.ended else asking.heard_of(world, found)

        def decided() -> Change:
            state, current = ledger.secret(found.secret), ledger.debt(debt)
            assert state is not None, "a secret is never forgotten"
            assert current is not None, "nor is a debt"
            return declaring.settlement(state, current, said, heard)

        session.change(ledger, world.clock, found.secret, decided)
    if as_json:
        output.document(
            {"debt": debt, "key_id": found.key_id, "settled": True, "by": said.by, "provider": heard}
        )
        return
    key = found.key_id or "of unknown id"
    click.echo(
        f"Debt {debt} is settled: key {key} declared dead, {_by_word(found)}. {output.printable(heard)}"
    )
    if keeps(found):
        click.echo("A worker takes the store's copy of it away at its next look; a stop holds that.")


def _by_word(debt: Debt) -> str:
    """What a person's word is worth: where nothing else could prove it, that is said."""
    if debt.block is not None and debt.block.kind == "cannot-be-proven":
        return "on your word alone: no probe can prove it, and the record says so"
    return "never proven"
