"""The admin credential itself as a policy: rotated last, and revoked by the one that replaces it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.interfaces import SecretStore
from rotator.lab.buildmarkets import Buildmarkets
from rotator.ledger import open_ledger
from rotator.model import Change, CurrentKey, Order, Provenance, StoreRef
from rotator.policies import load
from rotator.providers.network import Network, Surroundings
from rotator.run_pass import Worker
from rotator.telemetry.sentry import QuietNotifier
from rotator.testing.clock import ManualClock
from rotator.testing.fake_secrets_manager import FakeSecretsManager
from rotator.wiring import Wiring

POLICIES = """\
version: 1
stores:
  aws: {{type: aws-secrets-manager, region: eu-west-1}}
providers:
  build: {{type: buildmarkets, base_url: "{url}", admin: {{store: aws, secret: admin}}}}
defaults: {{store: aws, provider: build, every: 30d, grace: 0s}}
policies:
  - {{name: admin, secret: admin, key: {{scopes: ["keys:manage"]}}}}
  - {{name: worker, secret: worker, key: {{scopes: ["accounts:read"]}}}}
"""


class World(Wiring):
    """The real wiring, over a store in memory."""

    service: FakeSecretsManager

    def store(self, ref: StoreRef) -> SecretStore:
        """The one store."""
        return self.service.store()


class Desk:
    """One provider whose admin secret is a policy, beside another policy."""

    def __init__(self, folder: Path, provider: Buildmarkets, clock: ManualClock) -> None:
        self.provider, self.clock = provider, clock
        self.service = FakeSecretsManager(clock)
        self.first = provider.create("manager", scopes=["keys:manage"])
        for name, fields in (("admin", self.first), ("worker", {})):
            self.service.client().create_secret(
                Name=name, SecretString=json.dumps(fields), ClientRequestToken=name.ljust(40, "-")
            )
        path = folder / "rotator.yaml"
        path.write_text(POLICIES.format(url=provider.url))
        path.chmod(0o600)
        self.world = World(open_ledger("sqlite://", clock), clock, Network(Surroundings(), clock))
        self.world.service = self.service
        self.book = load(path)
        self.worker = Worker(self.world, self.book, QuietNotifier(), holder="test")

    def adopt(self) -> None:
        """A person says that the admin key is ours to revoke."""
        secret = self.book.by_name["admin"].target.id
        claim = self.world.ledger.claim(secret, "person", timedelta(seconds=9))
        state = self.world.ledger.secret(secret)
        assert claim is not None
        assert state is not None
        assert state.current is not None
        known: CurrentKey = replace(state.current, provenance=Provenance.ADOPTED)
        self.world.ledger.commit(claim, Change(replace(state, current=known)))
        self.world.ledger.release(claim, self.clock.now())

    def work(self, minutes: float) -> None:
        """Do whatever is due for so long."""
        end = self.clock.now() + timedelta(minutes=minutes)
        while self.clock.now() < end:
            for secret in self.world.ledger.due(10):
                self.worker.work(secret)
            self.clock.advance(timedelta(seconds=1))

    def read(self, name: str) -> dict[str, str]:
        """What consumers read."""
        found = self.service.client().get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        fields: dict[str, str] = json.loads(found["SecretString"])
        return fields


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Everything, on one clock."""
    clock = ManualClock()
    with Buildmarkets(clock=clock.now, limits=()) as provider:
        made = Desk(tmp_path, provider, clock)
        yield made
        made.worker.close()
        made.world.close()


def test_the_admin_credential_is_rotated_last_and_kills_its_predecessor(desk: Desk) -> None:
    """The new key lists the keys and revokes the old one, which is proven dead."""
    desk.work(0.1)
    desk.adopt()
    for policy in desk.book.policies:
        desk.world.ledger.give(policy.target.id, Order("run", "a person", "all", desk.clock.now()))
    desk.work(3)
    events = list(reversed(desk.world.ledger.events(limit=1000)))
    promoted = [event.data["policy"] for event in events if event.kind == "promoted"]
    assert promoted[-1] == "admin"
    admin = desk.read("admin")
    assert admin["key_id"] != desk.first["key_id"]
    assert desk.provider.accepts(admin)
    assert not desk.provider.accepts(desk.first)
    assert desk.world.ledger.debts(desk.book.by_name["admin"].target.id) == []
    used = {key.key_id: key.last_used_at for key in desk.provider.keys("api", "initial")}
    assert used[admin["key_id"]] is not None


def test_the_new_admin_credential_manages_from_then_on(desk: Desk) -> None:
    """The next rotation of another policy is made with it."""
    desk.work(0.1)
    desk.adopt()
    admin = desk.book.by_name["admin"].target.id
    desk.world.ledger.give(admin, Order("run", "a person", "all", desk.clock.now()))
    desk.work(3)
    worker = desk.book.by_name["worker"].target.id
    before = desk.read("worker")
    desk.world.ledger.give(worker, Order("run", "a person", "again", desk.clock.now()))
    desk.work(3)
    assert desk.read("worker") != before
    assert desk.provider.accepts(desk.read("worker"))


def test_an_order_for_the_admin_credential_waits_for_nobody_who_is_not_worked(desk: Desk) -> None:
    """A rotation that is under way, and that no process goes on with, holds it up for two minutes at most."""
    desk.work(0.1)
    desk.adopt()
    admin, worker = (desk.book.by_name[name].target.id for name in ("admin", "worker"))
    desk.world.ledger.nudge([worker])
    desk.world.ledger.give(admin, Order("run", "a person", "now", desk.clock.now()))
    for _ in range(180):
        desk.worker.work(admin)
        desk.clock.advance(timedelta(seconds=1))
    kinds = [event.kind for event in desk.world.ledger.events(admin)]
    assert "promoted" in kinds


def test_the_admin_credential_does_not_die_first_whatever_was_ordered(desk: Desk) -> None:
    """Nothing could be issued or revoked after it: its successor is in service before it dies."""
    desk.work(0.1)
    desk.adopt()
    admin = desk.book.by_name["admin"].target.id
    order = Order("run", "a person", "leaked", desk.clock.now(), grace=timedelta(0), contain=True)
    desk.world.ledger.give(admin, order)
    desk.work(3)
    (debt,) = desk.world.ledger.debts(admin, ended=True)
    assert not debt.contain
    kinds = [event.kind for event in reversed(desk.world.ledger.events(admin))]
    assert kinds.index("promoted") < kinds.index("revoked") < kinds.index("dead")
