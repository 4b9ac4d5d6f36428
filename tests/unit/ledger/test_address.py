from pathlib import Path

import pytest

from rotator.errors import LedgerUnusable
from rotator.ledger import open_ledger
from rotator.testing.clock import ManualClock


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://host/rotator", "not understood"),
        ("postgresql://host/rotator?unknown=1", "not one that PostgreSQL understands"),
        ("postgresql://[::1/rotator", "not one that PostgreSQL understands"),
        ("mysql://host/rotator", "not understood"),
        ("ledger.sqlite", "not understood"),
        ("", "not understood"),
        ("sqlite://host/ledger.sqlite", "not understood"),
        ("sqlite:///", "not understood"),
    ],
)
def test_what_is_possible(url: str, message: str) -> None:
    """An address of another kind is refused, and told what is possible."""
    with pytest.raises(LedgerUnusable, match=message) as caught:
        open_ledger(url, ManualClock())
    assert "sqlite:///" in str(caught.value) or "postgresql://" in str(caught.value)
    assert not url.startswith("postgresql://") or url not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@host/db",
        "postgresql://me:ab/{}@127.0.0.1:1/db",
        "postgresql://me:ab?{}@host/db",
        "postgresql://me%3A{}@host/db",
        "postgresql://host/db?user=a&password={}",
        "postgresql://host/db?%70assword={}",
        "postgresql://host/db?sslpasswor%64={}",
        "dynamodb://me:{}@rotator",
        "dynamodb://me:ab/{}@rotator",
        "sqlite://me:{}@/ledger.sqlite",
    ],
)
def test_a_password_is_refused(url: str) -> None:
    """An address that holds a password is refused, and not repeated."""
    with pytest.raises(LedgerUnusable, match="password") as caught:
        open_ledger(url.format("not-a-real-one"), ManualClock())
    assert "not-a-real-one" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/a%2F{}%40b", "postgresql://127.0.0.1:1/?dbname={}:x"]
)
def test_only_plain_names_are_shown(url: str) -> None:
    """Of an address no part is shown that may be more than the name of a host or a database."""
    with pytest.raises(LedgerUnusable) as caught:
        open_ledger(url.format("not-a-real-one"), ManualClock(), patience=0.1)
    assert "not-a-real-one" not in str(caught.value)


def test_relative_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes begin a relative path, also one under the home folder; odd characters are part of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for url in ("sqlite:///here.sqlite", "sqlite:///~/there.sqlite", "sqlite:///odd ?#%20.sqlite"):
        open_ledger(url, ManualClock()).close()
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.sqlite"))
    assert made == ["here.sqlite", "home/there.sqlite", "odd ?#%20.sqlite"]


def test_memory_is_apart() -> None:
    """Two ledgers in memory share nothing."""
    first, second = (open_ledger("sqlite://", ManualClock()) for _ in range(2))
    first.remember("a", "fact")
    assert second.fact("a") is None
    assert first.id != second.id
    first.close()
    second.close()
