from collections.abc import Collection
from datetime import timedelta

from rotator.incident.waves import FEW, STUCK, Member, Standing, members, turn, width
from rotator.model import AdminRef, Policy, ProviderRef, Target, Traits
from tests.unit.cli.records import STORE, policy

MANY = [policy(f"p{number}") for number in range(30)]
TRAITS = Traits("1", ("key_id", "api_key"), ("api_key",), "key_id", (), "label")


def lane(policies: list[Policy], most: int = 20) -> tuple[Member, ...]:
    """Policies whose accounts bear so many at once."""
    return members(policies, {one.provider.principal: most for one in policies})


def ordered(everybody: Collection[Member], standing: Standing) -> list[str]:
    """The names of those that are ordered now."""
    return [one.name for one in turn(tuple(everybody), standing).orders]


def ids(policies: list[Policy]) -> set[str]:
    """Their secrets."""
    return {one.target.id for one in policies}


def test_one_goes_first_then_a_few_then_as_many_as_the_account_bears() -> None:
    """A mistake in an order costs one rotation, not all of them."""
    everybody = lane(MANY)
    assert ordered(everybody, Standing()) == ["p0"]
    assert ordered(everybody, Standing(under_way={MANY[0].target.id: timedelta(0)})) == []
    assert len(ordered(everybody, Standing(in_use=ids(MANY[:1])))) == FEW
    assert len(ordered(everybody, Standing(in_use=ids(MANY[:FEW])))) == 20
    going = dict.fromkeys(ids(MANY[10:25]), timedelta(0))
    assert len(ordered(everybody, Standing(in_use=ids(MANY[:10]), under_way=going))) == 5


def test_those_that_hold_a_leaked_key_wait_for_nobody_and_those_that_are_contained_for_one() -> None:
    """One key dies when none of them holds it; an outage is worth one try, not a slow beginning."""
    everybody, first = lane(MANY), Standing(in_use=ids(MANY[:1]))
    assert len(turn(everybody, Standing(), at_once=True).orders) == len(MANY)
    assert len(turn(everybody, Standing(), few=False).orders) == 1
    assert len(turn(everybody, first, few=False).orders) == 20


def test_accounts_do_not_wait_for_each_other() -> None:
    """Each has its own first one."""
    other = [policy(f"q{number}", provider="fat") for number in range(3)]
    assert ordered(lane([*MANY, *other]), Standing()) == ["p0", "q0"]


def test_a_first_one_that_takes_long_is_joined_by_another() -> None:
    """Which tells whether the secret or the account is in trouble; never by more than two."""
    first = {MANY[0].target.id: STUCK}
    assert ordered(lane(MANY), Standing(under_way=first)) == ["p1"]
    three = dict.fromkeys(ids(MANY[:3]), STUCK * 99)
    assert ordered(lane(MANY), Standing(under_way=three)) == []


def test_an_account_that_fails_gets_no_more_orders_and_the_others_go_on() -> None:
    """It was tried first: what is said of an account from before the order does not count."""
    other = policy("q", provider="fat")
    everybody, failing = lane([*MANY, other]), {MANY[0].provider.principal}
    assert ordered(everybody, Standing(failing=failing)) == ["p0", "q"]
    tried = turn(everybody, Standing(missed=ids(MANY[:3]), failed=ids(MANY[:3]), failing=failing))
    assert [one.name for one in tried.orders] == ["q"]
    assert {account: len(left) for account, left in tried.given_up.items()} == {
        MANY[0].provider.principal: 27
    }
    assert ordered(everybody, Standing(missed=ids(MANY[:3]))) == ["p3", "q"]


def test_what_was_refused_without_a_call_says_nothing_of_an_account_that_failed_before() -> None:
    """Only what was begun tells whether it still does."""
    refused = Standing(missed=ids(MANY[:1]), failing={MANY[0].provider.principal})
    assert (turn(lane(MANY), refused).orders, turn(lane(MANY), refused).given_up) == ((MANY[1],), {})


def test_where_keys_die_first_none_dies_while_the_first_has_no_successor() -> None:
    """Neither beside a first one that takes long, nor after one that failed; one that was refused, or
    whose key was not to die first, is none.
    """
    everybody, account = lane(MANY), MANY[0].provider.principal
    slow = Standing(under_way={MANY[0].target.id: timedelta(minutes=9)})
    assert turn(everybody, slow, few=False).orders == ()
    failed = Standing(missed=ids(MANY[:1]), failed=ids(MANY[:1]), lost=ids(MANY[:1]))
    assert turn(everybody, failed, few=False).orders == ()
    assert len(turn(everybody, failed, few=False).given_up[account]) == len(MANY) - 1
    refused = Standing(missed=ids(MANY[:1]))
    assert [one.name for one in turn(everybody, refused, few=False).orders] == ["p1"]
    kept = Standing(missed=ids(MANY[:1]), failed=ids(MANY[:1]))
    assert [one.name for one in turn(everybody, kept, few=False).orders] == ["p1"]
    assert ordered(everybody, failed) == ["p1"]


def managed(name: str, admin: str) -> Policy:
    """A policy of an account whose admin secret has this canonical id."""
    ref = ProviderRef("b", "buildmarkets", "https://b.example.com", AdminRef(STORE, "admin"), account=admin)
    return Policy(name, ref, Target(f"aws|{name}", STORE, name), every=timedelta(days=30))


def test_our_own_admin_credentials_go_last_and_parents_before_their_tokens() -> None:
    """Nothing that others still need is taken away from under them; what failed holds nobody up."""
    admin, one, two = managed("admin", "aws|admin"), managed("one", "aws|admin"), managed("two", "aws|admin")
    everybody = lane([admin, one, two])
    assert [each.policy.name for each in everybody] == ["one", "two", "admin"]
    assert ordered(everybody, Standing(in_use={"aws|one"})) == ["two"]
    assert ordered(everybody, Standing(in_use={"aws|one"}, missed={"aws|two"})) == ["admin"]
    parent, token = policy("parent"), policy("token", provider="fat", parent="aws|parent", renew=0.5)
    family = lane([token, parent])
    assert ordered(family, Standing()) == ["parent"]
    assert ordered(family, Standing(in_use={"aws|parent"})) == ["token"]
    assert ordered(lane([token]), Standing()) == ["token"]


def test_the_width_is_what_limits_bear() -> None:
    """More side by side would wait for their turn past the time in which a key must be verified."""
    assert width(TRAITS, 5.0, 10, peers=3) == 5
    assert width(TRAITS, 0.1, 10, peers=3) == 1
    assert width(TRAITS, None, 10, peers=3) > 1000
    limited = Traits("1", ("key_id",), ("key_id",), "key_id", (), "label", key_limit=10)
    assert width(limited, None, 10, peers=7) == 3
    assert width(limited, None, 10, peers=12) == 1
