"""Tokens kept in service for a day, from their parents, by the whole worker and one clock that is moved."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from rotator import desk as story
from rotator.interfaces import SecretStore
from rotator.lab.figure import Figure
from rotator.lab.fintechstudios import PROBE_PATH, FintechStudios
from rotator.lab.logins import LocalLogins
from rotator.ledger import open_ledger
from rotator.memory import Memory
from rotator.model import Credential, DebtPhase, StoreRef
from rotator.policies import load
from rotator.providers.network import Network, Surroundings
from rotator.run_pass import Worker
from rotator.submitting import submit
from rotator.telemetry.sentry import QuietNotifier
from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.wiring import Wiring

POLICIES = """\
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
providers:
  figure: {{type: figure, base_url: "{figure}"}}
  fts: {{type: fintechstudios, base_url: "{fts}", probe_path: {probe_path}}}
policies:
  - name: client
    provider: figure
    store: aws
    secret: figure/client
    every: 90d
    fields: {{client_secret: FIGURE_SECRET}}
  - name: figure-token
    provider: figure
    kind: access-token
    from: {{store: aws, secret: figure/client}}
    store: aws
    secret: figure/token
    renew_before: 20m
  - {{name: login, provider: fts, kind: access-key, store: aws, secret: fts/login, every: 90d}}
  - name: fts-token
    provider: fts
    kind: token
    from: {{store: aws, secret: fts/login}}
    store: aws
    secret: fts/token
    renew_before: 10m
"""


def spelled(client: dict[str, str]) -> dict[str, str]:
    """A client's fields as its secret names them: its policy says so, and its token's need not repeat it."""
    return {"client_id": client["client_id"], "FIGURE_SECRET": client["client_secret"]}


class World(Wiring):
    """The real wiring, over a store in memory."""

    service: FakeSecretsManager

    def store(self, ref: StoreRef) -> SecretStore:
        """The one store."""
        return self.service.store()


class Desk:
    """Two providers, a store, a worker, and the clock by which all of them live."""

    def __init__(self, folder: Path, figure: Figure, fts: FintechStudios, clock: ManualClock) -> None:
        self.figure, self.fts, self.clock = figure, fts, clock
        self.service = FakeSecretsManager(clock)
        self.secret("figure/client", spelled(figure.issue_by_hand()))
        self.secret("fts/login", fts.issue_by_hand())
        for name in ("figure/token", "fts/token"):
            self.secret(name, {})
        path = folder / "rotator.yaml"
        path.write_text(POLICIES.format(figure=figure.url, fts=fts.url, probe_path=PROBE_PATH))
        path.chmod(0o600)
        network = Network(Surroundings(), clock)
        self.world = World(open_ledger("sqlite://", clock), clock, network)
        self.world.service = self.service
        self.worker = Worker(self.world, load(path), QuietNotifier(), holder="test")

    def secret(self, name: str, fields: dict[str, str]) -> None:
        """Make a secret."""
        token = f"made-{name}".ljust(40, "-").replace("/", "-")
        client = self.service.client()
        client.create_secret(Name=name, SecretString=json.dumps(fields), ClientRequestToken=token)

    def read(self, name: str) -> dict[str, str]:
        """What consumers read."""
        found = self.service.client().get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        fields: dict[str, str] = json.loads(found["SecretString"])
        return fields

    def write(self, name: str, fields: dict[str, str]) -> None:
        """Somebody writes a secret by hand."""
        token = f"hand-{self.clock.monotonic()}".ljust(40, "-")
        client = self.service.client()
        client.put_secret_value(SecretId=name, SecretString=json.dumps(fields), ClientRequestToken=token)

    def live(self, hours: float, *watched: tuple[LocalLogins, str]) -> None:
        """Work for so long, each thing when it is due; what is watched must be accepted all the time."""
        ledger, end = self.world.ledger, self.clock.now() + timedelta(hours=hours)
        while self.clock.now() < end:
            for secret in ledger.due(100):
                self.worker.work(secret)
                assert all(provider.accepts(self.read(name)) for provider, name in watched)
            due = ledger.next_due() or end
            self.clock.advance_to(min(max(due, self.clock.now() + timedelta(seconds=1)), end))
            assert all(provider.accepts(self.read(name)) for provider, name in watched)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Everything, with tokens in service."""
    clock = ManualClock()
    with Figure(clock=clock.now) as figure, FintechStudios(clock=clock.now) as fts:
        desk = Desk(tmp_path, figure, fts, clock)
        desk.live(0.1)
        yield desk
        assert not any(event.kind == "fault" for event in desk.world.ledger.events(limit=10_000))
        desk.worker.close()
        desk.world.close()


def test_tokens_are_renewed_with_no_call_too_many(desk: Desk) -> None:
    """For a day both tokens work at any time, by as many logins as their lifetimes need and no more."""
    desk.live(24, (desk.figure, "figure/token"), (desk.fts, "fts/token"))
    # Two hours renewed 20 to 22 minutes before their end; one hour renewed 10 to 11 minutes before.
    assert 14 <= desk.figure.token_calls <= 16
    assert 29 <= desk.fts.token_calls <= 31
    assert not desk.fts.disabled()


@pytest.mark.parametrize("errors_in_200", [False, True])
def test_a_refused_login_costs_no_account(desk: Desk, *, errors_in_200: bool) -> None:
    """With a password that was changed behind our back the login is sent three times at most, also where an
    error inside a 200 tells it; once the right one is written into the secret, it is used by itself.
    """
    before, desk.fts.errors_in_200 = desk.fts.token_calls, errors_in_200
    password = desk.fts.change_password()
    desk.live(12)
    assert desk.fts.token_calls - before == 3
    assert not desk.fts.disabled()
    desk.write("fts/login", {**desk.read("fts/login"), "password": password})
    desk.live(1.1)
    assert desk.fts.accepts(desk.read("fts/token"))
    assert 4 <= desk.fts.token_calls - before <= 5  # and perhaps the renewal after it


def events(desk: Desk) -> list[tuple[str, str, Any]]:
    """What the ledger tells of tokens' ends."""
    return [(e.kind, e.text, e.secret) for e in desk.world.ledger.events(limit=500)]


def test_the_end_of_a_token_is_told_as_it_is(desk: Desk) -> None:
    """A replaced token ends by expiry: nothing claims that it was revoked or proven dead by a probe."""
    desk.live(6)
    told = [text for kind, text, secret in events(desk) if kind == "dead" and "token" in secret]
    assert told
    assert all("expire" in text for text in told)
    assert not any(kind == "revoked" for kind, _, _ in events(desk))


def submitted(desk: Desk, name: str, fields: dict[str, str]) -> None:
    """A person brings a credential for a policy, and the worker goes on with it."""
    policy = desk.worker.book.by_name[name]
    ledger = desk.world.ledger
    claim = ledger.claim(policy.target.id, "person", timedelta(minutes=1))
    state = ledger.secret(policy.target.id)
    assert claim is not None
    assert state is not None
    submit(story.Desk(desk.world, Memory(), claim, state), policy, Credential(fields), "a person")
    ledger.release(claim, ledger.now())


def test_a_new_login_costs_two_token_calls(desk: Desk) -> None:
    """One login proves what a person brought, one mints the token anew; nobody is locked out meanwhile."""
    before, new = desk.fts.token_calls, desk.fts.issue_by_hand()
    submitted(desk, "login", new)
    desk.live(0.25, (desk.fts, "fts/login"), (desk.fts, "fts/token"))
    assert desk.read("fts/login") == new
    assert desk.read("fts/token")["access_key"] == new["access_key"]
    assert desk.fts.token_calls - before == 2


def test_what_no_probe_can_prove_is_left_to_a_person(desk: Desk) -> None:
    """The old login is tried by nobody: neither its life nor its refusal says anything of the old key."""
    new = desk.fts.issue_by_hand()
    submitted(desk, "login", new)
    desk.live(30)
    before = desk.fts.token_calls
    (debt,) = [debt for debt in desk.world.ledger.debts() if debt.secret.endswith("fts/login")]
    assert debt.block is not None
    assert "rotator settle" in debt.block.todo
    desk.write("fts/login", {**new, "password": desk.fts.change_password()})  # the old login is refused now
    desk.live(6)
    assert desk.world.ledger.debt(debt.id) == replace(debt, block=ANY, look_at=ANY, looks=ANY)
    assert desk.fts.token_calls - before <= 8  # renewals alone


def test_a_new_client_is_verified_and_the_old_one_proven_dead(desk: Desk) -> None:
    """What a person brought is in service at once, and its probe decides when the old one is dead."""
    old, new = desk.read("figure/client"), desk.figure.issue_by_hand()
    submitted(desk, "client", new)
    desk.live(30, (desk.figure, "figure/token"))
    assert desk.read("figure/client") == spelled(new)
    (debt,) = [debt for debt in desk.world.ledger.debts() if debt.key_id == old["client_id"]]
    assert not debt.phase.ended
    desk.figure.revoke_by_hand(old["client_id"])
    desk.live(6, (desk.figure, "figure/token"))
    settled = desk.world.ledger.debt(debt.id)
    assert settled is not None
    assert settled.phase is DebtPhase.DEAD


def test_a_new_password_leaves_its_key_in_service(desk: Desk) -> None:
    """Where only the password changed nobody is asked to have the key in service removed."""
    login = {**desk.read("fts/login"), "password": desk.fts.change_password()}
    submitted(desk, "login", login)
    desk.live(30)
    assert desk.read("fts/login") == login
    assert not [debt for debt in desk.world.ledger.debts(ended=True) if debt.secret.endswith("fts/login")]
    assert any("the old password ended with the change" in text for _, text, _ in events(desk))
    new, password = desk.fts.issue_by_hand(), desk.fts.change_password()
    submitted(desk, "login", {**new, "password": password})
    desk.live(1)
    submitted(desk, "login", {**login, "password": password})  # the first key is in service again
    (back, owed) = [debt for debt in desk.world.ledger.debts(ended=True) if debt.secret.endswith("fts/login")]
    assert (back.phase, owed.phase) == (DebtPhase.VOID, DebtPhase.OWED)


def test_a_regenerated_secret_is_ended_by_a_persons_word(desk: Desk) -> None:
    """Under the same client ID nobody is asked to revoke anything: it would end what is in service."""
    old = desk.read("figure/client")["client_id"]
    regenerated = desk.figure.regenerate_by_hand(old)
    submitted(desk, "client", regenerated)
    desk.live(30, (desk.figure, "figure/token"))
    (debt,) = [debt for debt in desk.world.ledger.debts() if debt.key_id == old]
    assert debt.block is not None
    assert debt.block.todo == (
        "Revoke nothing: that would end what is in service. Once the old client secret is refused: "
        f"rotator settle {debt.id} --reason TEXT"
    )
