"""Policy files that were written to harm: refused with problems, in bounded time and memory."""

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.errors import PolicyError
from rotator.policies import Book, load
from rotator.policies.tree import parse
from rotator.policies.urls import wrong_url

GOOD: dict[str, Any] = {
    "version": 1,
    "stores": {"aws": {"type": "aws-secrets-manager", "region": "eu-west-1"},
               "vault": {"type": "vault-kv2", "url": "https://vault.example", "mount": "secret",
                         "auth": {"method": "token"}}},
    "providers": {"build": {"type": "buildmarkets", "base_url": "https://api.example",
                            "admin": {"store": "aws", "secret": "admin"}},
                  "figure": {"type": "figure", "base_url": "https://figure.example"}},
    "defaults": {"every": "30d", "grace": "24h"},
    "policies": [{"name": "one", "provider": "build", "store": "aws", "secret": "a/b",
                  "cron": "0 9 * * tue", "timezone": "Europe/London", "jitter": "2h",
                  "windows": [{"days": ["tue"], "from": "09:00", "to": "16:00"}],
                  "key": {"scopes": ["a:b"]}, "tags": {"team": "x"}, "owner": "a@example.com",
                  "fields": {"key_id": None}},
                 {"name": "two", "provider": "figure", "kind": "access-token", "store": "aws", "secret": "t",
                  "from": {"store": "vault", "secret": "c"}, "renew_before": "20m"}],
}  # fmt: skip
STABLE = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SECONDS = 8.0  # on a slow machine with others' work on it; each takes well below one

STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, True, 0, -1, 1e308, 10**17, "", " ", "~", "null", "99999999999d", "1d1d", "0s", "* * * * *",
         "0 0 31 2 *", "*/0 * * * *", "60 24 32 13 8", "24:00", "99:99", "Mars/Olympus", "../../etc",
         "arn:aws:secretsmanager:::", "http://[::1].evil.example", "https://\u0661", "https://h:-1", "https://[",
         "https://user:pass@h", "file:///etc/passwd", "a\u202eb", "é" * 300, "x" * 3000, [], {}, [[]], [None],
         {"": ""}, {"a": {"b": {"c": []}}}, "2h", "30d", "one", "aws", "build"]
    ),
    st.text(max_size=20),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


def loaded(folder: Path, text: str | bytes) -> Book | PolicyError:
    """What comes of a file: policies, or every reason why not; nothing else may be raised."""
    file = folder / "rotator.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        return load(file)
    except PolicyError as error:
        return error


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The data with another value at a place."""
    if not path:
        return value
    copy = data.copy()
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


def test_the_file_that_is_bent_is_a_good_one(tmp_path: Path) -> None:
    """What the other tests change is accepted as it is."""
    found = loaded(tmp_path, json.dumps(GOOD))
    assert isinstance(found, Book), found


@STABLE
@given(data=st.data())
def test_any_value_at_any_place_is_taken_or_told(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands where, the file loads or every problem has a file, a message and a remedy."""
    bent = GOOD
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(places(bent)))
        bent = changed(bent, place, data.draw(STRANGE))
        if not isinstance(bent, dict):
            break
    found = loaded(tmp_path, json.dumps(bent))
    if isinstance(found, PolicyError):
        assert all(each.file and each.message and each.remedy for each in found.problems)


@STABLE
@given(st.one_of(st.binary(max_size=80), st.text("-?:,[]{}#&*!|>'\"%@` \n\tab0.~<=\u2028\x85", max_size=60)))
@example(b"\xef\xbb\xbf\xef\xbb\xbfversion: 1")
@example("? &a [*a]\n: *a")
@example("%YAML 9.9\n---\n")
@example("!!python/object/apply:os.system ['true']")
def test_any_text_is_policies_or_problems(tmp_path: Path, text: str | bytes) -> None:
    """Random bytes, and random pieces of YAML's grammar, load nothing and raise nothing else."""
    found = loaded(tmp_path, text)
    assert isinstance(found, PolicyError)
    assert found.problems


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMBS: dict[str, Callable[[], str]] = {
    "a billion laughs": lambda: LAUGHS,
    "tag directives": lambda: "".join(f"%TAG !a{n}! tag:x\n" for n in range(60_000)) + "---\na: 1\n",
    "tag directives after a break of old": lambda: "# x\u2028%TAG !a! x\n---\na: 1\n",
    "depth in brackets": lambda: "[" * 1_000_000,
    "depth in mappings": lambda: "{a: " * 300_000,
    "depth in dashes": lambda: "- " * 500_000,
    "keys without values": lambda: "? " * 500_000,
    "one key again and again": lambda: "a: 1\n" * 200_000,
    "anchors": lambda: "".join(f"- &a{n} x\n" for n in range(100_000)),
    "aliases": lambda: "- &a x\n" + "- *a\n" * 200_000,
    "documents": lambda: "---\n" * 250_000,
    "a key without end": lambda: "x" * 1_000_000 + ": 1",
    "merge keys": lambda: "a: &a {b: 1}\n" + "c: {<<: *a}\n" * 50_000,
    "python": lambda: "a: !!python/object/apply:os.system ['true']\n",
    "a nul": lambda: "a: \0",
    "junk for policies": lambda: "version: 1\npolicies:\n" + "- {}\n" * 20_000,
    "unknown sections": lambda: "version: 1\n" + "".join(f"k{n}: 1\n" for n in range(20_000)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_do_not_go_off(tmp_path: Path, text: Callable[[], str]) -> None:
    """What a few bytes or a million of them stand for is refused before it costs time or memory."""
    content = text()
    began = time.monotonic()
    tracemalloc.start()
    try:
        found = loaded(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert isinstance(found, PolicyError)
    assert len(found.problems) < 3000
    assert time.monotonic() - began < SECONDS


def test_no_more_values_than_memory_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read until it holds more values than any that is meant well."""
    monkeypatch.setattr("rotator.policies.tree._MOST_PLACES", 100)
    assert parse("- a\n" * 99).findings == []
    assert parse("- a\n" * 200).broken


def test_a_link_to_a_file_that_everybody_may_change_is_refused(tmp_path: Path) -> None:
    """The target counts, not the links that lead to it, as in a mounted ConfigMap."""
    (tmp_path / "..data").mkdir()
    real = tmp_path / "..data" / "real.yaml"
    real.write_text(json.dumps(GOOD))
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "rotator.yaml").symlink_to(tmp_path / "link")
    assert load(tmp_path / "rotator.yaml").policies
    real.chmod(0o666)
    with pytest.raises(PolicyError, match="Everybody"):
        load(tmp_path / "rotator.yaml")


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.from_regex(r"https?://[\[\]0-9a-fA-F:.%@/\\xng-]{1,40}", fullmatch=True))
@example("http://[::1].evil.example/")
@example("http://[::1]@evil.example/")
@example("http://127.0.0.1.evil.example")
@example("http://localhost.evil.example")
@example("https://[::ffff:169.254.169.254]")
@example("https://[::169.254.169.254]")
@example("https://[64:ff9b:1::a9fe:a9fe]")
@example("https://instance-data/latest")
def test_an_url_that_is_taken_leads_where_it_says(url: str) -> None:
    """What is taken is read alike by the library that connects, and in clear it is this machine."""
    import httpx  # noqa: PLC0415 - heavy

    if wrong_url(url) is not None:
        return
    read = httpx.URL(url)
    assert not read.userinfo
    assert "169.254" not in read.raw_host.decode()
    if read.scheme == "http":
        assert (
            read.raw_host.decode().rstrip(".") in ("localhost", "::1")
            or read.raw_host.startswith(b"127.")
            or (b"127." in read.raw_host or b"::ffff:7f" in read.raw_host)
        )
