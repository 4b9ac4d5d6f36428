from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.cli.suggesting import NAMED, POSSIBLE, PROVEN, candidates
from rotator.lab import B2Trader, FatTail
from rotator.model import Credential, KeyRecord
from rotator.providers import adapter
from tests.unit.cli.conftest import POLICIES, Rig

MORE = """
  b2: {{type: b2trader, base_url: "{b2}", admin: {{store: aws, secret: b2-admin}}, requests_per_second: 100}}
  fat: {{type: fattail, base_url: "{fat}", admin: {{store: aws, secret: fat-admin}}}}
"""
THEIRS = """
  - name: exchange
    provider: b2
    store: aws
    secret: prod/exchange
    key: {{isInfo: true, isTrade: false, ipWhiteList: []}}
  - {{name: bot, provider: fat, store: aws, secret: prod/bot, key: {{scopes: [read]}}}}
"""


@pytest.fixture
def three(rig: Rig) -> Iterator[Rig]:
    """Keys that were there before rotator, at three providers, all of them taken on."""
    with B2Trader(limits=()) as b2, FatTail(limits=()) as fat:
        path = rig.folder / "rotator.yaml"
        text = POLICIES.replace("defaults:", MORE.strip("\n") + "\ndefaults:") + THEIRS.strip("\n")
        path.write_text(text.format(url=rig.provider.url, b2=b2.url, fat=fat.url))
        rig.secret("b2-admin", b2.admin)
        rig.secret("fat-admin", fat.admin)
        made = b2.create("by hand"), fat.create("by hand"), fat.create("another")
        rig.secret("prod/exchange", {name: made[0][name] for name in ("public_key", "private_key")})
        rig.secret("prod/bot", {"api_key": made[1]["api_key"]})
        assert rig.say("tick").code == 0
        yield rig


def by_policy(document: Any) -> dict[str, list[str]]:
    """How sure each candidate is."""
    return {one["policy"]: [each["how"] for each in one["candidates"]] for one in document["suggestions"]}


def test_what_the_values_prove_is_adopted_in_bulk(three: Rig) -> None:
    """A public key and a key's beginning prove which key it is; a pair without an id proves nothing."""
    listed = three.say("adopt", "--suggest", "--json")
    assert by_policy(listed.json()) == {"orders": [POSSIBLE] * 2, "exchange": [PROVEN], "bot": [PROVEN]}
    assert listed.json()["adopted"] == []
    said = three.say("adopt", "--suggest", "--yes")
    assert said.code == 0
    assert "Adopted: exchange, bot." in said.out
    assert "rotator adopt NAME --key-id ID" in said.out
    assert by_policy(three.say("adopt", "--suggest", "--json").json()) == {"orders": [POSSIBLE] * 2}
    assert three.say("status", "bot", "--json").json()["policies"][0]["act"] == []


def test_without_a_yes_nothing_is_adopted(three: Rig) -> None:
    """Where nobody can be asked, the candidates are listed, and that is all; names narrow the list."""
    said = three.say("adopt", "--suggest", "bot")
    assert said.code == 0
    assert "--yes adopts what is proven" in said.out
    assert "exchange" not in said.out
    assert by_policy(three.say("adopt", "--suggest", "bot", "--json").json()) == {"bot": [PROVEN]}


def test_a_provider_that_does_not_answer_hides_no_other(three: Rig) -> None:
    """Its policies are named with the reason, the others get their candidates, and the exit code is 1."""
    three.provider.renew_admin()
    said = three.say("adopt", "--suggest", "--json")
    assert said.code == 1
    found = {one["policy"]: one["why_none"] for one in said.json()["suggestions"]}
    assert "build cannot be asked" in found["orders"]
    assert found["bot"] == ""


def listed(*ids: str, **granted: str) -> list[KeyRecord]:
    """Keys as a provider lists them."""
    return [KeyRecord(key_id, "", granted=granted) for key_id in ids]


def test_an_id_beside_the_value_is_no_proof() -> None:
    """What a secret says of its own key's id is worth a word, and never a bulk adoption."""
    provider = object.__new__(adapter("buildmarkets"))
    found = candidates(provider, listed("a", "b"), Credential({"key_id": "b", "api_key": "x" * 8}))
    assert [(one.key_id, one.how) for one in found] == [("b", NAMED), ("a", POSSIBLE)]


def test_two_that_fit_alike_prove_nothing() -> None:
    """Where two listed keys begin as the stored one does, none of them is proven."""
    provider = object.__new__(adapter("fattail"))
    held = Credential({"api_key": "p" * 20})
    found = candidates(provider, listed("a", "b", key_prefix="p" * 17), held)
    assert [one.how for one in found] == [POSSIBLE, POSSIBLE]
    (one,) = candidates(provider, listed("a", key_prefix="p" * 17), held)
    assert one.how == PROVEN


def test_a_suggestion_needs_a_ledger(rig: Rig, tmp_path: Path) -> None:
    """Before the first pass nothing is known to be adopted, and no ledger is made."""
    assert rig.say("adopt", "--suggest").code == 2
    assert rig.say("adopt", "--suggest", "--key-id", "1").code == 2
    assert not (tmp_path / "l.db").exists()
