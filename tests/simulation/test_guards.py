"""Each rule's guard, taken away, turns the simulation red; in place, the same scenario is green.

A guard whose removal nobody notices is not held by any test.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator import (
    backoff,
    budgets,
    caseload,
    containing,
    drilling,
    elsewhere,
    looking,
    owing,
    permits,
    promotion,
    rechecking,
    revocation,
    rotation,
    setbacks,
    telling,
    verifying,
)
from rotator.desk import Desk
from rotator.errors import Conflict, Refused, Unknown
from rotator.interfaces import Stored
from rotator.model import (
    EVERYBODY,
    Attempt,
    Change,
    Credential,
    CurrentKey,
    Debt,
    DebtReason,
    Issued,
    Order,
    Phase,
    Probe,
    Provenance,
    Rotation,
    SecretState,
    Verdict,
    token_for,
)
from rotator.reconcile import mending
from rotator.reconcile.values import Holding
from tests.simulation.fleet import Fleet
from tests.simulation.sim import PROVIDER, SECRET, TARGET, Fault, Sim, Strike, Violation
from tests.simulation.test_copied import beside, comes_back, copy_without_id
from tests.simulation.test_drill import drill
from tests.simulation.test_holds import EFFECTS, Forgetful, restless, work
from tests.simulation.test_leaked import crowded, put_back, unfit
from tests.simulation.test_mended import put_in_meanwhile
from tests.simulation.test_rollback import back, held_by_the_store, rotated, served
from tests.simulation.test_stories import TwoAccounts, kinds, ours, until

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Guard:
    """A rule, how its guard is taken away, and the scenario in which that must be seen."""

    rule: str
    remove: Callable[[Patch], None]
    scenario: Callable[[Path], None]


# --- scenarios --------------------------------------------------------------------------------------------


def struck(call: str, fault: Fault) -> Callable[[Path], None]:
    """One whole rotation, the first such call struck."""

    def scenario(folder: Path) -> None:
        quiet = Sim(folder)
        quiet.order()
        quiet.run()
        nth = quiet.calls.index(call) + 1
        quiet.ledger.close()
        (folder / "again").mkdir()
        sim = Sim(folder / "again", strikes=[Strike(nth, fault)])
        sim.order()
        sim.run()
        sim.ended_well()

    return scenario


def with_sim(
    prepare: Callable[[Sim], None], *, adopted: bool = True, days: int = 3
) -> Callable[[Path], None]:
    """A rotation in a world that was prepared, looked at for some days; only the checker judges."""

    def scenario(folder: Path) -> None:
        sim = Sim(folder, adopted=adopted)
        prepare(sim)
        sim.order()
        worker, end = sim.start(), sim.clock.now() + timedelta(days=days)
        while sim.clock.now() < end:
            due = sim.ledger.due(1)
            if due:
                worker.work(due[0])
            else:
                sim._wait()
        if not sim.old.live:
            assert_dead_for_good(sim)

    return scenario


def assert_dead_for_good(sim: Sim) -> None:
    """What the ledger calls dead is dead."""
    for debt in sim.ledger.debts(ended=True):
        if debt.phase.ended and sim.provider.keys[debt.key_id or ""].live:
            raise Violation(f"{debt.key_id} was called dead and lives")


def no_version(sim: Sim) -> None:
    """The secret has never had a version."""
    secret = sim.store.secrets[SECRET]
    secret.versions.clear()
    secret.history.clear()
    secret.current = None


def useless_keys(sim: Sim) -> None:
    """The provider answers with values that do not work."""
    issue = sim.provider.issue

    def useless(label: str, wanted: Any) -> Issued:
        issued = issue(label, wanted)
        return replace(issued, credential=Credential({"key_id": issued.key_id, "secret": "useless"}))

    sim.provider.issue = useless  # type: ignore[method-assign]


def blind_probe(sim: Sim) -> None:
    """Useless keys, and a probe that accepts anything."""
    useless_keys(sim)
    bend(sim.provider, "probe", lambda _: Probe(Verdict.LIVE))


def bend(adapter: object, method: str, behave: Callable[..., object]) -> None:
    """Let one method of a fake behave otherwise."""
    setattr(adapter, method, behave)


def behind(sim: Sim) -> None:
    """A replica that never shows the new version."""
    sim.store.replicated, sim.store.replicas_show = True, False


def behind_unused(sim: Sim) -> None:
    """The same, where nobody is to be told."""
    behind(sim)
    sim.policy, sim.excused = replace(sim.policy, consumers=()), True


def rewritten_after(sim: Sim) -> None:
    """After the promotion somebody puts their own key into the secret."""

    def outside(sim: Sim, name: str) -> None:
        promoted = "store.promote" in sim.calls[:-1]
        if promoted and name == "store.read" and "theirs" not in sim.store.secrets[SECRET].versions:
            held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
            sim.store.put(SECRET, "theirs", held, current=True)

    sim.outside = outside


def rewritten_before(sim: Sim) -> None:
    """Just before the promotion somebody puts their own key into the secret."""

    def outside(sim: Sim, name: str) -> None:
        if name == "store.promote" and "theirs" not in sim.store.secrets[SECRET].versions:
            held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
            sim.store.put(SECRET, "theirs", held, current=True)

    sim.outside = outside


def late_promote(sim: Sim) -> None:
    """The first promote is not answered, and lands once some key has been revoked."""
    promote, sent = sim.store.promote, list[tuple[Any, ...]]()

    def slow(*args: Any) -> str:
        if sent:
            return promote(*args)
        sent.append(args)
        raise Unknown("timeout", "no answer")

    def lands(sim: Sim, _: str) -> None:
        if sent and sim.provider.revoked:
            with contextlib.suppress(Conflict):
                promote(*sent[0])

    sim.outside = lands
    bend(sim.store, "promote", slow)


def moved_back(sim: Sim) -> None:
    """The first promote is not answered; before anybody looks, somebody moves the label back."""
    promote = sim.store.promote

    def landed(*args: Any) -> str:
        bend(sim.store, "promote", promote)
        promote(*args)
        kept = sim.store.secrets[SECRET]
        kept.current, kept.previous = kept.previous, kept.current
        raise Unknown("timeout", "no answer")

    bend(sim.store, "promote", landed)


def copied(sim: Sim) -> None:
    """Another secret of the account holds the old key as well."""
    held = CurrentKey("c0", sim.old.key_id, Provenance.UNKNOWN, sim.clock.now())
    state = SecretState("fake|copy", "copy", PROVIDER.principal, sim.clock.now(), current=held)
    sim.ledger.enroll([state])
    sim.held_elsewhere.add(sim.old.key_id)


def copied_without_id(sim: Sim) -> None:
    """Another secret of the account holds the old key, without its id."""
    beside(sim, copy_without_id(sim))


def copied_at_second_admin(sim: Sim) -> None:
    """So does one whose policy names another admin credential of the account, with the id."""
    second = replace(PROVIDER, account="fake|second-admin").principal
    named = CurrentKey("o0", sim.old.key_id, Provenance.UNKNOWN, sim.clock.now())
    beside(sim, {"key_id": sim.old.key_id, **copy_without_id(sim)}, principal=second, current=named)


def returning(sim: Sim) -> None:
    """Another secret is being rolled back to a copy of the old key."""
    comes_back(sim)


def moved_away(folder: Path) -> None:
    """A policy moves to another account while its secret holds a key that a person adopted."""
    sim = Sim(folder)
    two = TwoAccounts(sim)
    two.work(timedelta(days=1))
    if two.second.revoked:
        raise Violation("a key was revoked at an account where it is not")
    assert_dead_for_good(sim)


def another_account(sim: Sim) -> None:
    """A stray's revocation is only said, and from then on the list is another account's."""
    sim.strikes = [Strike(7, Fault.LOST)]
    said: list[str] = []

    def said_only(key_id: str) -> None:
        said.append(key_id)
        bend(sim.provider, "find", list)

    bend(sim.provider, "revoke", said_only)


def dead_candidate(sim: Sim) -> None:
    """A conflict that ends days later, when the candidate is dead."""

    def outside(sim: Sim, name: str) -> None:
        secret = sim.store.secrets[SECRET]
        if name == "store.promote" and "theirs" not in secret.versions:
            held = {"key_id": sim.foreign.key_id, "secret": sim.foreign.secret}
            sim.store.put(SECRET, "theirs", held, current=True)
            since.append(sim.clock.now())
        if since and sim.clock.now() > since[0] + timedelta(hours=5) and secret.current == "theirs":
            for key in sim.provider.keys.values():
                key.live = key in (sim.old, sim.foreign)
            secret.current = "v0"

    since: list[datetime] = []
    sim.outside = outside


def owed_by_mistake(key: Callable[[Sim], str], provenance: Provenance) -> Callable[[Sim], None]:
    """A ledger that somebody wrote to: it owes the death of a key that must live."""

    def prepare(sim: Sim) -> None:
        debt = Debt(
            id="mistake",
            secret=TARGET.id,
            policy=sim.policy,
            reason=DebtReason.STRAY,
            key_id=key(sim),
            provenance=provenance,
            since=sim.clock.now(),
            not_before=sim.clock.now(),
            urgent=True,
        )
        claim = sim.ledger.claim(TARGET.id, "mistake", timedelta(seconds=9))
        state = sim.ledger.secret(TARGET.id)
        assert claim is not None
        assert state is not None
        sim.ledger.commit(claim, Change(state, debts=(debt,)))
        sim.ledger.release(claim, sim.clock.now())

    return prepare


def deaf_provider(sim: Sim) -> None:
    """Revocation is only said; after it, everything is refused and nothing is listed, for a while."""
    probe, find, said = sim.provider.probe, sim.provider.find, list[str]()
    bend(sim.provider, "revoke", said.append)
    bend(sim.provider, "probe", lambda c: Probe(Verdict.DEAD) if said else probe(c))
    bend(sim.provider, "find", lambda: [] if said else find())


def full(sim: Sim) -> None:
    """The principal's limit is reached by keys of others."""
    sim.provider.add("theirs")
    sim.provider.add("theirs too")


def silent_list(sim: Sim) -> None:
    """The provider's list does not answer."""

    def silent() -> None:
        raise Unknown("timeout", "no answer")

    bend(sim.provider, "find", silent)


def ended_wrong(sim: Sim) -> None:
    """Nothing special: the end is judged by whether what is called dead is dead."""


def called_dead(prepare: Callable[[Sim], None]) -> Callable[[Path], None]:
    """A scenario whose end compares the ledger's dead keys with the provider's."""

    def scenario(folder: Path) -> None:
        kept: list[Sim] = []

        def remember(sim: Sim) -> None:
            prepare(sim)
            kept.append(sim)

        with_sim(remember, days=1)(folder)
        assert_dead_for_good(kept[0])

    return scenario


def stopped_midway(folder: Path) -> None:
    """A stop that comes while a key is being verified, for a day."""
    sim = Forgetful(folder)

    def outside(sim: Sim, name: str) -> None:
        if name == "provider.probe" and "store.stage" in sim.calls and not stopped:
            stopped.append(name)
            sim.ledger.give(EVERYBODY, Order("stop", "ann", "drill", sim.clock.now()))
        if stopped and name in EFFECTS:
            raise Violation(f"{name} began after the stop")

    stopped: list[str] = []
    sim.outside = outside
    sim.order()
    work(sim, timedelta(hours=3))


def contained_and_put_back(folder: Path) -> None:
    """A key that was to die first, but would not, comes back by a person's hand once it was replaced."""
    sim = Sim(folder)
    put_back(sim)
    work(sim, timedelta(days=1))


def contained_by_guess(folder: Path) -> None:
    """A key that nobody adopted is ordered to die first."""
    sim = Sim(folder, adopted=False)
    sim.order(timedelta(0), contain=True)
    work(sim, timedelta(days=1))


def contained_late(folder: Path) -> None:
    """The revoke of a key that is to die first is refused once."""

    def outside(sim: Sim, name: str) -> None:
        if name == "provider.issue" and sim.old.live:
            raise Violation("a key is issued before the one that was to die first is dead")

    quiet = Sim(folder)
    quiet.order(timedelta(0), contain=True)
    quiet.run()
    quiet.ledger.close()
    nth = quiet.calls.index("provider.revoke") + 1
    (folder / "again").mkdir()
    sim = Sim(folder / "again", strikes=[Strike(nth, Fault.REFUSED)])
    sim.outside = outside
    sim.order(timedelta(0), contain=True)
    sim.run()


def cannot_follow(folder: Path) -> None:
    """A key is to die first whose secret has had too many versions."""
    sim = Sim(folder)
    crowded(sim)
    sim.run()


def unfit_store(folder: Path) -> None:
    """A key is to die first in a secret that a person must make fit for writing."""
    sim = Sim(folder)
    unfit(sim)
    work(sim, timedelta(hours=2))


def flooded(folder: Path) -> None:
    """Somebody writes other fields of the secret all the time."""
    sim = Forgetful(folder)
    restless(sim)
    sim.order()
    work(sim, timedelta(hours=3))


def clock_that_jumps(folder: Path) -> None:
    """All graces of a fleet are over at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgets, "ALL_REVOCATIONS", (budgets.Budget(3, budgets.HOUR),))
        fleet = Fleet(folder, 5)
        fleet.run(timedelta(minutes=20))
        fleet.clock.advance(timedelta(days=3))
        fleet.run(timedelta(minutes=30))
    fleet.ledger.close()
    if len(fleet.provider.times("revoke")) > 3:
        raise Violation("more keys died by schedule within an hour than may")


def overloaded(folder: Path) -> None:
    """A provider refuses every key for hours."""
    fleet = Fleet(folder, 6)
    fleet.provider.fails = Refused("http-503", "overloaded")
    fleet.run(timedelta(hours=3))
    fleet.ledger.close()
    if len(fleet.provider.times("issue")) > 15:
        raise Violation("a provider that fails is asked by everybody")


def held_back(folder: Path) -> None:
    """A rollback that the store holds up until the old key's grace is long over."""
    sim = rotated(Sim(folder))
    held_by_the_store(sim, sim.policy.grace * 2)
    back(sim)
    until(sim, lambda: bool({"not-rolled-back", "revoked"} & {*kinds(sim)}) or served(sim) == sim.old.key_id)
    if not sim.old.live:
        raise Violation("a key died that was to come back")


def one_drill(folder: Path) -> None:
    """A drill, whose key must not be left over."""
    sim = Sim(folder)
    drill(sim)
    sim.run()
    if ours(sim):
        raise Violation("the key of a drill lives on")


# --- guards -----------------------------------------------------------------------------------------------


def silent_consumer(sim: Sim) -> None:
    """A consumer that cannot be told."""
    sim.consumer.fails = Unknown("http-503", "away")


def away_for_hours(sim: Sim) -> None:
    """A consumer that can be told after some hours."""

    def outside(sim: Sim, _: str) -> None:
        if sim.clock.now() > began + timedelta(hours=5):
            sim.consumer.fails = None

    began = sim.clock.now()
    silent_consumer(sim)
    sim.outside = outside


def without_intent(patch: Patch) -> None:
    """Issue without writing it down first."""
    write = Desk.write

    def forgetful(desk: Desk, **what: Any) -> None:
        if not (what.get("rotation") and what["rotation"].phase is Phase.ISSUING):
            write(desk, **what)

    patch.setattr(Desk, "write", forgetful)


def without_sweep(patch: Patch) -> None:
    """Look for no strays."""
    for module in (rotation, looking):
        patch.setattr(module, "strays_of", lambda *_: [])


def without_seed(patch: Patch) -> None:
    """Stage into a secret that has no version."""
    empty = Stored("", None, Credential({}), Credential({}))

    def staged_at_once(desk: Desk, one: Rotation) -> setbacks.Step:
        return rotation._issue(desk, replace(one, expected=""), empty, ())

    patch.setattr(rotation, "seed", staged_at_once)


def one_token(patch: Patch) -> None:
    """The same token for every attempt."""

    def same(desk: Desk, number: int) -> Attempt:
        token = token_for(desk.world.ledger.id, "0" * 32)
        return Attempt(token=token, number=number, push=token)

    patch.setattr(setbacks, "fresh_attempt", same)


def given_up_in_doubt(patch: Patch) -> None:
    """Abort after promoting was written, as if nothing had been sent."""

    def give_up(desk: Desk, one: Rotation) -> setbacks.Step:
        forgotten = replace(one, attempt=replace(one.attempt, promoted_at=None, doubted=False))
        return setbacks.give_up(desk, forgotten, "in-doubt", "gave up")

    patch.setattr(rotation, "resolve", give_up)


def conflict_is_ours(patch: Patch) -> None:
    """Take any change of the current version for our own."""
    patch.setattr(promotion, "holds_same", lambda *_: True)


def promoted_again(patch: Patch) -> None:
    """Take what was put back for what was never replaced."""

    def again(desk: Desk, one: Rotation, **_: Any) -> setbacks.Step:
        return promotion.promote(desk, replace(one, phase=Phase.VERIFIED))

    patch.setattr(promotion, "_put_back", again)


def grace_from_nothing(patch: Patch) -> None:
    """Owe the old key's death at once."""
    owed = owing.replaced

    def hasty(desk: Desk, one: Rotation, key: CurrentKey, **_: Any) -> Sequence[Debt]:
        return owed(desk, one, key, not_before=desk.now())

    patch.setattr(promotion, "replaced", hasty)


def contained_for_good(patch: Patch) -> None:
    """Let a key that was to die first be revoked in service whatever came since."""
    owed = owing.replaced

    def lasting(desk: Desk, one: Rotation, key: CurrentKey, **more: Any) -> Sequence[Debt]:
        return [] if any(debt.contain for debt in desk.debts()) else owed(desk, one, key, **more)

    patch.setattr(promotion, "replaced", lasting)


def replicas_forgotten(patch: Patch) -> None:
    """Count grace from the promotion, whatever replicas show."""
    patch.setattr(
        revocation, "_visible", lambda desk, debt: replace(debt, not_before=debt.not_before or desk.now())
    )


def everything_adopted(patch: Patch) -> None:
    """Take a key that was there before us for our own."""
    identify = owing.identify

    def generous(*args: Any) -> Any:
        found = identify(*args)
        return found and replace(found, provenance=Provenance.ADOPTED)

    patch.setattr(looking, "identify", generous)


def refusal_is_death(patch: Patch) -> None:
    """Believe a refusal without asking whether the current key is accepted."""

    def hasty(desk: Desk, debt: Debt, evidence: revocation.Evidence) -> str | None:
        return None if evidence.listed else "refused"

    patch.setattr(revocation, "_proof", hasty)


def any_list_tells(patch: Patch) -> None:
    """Believe any list from which the key is gone."""
    record = revocation._record
    patch.setattr(revocation, "_record", lambda desk, debt: (record(desk, debt)[0], True))


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def gone(module: object, name: str, instead: object) -> Callable[[Patch], None]:
    """Take one function away."""
    return lambda patch: patch.setattr(module, name, instead)


def held_by_nobody(patch: Patch) -> None:
    """Owe what a comparison found without another look at the secret."""
    patch.setattr(mending, "holding", lambda world, policy: Holding(policy, world.ledger.now(), empty=True))


def current_key(sim: Sim) -> str:
    """The key that the secret holds."""
    return sim.old.key_id


def foreign_key(sim: Sim) -> str:
    """Somebody else's key."""
    return sim.foreign.key_id


GUARDS = [
    Guard("1 intent before effect", without_intent, struck("provider.issue", Fault.CRASH_AFTER)),
    Guard("2 sweep by label", without_sweep, struck("provider.issue", Fault.LOST)),
    Guard("2 a drill's key is owed", gone(drilling, "_owed", lambda *_: []), one_drill),
    Guard("2 an orphan is one under the claim too", held_by_nobody, put_in_meanwhile),
    Guard("3 the first version is an empty one", without_seed, with_sim(no_version)),
    Guard("4 one token per attempt", one_token, struck("provider.issue", Fault.LOST)),
    Guard(
        "5 verify before promoting",
        gone(rotation, "probed", lambda *_: Probe(Verdict.LIVE)),
        with_sim(useless_keys),
    ),
    Guard(
        "5 the negative control",
        gone(verifying, "_controlled", lambda _desk, _rotation, _stored, probe: probe),
        with_sim(blind_probe),
    ),
    Guard(
        "5 a verification goes stale",
        gone(promotion, "_STALE", timedelta.max),
        with_sim(dead_candidate),
    ),
    Guard("6 only forward from promoting", given_up_in_doubt, with_sim(late_promote)),
    Guard("6 a conflict is told, not taken", conflict_is_ours, with_sim(rewritten_before)),
    Guard("6 what was put back stays", promoted_again, with_sim(moved_back)),
    Guard("7 grace", grace_from_nothing, struck("store.promote", Fault.LOST)),
    Guard("7 grace waits for replicas", replicas_forgotten, with_sim(behind_unused)),
    Guard("7 consumers can read what they are told", gone(telling, "_must_show", nothing), with_sim(behind)),
    Guard("7 consumers are told first", gone(telling, "holding", lambda _: ()), with_sim(silent_consumer)),
    Guard("7 grace waits for consumers", replicas_forgotten, with_sim(away_for_hours)),
    Guard(
        "8 what is in service is not revoked",
        gone(revocation, "not_in_service", nothing),
        with_sim(owed_by_mistake(current_key, Provenance.ADOPTED)),
    ),
    Guard(
        "8 the secret holds what we promoted",
        gone(revocation, "ours_is_current", nothing),
        with_sim(rewritten_after),
    ),
    Guard("8 issued by us or adopted", everything_adopted, with_sim(ended_wrong, adopted=False)),
    Guard(
        "8 a foreign label is refused",
        gone(revocation, "_ours_to_revoke", nothing),
        with_sim(owed_by_mistake(foreign_key, Provenance.ISSUED)),
    ),
    Guard("8 no other secret holds it", gone(rechecking, "_elsewhere", lambda *_: []), with_sim(copied)),
    Guard(
        "8 no secret of which no id is known holds it",
        gone(elsewhere, "alike", lambda *_: False),
        with_sim(copied_without_id),
    ),
    Guard(
        "8 nor a secret of the account's other admin credential",
        gone(elsewhere, "_beside", lambda *_: []),
        with_sim(copied_at_second_admin),
    ),
    Guard(
        "8 no secret is about to hold it again",
        gone(elsewhere, "_must_not_come_back", nothing),
        with_sim(returning),
    ),
    Guard(
        "8 a key dies at the account where it is",
        gone(caseload, "_of_its_account", lambda state, _: state.current),
        moved_away,
    ),
    Guard("8 contained is what the secret held then", contained_for_good, contained_and_put_back),
    Guard(
        "8 what is contained was issued by us or adopted",
        gone(revocation, "needs_adoption", lambda *_: False),
        contained_by_guess,
    ),
    Guard("8 what is contained dies first", gone(rotation, "dies_first", nothing), contained_late),
    Guard("8 what dies first can be followed", gone(containing, "_spared", lambda *_: False), cannot_follow),
    Guard("8 the store would take what follows", gone(containing, "versions_of", nothing), unfit_store),
    Guard("10 the list is of the right account", any_list_tells, called_dead(another_account)),
    Guard("10 dead is proven", refusal_is_death, called_dead(deaf_provider)),
    Guard("11 what is to come back lives", gone(caseload, "_comes_back", lambda *_: False), held_back),
    Guard("12 slots are reserved", gone(rotation, "slot", lambda *_: True), with_sim(full)),
    Guard("15 back-off", gone(backoff, "after_looks", lambda _: timedelta(0)), with_sim(silent_list, days=1)),
    Guard("15 a stop holds every effect", gone(Desk, "_all_held", nothing), stopped_midway),
    Guard("15 versions are budgeted", gone(setbacks, "pushes_free_at", nothing), flooded),
    Guard("15 revocations are budgeted", gone(permits, "_counts", nothing), clock_that_jumps),
    Guard("15 a provider that fails is paused", gone(Desk, "_paused", nothing), overloaded),
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.rule)
def test_a_guard_taken_away_is_noticed(guard: Guard, tmp_path: Path, monkeypatch: Patch) -> None:
    """Green with the guard, red without it."""
    noticed(guard, tmp_path, monkeypatch)


def noticed(guard: Guard, folder: Path, patch: Patch) -> None:
    """Play the scenario with the guard and, once it is taken away, without."""
    for name in ("with", "without"):
        (folder / name).mkdir()
    guard.scenario(folder / "with")
    guard.remove(patch)
    with pytest.raises(Violation):
        guard.scenario(folder / "without")
