from dataclasses import replace
from datetime import timedelta

import click
import pytest

from rotator.cli.options import Wrong
from rotator.cli.select import Choice, issued_before, moment, select
from rotator.model import Policy, Provenance
from tests.unit.cli.records import NOW, debt, known, policy

A = policy("orders", tags={"team": "a", "tier": "prod"}, owner="desk-a")
B = policy("orders-eu", tags={"team": "b", "tier": "prod"}, owner="desk-b")
C = policy("bot", provider="fat", tags={"team": "a"}, owner="desk-a")
ALL = (A, B, C)


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (Choice(("bot", "orders", "bot")), (C, A)),
        (Choice(tags=(("team", "a"),)), (A, C)),
        (Choice(tags=(("team", "a"), ("tier", "prod"))), (A,)),
        (Choice(tags=(("team", "a"),), providers=("fat",)), (C,)),
        (Choice(owners=("desk-b",)), (B,)),
        (Choice(owners=("desk-b", "desk-a")), ALL),
        (Choice(providers=("fat", "build")), ALL),
        (Choice(providers=("fat", "build"), owners=("desk-a",)), (A, C)),
        (Choice(stores=("aws",), owners=("desk-a",)), (A, C)),
        (Choice(everything=True), ALL),
        (Choice(everything=True, providers=("fat",)), (C,)),
    ],
)
def test_names_and_what_policies_have_in_common_narrow_each_other(
    choice: Choice, meant: tuple[Policy, ...]
) -> None:
    """Names are taken as they come, each once; every other option narrows, to any of those that one option
    names, but to all of the tags; --all is all.
    """
    assert select(ALL, choice) == meant


def test_keys_are_chosen_by_their_age_and_unknown_ages_are_not_left_out() -> None:
    """A key that nobody saw being issued may be old: in an incident it is rotated."""
    young, old = known(A, rotated_at=NOW), known(B, rotated_at=NOW - timedelta(days=9))
    choice = Choice(issued_before=NOW - timedelta(days=1))
    assert issued_before(ALL, {A.target.id: young, B.target.id: old}, choice) == (B, C)
    assert issued_before(ALL, {}, Choice(everything=True)) == ALL
    given = {A.target.id: young, B.target.id: old}
    assert issued_before(ALL, given, choice, {A.target.id}) == (A, B, C)
    with pytest.raises(Wrong, match="younger"):
        issued_before((A,), {A.target.id: young}, choice)


def test_a_policy_that_is_named_and_whose_key_is_younger_is_not_left_out_in_silence() -> None:
    """Who names it means it: the command is refused."""
    choice = Choice(("orders", "orders-eu"), issued_before=NOW - timedelta(days=1))
    with pytest.raises(Wrong, match=r"Named, but not selected by --issued-before .*: orders[.]"):
        issued_before((A, B), {A.target.id: known(A, rotated_at=NOW)}, choice)


def test_an_older_key_that_still_lives_is_chosen_though_a_younger_one_took_its_place() -> None:
    """It is what the time is about: its grace ends with the order."""
    lives = debt(A, served=NOW - timedelta(days=9))
    choice = Choice(issued_before=NOW - timedelta(days=1))
    assert issued_before((A,), {A.target.id: known(A, rotated_at=NOW, debts=(lives,))}, choice) == (A,)


def test_a_key_for_which_nobody_vouched_counts_as_old() -> None:
    """Since when the secret holds it tells nothing of its age, nor does what was there before it."""
    choice = Choice(issued_before=NOW - timedelta(days=1))
    young = known(A, rotated_at=NOW)
    assert young.state.current is not None
    unknown = replace(young.state.current, provenance=Provenance.UNKNOWN)
    lives = debt(A, provenance=Provenance.UNKNOWN)
    for one in (
        known(A, rotated_at=NOW, current=unknown),
        known(A, rotated_at=NOW, holds="somebody's"),
        known(A, rotated_at=NOW, debts=(lives,)),
    ):
        assert issued_before((A,), {A.target.id: one}, choice) == (A,)


def test_a_time_is_a_day_an_instant_or_how_long_ago() -> None:
    """What is no time is told with what would be right."""
    context, parameter = click.Context(click.Command("x")), click.Option(["--issued-before"])
    assert str(moment(context, parameter, "2026-11-20")) == "2026-11-20 00:00:00+00:00"
    assert str(moment(context, parameter, "2026-11-20T09:00+01:00")) == "2026-11-20 08:00:00+00:00"
    assert moment(context, parameter, "30d") is not None
    assert moment(context, parameter, None) is None
    with pytest.raises(click.BadParameter, match="30d"):
        moment(context, parameter, "yesterday")


@pytest.mark.parametrize("value", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_time_that_is_none_in_utc_is_refused(value: str) -> None:
    """As any other that is no time: in a sentence."""
    context, parameter = click.Context(click.Command("x")), click.Option(["--issued-before"])
    with pytest.raises(click.BadParameter, match="is no time"):
        moment(context, parameter, value)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(), "--all"),
        (Choice(("order",)), "'orders'"),
        (Choice(("zzz",)), "orders, orders-eu, bot"),
        (Choice(("orders",), everything=True), "not both"),
        (Choice(tags=(("team", "z"),)), "team=z"),
        (Choice(tags=(("team", "a"), ("team", "b"))), "team=a --tag team=b"),
        (Choice(providers=("build", "nope")), "'nope'. Those in use: build, fat"),
        (Choice(stores=("nope",)), "aws"),
        (Choice(owners=("nope",)), "desk-a, desk-b"),
        (Choice(("orders", "bot"), providers=("build",)), "Named, but not selected by --provider build: bot"),
    ],
)
def test_a_selection_that_means_nothing_says_what_would(choice: Choice, says: str) -> None:
    """Nothing is selected by mistake: near spellings and what there is are told."""
    with pytest.raises(Wrong, match=says):
        select(ALL, choice)
