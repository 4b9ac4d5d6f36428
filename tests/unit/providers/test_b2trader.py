from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rotator import lab
from rotator.errors import NeedsPerson, Refused, Scope
from rotator.model import Credential, KeyRecord, ProviderRef, Verdict
from rotator.providers.admin import Admin
from rotator.providers.b2trader import B2Trader
from rotator.providers.b2trader_signing import sign, signed_at, signed_query
from rotator.providers.network import Network
from rotator.testing.clock import ManualClock

WANTED = {"isInfo": True, "isTrade": False, "ipWhiteList": ["127.0.0.1"]}
DOCUMENTED_KEY = "8596a4a9-b3a5-3d4c-9399-a2958de404ba"  # of the docs' example; it opens nothing


@pytest.fixture
def server(clock: ManualClock) -> Iterator[lab.B2Trader]:
    """The provider on this machine, without limits of requests."""
    with lab.B2Trader(clock=clock.now, limits=()) as server:
        yield server


def made(server: lab.B2Trader, clock: ManualClock, network: Network, **options: Any) -> B2Trader:
    """The adapter for it, with the admin credential that it takes."""
    ref = ProviderRef("here", "b2trader", server.url, options={"requests_per_second": 1000, **options})
    admin = Admin(lambda: Credential(server.admin), B2Trader.traits.admin_fields, "here", clock)
    return B2Trader(ref, admin, clock, network)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            "?ts=2019-12-20T08:20:51&nonce=12345",
            (
                "7445BDE84F3863E43953986B1337BE3D21CA9675C9643CE4999F79A28DD9F674"
                "AE0D4C60F32C4F6DDDAE3F76FFFE93FCE00F0CB30658BA0EEA6529B8EA63C4A9"
            ),
        ),
        (
            '{"ts":"2019-12-20T08:20:51","nonce":12345}',
            (
                "646A150066BF75C6E28B53EFE00801F49BEB1BF45888E5BCD27FA21DB274AB26"
                "540A504A3A5BC85E4FC7A42B36F0C2EF600F1633CA0D5C16CCF76D020FB5581E"
            ),
        ),
    ],
)
def test_signature(payload: str, expected: str) -> None:
    """HMAC-SHA512 over the query with its question mark, or over the body, in upper-case hexadecimal."""
    assert sign(DOCUMENTED_KEY, payload) == expected


def test_signed_query_carries_time_and_a_fresh_nonce() -> None:
    """The time is UTC to the second; nonces are whole numbers below 2**63 that do not come twice."""
    at = datetime(2026, 1, 5, 9, 0, 1, 999_999, tzinfo=UTC)
    queries = {signed_query(at) for _ in range(200)}
    assert len(queries) == 200
    assert all(signed_at(query) == at.replace(microsecond=0) for query in queries)
    assert all(0 <= int(query.rpartition("=")[2]) < 2**63 for query in queries)


@pytest.mark.parametrize("seconds", [-3600, -6, 6, 3600])
def test_wrong_clock_is_not_death(
    server: lab.B2Trader, clock: ManualClock, network: Network, seconds: int
) -> None:
    """A 401 for a clock that is off says nothing of the key; once the clocks agree the key is LIVE."""
    provider = made(server, clock, network)
    credential = Credential(server.create("x"))
    server.clock = lambda: clock.now() + timedelta(seconds=seconds)
    assert server._listener
    server._listener.clock = server.clock
    probe = provider.probe(credential)
    assert (probe.verdict, probe.why) == (Verdict.UNKNOWN, "clock")
    server.clock = server._listener.clock = clock.now
    assert provider.probe(credential).verdict is Verdict.LIVE


def test_refusal_without_a_date_is_not_death(
    server: lab.B2Trader, clock: ManualClock, network: Network
) -> None:
    """Where the server does not plainly tell its time, a 401 may be about the clock."""
    credential = Credential(server.create("x"))
    server.fail_next(server.PROBE, lab.Refuse(401, None, {"Date": "now"}))
    probe = made(server, clock, network).probe(credential)
    assert (probe.verdict, probe.why) == (Verdict.UNKNOWN, "clock")


def test_probes_in_a_row_use_other_nonces(server: lab.B2Trader, clock: ManualClock, network: Network) -> None:
    """The server refuses a nonce that it saw in the last 22 seconds; ten probes pass."""
    provider = made(server, clock, network)
    credential = Credential(server.create("x"))
    assert {provider.probe(credential).verdict for _ in range(10)} == {Verdict.LIVE}


def test_documented_pace_is_halved(clock: ManualClock, network: Network) -> None:
    """One request a second is documented; one in two seconds is sent, so that no probe meets 429."""
    with lab.B2Trader(clock=clock.now) as server:
        provider = B2Trader(ProviderRef("here", "b2trader", server.url), None, clock, network)
        credential = Credential(server.create("x"))
        for _ in range(4):
            assert provider.probe(credential).verdict is Verdict.LIVE
        assert clock.slept == [pytest.approx(2)] * 3


def test_private_keys_in_the_list_are_dropped(
    server: lab.B2Trader, clock: ManualClock, network: Network
) -> None:
    """Some servers list private keys; they go no further than the answer."""
    server.lists_private = True
    server.add_foreign("theirs")
    (record,) = made(server, clock, network).find()
    assert not any(value in repr(record) for value in server.values())


def test_list_by_post_only_where_it_is_asked_for(clock: ManualClock, network: Network) -> None:
    """GET lists; a server that wants POST is a configuration error until the option says so."""
    with lab.B2Trader(clock=clock.now, limits=(), list_verb="POST") as server:
        with pytest.raises(NeedsPerson) as caught:
            made(server, clock, network).find()
        assert (caught.value.kind, caught.value.scope) == ("configuration", Scope.PROVIDER)
        assert server.count("POST *") == 0
        assert made(server, clock, network, list_verb="POST").find() == ()


def test_list_that_made_a_key_is_told(server: lab.B2Trader, clock: ManualClock, network: Network) -> None:
    """An object with a private key in place of a list means that the POST made a key: a person must know."""
    server.fail_next(server.ISSUE, lab.Refuse(200, {"publicKey": "p", "privateKey": "canary-value"}))
    with pytest.raises(NeedsPerson) as caught:
        made(server, clock, network, list_verb="POST").find()
    assert "canary" not in str(caught.value)


def test_second_delete_path_only_when_configured(clock: ManualClock, network: Network) -> None:
    """The docs name two paths: the other is tried only if it is configured and the key is still listed."""
    with lab.B2Trader(clock=clock.now, limits=(), delete_short=True) as server:
        key_id = server.add_foreign("x").key_id
        with pytest.raises(NeedsPerson) as caught:
            made(server, clock, network).revoke(key_id)
        assert "delete_path" in caught.value.todo
        assert server.count("DELETE /frontoffice/key/*") == 0
        made(server, clock, network, delete_path="/frontoffice/key/{publicKey}").revoke(key_id)
        assert not any(key.live for key in server.keys("foreign"))


def test_unknown_key_is_looked_for_before_another_path(
    server: lab.B2Trader, clock: ManualClock, network: Network
) -> None:
    """A 404 for a key that is not listed is an answer: nothing more is sent."""
    provider = made(server, clock, network, delete_path="/frontoffice/key/{publicKey}")
    provider.revoke("00000000-0000-4000-8000-000000000000")
    assert (server.count("DELETE *"), server.count(server.LIST)) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_fourth_key_is_a_limit_whatever_its_status(
    server: lab.B2Trader, clock: ManualClock, network: Network, status: int
) -> None:
    """With three keys listed, each status that a server may choose means the limit."""
    server.limit_status = status
    provider = made(server, clock, network)
    provider.find()
    for number in range(3):
        server.add_foreign(f"{number}")
    with pytest.raises(Refused) as caught:
        provider.issue("label", WANTED)
    assert caught.value.kind == "key-limit"
    assert len(server.keys("foreign")) == 3


def test_list_is_looked_at_before_a_key_is_made(
    server: lab.B2Trader, clock: ManualClock, network: Network
) -> None:
    """At the limit nothing is sent but the list; a list just read is not asked for again."""
    for number in range(3):
        server.add_foreign(f"{number}")
    provider = made(server, clock, network)
    with pytest.raises(Refused):
        provider.issue("label", WANTED)
    assert server.count(server.ISSUE) == 0
    server.withdraw(server.keys("foreign")[0].key_id)
    provider.find()
    before = server.count(server.LIST)
    provider.issue("label", WANTED)
    assert server.count(server.LIST) == before


@pytest.mark.parametrize(
    ("granted", "fine"),
    [
        ({"isInfo": True, "isTrade": False, "ipWhiteList": ["10.0.0.0/9", "10.128.0.0/9", "::1"]}, True),
        ({"isInfo": True, "isTrade": False, "ipWhiteList": ["::1/128", "10.0.0.0/8"]}, True),
        ({"isInfo": True}, True),
        ({"isWithdraw": False}, True),
        ({"isTrade": True}, False),
        ({"isInfo": False}, False),
        ({"isWithdraw": True}, False),
        ({"ipWhiteList": []}, False),
        ({"ipWhiteList": ["10.0.0.0/8"]}, False),
        ({"ipWhiteList": ["10.0.0.0/8", "::1", "192.0.2.1"]}, False),
        ({"ipWhiteList": ["0.0.0.0/0", "::1"]}, False),
        ({"ipWhiteList": ["*"]}, False),
    ],
)
def test_rights_are_compared(granted: dict[str, Any], fine: bool) -> None:
    """Flags and addresses must be those asked for; an empty list of addresses means from anywhere."""
    wanted = {"isInfo": True, "isTrade": False, "ipWhiteList": ["10.0.0.0/8", "::1"]}
    assert (object.__new__(B2Trader).excess(wanted, granted) is None) is fine


def test_no_addresses_asked_none_granted() -> None:
    """Who asks for a key that works from anywhere gets no complaint."""
    assert object.__new__(B2Trader).excess({"ipWhiteList": []}, {"ipWhiteList": []}) is None


def test_addresses_must_be_known() -> None:
    """Without a list of addresses from policy or old key a person must say: never all by default."""
    provider = object.__new__(B2Trader)
    old = KeyRecord("k", "x", granted={"isInfo": True, "isTrade": True, "ipWhiteList": ["192.0.2.1"]})
    assert provider.wanted({"isTrade": False}, old) == {
        "isInfo": True,
        "isTrade": False,
        "ipWhiteList": ["192.0.2.1"],
    }
    with pytest.raises(NeedsPerson):
        provider.wanted({"isInfo": True, "isTrade": True}, None)


@pytest.mark.parametrize(
    "change",
    [
        {"ipWhiteList": ["300.0.0.1"]},
        {"ipWhiteList": ["10.0.0.1/8"]},
        {"ipWhiteList": "127.0.0.1"},
        {"isTrade": "yes"},
        {"isInfo": False},
        {"IpWhiteList": []},
        {"isInfo": None},
    ],
)
def test_bad_settings_are_refused(change: dict[str, Any]) -> None:
    """Addresses that are none, other types, unknown names and a key without any right are errors."""
    B2Trader.Settings.model_validate(WANTED)
    with pytest.raises(ValidationError):
        B2Trader.Settings.model_validate({**WANTED, **change})
