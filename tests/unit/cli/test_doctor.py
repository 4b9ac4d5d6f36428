import base64
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator import doctor, stores, wiring
from rotator.capabilities import Finding, Grade
from rotator.doctor import providers
from rotator.doctor.providers import Asked, needs
from rotator.errors import Unknown
from rotator.interfaces import Look
from rotator.lab import B2Trader, FatTail, Refuse
from rotator.lab.vault import LocalVault
from rotator.model import Credential, KeyRecord, ProviderRef, Target
from rotator.providers import make
from rotator.providers.admin import Admin
from rotator.providers.network import Network, Surroundings
from rotator.stores import vault_rights
from rotator.stores.vault_checkup import compared, paths
from rotator.testing.fakes import FakeProvider
from tests.unit.cli.conftest import PeopleRig, Rig
from tests.unit.cli.records import NOW, debt, known, policy

REAL, MAKE = wiring.SystemClock, stores.make
Found = list[dict[str, Any]]


def found(rig: Rig, *args: str) -> tuple[int, Found]:
    """The exit code, and everything that doctor found."""
    said = rig.say("doctor", "--json", *args)
    return said.code, said.json()["findings"]


def about(findings: Found, level: str) -> list[tuple[str, str]]:
    """Subject and text of each finding of a level."""
    return [(one["subject"], one["text"]) for one in findings if one["level"] == level]


@pytest.fixture
def timely(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """The same, with a clock that agrees with the provider's."""
    monkeypatch.setattr(wiring, "SystemClock", REAL)
    return rig


def test_what_is_well_needs_no_ledger_and_changes_nothing(timely: Rig) -> None:
    """Every provider and store is reached by reads alone; without a ledger none is made; exit code 0."""
    code, findings = found(timely)
    assert (code, about(findings, "error"), about(findings, "warning")) == (0, [], [])
    subjects = [one["subject"] for one in findings]
    assert {"provider build", "store aws", "ledger"} == set(subjects)
    assert {call.method for call in timely.provider.calls} == {"GET"}
    assert set(timely.service.calls) <= {"create_secret", "describe_secret", "get_secret_value"}
    assert not (timely.folder / "l.db").exists()
    said = timely.say("doctor")
    assert "not tried, since it would change something" in said.out
    assert "0 errors, 0 warnings" in said.out


def test_a_refused_admin_credential_is_an_error_with_a_remedy(timely: Rig) -> None:
    """What the provider refuses is told with what to type, and the exit code is 1."""
    timely.provider.renew_admin()
    code, findings = found(timely, "--provider", "build")
    (one,) = [each for each in findings if each["level"] == "error"]
    assert code == 1
    assert one["subject"] == "provider build"
    assert "submit --admin build" in one["todo"]
    assert "store aws" not in [each["subject"] for each in findings]


def test_an_admin_key_that_may_do_more_is_a_warning(timely: Rig) -> None:
    """Where the admin secret says which key it is, scopes beyond managing keys are named."""
    wide = timely.provider.create("wide", scopes=["keys:manage", "trading:write"])
    _overwrite(timely, "admin", wide)
    code, findings = found(timely, "--provider", "build")
    assert code == 0
    ((_, text),) = about(findings, "warning")
    assert text.endswith("it may do more than manage keys: trading:write.")


def _overwrite(rig: Rig, name: str, value: dict[str, str]) -> None:
    rig.service.client().put_secret_value(
        SecretId=name, SecretString=json.dumps(value), ClientRequestToken=f"again-{name}".ljust(40, "-")
    )


def test_secrets_that_cannot_be_rotated_are_named(timely: Rig) -> None:
    """A secret that is missing, or holds no JSON, is an error of its own; the store is still reachable."""
    path = timely.folder / "rotator.yaml"
    path.write_text(path.read_text().replace("prod/quotes", "prod/nothing"))
    code, findings = found(timely, "--store", "aws")
    errors = about(findings, "error")
    assert code == 1
    assert [subject for subject, _ in errors] == ["quotes"]
    assert ("store aws", "reachable; 1 of 2 secrets can be rotated") in about(findings, "ok")


def test_a_store_that_is_silent_is_asked_once(timely: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that gives no answer is one error, and its other secrets are not asked for."""
    store = timely.service.store()

    def look(_target: Target) -> Look:
        raise Unknown("deadline", "The store did not answer in time.")

    monkeypatch.setattr(store, "look", look)
    monkeypatch.setattr(stores, "make", lambda _ref, _clock: store)
    code, findings = found(timely)
    assert code == 1
    assert about(findings, "error") == [("store aws", "The store did not answer in time.")]
    assert "provider build" in [subject for subject, _ in about(findings, "ok")]


def test_one_that_hangs_holds_up_no_other(timely: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is asked side by side: a store answers while a provider is silent."""
    looked, store = threading.Event(), timely.service.store()
    look = store.look

    def told(target: Target) -> Look:
        looked.set()
        return look(target)

    def waits(*_: object) -> Iterator[Finding]:
        assert looked.wait(20)
        yield Finding(Grade.OK, "", "at last")

    monkeypatch.setattr(store, "look", told)
    monkeypatch.setattr(stores, "make", lambda _ref, _clock: store)
    monkeypatch.setattr(doctor, "check_provider", waits)
    code, findings = found(timely)
    assert (code, findings[0]["text"]) == (0, "at last")


def test_what_nobody_adopted_is_a_warning(rig: Rig) -> None:
    """A secret whose key's id is unknown is named, with the command that suggests which key it is."""
    rig.say("tick")
    _, findings = found(rig)
    (one,) = [each for each in findings if each["subject"] == "ledger"]
    assert (one["level"], one["todo"]) == ("warning", "rotator adopt --suggest")
    assert one["text"].endswith(": orders")


@pytest.mark.parametrize("what", ["--provider", "--store"])
def test_a_name_that_nothing_uses_is_wrong(rig: Rig, what: str) -> None:
    """An unknown provider or store is exit code 2, with those that there are."""
    said = rig.say("doctor", what, "nobody")
    assert said.code == 2
    assert "There is: " in said.err


# --- clocks, slots, expiry -------------------------------------------------------------------------------


TWO = """
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
providers:
  b2: {{type: b2trader, base_url: "{b2}", admin: {{store: aws, secret: b2}}, requests_per_second: 100}}
  fat: {{type: fattail, base_url: "{fat}", admin: {{store: aws, secret: fat}}}}
defaults: {{every: 30d, grace: 24h, store: aws}}
policies:
  - {{name: b, provider: b2, secret: b, key: {{isInfo: true, isTrade: false, ipWhiteList: []}}}}
  - {{name: f, provider: fat, secret: f, key: {{scopes: [read]}}}}
"""


def late() -> datetime:
    """A clock that is behind by forty seconds."""
    return datetime.now(UTC) - timedelta(seconds=40)


@pytest.fixture
def two(timely: Rig) -> Iterator[tuple[Rig, B2Trader, FatTail]]:
    """Two providers whose clocks are off."""
    with B2Trader(limits=(), clock=late) as b2, FatTail(limits=(), clock=late) as fat:
        (timely.folder / "rotator.yaml").write_text(TWO.format(b2=b2.url, fat=fat.url))
        timely.secret("b2", b2.admin)
        timely.secret("fat", fat.admin)
        for name in "bf":
            timely.secret(name, {})
        yield timely, b2, fat


def test_a_clock_that_is_off_is_an_error_where_requests_are_signed(
    two: tuple[Rig, B2Trader, FatTail],
) -> None:
    """Beyond what the provider bears it is an error; where nothing is signed, a warning above 30 seconds."""
    code, findings = found(two[0])
    levels = {one["subject"]: one["level"] for one in findings if "clock" in one["text"]}
    assert (code, levels) == (1, {"provider b2": "error", "provider fat": "warning"})


def test_slots_that_others_take_are_told(two: tuple[Rig, B2Trader, FatTail]) -> None:
    """An account that is full of keys of nobody's record has no room: an error that names them."""
    rig, b2, _ = two
    ids = [b2.create(f"by hand {number}")["public_key"] for number in range(3)]
    _, findings = found(rig, "--provider", "b2")
    (one,) = [each for each in findings if "room" in each["text"]]
    assert one["level"] == "error"
    assert all(each in one["todo"] for each in ids)


def jwt(ends: datetime) -> str:
    """A token that says when it ends; nobody signed it."""
    parts = ({"alg": "none"}, {"exp": int(ends.timestamp())})
    spelled = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join((*spelled, "x"))


class _Judge(FakeProvider):
    """A provider whose admin credential says when it ends."""

    def __init__(self, ends: datetime) -> None:
        self._ends = ends

    def admin_excess(self, listed: Sequence[KeyRecord]) -> str | None:
        """Nothing is known."""
        return None

    def admin_ends(self) -> datetime | None:
        """As the test says."""
        return self._ends


@pytest.mark.parametrize(
    ("life", "grade"),
    [
        (timedelta(minutes=-1), Grade.ERROR),
        (timedelta(minutes=5), Grade.WARNING),
        (timedelta(days=90), Grade.OK),
    ],
)
def test_an_admin_credential_must_live_until_it_is_needed(life: timedelta, grade: Grade) -> None:
    """By its own word: expired is an error, expiring before the next need a warning; it is never shown."""
    of = policy()
    asked = Asked(of.provider, (of,), {of.target.id: known(of)}, NOW)
    (one,) = providers._admin(asked, _Judge(NOW + life), [])
    assert one.level is grade
    assert (one.todo != "") is (grade is not Grade.OK)


def test_the_word_of_a_token_is_read_from_the_admin_secret(two: tuple[Rig, B2Trader, FatTail]) -> None:
    """A session that is a JWT tells its own end, whoever signed it; no value of it is shown."""
    session = jwt(datetime.now(UTC) + timedelta(hours=1))
    held = Admin(lambda: Credential({"session": session}), ("session",), "fat", REAL())
    ref = ProviderRef("fat", "fattail", two[2].url)
    network = Network(Surroundings(), REAL())
    ends = make(ref, held, REAL(), network).admin_ends()  # type: ignore[attr-defined]
    network.close()
    assert timedelta(minutes=59) < ends - datetime.now(UTC) <= timedelta(hours=1)


def test_the_admin_credential_is_needed_for_rotations_and_revocations() -> None:
    """Whatever comes first: an old key that is to die needs the admin credential as well."""
    of = policy()
    plain = Asked(of.provider, (of,), {of.target.id: known(of)}, NOW)
    owing = Asked(of.provider, (of,), {of.target.id: known(of, debts=(debt(of),))}, NOW)
    new = Asked(of.provider, (of,), {}, NOW)
    assert [what for _, what in needs(plain)] == ["orders rotates"]
    assert needs(owing)[0] == (NOW + timedelta(hours=23), "an old key of orders is revoked")
    assert [what for _, what in needs(new)] == ["orders is taken on"]


def test_every_need_beyond_its_end_counts() -> None:
    """A credential that outlives the next revocation, and not the rotation after it, is told."""
    of = policy()
    asked = Asked(of.provider, (of,), {of.target.id: known(of, debts=(debt(of),))}, NOW)
    (one,) = providers._admin(asked, _Judge(NOW + timedelta(hours=24)), [])
    assert one.level is Grade.WARNING
    assert "orders rotates" in one.text


# --- where people issue ----------------------------------------------------------------------------------


def test_a_persons_credential_is_tried_once(people: PeopleRig) -> None:
    """A client is tried by one token call; one that is refused is an error with what a person must do."""
    code, findings = found(people, "--provider", "figure")
    assert (code, people.figure.token_calls) == (0, 1)
    assert ("client", "its credential is accepted (a token was minted)") in about(findings, "ok")
    people.figure.expire_admin()
    code, findings = found(people, "--provider", "figure")
    (one,) = [each for each in findings if each["level"] == "error"]
    assert code == 1
    assert one["todo"].endswith("Then: rotator submit client")


def test_a_token_costs_no_login(tokens: PeopleRig) -> None:
    """A token is tried by itself, and nothing is minted for it."""
    tokens.say("run-now", "token", "--reason", "first", "--yes")
    before = tokens.figure.token_calls
    _, findings = found(tokens, "--provider", "figure")
    assert tokens.figure.token_calls == before + 1  # of the client
    assert ("token", "its credential is accepted") in about(findings, "ok")


@pytest.mark.parametrize(
    ("secret", "said"),
    [("prod/typo", "cannot be read"), ("prod/empty", "has no client_id and no client_secret")],
)
def test_a_token_needs_a_parent(tokens: PeopleRig, secret: str, said: str) -> None:
    """The secret that it is minted from is there and holds what a login needs; no login is tried for that."""
    tokens.secret("prod/empty", {"note": "theirs"})
    path = tokens.folder / "rotator.yaml"
    path.write_text(
        path.read_text().replace("{store: aws, secret: prod/client}\n", f"{{store: aws, secret: {secret}}}\n")
    )
    code, findings = found(tokens, "--provider", "figure")
    assert code == 1
    assert any(said in one["text"] for one in findings if one["level"] == "error")


def test_a_parent_that_nobody_brought_yet_is_no_error(tokens: PeopleRig) -> None:
    """It waits for a person, as every first credential of its kind: a warning that names the command."""
    tokens.service.client().put_secret_value(
        SecretId="prod/client", SecretString="{}", ClientRequestToken="emptied".ljust(40, "-")
    )
    code, findings = found(tokens, "--provider", "figure")
    (one,) = [each for each in findings if each["level"] == "warning"]
    assert (code, one["todo"]) == (0, "rotator submit client")
    assert "holds no credential yet" in one["text"]


# --- rights at Vault -------------------------------------------------------------------------------------


RIGHTS = vault_rights.policy("secret", ["prod/a", "prod/b"])


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (RIGHTS, [("ok", "the token may do what is needed, and nothing else of what was asked about")]),
        (
            RIGHTS.replace('["create", "read", "update"]', '["create", "read", "update", "sudo"]', 1),
            [("warning", "more than needed on secret/data/prod/a: sudo")],
        ),
        (
            RIGHTS + 'path "secret/delete/*" {\n  capabilities = ["update"]\n}\n',
            [("warning", "more than needed on secret/delete/prod/a and 1 more of its kind: update")],
        ),
        (
            RIGHTS.replace('path "secret/config"', 'path "secret/other"'),
            [("error", "missing on secret/config: read")],
        ),
    ],
    ids=["exact", "excess", "never-needed", "missing"],
)
def test_rights_at_vault_are_compared_with_what_is_needed(
    rules: str, expected: list[tuple[str, str]]
) -> None:
    """Vault itself says what the token may do: what is missing is an error, what is more a warning."""
    with LocalVault() as vault:
        kinds = paths("secret", ["prod/a", "prod/b"])
        token = vault.access.valid(vault.access.token(policy=rules))
        assert token is not None
        told = {path: frozenset(token.capabilities(path)) for each in kinds.values() for path in each}
    assert [(one.level, one.text) for one in compared(kinds, told, destroy_old=False)] == expected


@pytest.mark.parametrize(("root", "level"), [(True, "warning"), (False, "ok")])
def test_doctor_asks_vault_for_the_rights(timely: Rig, root: bool, level: str) -> None:
    """A root token is more than needed, one with the declared policy just right; nothing is written."""
    timely.patch.setattr(stores, "make", MAKE)
    with LocalVault() as vault:
        vault.put("prod/orders", api_key="x")
        vault.put("admin", **timely.provider.admin)
        rules = vault_rights.policy("secret", ["prod/orders", "admin"])
        timely.patch.setenv("VAULT_TOKEN", vault.root if root else vault.access.token(policy=rules))
        (timely.folder / "rotator.yaml").write_text(VAULT.format(vault=vault.url, url=timely.provider.url))
        writes = vault.count("POST /v1/secret/*")
        code, findings = found(timely, "--store", "vault")
        assert code == 0
        rights = [one for one in findings if "token" in one["text"]]
        assert [one["level"] for one in rights] == [level]
        assert vault.count("POST /v1/secret/*") == writes


def test_a_vault_that_does_not_tell_our_rights_is_a_warning(timely: Rig) -> None:
    """Where Vault will not say what the token may do, the secrets are looked at all the same."""
    timely.patch.setattr(stores, "make", MAKE)
    with LocalVault() as vault:
        vault.put("prod/orders", api_key="x")
        timely.patch.setenv("VAULT_TOKEN", vault.root)
        (timely.folder / "rotator.yaml").write_text(VAULT.format(vault=vault.url, url=timely.provider.url))
        vault.fail_next("POST /v1/sys/*", Refuse(403, {"errors": ["permission denied"]}), times=2)
        code, findings = found(timely, "--store", "vault")
    (one,) = [each for each in findings if each["level"] == "warning"]
    assert code == 0
    assert "sys/capabilities-self" in one["todo"]
    assert ("store vault", "reachable; 1 of 1 secrets can be rotated") in about(findings, "ok")


VAULT = """
version: 1
stores:
  vault: {{type: vault-kv2, url: "{vault}", auth: {{method: token}}}}
providers:
  build: {{type: buildmarkets, base_url: "{url}", admin: {{store: vault, secret: admin}}}}
policies:
  - {{name: orders, provider: build, store: vault, secret: prod/orders, every: 30d}}
"""
