from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rotator import lab
from rotator.errors import EffectError, NeedsPerson, Refused, RotatorError, Scope, Unknown
from rotator.model import Credential, KeyRecord, Policy, ProviderRef, StoreRef, Target, Verdict
from rotator.providers.admin import Admin
from rotator.providers.buildmarkets import Buildmarkets
from rotator.providers.network import Network
from rotator.testing.clock import ManualClock

WANTED = {"scopes": ["accounts:read"]}


@pytest.fixture
def server(clock: ManualClock) -> Iterator[lab.Buildmarkets]:
    """The provider on this machine, without limits of requests."""
    with lab.Buildmarkets(clock=clock.now, limits=(), page_size=3) as server:
        yield server


def made(server: lab.Buildmarkets, clock: ManualClock, network: Network, **options: Any) -> Buildmarkets:
    """The adapter for it, with the admin credential that it takes."""
    ref = ProviderRef("here", "buildmarkets", server.url, options={"requests_per_second": 1000, **options})
    admin = Admin(lambda: Credential(server.admin), Buildmarkets.traits.admin_fields, "here", clock)
    return Buildmarkets(ref, admin, clock, network)


@pytest.mark.parametrize("paging", ["cursor", "offset", "none"])
@pytest.mark.parametrize("lists_revoked", [True, False])
def test_all_pages_are_read(
    server: lab.Buildmarkets, clock: ManualClock, network: Network, paging: Any, lists_revoked: bool
) -> None:
    """The list is read to its end in each of the forms that the docs use, revoked keys listed or not."""
    server.paging, server.lists_revoked = paging, lists_revoked
    ids = {server.add_foreign(f"key {number}").key_id for number in range(8)}
    gone = ids.pop()
    server.withdraw(gone)
    live = {record.key_id for record in made(server, clock, network).find() if record.live}
    assert ids <= live
    assert gone not in live


def test_pages_that_go_round_are_unknown(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """A cursor that leads back proves nothing complete, and is not followed for ever."""
    rows = [{"id": "key-1", "label": "x"}]
    page = {"data": rows, "pagination": {"next_cursor": "same", "has_more": True}}
    server.fail_next(server.LIST, lab.Refuse(200, page), 9)
    with pytest.raises(Unknown):
        made(server, clock, network).find()
    assert server.count(server.LIST) == 2


@pytest.mark.parametrize("live_first", [True, False])
def test_an_id_that_is_listed_twice_lives_if_it_lives_once(
    server: lab.Buildmarkets, clock: ManualClock, network: Network, live_first: bool
) -> None:
    """What a list calls live and dead at once may live, in whichever order it says so."""
    server.add_foreign("key")
    live = {"id": "key-1", "label": "x", "status": "active"}
    rows = [live, {**live, "status": "revoked", "revoked_at": "2026-01-02T00:00:00Z"}]
    server.fail_next(server.LIST, lab.Refuse(200, {"data": rows if live_first else rows[::-1]}))
    assert [record.live for record in made(server, clock, network).find()] == [True]


@pytest.mark.parametrize("row", [{"id": "../x"}, {"id": None}, {"label": "x"}, {"id": True}, {"id": ""}])
def test_list_with_an_unusable_id_is_unknown(
    server: lab.Buildmarkets, clock: ManualClock, network: Network, row: dict[str, Any]
) -> None:
    """A key that cannot be named makes the whole list doubtful: it might be ours."""
    server.fail_next(server.LIST, lab.Refuse(200, {"data": [row]}))
    with pytest.raises(Unknown):
        made(server, clock, network).find()


@pytest.mark.parametrize(
    "told",
    [
        {"id": "k1", "api_key": "same-value", "api_secret": "same-value"},
        {"id": "same-value", "api_key": "same-value", "api_secret": "another-value"},
        {"id": "k1", "api_key": "api-key-value", "api_secret": "line\nbreak-value"},
        {"id": "k1", "api_key": "api-key-value", "api_secret": "umlaut-\u00e4-value"},
        {"id": "k1", "api_key": "api-key-value", "api_secret": "x" * 5000},
        {"id": "k1", "api_key": "api-key-value", "api_secret": ""},
        {"id": "k1", "api_key": "api-key-value", "api_secret": ["a-secret-value"]},
        {"id": "../k1", "api_key": "api-key-value", "api_secret": "a-secret-value"},
        {"api_key": "api-key-value", "api_secret": "a-secret-value"},
        [{"id": "k1", "api_key": "api-key-value", "api_secret": "a-secret-value"}],
        "api-key-value",
    ],
)
def test_key_that_cannot_be_one_is_garbage(
    server: lab.Buildmarkets, clock: ManualClock, network: Network, told: Any
) -> None:
    """An answer that lacks, repeats or deforms a field is Unknown, in words that hold none of it."""
    server.fail_next(server.ISSUE, lab.Refuse(201, told))
    with pytest.raises(Unknown) as caught:
        made(server, clock, network).issue("label", WANTED)
    assert caught.value.kind == "garbage"
    assert "value" not in repr((caught.value, caught.value.args, caught.value.__context__))


def test_enveloped_answers_with_other_names_are_understood(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """The docs also show ``data`` around the key, and token_id, key and secret as its names."""
    told = {"data": {"token_id": "t-1", "key": "api-key-value", "secret": "a-secret-value", "new_field": 1}}
    server.fail_next(server.ISSUE, lab.Refuse(200, told))
    issued = made(server, clock, network).issue("label", WANTED)
    assert issued.credential.reveal() == {
        "key_id": "t-1",
        "api_key": "api-key-value",
        "api_secret": "a-secret-value",
    }


def test_valid_key_without_the_probes_scope_is_live(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """403 proves that the pair is valid; the docs say so."""
    provider = made(server, clock, network)
    issued = provider.issue("label", {"scopes": ["marketdata:read"]})
    assert provider.probe(issued.credential).verdict is Verdict.LIVE


@pytest.mark.parametrize("status", [401, 403])
def test_undocumented_refusal_proves_nothing(
    server: lab.Buildmarkets, clock: ManualClock, network: Network, status: int
) -> None:
    """A 401 or 403 without the documented error object may come from a proxy: UNKNOWN."""
    credential = Credential(server.create("x"))
    server.fail_next(server.PROBE, lab.Refuse(status, "<html>who are you?</html>"))
    assert made(server, clock, network).probe(credential).verdict is Verdict.UNKNOWN


def test_unknown_scope_stops_for_good(server: lab.Buildmarkets, clock: ManualClock, network: Network) -> None:
    """A scope that the server does not know is neither dropped nor widened: refused, permanently."""
    with pytest.raises(Refused) as caught:
        made(server, clock, network).issue("label", {"scopes": ["no:such"]})
    assert (caught.value.kind, caught.value.permanent) == ("invalid-scope", True)


def test_conflict_is_told_as_a_possible_limit(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """No limit is documented; where there is one all the same, it is surfaced as such."""
    server.key_limit = 0
    with pytest.raises(Refused) as caught:
        made(server, clock, network).issue("label", WANTED)
    assert caught.value.kind == "key-limit"


def test_manager_without_the_scope_needs_a_person(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """An admin pair that may not manage keys is one block for its provider, with the right it lacks."""
    weak = server.create("weak")
    ref = ProviderRef("here", "buildmarkets", server.url, options={"requests_per_second": 1000})
    admin = Admin(lambda: Credential(weak), Buildmarkets.traits.admin_fields, "here", clock)
    with pytest.raises(NeedsPerson) as caught:
        Buildmarkets(ref, admin, clock, network).find()
    assert (caught.value.kind, caught.value.scope) == ("admin-forbidden", Scope.PROVIDER)
    assert "keys:manage" in caught.value.todo


def test_admin_key_is_not_revoked_by_itself(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """A key never authenticates its own end: success could not be told from failure."""
    own = server.create("own")
    ref = ProviderRef("here", "buildmarkets", server.url, options={"requests_per_second": 1000})
    admin = Admin(lambda: Credential(own), Buildmarkets.traits.admin_fields, "here", clock)
    with pytest.raises(Refused):
        Buildmarkets(ref, admin, clock, network).revoke(own["key_id"])
    assert server.calls == ()


def test_sandbox_keys_do_not_pass_for_production(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """A sandbox pair in the admin secret of a production provider stops everything, before a request."""
    ref = ProviderRef("here", "buildmarkets", server.url, options={"environment": "production"})
    sandbox = {"api_key": "tapp_sandbox_none", "api_secret": "not-a-secret"}
    admin = Admin(lambda: Credential(sandbox), Buildmarkets.traits.admin_fields, "here", clock)
    with pytest.raises(NeedsPerson) as caught:
        Buildmarkets(ref, admin, clock, network).find()
    assert caught.value.kind == "admin-environment"
    assert server.calls == ()


def test_probing_never_holds_up_others(
    server: lab.Buildmarkets, clock: ManualClock, network: Network
) -> None:
    """Limits are counted for each key: a probed key that is used up does not stop the manager."""
    provider = made(server, clock, network)
    credential = Credential(server.create("busy"))
    server.fail_next(server.PROBE, lab.Refuse(429, {"error": {}}, {"Retry-After": "600"}))
    assert provider.probe(credential).verdict is Verdict.UNKNOWN
    provider.find()


def test_documented_pace_is_halved(clock: ManualClock, network: Network) -> None:
    """Ten requests a second are documented; five are used, and probes that must wait long say so."""
    with lab.Buildmarkets(clock=clock.now) as server:
        ref = ProviderRef("here", "buildmarkets", server.url)
        provider = Buildmarkets(ref, None, clock, network)
        credential = Credential(server.create("x"))
        for _ in range(25):
            assert provider.probe(credential).verdict is Verdict.LIVE
        assert sum(clock.slept) == pytest.approx(4)


def test_scopes_come_from_the_policy_or_the_old_key() -> None:
    """The policy's scopes win, else the old key's are copied; without either a person must say."""
    provider = object.__new__(Buildmarkets)
    old = KeyRecord("k", "x", granted={"scopes": ["trading:read"]})
    assert provider.wanted({"label": "x", "scopes": ["a"]}, old) == {"scopes": ["a"]}
    assert provider.wanted({"label": "x"}, old) == {"scopes": ["trading:read"]}
    for nothing in (None, KeyRecord("k", "x")):
        with pytest.raises(NeedsPerson) as caught:
            provider.wanted({}, nothing)
        assert caught.value.scope is Scope.SECRET


@pytest.mark.parametrize(
    ("granted", "fine"),
    [
        ({"scopes": ["b", "a"]}, True),
        ({}, True),
        ({"scopes": ["a", "b", "c"]}, False),
        ({"scopes": ["a"]}, False),
        ({"scopes": []}, False),
    ],
)
def test_scopes_are_compared(granted: dict[str, Any], fine: bool) -> None:
    """Neither more nor fewer scopes than asked; what is not told is not judged."""
    found = object.__new__(Buildmarkets).excess({"scopes": ["a", "b"]}, granted)
    assert (found is None) is fine


@pytest.mark.parametrize(
    "key", [{"scopes": []}, {"scopes": "a"}, {"scopes": [1]}, {"scope": ["a"]}, {"label": ""}]
)
def test_bad_settings_are_refused(key: dict[str, Any]) -> None:
    """Empty scopes, other types and unknown keys are errors of the policy file."""
    with pytest.raises(ValidationError):
        Buildmarkets.Settings.model_validate(key)


@pytest.mark.parametrize(("environment", "fine"), [("production", False), ("sandbox", True), (None, True)])
def test_production_does_not_live_on_a_test_system(environment: str | None, fine: bool) -> None:
    """A production provider at a host of the test system is an error of the policy file."""
    store = StoreRef("s", "t")
    options = {"environment": environment} if environment else {}
    ref = ProviderRef("b", "buildmarkets", "https://dev-api.example", options=options)
    policy = Policy("p", ref, Target("t", store, "x"), every=timedelta(days=30))
    assert (Buildmarkets.check(policy) is None) is fine


def test_effects_end_in_time(server: lab.Buildmarkets, clock: ManualClock, network: Network) -> None:
    """A server that fails every request keeps a caller for seconds of waiting, not minutes."""
    server.fail_next("*", lab.Refuse(503, None), 99)
    provider = made(server, clock, network)
    began = clock.monotonic()
    for act in (provider.find, lambda: provider.issue("x", WANTED), lambda: provider.revoke("k-1")):
        with pytest.raises(RotatorError) as caught:
            act()
        assert isinstance(caught.value, EffectError)
    assert clock.monotonic() - began < 25


def test_probe_needs_no_key_id(server: lab.Buildmarkets, clock: ManualClock, network: Network) -> None:
    """A secret whose key_id is not written can be probed all the same."""
    fields = server.create("x")
    del fields["key_id"]
    assert made(server, clock, network).probe(Credential(fields)).verdict is Verdict.LIVE
