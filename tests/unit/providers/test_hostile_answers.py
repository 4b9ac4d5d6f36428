"""Whatever JSON a provider answers with: a value that was looked at, or an error that quotes none of it."""

import copy
import json
import logging
import string
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.errors import NeedsPerson, NotSent, Refused, Unknown
from rotator.model import Credential, Issued, KeyRecord, Probe, ProviderRef, Verdict
from rotator.providers import adapter
from rotator.providers.admin import Admin
from rotator.providers.answers import Answer
from rotator.providers.http import Api
from rotator.providers.network import Network, Surroundings
from rotator.providers.parsing import guessable, in_path, next_page, usable
from rotator.testing.clock import ManualClock

CANARY = "Kx7canary9QmZ2vBt4LpW8"
DECLARED = (NotSent, Refused, Unknown, NeedsPerson)
LABEL = "bot r1-0a1b2c3d-" + "0" * 32
SOON = 1_767_607_200  # Unix seconds, shortly after the beginning of the manual clock

NEW: dict[tuple[str, str], dict[str, Any]] = {
    ("buildmarkets", "key"): {"id": "key-17", "label": LABEL, "api_key": f"bm_{CANARY}", "api_secret": CANARY,
                              "scopes": ["accounts:read"], "created_at": "2026-01-05T09:00:00Z"},
    ("b2trader", "key"): {"publicKey": "pub-17-a", "privateKey": CANARY, "name": LABEL, "isInfo": True,
                          "isTrade": False, "ipWhiteList": ["203.0.113.7"]},
    ("fattail", "key"): {"id": "key-17", "name": LABEL, "key": f"ftm_live_{CANARY}", "scopes": ["read"],
                         "key_prefix": "ftm_live_Kx7c", "expires_at": "2026-04-05T09:00:00Z"},
    ("figure", "access-token"): {"access_token": CANARY, "token_type": "bearer", "expires_in": 7200},
    ("fintechstudios", "token"): {"token": CANARY, "userId": "user-17", "expires": SOON},
}  # fmt: skip
CASES = pytest.mark.parametrize("case", NEW, ids=lambda case: case[0])
KEYS = pytest.mark.parametrize("kind", ["buildmarkets", "b2trader", "fattail"])
STABLE = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 2**63, 10**400, 1e308, "", " ", "\n", "\0", "../x", "a/../../x", "%2e%2e",
         "a%2fb", "a?b", "a#b", "//evil.example", "a\\b", "\u202e", "é" * 20, "\ud800", "x" * 5000, "*" * 32,
         f"{CANARY}\n", f"{CANARY}\r\nX: y", f"{CANARY}é", f"{CANARY}\0", [], {}, [[]], [None], [CANARY],
         {"a": CANARY}, [CANARY, CANARY], "changeme", "00000000000000000000"]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.text(string.printable, max_size=30).map(lambda text: f"{CANARY}{text}"),
)  # fmt: skip


def made(kind: str, key_kind: str = "key") -> tuple[Any, list[Answer]]:
    """An adapter whose answers are those of a list, the last one for ever."""
    clock = ManualClock()
    ref = ProviderRef("here", kind, "https://api.example")
    parent = {
        name: "4f1c2a30-9d1e-4b7a-8c55-0e6f7a8b9c0d" if name == "access_key" else f"some-{name}-of-ours"
        for name in ("token", "session", "api_key", "api_secret", "client_id", "client_secret",
                     "access_key", "email", "password")
    }  # fmt: skip
    provider: Any = adapter(kind, key_kind)(ref, None, clock, Network(Surroundings(), clock))
    fields = provider.traits.admin_fields
    provider._admin = Admin(lambda: Credential(parent), fields, "here", clock)
    answers: list[Answer] = []
    provider._api.call = lambda *_, **__: answers.pop(0) if len(answers) > 1 else answers[0]
    return provider, answers


def issued(case: tuple[str, str], *bodies: bytes, status: int = 201) -> Issued:
    """What the adapter makes of an answer to a create, after one to a list where it asks for that."""
    provider, answers = made(*case)
    looks = [Answer(200, {}, b"[]")] if provider.traits.key_limit is not None else []
    answers += [*looks, *(Answer(status, {}, body) for body in bodies)]
    made_key: Issued = provider.issue(LABEL, {"ipWhiteList": []})
    hidden = [name for name in provider.traits.fields if name in provider.traits.secret_fields]
    for name in hidden:
        value = made_key.credential.get(name) or ""
        assert name == "access_key" or (usable(value) and not guessable(value))
        assert value not in repr((made_key.key_id, made_key.granted))
    return made_key


def quiet(act: Callable[[], object]) -> object:
    """What it returns, or the declared error that it raises, which quotes nothing and hides nothing."""
    try:
        return act()
    except DECLARED as error:
        found = error
    assert CANARY[:12] not in repr((found, found.args, vars(found)))
    assert (found.__cause__, found.__context__) == (None, None)
    return found


@CASES
def test_the_answers_that_are_bent_are_good_ones(case: tuple[str, str]) -> None:
    """What the other tests change is accepted as it is."""
    assert issued(case, json.dumps(NEW[case]).encode()).credential.names


@CASES
@STABLE
@given(data=st.data())
def test_a_new_key_is_whole_or_refused(
    case: tuple[str, str], data: st.DataObject, caplog: pytest.LogCaptureFixture
) -> None:
    """Members missing, of other types or strange: the key is fit for use, or an error names no value."""
    caplog.set_level(logging.DEBUG)
    row = copy.deepcopy(NEW[case])
    for name in data.draw(st.sets(st.sampled_from(sorted(row)), min_size=1, max_size=3)):
        row.pop(name)
        if data.draw(st.booleans()):
            row[name] = data.draw(STRANGE)
    wrapped = data.draw(st.sampled_from([row, {"data": row}, [row], {"data": [row, row]}, {"error": row}]))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    body = json.dumps(wrapped, ensure_ascii=data.draw(st.booleans())).encode(encoding, "surrogatepass")
    found = quiet(lambda: issued(case, body))
    assert CANARY not in caplog.text
    if isinstance(found, Issued):
        assert "/" not in found.key_id
        assert in_path(found.key_id)
        assert all(value.isprintable() and value.isascii() for value in found.credential.reveal().values())


@CASES
@pytest.mark.parametrize("status", [200, 201, 202, 302, 408, 500, 599, 999])
def test_an_answer_without_a_key_is_unknown(case: tuple[str, str], status: int) -> None:
    """A page, nothing, half of something: a key may exist, and its label will be looked for."""
    for body in (b"", b"<html>" + CANARY.encode(), b"null", b'"' + CANARY.encode() + b'"', b"["):
        assert isinstance(quiet(partial(issued, case, body, status=status)), Unknown)


@CASES
def test_a_member_given_twice_is_garbage(case: tuple[str, str]) -> None:
    """Two keys in one answer are none: nobody says which of them lives."""
    text = json.dumps(NEW[case])
    for name in NEW[case]:
        twice = f'{text[:-1]}, "{name}": {json.dumps(NEW[case][name])}}}'
        assert isinstance(quiet(partial(issued, case, twice.encode())), Unknown)


@KEYS
@pytest.mark.parametrize(
    "value", ["", "short", "a" * 64, "*" * 32, "sk_live_" + "*" * 24, "abababababababab"]
)
def test_a_value_that_anybody_could_guess_is_no_key(kind: str, value: str) -> None:
    """Empty, short, masked or repeating: the answer is garbage."""
    row = NEW[kind, "key"]
    name = {"buildmarkets": "api_secret", "b2trader": "privateKey", "fattail": "key"}[kind]
    body = json.dumps({**row, "key_prefix": value[:4], name: value}).encode()
    assert isinstance(quiet(lambda: issued((kind, "key"), body)), Unknown)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("buildmarkets", "id"), ("b2trader", "publicKey"), ("fattail", "id"), ("buildmarkets", "scopes"),
     ("b2trader", "ipWhiteList"), ("fattail", "scopes")],
)  # fmt: skip
def test_a_value_where_people_look_is_garbage(kind: str, name: str) -> None:
    """An id or a scope that holds the key itself would be written down and shown."""
    leak = f"a-{NEW['fattail', 'key']['key'] if kind == 'fattail' else CANARY}-b"
    row = {**NEW[kind, "key"], name: leak if isinstance(NEW[kind, "key"][name], str) else ["x", leak]}
    assert isinstance(quiet(lambda: issued((kind, "key"), json.dumps(row).encode())), Unknown)


@KEYS
@STABLE
@given(data=st.data())
def test_a_list_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """Rows and pages of any shape give keys whose ids and labels can be shown, or a declared error."""
    row = dict(NEW[kind, "key"])
    for name in data.draw(st.sets(st.sampled_from([*sorted(row), "status", "revoked_at"]), max_size=3)):
        row[name] = data.draw(STRANGE)
    paging = data.draw(
        st.dictionaries(st.sampled_from(["next_cursor", "has_more", "total"]), STRANGE, max_size=2)
    )
    provider, answers = made(kind)
    answers += [Answer(200, {}, json.dumps({"data": [row], "pagination": paging}).encode())]
    found = quiet(provider.find)
    if not isinstance(found, Exception):
        assert isinstance(found, tuple)
        for record in found:
            assert isinstance(record, KeyRecord)
            assert in_path(record.key_id)
            assert record.label.isprintable()
            assert len(record.label) <= 300


@KEYS
@STABLE
@given(
    payload=st.recursive(STRANGE, lambda inner: st.lists(inner, max_size=3), max_leaves=6),
    status=st.integers(100, 999),
)
def test_a_probe_is_a_verdict(kind: str, payload: Any, status: int) -> None:
    """No answer makes a probe raise, and none but a refusal is death."""
    provider, answers = made(kind)
    answers += [Answer(status, {}, json.dumps(payload).encode())]
    said = provider.probe(Credential(dict.fromkeys(provider.traits.fields, CANARY)))
    assert isinstance(said, Probe)
    assert CANARY not in repr(said)
    assert said.verdict is not Verdict.DEAD or status == 401


def test_a_list_has_an_end() -> None:
    """Pages that go on for ever are garbage before they fill the memory."""
    provider, answers = made("buildmarkets")
    rows = iter(range(10**6))

    def page(*_: object, **__: object) -> Answer:
        some = [{"id": f"k{next(rows)}"} for _ in range(3000)]
        return Answer(200, {}, json.dumps({"data": some, "total": 10**9}).encode())

    provider._api.call = page
    assert isinstance(quiet(provider.find), Unknown)
    assert answers == []


@pytest.mark.parametrize(
    "paging",
    [{"next_cursor": {}}, {"next_cursor": 1.5}, {"next_cursor": True}, {"next_cursor": "x" * 5000},
     {"has_more": "yes"}, {"has_more": 1}, {"total": "12"}, {"total": []}],
)  # fmt: skip
def test_a_list_that_may_go_on_is_not_taken_for_whole(paging: dict[str, Any]) -> None:
    """Where it is unclear whether there are more pages, a key that is not listed may live."""
    with pytest.raises(Unknown):
        next_page({"data": [], **paging}, 1)


def test_what_is_told_of_many_scopes_is_short() -> None:
    """However much an answer lists, a message names a few and counts the rest."""
    provider, _ = made("buildmarkets")
    told = provider.excess({"scopes": []}, {"scopes": [f"{number}:{'x' * 300}" for number in range(5000)]})
    assert len(told) < 1000


def test_values_no_encoding_has_are_compared() -> None:
    """A JSON escape can make half a character: comparing it raises nothing that quotes it."""
    one, other = Credential({"a": f"{CANARY}\ud800"}), Credential({"a": CANARY})
    assert one.same(one, ["a"])
    assert not one.same(other, ["a"])


def test_the_adapter_speaks_through_one_door() -> None:
    """What these tests replace is what every call goes through."""
    provider, _ = made("fattail")
    assert isinstance(provider._api, Api)
