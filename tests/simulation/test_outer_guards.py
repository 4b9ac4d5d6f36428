"""The guards around a story, taken away one by one: who may revoke, what may leave, who may act."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar, cast

import pytest
from sqlalchemy import update

from jobs import lambda_time
from jobs.lambda_time import Context, Until
from rotator import caseload, due, revocation, rollback, setbacks
from rotator.desk import Desk
from rotator.errors import Conflict, Unknown
from rotator.interfaces import Ledger, SecretStore
from rotator.ledger import open_ledger
from rotator.ledger.claims import Claims
from rotator.ledger.instants import instant
from rotator.ledger.schema import SECRETS
from rotator.model import (
    AdminRef,
    Back,
    Claim,
    Credential,
    CurrentKey,
    Debt,
    Issued,
    Order,
    Phase,
    Policy,
    Probe,
    Provenance,
    ProviderRef,
    Rotation,
    SecretState,
    Target,
    Traits,
)
from rotator.policies import Book
from rotator.providers.admin import Admin
from rotator.providers.answers import Answer
from rotator.records import Codec
from rotator.run_pass import Worker
from rotator.setbacks import Step
from rotator.telemetry import logs, sentry
from rotator.testing.clock import ManualClock
from rotator.testing.fakes import FakeProvider, FakeStore, FakeWorld, Told
from tests.integration.leaks.needles import Canary, Search, files
from tests.simulation.checker import judged
from tests.simulation.engine import Setup
from tests.simulation.engine import Sim as Whole
from tests.simulation.fleet import Fleet
from tests.simulation.outcomes import Outcome, Strikes
from tests.simulation.runs import settle, storm_calls
from tests.simulation.seeds import LONGEST
from tests.simulation.sim import GRACE, POLICY, PROVIDER, SECRET, STORE, TARGET, Sim, Violation
from tests.simulation.test_clock_ahead import verified_by_a_wrong_clock
from tests.simulation.test_found import landed_unseen
from tests.simulation.test_guards import Guard, Patch, bend, gone, nothing, noticed
from tests.simulation.test_rollback import back, rotated
from tests.simulation.test_stories import alarms, live, until

HOUR = timedelta(hours=1)


# --- 5 and 7: what nobody knows ----------------------------------------------------------------------------


def verified_then_dead(folder: Path) -> None:
    """A clock that was ahead saw a key verified, which is dead when it may be promoted."""
    verified_by_a_wrong_clock(folder)


def back_unseen(folder: Path) -> None:
    """An old key comes back late in its grace, unseen, and is replaced by hand twice."""
    sim = Sim(folder, policy=replace(POLICY, consumers=()))
    sim.excused = True
    rotated(sim)
    sim.clock.advance(GRACE - timedelta(minutes=5))
    landed_unseen(sim, "theirs", "theirs too")
    back(sim)
    until(sim, lambda: live(sim) is Phase.CONFLICT)
    left_at = sim.clock.now()
    sim.order()
    until(sim, lambda: not sim.old.live)
    if sim.clock.now() < left_at + GRACE:
        raise Violation("a key that was in service again a moment ago is revoked")


def known_whatever_was_sent(patch: Patch) -> None:
    """Take a promote that nobody heard of for one that did nothing."""
    abandoned = setbacks._abandoned

    def sure(desk: Desk, one: Rotation, **more: Any) -> list[Debt]:
        return abandoned(desk, replace(one, attempt=replace(one.attempt, doubted=False)), **more)

    patch.setattr(setbacks, "_abandoned", sure)


# --- 9: the admin credential -------------------------------------------------------------------------------


class Managed(FakeProvider):
    """A provider whose keys are managed by one of themselves, as the worker's process knows it."""

    traits: ClassVar[Traits] = replace(FakeProvider.traits, key_limit=None)

    def __init__(self, clock: ManualClock, rng: Random, store: FakeStore) -> None:
        super().__init__(clock, rng)
        self.admin = Admin(lambda: store.raw("admin"), ("secret",), "fake", clock)

    def _admin(self) -> None:
        if not self.accepts(self.admin.credential().get("secret")):
            raise self.admin.refused("the server answered 401")

    def revoke(self, key_id: str) -> None:
        """By a key that must be another one."""
        if self.admin.credential().get("key_id") == key_id:
            raise Violation(f"{key_id} is revoked with itself")
        super().revoke(key_id)


class OfOne(FakeWorld):
    """The world of a process that reads its admin credential anew when it is told to."""

    def __init__(self, ledger: Ledger, provider: Managed, store: FakeStore, rng: Random) -> None:
        super().__init__(ledger, provider, cast("SecretStore", store), rng)
        self._managed = provider

    def renewed(self, ref: ProviderRef) -> None:
        """It was replaced."""
        self._managed.admin.forget()


def revoked_by_another_process(folder: Path) -> None:
    """One process replaces the admin credential; another one, which used it a moment ago, pays the debt."""
    clock, rng = ManualClock(), Random(4)
    store, ledger = FakeStore(clock), open_ledger(f"sqlite:///{folder}/ledger.sqlite", clock)
    first, second = Managed(clock, rng, store), Managed(clock, rng, store)
    second.keys = first.keys
    old, now = first.add("made by hand"), clock.now()
    store.put("admin", "v0", {"key_id": old.key_id, "secret": old.secret}, current=True)
    ref = ProviderRef("fake", "fake", "https://fake.invalid", AdminRef(STORE, "admin"))
    target = Target(FakeStore.canonical({}, "admin"), STORE, "admin")
    known = CurrentKey("v0", old.key_id, Provenance.ADOPTED, now)
    ledger.enroll([SecretState(target.id, "admin", ref.principal, now, looked_at=now, current=known)])
    book = Book(policies=(Policy("admin", ref, target, every=timedelta(days=30), grace=HOUR),))
    one, other = (
        Worker(OfOne(ledger, each, store, rng), book, Told(), holder="rig", threads=1)
        for each in (first, second)
    )
    second.find()
    ledger.give(target.id, Order("run", "ann", "drill", now, grace=timedelta(seconds=20)))
    for _ in range(120):
        worker = other if store.raw("admin").get("key_id") != old.key_id else one
        worker.work(target.id)
        clock.advance(timedelta(seconds=1))
    ledger.close()
    if old.live:
        raise Violation("the old admin credential lives")


def refused_everywhere(folder: Path) -> None:
    """The admin credential of six secrets is refused for hours."""
    fleet, asked = Fleet(folder, 6), list[int]()
    refuse = fleet.provider._admin

    def refused() -> None:
        asked.append(1)
        refuse()

    bend(fleet.provider, "_admin", refused)
    fleet.provider.admin_works = False
    fleet.run(3 * HOUR)
    fleet.ledger.close()
    if len(asked) > 12:
        raise Violation(f"a credential that is refused is sent {len(asked)} times")


def expired_long_before(folder: Path) -> None:
    """The admin credential ends weeks before a key is due."""
    managed = replace(PROVIDER, admin=AdminRef(STORE, "admin"))
    sim = Sim(folder, policy=replace(POLICY, provider=managed))
    due_at = sim.clock.now() + timedelta(days=30)
    sim.provider.admin_works = False
    until(sim, lambda: bool(alarms(sim)))
    if sim.clock.now() >= due_at:
        raise Violation("nobody hears of a credential that is refused before it is needed")


# --- 11: the way back --------------------------------------------------------------------------------------


def back_before_a_late_promotion(folder: Path) -> None:
    """The first promote of the newer key lands after it was rolled back, and is dead."""
    sim = Sim(folder)
    promote, sent = sim.store.promote, list[tuple[Any, ...]]()

    def slow(*args: Any) -> str:
        if sent:
            return promote(*args)
        sent.append(args)
        raise Unknown("timeout", "no answer")

    bend(sim.store, "promote", slow)
    newer = rotated(sim).provider.keys[sim.store.value(SECRET)["key_id"]]
    back(sim, grace=timedelta(0))
    until(sim, lambda: not newer.live)
    with suppress(Conflict):
        promote(*sent[0])
    sim.check()


def label_moved_back(patch: Patch) -> None:
    """Have the version that held the key before promoted again, in place of a fresh one."""

    def enter(desk: Desk, one: Rotation, wanted: Back) -> Step:
        debt, current = desk.world.ledger.debt(wanted.debt), desk.state.current
        assert debt is not None
        assert current is not None
        attempt = replace(one.attempt, key_id=debt.key_id, version=debt.version, verified_at=desk.now())
        return replace(one, phase=Phase.VERIFIED, expected=current.version, old=current, attempt=attempt)

    patch.setattr(rollback, "enter", enter)


# --- 13: nobody's secret leaves ----------------------------------------------------------------------------


def search(sim: Sim, **more: str) -> None:
    """Look for the value of every key in the ledger's files, in what people were told, and in ``more``."""
    values = (Canary(key.key_id, key.secret) for key in sim.provider.keys.values())
    places = {name: text.encode() for name, text in {**more, "told": repr(sim.told.events)}.items()}
    hits = Search(values).hits({**files(sim.folder), **places})
    if hits:
        raise Violation(f"a value leaves: {hits[0]}")


def echoing(folder: Path) -> None:
    """A server names the key that it was sent as the account of whoever sent it."""
    sim = Sim(folder)
    probe = sim.provider.probe

    def echoed(credential: Credential) -> Probe:
        answer = Answer(200, body=f'{{"account": "{credential.get("secret")}"}}'.encode())
        told = answer.to(credential, sim.provider.traits.secret_fields).json()
        return replace(probe(credential), account=told["account"])

    bend(sim.provider, "probe", echoed)
    sim.order()
    sim.run()
    sim.ended_well()
    search(sim)


def unhidden(patch: Patch) -> None:
    """Read answers as they are."""
    patch.setattr(Answer, "to", lambda answer, *_: answer)


def credential_among_settings(folder: Path) -> None:
    """A fault of an adapter: the settings of the next key hold the key in service."""
    sim = Sim(folder)
    mine = {"like": Credential({"secret": sim.old.secret})}
    bend(sim.provider, "wanted", lambda *_: mine)
    bend(sim.provider, "issue", lambda *_: Issued("another", Credential({}), {}))
    sim.order()
    worker = sim.start()
    for _ in range(3):
        worker.work(TARGET.id)
        worker.tell_alarms()
    search(sim)


def written_whatever_it_is(patch: Patch) -> None:
    """Write what is no plain value as what it holds."""

    def encode(codec: Codec[Any], record: Any) -> str:
        return codec.adapter.dump_json(record, warnings=False, fallback=lambda one: one.reveal()).decode()

    patch.setattr(Codec, "encode", encode)


@contextmanager
def heard(library: str) -> Iterator[io.StringIO]:
    """What the log shows of a library, as a process would write it."""
    stream, log = io.StringIO(), logging.getLogger(library)
    handler = logs._Lines(stream, logs._as_json)
    log.addHandler(handler)
    try:
        yield stream
    finally:
        log.removeHandler(handler)


def chatty_library(folder: Path) -> None:
    """A library warns of what it sends, and an alarm quotes it."""
    sim, sent = Sim(folder), list[str]()
    stage = sim.store.stage

    def warned(target: Target, credential: Credential, *more: Any) -> Any:
        logging.getLogger("urllib3").warning("sent %s", credential.reveal())
        sent.append(str(sentry.before_send({"message": f"sent {credential.reveal()}"}, None)))
        return stage(target, credential, *more)

    bend(sim.store, "stage", warned)
    with heard("urllib3") as stream:
        sim.order()
        sim.run()
    sim.ended_well()
    search(sim, log=stream.getvalue(), sentry=str(sent))


# --- 14: an effect ends before its claim does, and before its process --------------------------------------


class LongFrozen(Strikes):
    """A process that is frozen until another one has done its work."""

    def frozen(self) -> timedelta:
        """Far beyond its claim."""
        return timedelta(minutes=10)


def frozen(how: Outcome) -> Callable[[Path], None]:
    """A worker is frozen beside the commit that announces issue, and another one does all the work."""

    def scenario(_: Path) -> None:
        sim = Whole(Setup(), 7, LongFrozen({storm_calls({}).index("provider.issue"): how}))
        sim.order("one")
        sim.start()
        sim.baton.run(lambda: sim.idle or len(sim.history) > LONGEST)
        settle(sim)
        broken = judged(sim.history.acts, sim.setup)
        if broken:
            raise Violation(broken[0])

    return scenario


def any_claim(patch: Patch) -> None:
    """Write and prolong whoever has the claim by now."""

    def newest(ledger: Claims, claim: Claim) -> Claim:
        until = instant(claim.until + timedelta(days=1))
        taken = update(SECRETS).where(SECRETS.c.id == claim.secret).values(claimed_until=until)
        with ledger._database.writing() as connection:
            epoch = connection.execute(taken.returning(SECRETS.c.epoch)).scalar_one()
        return replace(claim, epoch=epoch)

    for name in ("commit", "renew"):
        fenced = getattr(Claims, name)
        patch.setattr(
            Claims, name, lambda ledger, claim, *what, f=fenced: f(ledger, newest(ledger, claim), *what)
        )


class OneEffect:
    """An invocation that bears one effect, and not another one after it."""

    function_name, aws_request_id = "rotator", "one"

    def get_remaining_time_in_millis(self) -> int:
        """A little more than one effect may take."""
        return 40_000


def short_of_time(folder: Path) -> None:
    """Effects that take all of their time, in an invocation that bears one."""
    sim = Sim(folder)
    sim.order()
    worker = sim.start()
    ends = sim.clock.now() + timedelta(milliseconds=OneEffect().get_remaining_time_in_millis())
    worker.world = Until(worker.world, cast("Context", OneEffect()), sim.clock)

    def outside(sim: Sim, name: str) -> None:
        if name in ("store.promote", "provider.issue", "provider.revoke"):
            sim.clock.advance(timedelta(seconds=24))
            if sim.clock.now() > ends:
                raise Violation(f"the process is killed within {name}")

    sim.outside = outside
    for _ in range(60):
        worker.work(TARGET.id)
        sim.clock.advance(timedelta(seconds=1))


# --- guards ------------------------------------------------------------------------------------------------


OUTER_GUARDS = [
    Guard("5 a wrong clock verifies nothing", gone(caseload, "put_right", nothing), verified_then_dead),
    Guard("7 what may have served has a grace", known_whatever_was_sent, back_unseen),
    Guard(
        "9 no key is revoked with itself",
        gone(revocation, "keeps_admin", lambda *_: False),
        revoked_by_another_process,
    ),
    Guard(
        "9 a refused admin credential holds all of its provider",
        gone(Desk, "_blocked", nothing),
        refused_everywhere,
    ),
    Guard(
        "9 an admin credential is tried before it is needed",
        gone(due, "_rehearsal", nothing),
        expired_long_before,
    ),
    Guard("11 the way back is a fresh version", label_moved_back, back_before_a_late_promotion),
    Guard("13 what a server repeats is hidden", unhidden, echoing),
    Guard("13 a credential is never written", written_whatever_it_is, credential_among_settings),
    Guard("13 what is told is scrubbed", gone(logs, "scrub", str), chatty_library),
    Guard(
        "14 who was frozen begins nothing", gone(Desk, "_keep_claim", nothing), frozen(Outcome.FROZEN_AFTER)
    ),
    Guard("14 who lost the claim writes nothing", any_claim, frozen(Outcome.FROZEN_BEFORE)),
    Guard(
        "14 nothing begins that may outlast its process",
        gone(lambda_time, "_EFFECT", timedelta(0)),
        short_of_time,
    ),
]


@pytest.mark.parametrize("guard", OUTER_GUARDS, ids=lambda guard: guard.rule)
def test_an_outer_guard_taken_away_is_noticed(guard: Guard, tmp_path: Path, monkeypatch: Patch) -> None:
    """Green with the guard, red without it."""
    noticed(guard, tmp_path, monkeypatch)
