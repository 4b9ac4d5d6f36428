"""``run-now --leaked`` by its command: what it finds, and what it says and keeps of what it was given."""

import base64
import json
import secrets

import pytest

from tests.unit.cli.conftest import Rig

LOOK = ("run-now", "--leaked", "--reason", "in a repository", "--dry-run", "--json")


def test_a_key_is_found_in_what_a_tool_printed(rig: Rig) -> None:
    """As the secret was read by hand, with the mark of its encoding; and as nothing but its id it is none."""
    held = rig.read("prod/orders")
    printed = {"Name": "prod/orders", "SecretString": json.dumps({**held, "note": None}), "VersionStages": []}
    said = rig.say(*LOOK, stdin=f"\ufeff{json.dumps(printed, indent=4)}\r\n")
    assert [one["policy"] for one in said.json()["policies"]] == ["orders"]
    assert said.json()["leaked"]["places"][0]["where"] == "in service"
    only = rig.say(*LOOK, stdin=f'{{"api_key": "{held["api_key"]}"}}')
    assert (only.code, only.json()["policies"]) == (1, [])
    assert "its id alone" in only.err


def test_a_key_is_found_that_a_policy_left_for_a_provider_of_another_type(rig: Rig) -> None:
    """It is in service until it is replaced, in fields that the new provider's keys do not have."""
    assert rig.say("tick").code == 0
    path = rig.folder / "rotator.yaml"
    b2 = f'{{type: b2trader, base_url: "{rig.provider.url}", admin: {{store: aws, secret: b2}}}}'
    text = path.read_text().replace("defaults:", f"  b2: {b2}\ndefaults:")
    orders, quotes = text.split("  - name: quotes")
    orders = orders.replace("provider: build", "provider: b2")
    orders = orders.replace('scopes: ["accounts:read"]', "isInfo: true, isTrade: false, ipWhiteList: []")
    path.write_text(f"{orders}  - name: quotes{quotes}")
    rig.say("tick")
    said = rig.say(*LOOK, stdin=rig.read("prod/orders")["api_secret"])
    (place,) = said.json()["leaked"]["places"]
    assert (place["policy"], place["where"], place["fields"]) == ("orders", "in service", ["api_secret"])


def without_quotes(rig: Rig) -> None:
    """The policies, and that of quotes deleted."""
    path = rig.folder / "rotator.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  - name: quotes")])


def test_a_key_in_its_grace_dies_at_once_though_its_policy_is_deleted(rig: Rig) -> None:
    """It is owed still, by the copy of the policy that the ledger has: by this command, not in a day."""
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    old = rig.read("prod/quotes")
    rig.say("run-now", "quotes", "--reason", "second", "--yes")
    without_quotes(rig)
    planned = rig.say(*LOOK, stdin=old["api_secret"])
    (row,) = planned.json()["policies"]
    assert "end the grace of the older key" in row["does"]
    assert rig.provider.accepts(old)
    order = ("run-now", "--leaked", "--reason", "in a repository", "--yes", "--wait", "30s", "--json")
    said = rig.say(*order, stdin=old["api_secret"])
    (line,) = said.json()["policies"]
    assert (said.code, line["policy"]) == (0, "quotes (deleted, prod/quotes)"), said
    assert "proven dead" in line["why"]
    assert not rig.provider.accepts(old)
    assert rig.provider.accepts(rig.read("prod/quotes"))
    again = rig.say(*order, stdin=old["api_secret"])
    assert (again.code, "it is proven dead" in again.err) == (0, True)


def test_a_key_in_service_of_a_deleted_policy_is_left_to_a_person(rig: Rig) -> None:
    """Nothing rotates it: that is said with what to do, and the exit code is 1."""
    rig.say("run-now", "quotes", "--reason", "first", "--yes")
    without_quotes(rig)
    said = rig.say(*LOOK, stdin=rig.read("prod/quotes")["api_secret"])
    assert (said.code, said.json()["policies"]) == (1, [])
    assert "no policy rotates that. To do: put its policy back" in said.err
    assert "Nobody" not in said.err


@pytest.mark.parametrize("how", ["as it is", "in Base64", "found nowhere"])
def test_a_reason_that_repeats_the_key_is_refused(rig: Rig, how: str) -> None:
    """It would stand in the ledger and in the page for ever; nothing is written, and nothing is repeated."""
    key = secrets.token_hex(20) if how == "found nowhere" else rig.read("prod/orders")["api_secret"]
    told = base64.b64encode(f"{key}\n".encode()).decode() if how == "in Base64" else f"«{key}»"
    page = rig.folder / "incident.html"
    said = rig.say(
        "run-now", "--leaked", "--yes", "--html", str(page), "--reason", f"saw {told} in a chat", stdin=key
    )
    assert (said.code, "--reason repeats what was given as the key" in said.err) == (2, True), said
    assert key not in said.err + said.out
    assert not page.exists()
    assert not (rig.folder / "l.db").exists()


def test_a_reason_may_repeat_words_and_addresses_of_what_was_given(rig: Rig) -> None:
    """What stands around a key is no secret."""
    held = rig.read("prod/orders")
    given = f"found in the repository https://github.com/acme/repo1 {held['api_secret']}"
    order = ("run-now", "--leaked", "--dry-run", "--reason")
    for reason in ("found in the repository", "see https://github.com/acme/repo1"):
        assert rig.say(*order, reason, stdin=given).code == 0, reason


@pytest.mark.parametrize(
    "order",
    [
        ("run-now", "orders", "--yes"),
        ("rollback", "orders", "--yes"),
        ("pause", "orders"),
        ("stop",),
        ("settle", "0123"),
        ("adopt", "orders", "--key-id", "x"),
        ("reconcile", "--trust-ledger", "--yes"),
    ],
)
def test_a_reason_with_what_looks_like_a_secret_is_refused(rig: Rig, order: tuple[str, ...]) -> None:
    """Of every command that keeps one; the secret is not repeated, and nothing is done."""
    value = secrets.token_hex(16)
    said = rig.say(*order, "--reason", f"they sent Authorization: Bearer {value}")
    assert (said.code, "looks like a secret" in said.err) == (2, True), said
    assert value not in said.err + said.out
    assert not (rig.folder / "l.db").exists()
