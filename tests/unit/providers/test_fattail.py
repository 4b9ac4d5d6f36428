from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rotator import lab
from rotator.errors import NeedsPerson, NotSent, Refused, Scope, Unknown
from rotator.model import Credential, Policy, ProviderRef, StoreRef, Target, Verdict
from rotator.providers.admin import Admin
from rotator.providers.fattail import FatTail
from rotator.providers.network import Network
from rotator.testing.clock import ManualClock

WANTED = {"scopes": ["read"], "expires_in_days": 90}


@pytest.fixture
def server(clock: ManualClock) -> Iterator[lab.FatTail]:
    """The provider on this machine, without limits of requests."""
    with lab.FatTail(clock=clock.now, limits=()) as server:
        yield server


def made(server: lab.FatTail, clock: ManualClock, network: Network, session: str | None = None) -> FatTail:
    """The adapter for it, with the admin credential that it takes."""
    ref = ProviderRef("here", "fattail", server.url, options={"requests_per_second": 1000})
    fields = {"session": session} if session else None
    admin = Admin(lambda: Credential(fields or server.admin), ("session",), "here", clock)
    return FatTail(ref, admin, clock, network)


def test_probe_tells_account_and_scopes(server: lab.FatTail, clock: ManualClock, network: Network) -> None:
    """The probe names the agent and what the key may do, so that a wrong account or scope is seen."""
    probe = made(server, clock, network).probe(Credential(server.create("x", scopes=["read", "trade"])))
    assert (probe.verdict, probe.account) == (Verdict.LIVE, server.account)
    assert probe.granted == {"scopes": ["read", "trade"]}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (401, {"error": "Authentication required"}, Verdict.DEAD),
        (401, "<html>login</html>", Verdict.UNKNOWN),
        (401, {"error": {"code": 1}}, Verdict.UNKNOWN),
        (403, {"error": "Insufficient scope"}, Verdict.UNKNOWN),
        (404, {"error": "Not found"}, Verdict.UNKNOWN),
        (200, {"agent": {"id": "x"}}, Verdict.UNKNOWN),
        (200, {"agent": {"id": "x"}, "auth": {"method": "session"}}, Verdict.UNKNOWN),
        (200, [], Verdict.UNKNOWN),
        (204, None, Verdict.UNKNOWN),
    ],
)
def test_verdicts(
    server: lab.FatTail, clock: ManualClock, network: Network, *, status: int, body: Any, verdict: Verdict
) -> None:
    """Only the documented answers count: the agent with its auth, and 401 with an error text."""
    credential = Credential(server.create("x"))
    server.fail_next(server.PROBE, lab.Refuse(status, body))
    assert made(server, clock, network).probe(credential).verdict is verdict


@pytest.mark.parametrize(
    ("envelope", "lists_revoked"), [(None, False), (None, True), ("keys", True), ("data", False)]
)
def test_list_in_each_shape(
    server: lab.FatTail, clock: ManualClock, network: Network, *, envelope: str | None, lists_revoked: bool
) -> None:
    """The list may be bare or in an envelope, with revoked and expired keys or without them."""
    server.envelope, server.lists_revoked = envelope, lists_revoked
    provider = made(server, clock, network)
    kept = server.add_foreign("kept").key_id
    gone = server.add_foreign("gone").key_id
    server.withdraw(gone)
    provider.issue("short", {"scopes": ["read"], "expires_in_days": 1})
    clock.advance(timedelta(days=2))
    assert {record.key_id for record in provider.find() if record.live} == {kept}


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_eleventh_key_is_a_limit_whatever_its_status(
    server: lab.FatTail, clock: ManualClock, network: Network, status: int
) -> None:
    """With ten keys listed, each status that a server may choose means the limit."""
    server.limit_status = status
    provider = made(server, clock, network)
    provider.find()
    for number in range(10):
        server.add_foreign(f"{number}")
    with pytest.raises(Refused) as caught:
        provider.issue("label", WANTED)
    assert caught.value.kind == "key-limit"


def test_failed_look_before_making_a_key_is_not_sent(
    server: lab.FatTail, clock: ManualClock, network: Network
) -> None:
    """Where the list cannot be read first, no key was asked for: nothing has to be looked for afterwards."""
    server.fail_next(server.LIST, lab.Refuse(500), 9)
    with pytest.raises(NotSent):
        made(server, clock, network).issue("label", WANTED)
    assert server.count(server.ISSUE) == 0


@pytest.mark.parametrize("status", [400, 422])
def test_refusal_below_the_limit_is_told_as_it_is(
    server: lab.FatTail, clock: ManualClock, network: Network, status: int
) -> None:
    """With room left, a refused creation is about the request: it is not repeated unchanged."""
    server.fail_next(server.ISSUE, lab.Refuse(status, {"error": "no"}))
    with pytest.raises(Refused) as caught:
        made(server, clock, network).issue("label", WANTED)
    assert (caught.value.kind, caught.value.permanent) == (f"http-{status}", True)
    assert server.count(server.ISSUE) == 1


def test_key_that_belies_its_prefix_is_garbage(
    server: lab.FatTail, clock: ManualClock, network: Network
) -> None:
    """The prefix that an answer shows is that of its key, or one of the two is wrong."""
    told = {"id": "k-1", "key": "not-the-prefix-value", "key_prefix": "ftm_live_"}
    server.fail_next(server.ISSUE, lab.Refuse(201, told))
    with pytest.raises(Unknown):
        made(server, clock, network).issue("label", WANTED)


@pytest.mark.parametrize("session", ["a=b; other=c", "sb-access-token=x;y", '"quoted"'])
def test_session_is_the_bare_value_of_one_cookie(
    server: lab.FatTail, clock: ManualClock, network: Network, session: str
) -> None:
    """What would smuggle in another cookie is told as a malformed admin secret, and not sent."""
    with pytest.raises(NeedsPerson) as caught:
        made(server, clock, network, session).find()
    assert (caught.value.kind, caught.value.scope) == ("admin-malformed", Scope.PROVIDER)
    assert server.calls == ()


def test_rotate_is_never_used(server: lab.FatTail, clock: ManualClock, network: Network) -> None:
    """The provider's own rotate kills the old key before anyone has the new one: it is left alone."""
    provider = made(server, clock, network)
    old, new = (provider.issue(name, WANTED) for name in ("old", "new"))
    provider.revoke(old.key_id)
    assert provider.probe(new.credential).verdict is Verdict.LIVE
    assert server.count("POST */rotate") == 0


def test_documented_pace_is_halved(clock: ManualClock, network: Network) -> None:
    """Sixty requests a minute are documented: a burst of ten, then one in two seconds, and no 429."""
    with lab.FatTail(clock=clock.now) as server:
        provider = FatTail(ProviderRef("here", "fattail", server.url), None, clock, network)
        credential = Credential(server.create("x"))
        for _ in range(40):
            assert provider.probe(credential).verdict is Verdict.LIVE
        assert clock.slept == [pytest.approx(2)] * 30


@pytest.mark.parametrize(
    ("asked", "granted", "fine"),
    [
        ({"expires_in_days": 90}, {"expires_in_days": 90.0}, True),
        ({"expires_in_days": 90}, {"expires_in_days": 89.5}, True),
        ({"expires_in_days": 90}, {"scopes": ["read"]}, True),
        ({}, {"expires_in_days": None}, True),
        ({"expires_in_days": 90}, {"expires_in_days": None}, False),
        ({"expires_in_days": 90}, {"expires_in_days": 30}, False),
        ({"expires_in_days": 90}, {"expires_in_days": 900}, False),
        ({}, {"expires_in_days": 30}, False),
        ({}, {"scopes": ["read", "admin"]}, False),
    ],
)
def test_grants_are_compared(asked: dict[str, Any], granted: dict[str, Any], fine: bool) -> None:
    """Scopes as asked, and an expiry within a day of what was asked: a shorter one is an outage."""
    wanted = {"scopes": ["read"], **asked}
    assert (object.__new__(FatTail).excess(wanted, granted) is None) is fine


@pytest.mark.parametrize(
    "key",
    [
        {"scopes": ["trade"]},
        {"scopes": ["read", "root"]},
        {"scopes": []},
        {"expires_in_days": 0},
        {"expires_in_days": "90"},
        {"expires_in_days": True},
        {"expiry": 3},
    ],
)
def test_bad_settings_are_refused(key: dict[str, Any]) -> None:
    """Unknown scopes and keys, other types, and scopes that no probe can use are errors."""
    with pytest.raises(ValidationError):
        FatTail.Settings.model_validate(key)


@pytest.mark.parametrize(("days", "fine"), [(32, True), (31, False), (10, False), (None, True)])
def test_expiry_is_a_backstop(days: int | None, fine: bool) -> None:
    """A key must outlive its service: every + jitter + grace, here 31 days."""
    policy = Policy(
        "p",
        ProviderRef("f", "fattail", "https://app.example"),
        Target("t", StoreRef("s", "t"), "x"),
        every=timedelta(days=29),
        jitter=timedelta(days=1),
        grace=timedelta(days=1),
        key={} if days is None else {"expires_in_days": days},
    )
    assert (FatTail.check(policy) is None) is fine


def test_probe_needs_no_key_id(server: lab.FatTail, clock: ManualClock, network: Network) -> None:
    """A secret whose key_id is not written can be probed all the same."""
    fields = server.create("x")
    del fields["key_id"]
    assert made(server, clock, network).probe(Credential(fields)).verdict is Verdict.LIVE
