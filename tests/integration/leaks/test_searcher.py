import base64
import json
import secrets
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.leaks.needles import Canary, Hit, Search, files

VALUE = f'{secrets.token_urlsafe(15)}/+"ü?\\{secrets.token_urlsafe(15)}'
SEARCH = Search([Canary("canary", VALUE), Canary("another", secrets.token_hex(16))])


PLANTED = [
    ("raw", f"before {VALUE} after"),
    ("url", f"https://x.example/?key={quote(VALUE, safe='')}&more"),
    ("url", quote(VALUE, safe="").lower()),
    ("json", json.dumps({"key": VALUE})),
    ("json", json.dumps({"key": VALUE}, ensure_ascii=False)),
    ("json in json", json.dumps({"body": json.dumps({"key": VALUE})})),
    ("json \\u", "".join(f"\\u{ord(letter):04x}" for letter in VALUE)),
    ("repr", repr([VALUE])),
    ("hex", VALUE.encode().hex()),
    ("hex", VALUE.encode().hex().upper()),
    ("base64", base64.b64encode(VALUE.encode()).decode()),
    ("base64", base64.b64encode(f"a:{VALUE}:b".encode()).decode()),
    ("base64", base64.b64encode(f"ab:{VALUE}:b".encode()).decode()),
    ("base64", base64.b64encode(f"abc:{VALUE}".encode()).decode()),
    ("base64", base64.urlsafe_b64encode(f"ab:{VALUE}".encode()).decode()),
    ("first characters", f"key {VALUE[:12]}… was refused"),
]


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=[name for name, _ in PLANTED])
def test_each_spelling_is_found(number: int) -> None:
    """A canary is found in every encoding, at every alignment, and cut to its first twelve characters."""
    spelling, text = PLANTED[number]
    assert Hit("log", "canary", spelling) in SEARCH.hits({"log": text.encode()})


def test_utf_16_is_found() -> None:
    """A canary is found in a file of two bytes a character."""
    assert Hit("file", "canary", "utf-16") in SEARCH.hits({"file": VALUE.encode("utf-16")})


def test_nothing_is_found_where_nothing_is() -> None:
    """Other secrets, eleven characters of one, and random bytes are no hits."""
    places = {"a": secrets.token_bytes(100_000), "b": VALUE[:11].encode(), "c": VALUE[13:].encode()}
    assert SEARCH.hits(places) == []


def test_a_deleted_row_of_a_database_is_found(tmp_path: Path) -> None:
    """What was written into a database and deleted again still lies in its log of writes."""
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table t (x text)")
        database.execute("insert into t values (?)", (VALUE,))
        database.commit()
        database.execute("delete from t")
        database.commit()
        found = {hit.where for hit in SEARCH.hits(files(tmp_path))}
    database.close()
    assert "ledger.db-wal" in found


def test_a_hit_tells_no_value() -> None:
    """What the search says when a test fails is no leak of its own."""
    hits = SEARCH.hits({"log": VALUE.encode()})
    assert hits
    assert not SEARCH.hits({"said": repr((hits, Canary("canary", VALUE))).encode()})
