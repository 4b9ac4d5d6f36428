"""What a text may hold a key as: however it was copied, the key is among the candidates."""

import base64
import json
import secrets
import string
import time
from urllib.parse import quote

import pytest

from rotator.cli.candidates import MOST, TooMany, candidates, decoded
from rotator.cli.credentials import MOST_BYTES

PLAIN = secrets.token_hex(16)
PHRASE = "correct horse battery" + secrets.token_hex(4)
ODD = f"a=b:c,d;e#f/{secrets.token_hex(8)}&g?h@i=="
PEM = f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n{secrets.token_hex(8)}\n-----END PRIVATE KEY-----"

QUOTED = f'a"b\\c\u00e9{PLAIN}'
KINDS = ["plain", "with blanks", "with separators", "in lines", "with quotes"]


def within(text: str) -> str:
    """JSON in which a text is the value of a field, as Secrets Manager answers."""
    inner = json.dumps({"key_id": "key-1", "api_secret": text, "expires_at": None})
    return json.dumps({"ARN": "arn:aws:x", "SecretString": inner, "VersionStages": ["AWSCURRENT"]})


WRAPPED = {
    "as it is": "{}",
    "other lines and blanks": "# the desk's\r\n\r\n   {}  \r\nmore\r\n",
    "a name": "API_ID=of-nobody\nAPI_SECRET={}\n",
    "export, quotes": "export API_SECRET='{}'",
    "export, double quotes, a comment": 'export API_SECRET="{}" # of the desk',
    "YAML": "api_secret: {}\n",
    "YAML, quotes": '  api_secret: "{}"',
    "a line of JSON": '  "api_secret": "{}",',
    "curled quotes": "the key is \u201c{}\u201d, sorry",
    "invisible characters": "\u200b{}\ufeff",
    "a changed line": "-old\n+{}\n",
}


@pytest.mark.parametrize("value", [PLAIN, PHRASE, ODD], ids=KINDS[:3])
@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_a_key_is_found_as_people_copy_it(text: str, value: str) -> None:
    """With a name, quotes, blanks, a comment or other lines around it, and whatever it is made of."""
    assert value in candidates(text.format(value))


@pytest.mark.parametrize("value", [PLAIN, PHRASE, ODD, PEM, QUOTED], ids=KINDS)
def test_a_key_is_found_in_what_tools_print(value: str) -> None:
    """JSON, JSON as a text in JSON, lists, lines of JSON, the manifest of a Kubernetes Secret."""
    data = {"data": {"api_secret": value}, "metadata": None}
    vault = json.dumps({"lease_duration": 0, "data": data}, indent=2)
    listed = json.dumps([None, {"a": [value]}])
    lines = f'{{"a": 1}}\n{json.dumps({"a": value})}\n'
    encoded = base64.b64encode(value.encode()).decode()
    manifest = f"kind: Secret\ndata:\n  api_secret: {encoded}\n"
    for text in (within(value), f"INFO {within(value)}\n", vault, listed, lines, json.dumps(value), manifest):
        assert value in candidates(text)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "curl -X POST https://api.example/v1 -H 'Authorization: Bearer {}' -d '{{}}'",
        'curl -H "X-Api-Secret: {}" \\\n  https://api.example/v1',
        "curl --header=X-Api-Secret:{} https://api.example/v1",
        "GET /v1?api_secret={}&page=2 HTTP/1.1",
        "postgresql://desk:{}@db.example/prod",
        "logged in with {}, then left;",
        "(api_secret={})",
        "The key is {}.\nSorry!",
        "it is **{}**",
    ],
)
def test_a_key_is_found_in_requests_and_sentences(text: str) -> None:
    """Headers, lines of curl, addresses, and prose."""
    assert PLAIN in candidates(text.format(PLAIN))


def test_a_key_is_found_as_it_travels() -> None:
    """Percent-encoded in an address, in Base64 beside its user, and in what is signed or cut off."""
    assert ODD in candidates(f"https://api.example/?token={quote(ODD, safe='')}&x=1")
    login = base64.b64encode(f"desk:{ODD}".encode()).decode()
    assert ODD in candidates(f"Authorization: Basic {login}")
    assert ODD in candidates(json.dumps({"api_secret": ODD, "more": "x"})[:-4])


@pytest.mark.parametrize("width", [20, 64, 76])
def test_a_key_is_found_in_base64_that_is_broken_into_lines(width: int) -> None:
    """As tools write it, alone or within other text."""
    encoded = base64.b64encode(within(PLAIN).encode()).decode()
    lines = "\n  ".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    assert PLAIN in candidates(lines)
    assert PLAIN in candidates(f"data:\n  {lines}\nkind: Secret\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mark_of_the_encoding_is_no_part_of_the_key(encoding: str) -> None:
    """Editors and shells of Windows write one."""
    assert candidates(decoded(f"{PLAIN}\r\n".encode(encoding))) == (PLAIN,)


@pytest.mark.parametrize("text", ["", "\r\n", "null", "true", "[]", "{}", '{"a": null, "b": [1, false, ""]}'])
def test_what_holds_no_text_has_no_candidate(text: str) -> None:
    """So it is refused, not searched for in vain."""
    assert candidates(text) == ()


def test_short_pieces_are_no_candidates() -> None:
    """A word of a sentence is in every other secret; a text that was given as such counts, however short."""
    assert {"5432", "desk", "user: desk"}.isdisjoint(candidates("port: 5432, user: desk"))
    assert candidates("abc") == ("abc",)
    assert candidates('{"pin": "1234", "n": 5678}') == ("1234",)


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text as long as may be read is taken apart in a moment, whatever it is; what is too much is not."""
    letters, began = string.ascii_letters + "=:,;&'\" \n\\%", time.perf_counter()
    noise = "".join(secrets.choice(letters) for _ in range(MOST_BYTES // 8))
    for text in ("=" * MOST_BYTES, "a=" * (MOST_BYTES // 2), "[" * MOST_BYTES, noise, f"{PLAIN} " * 999):
        assert len(candidates(text)) <= MOST
    assert time.perf_counter() - began < 20
    monkeypatch.setattr("rotator.cli.candidates.MOST", 3)
    with pytest.raises(TooMany):
        candidates("one-word two-words three-words four-words")
