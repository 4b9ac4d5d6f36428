import json
from typing import Any

import pytest

from rotator import lab
from rotator.errors import Unknown
from rotator.model import Credential, ProviderRef, Verdict
from rotator.providers.admin import Admin
from rotator.providers.answers import HIDDEN, Answer
from rotator.providers.fattail import FatTail
from rotator.providers.network import Network
from rotator.testing.clock import ManualClock

SESSION = 'obviously"fake/session'


def answer(body: Any) -> Answer:
    """An answer to a request that carried the session, a short field and an id."""
    sent = Credential({"session": SESSION, "realm": "one", "key_id": "key-0001"})
    return Answer(200, {}, json.dumps(body).encode()).to(sent, ("session", "realm", "user"))


def test_what_was_sent_is_not_read_out_of_an_answer() -> None:
    """A server that repeats a secret, however escaped and wherever, tells only that it did."""
    repeated = {"id": SESSION, "rows": [{"label": f"for {SESSION}: r1", "n": 7}], "ok": True}
    assert answer(repeated).json() == {
        "id": HIDDEN,
        "rows": [{"label": "for hidden: r1", "n": 7}],
        "ok": True,
    }


def test_other_texts_of_an_answer_stay() -> None:
    """Fields that are no secret, and such as are too short to be one, are read as they are."""
    body = {"id": "key-0001", "label": "one of ours"}
    assert answer(body).json() == body
    assert SESSION not in repr(answer(body))


def test_a_provider_that_repeats_the_admin_credential(clock: ManualClock, network: Network) -> None:
    """As a label it is hidden, the token behind it is kept; as an id of a new key it is no key; as an
    account it is none of ours.
    """
    with lab.FatTail(clock=clock.now, limits=()) as server:
        admin = Admin(lambda: Credential(server.admin), ("session",), "here", clock)
        ref = ProviderRef("here", "fattail", server.url, options={"requests_per_second": 1000})
        provider, session = FatTail(ref, admin, clock, network), server.admin["session"]
        held = server.create("before")
        row = {"id": "key-1", "name": f"{session} r1-token", "scopes": [session]}
        server.fail_next(server.LIST, lab.Refuse(200, [row]))
        (found,) = provider.find()
        assert (found.label, found.granted["scopes"]) == (f"{HIDDEN} r1-token", [HIDDEN])
        server.fail_next(server.ISSUE, lab.Refuse(200, {"id": session, "key": "obviously-fake-key"}))
        with pytest.raises(Unknown):
            provider.issue("a label", {"scopes": ["read"]})
        told = {"agent": {"id": held["api_key"]}, "auth": {"method": "api_key", "scopes": ["read"]}}
        server.fail_next(server.PROBE, lab.Refuse(200, told))
        probe = provider.probe(Credential(held))
        assert (probe.verdict, probe.account) == (Verdict.LIVE, HIDDEN)
